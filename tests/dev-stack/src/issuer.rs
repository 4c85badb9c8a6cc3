//! An issuer of ID tokens beside the stack: for sign-ins that the emulated user pool cannot give, such as old ones.

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
    /// Starts an issuer on a free port with its output in `folder`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(python: &Environment, folder: &Path) -> Result<Self> {
        let mut command = python.command("python");
        bare(&mut command).arg(python.script("issuer.py"));
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
