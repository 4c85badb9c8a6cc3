//! An issuer of tokens beside the stack, with sign-in pages: for sign-ins that the emulated user pool cannot give,
//! such as old ones, and those with a second factor in a browser. `python/issuer` says what it does.

use std::path::Path;
use std::time::Duration;

use crate::emulator::bare;
use crate::failure::Result;
use crate::processes::Group;
use crate::python::Environment;

/// How long the issuer may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running issuer. It signs all that it is asked to sign, so it listens on this machine only.
#[derive(Debug)]
pub struct Issuer {
    group: Group,
    url: String,
}

impl Issuer {
    /// Starts an issuer on a free port with its output in `folder`. Its tokens are for `client_id`; users may sign in
    /// with `provider` too.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(python: &Environment, folder: &Path, client_id: &str, provider: &str) -> Result<Self> {
        let mut command = python.command("python");
        // Without -B, Python would write beside the sources.
        bare(&mut command).current_dir(python.scripts()).args(["-B", "-m", "issuer"]);
        command.args(["--client", client_id, "--provider", provider]);
        let mut group = Group::start("the issuer", &mut command, &folder.join("issuer.log"))?;
        let url = group.announced_url(PATIENCE)?;
        Ok(Self { group, url })
    }

    /// Its name, which is also where it answers; without a trailing slash.
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
