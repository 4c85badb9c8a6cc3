//! The sandbox CRM as a process beside the stack.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::binaries::{Executables, SANDBOX};
use crate::emulator::bare;
use crate::failure::{Failure, Result};
use crate::processes::Group;

/// How long the sandbox may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A token that the sandbox CRM takes for its first portal.
pub const SANDBOX_TOKEN: &str = "sandbox-token";

/// A running sandbox CRM.
#[derive(Debug)]
pub struct Sandbox {
    group: Group,
    url: String,
}

impl Sandbox {
    /// Starts the sandbox CRM on a free port with its output in `folder`.
    ///
    /// # Errors
    /// When it was not built or does not come up.
    pub fn start(executables: &Executables, folder: &Path, arguments: &[&str]) -> Result<Self> {
        let executable = executables.get(SANDBOX).ok_or_else(|| Failure::new("the sandbox CRM was not built"))?;
        let mut command = Command::new(executable);
        bare(&mut command).args(["--port", "0"]).args(arguments);
        let mut group = Group::start("the sandbox CRM", &mut command, &folder.join("sandbox.log"))?;
        let url = group.announced_url(PATIENCE)?;
        Ok(Self { group, url })
    }

    /// Where it answers, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn group(&self) -> &Group {
        &self.group
    }

    pub fn group_mut(&mut self) -> &mut Group {
        &mut self.group
    }
}
