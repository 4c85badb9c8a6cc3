//! A process that cleans up if this one is killed: it ends the other processes and removes secret files.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::failure::{Failure, OrFailure, Result};

/// Reads orders from its input. If the input ends without `done`, its writer was killed, and it carries the orders out.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
groups=
while read -r what value; do
  case $what in
    group) groups="$groups $value" ;;
    file) set -- "$@" "$value" ;;
    done) exit 0 ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
rm -f -- "$@"
"#;

#[derive(Debug)]
pub(crate) struct Watcher {
    child: Child,
    orders: ChildStdin,
}

impl Watcher {
    /// Starts a watcher without orders.
    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new("/bin/sh");
        // A group of its own, so that what kills this process's group leaves it.
        command.args(["-c", SCRIPT, "watcher"]).stdin(Stdio::piped()).process_group(0);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().or_failure(|| "cannot start sh".to_owned())?;
        let orders = child.stdin.take().ok_or_else(|| Failure::new("sh takes no input"))?;
        Ok(Self { child, orders })
    }

    /// Orders the end of a process group.
    pub(crate) fn end_group(&mut self, group: i32) -> Result<()> {
        self.order(&format!("group {group}"))
    }

    /// Orders the removal of a file.
    pub(crate) fn remove_file(&mut self, file: &Path) -> Result<()> {
        self.order(&format!("file {}", file.display()))
    }

    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}").or_failure(|| "cannot write to the watcher process".to_owned())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Everything has been ended and removed already. A watcher that was killed needs no order.
        let _ = self.order("done");
        let _ = self.child.wait();
    }
}
