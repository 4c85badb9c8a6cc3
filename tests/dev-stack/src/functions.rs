//! The running processes of deployed functions, for tests that kill them.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, Result};
use crate::process_list::processes;
use crate::stack::Stack;

impl Stack {
    /// The ids of the processes that run the function `name` now, warm ones included.
    ///
    /// # Errors
    /// When the stack has no such function or the processes cannot be listed.
    pub fn processes_of(&self, name: &str) -> Result<Vec<i32>> {
        let code = self.code.get(name).ok_or_else(|| Failure::new(format!("there is no function {name}")))?;
        Ok(processes()?
            .into_iter()
            .filter(|process| process.command.contains(code))
            .map(|process| process.id)
            .collect())
    }

    /// Kills every process that runs the function `name` with SIGKILL. Returns their number.
    ///
    /// # Errors
    /// See [`Stack::processes_of`].
    pub fn kill_function(&self, name: &str) -> Result<usize> {
        Ok(kill_processes(&self.processes_of(name)?))
    }
}

/// Kills processes with SIGKILL. Returns how many of them still ran.
pub fn kill_processes(ids: &[i32]) -> usize {
    ids.iter().filter(|id| kill(Pid::from_raw(**id), Signal::SIGKILL).is_ok()).count()
}
