//! The processes of this machine, as `ps` lists them.

use std::process::Command;

use crate::failure::{OrFailure, Result};

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
