//! Child processes, which never outlive this process.
//!
//! Every process starts in a group of its own and what it starts stays in that group (the emulator starts functions).
//! The group is ended when its [`Group`] is dropped, and all groups are ended on Ctrl-C, SIGTERM and SIGHUP.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio, exit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::failure::{Failure, OrFailure, Result};

/// The process groups to end, and the files to remove, when this process ends.
struct Live {
    groups: BTreeSet<i32>,
    files: BTreeSet<PathBuf>,
}

static LIVE: Mutex<Live> = Mutex::new(Live { groups: BTreeSet::new(), files: BTreeSet::new() });

fn live() -> MutexGuard<'static, Live> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends all groups and the process itself when it is interrupted. Call once, at the start.
///
/// # Errors
/// When signals cannot be caught.
pub fn end_all_on_interrupt() -> Result<()> {
    ctrlc::set_handler(|| {
        // Held to the end, so that nothing can start any more.
        let live = live();
        for group in &live.groups {
            end_group(*group);
        }
        for file in &live.files {
            let _ = fs::remove_file(file);
        }
        exit(130);
    })
    .or_failure(|| "cannot catch Ctrl-C".to_owned())
}

/// Kills every process of a group that this process has started. A group that has gone is fine.
pub fn end_group(group: i32) {
    let _ = try_end_group(group);
}

/// Kills every process of a group. A group that has gone is fine.
///
/// # Errors
/// When it belongs to another user.
pub fn try_end_group(group: i32) -> Result<()> {
    match killpg(Pid::from_raw(group), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).or_failure(|| format!("cannot end process group {group}")),
    }
}

/// A file that is removed with this value, or on an interrupt.
#[derive(Debug)]
pub struct TransientFile(PathBuf);

impl TransientFile {
    /// Takes charge of the file at `path`.
    pub fn new(path: PathBuf) -> Self {
        live().files.insert(path.clone());
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TransientFile {
    fn drop(&mut self) {
        live().files.remove(&self.0);
        let _ = fs::remove_file(&self.0);
    }
}

/// A running process, and the processes that it has started.
#[derive(Debug)]
pub struct Group {
    name: String,
    child: Child,
    log: Option<PathBuf>,
}

impl Group {
    /// Starts `command` with its output in the file `log`.
    ///
    /// # Errors
    /// When the file cannot be written or the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::create(log).or_failure(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().or_failure(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        Self::spawn(name, command, Some(log.to_owned()))
    }

    fn spawn(name: &str, command: &mut Command, log: Option<PathBuf>) -> Result<Self> {
        command.process_group(0);
        let mut live = live();
        let child = command.spawn().or_failure(|| format!("cannot start {name}"))?;
        live.groups.insert(group_of(&child));
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The process group, which is also the id of its first process.
    pub fn id(&self) -> i32 {
        group_of(&self.child)
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        let bytes = self.log.as_deref().and_then(|log| fs::read(log).ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Fails if the process has ended.
    ///
    /// # Errors
    /// With the last line that it wrote.
    pub fn check_running(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait().or_failure(|| format!("cannot watch {}", self.name))? else {
            return Ok(());
        };
        let output = self.output();
        let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it wrote nothing");
        Err(Failure::new(format!("{} ended with {status}: {}", self.name, last.trim())))
    }

    /// Calls `ready` repeatedly until it returns a value, while the process runs.
    ///
    /// # Errors
    /// When the process ends, or is not ready after `patience`.
    pub fn wait_until<T>(&mut self, patience: Duration, mut ready: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            self.check_running()?;
            if let Some(found) = ready(self) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{} was not ready after {} s", self.name, patience.as_secs())));
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the process has written `listening on {url}`, and returns the URL.
    ///
    /// # Errors
    /// When the process ends, or has not written it after `patience`.
    pub fn announced_url(&mut self, patience: Duration) -> Result<String> {
        self.wait_until(patience, |group| {
            let output = group.output();
            // A whole line only: the output is read while it is written.
            let line =
                output.split_inclusive('\n').find(|line| line.ends_with('\n') && line.contains("listening on "))?;
            line.trim_end().rsplit_once("listening on ").map(|(_, url)| url.to_owned())
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut live = live();
        end_group(self.id());
        let _ = self.child.wait();
        live.groups.remove(&self.id());
    }
}

fn group_of(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("process ids are positive 32-bit numbers")
}

/// Runs `command` to its end, with its output where this process has its own.
///
/// # Errors
/// When it cannot be started.
pub fn run(name: &str, command: &mut Command) -> Result<ExitStatus> {
    let mut group = Group::spawn(name, command.stdin(Stdio::null()), None)?;
    group.child.wait().or_failure(|| format!("cannot wait for {name}"))
}

/// Runs `command` to its end with `input` on its standard input, and collects what it writes.
///
/// # Errors
/// When it cannot be started or its output cannot be read.
pub fn run_for_output(name: &str, command: &mut Command, input: &str) -> Result<Output> {
    let talk = || format!("cannot talk to {name}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(name, command, None)?;
    let child = &mut group.child;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = thread::scope(|scope| {
        let stdout = scope.spawn(|| read_all(stdout));
        let stderr = scope.spawn(|| read_all(stderr));
        // If a process ends before it has read everything, its status shows the failure.
        let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
        (stdout.join(), stderr.join())
    });
    let unread = || Failure::new(format!("cannot read what {name} writes"));
    let stdout = stdout.map_err(|_| unread())?.or_failure(talk)?;
    let stderr = stderr.map_err(|_| unread())?.or_failure(talk)?;
    let status = child.wait().or_failure(talk)?;
    Ok(Output { status, stdout, stderr })
}

/// Runs `command` to its end, with its errors where this process has its own, and returns what it wrote on standard
/// output, or None when it failed.
///
/// # Errors
/// When it cannot be started or its output cannot be read.
pub fn run_for_stdout(name: &str, command: &mut Command) -> Result<Option<String>> {
    let mut group = Group::spawn(name, command.stdin(Stdio::null()).stdout(Stdio::piped()), None)?;
    let stdout = read_all(group.child.stdout.take()).or_failure(|| format!("cannot read what {name} writes"))?;
    let status = group.child.wait().or_failure(|| format!("cannot wait for {name}"))?;
    Ok(status.success().then(|| String::from_utf8_lossy(&stdout).into_owned()))
}

fn read_all(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
