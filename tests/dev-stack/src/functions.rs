//! The running processes of deployed functions, for tests that kill them.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, OrFailure, Result};
use crate::stack::Stack;

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub id: i32,
    pub group: i32,
    pub command: String,
}

/// All processes of this machine.
///
/// # Errors
/// When `ps` cannot be run.
pub fn processes() -> Result<Vec<Process>> {
    let output = Command::new("ps").args(["-A", "-ww", "-o", "pid=,pgid=,command="]).output();
    let output = output.or_failure(|| "cannot run ps".to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(process).collect())
}

fn process(line: &str) -> Option<Process> {
    let (id, rest) = line.trim_start().split_once(' ')?;
    let (group, command) = rest.trim_start().split_once(' ')?;
    Some(Process { id: id.parse().ok()?, group: group.parse().ok()?, command: command.to_owned() })
}

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

    /// Kills every process that runs the function `name` with SIGKILL, and says how many those were.
    ///
    /// # Errors
    /// See [`Stack::processes_of`].
    pub fn kill_function(&self, name: &str) -> Result<usize> {
        Ok(kill_processes(&self.processes_of(name)?))
    }
}

/// Kills processes with SIGKILL, and says how many of them were still there.
pub fn kill_processes(ids: &[i32]) -> usize {
    ids.iter().filter(|id| kill(Pid::from_raw(**id), Signal::SIGKILL).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ps_becomes_a_process() {
        let expected = Process { id: 17, group: 12, command: "/x/bootstrap --a b".to_owned() };
        assert_eq!(process("   17    12 /x/bootstrap --a b"), Some(expected));
        assert_eq!(process("what is this"), None);
    }
}
