//! Nothing that the dev stack starts outlives it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dev_stack::leftovers::{Claim, end_all};
use dev_stack::places::{Places, write_secret_file};
use dev_stack::process_list::{Process, processes};
use dev_stack::processes::Group;

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dev-stack-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn places(&self) -> Places {
        Places::new(self.0.clone(), self.0.clone())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A shell that has started a process of its own, like the emulator that starts functions.
fn parent_and_child(folder: &Path) -> Group {
    let log = folder.join("parent.log");
    // The folder's name in the command line marks it as a process of this checkout.
    let script = format!("sleep 600 & echo started; wait # {}", folder.display());
    let mut group = Group::start("a parent", Command::new("sh").args(["-c", &script]), &log).expect("a shell");
    let started = |group: &Group| group.output().contains("started").then_some(());
    group.wait_until(Duration::from_secs(10), started).expect("it starts");
    assert_eq!(alive(group.id()), 2);
    group
}

fn alive(group: i32) -> usize {
    let of_group = |process: &Process| process.group == group;
    let listed = processes().expect("a list of processes");
    listed.into_iter().filter(|process| of_group(process) && !process.command.contains("<defunct>")).count()
}

fn assert_all_end(group: i32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while alive(group) > 0 {
        assert!(Instant::now() < deadline, "processes of group {group} are still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_group_takes_what_it_started_with_it() {
    let scratch = Scratch::new("group");
    let group = parent_and_child(&scratch.0);
    let id = group.id();
    drop(group);
    assert_all_end(id);
}

#[test]
fn a_process_that_ends_too_soon_is_told_with_its_last_words() {
    let scratch = Scratch::new("last-words");
    let mut command = Command::new("sh");
    command.args(["-c", "echo the port is taken; exit 3"]);
    let mut group = Group::start("the server", &mut command, &scratch.0.join("log")).expect("a shell");
    let failure = group.wait_until(Duration::from_secs(10), |_| None::<()>).expect_err("it has ended");
    let message = failure.to_string();
    assert!(message.starts_with("the server ended with") && message.ends_with("the port is taken"), "{message}");
}

#[test]
fn one_tool_at_a_time_brings_a_stack_up() {
    let scratch = Scratch::new("claim");
    let claim = Claim::take(&scratch.places(), "stack").expect("it is free");
    let refusal = Claim::take(&scratch.places(), "stack").expect_err("it is taken");
    assert!(refusal.to_string().contains("cargo dev down"), "{refusal}");
    Claim::take(&scratch.places(), "another").expect("another name is free");
    drop(claim);
    Claim::take(&scratch.places(), "stack").expect("free again");
}

#[test]
fn what_a_killed_tool_left_running_is_ended() {
    let scratch = Scratch::new("leftover");
    let places = scratch.places();
    let group = parent_and_child(&scratch.0);
    let mut claim = Claim::take(&places, "stack").expect("it is free");
    claim.note(&group).expect("a note");

    assert_eq!(end_all(&places), Ok(1));

    assert_all_end(group.id());
    assert_eq!(end_all(&places), Ok(0));
}

/// Makes a tool of this program that brings something up in the folder that it names.
const TOOL_IN: &str = "A_TOOL_IN";

/// Brings something up and waits to be killed.
fn be_a_tool(folder: &Path) {
    let places = Places::new(folder.to_owned(), folder.to_owned());
    let mut claim = Claim::take(&places, "stack").expect("it is free");
    let group = parent_and_child(folder);
    claim.note(&group).expect("a note");
    let state_file = places.dev().join("stack.json");
    claim.guard(&state_file).expect("a watcher");
    write_secret_file(&state_file, b"a token").expect("a file");
    fs::write(folder.join("ready"), group.id().to_string()).expect("a file");
    std::io::stdin().read_line(&mut String::new()).expect("the input ends");
}

fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// D5: a tool that is killed leaves neither processes nor files with tokens, though nothing is run after it.
#[test]
fn a_killed_tool_takes_everything_with_it() {
    if let Some(folder) = std::env::var_os(TOOL_IN) {
        return be_a_tool(&PathBuf::from(folder));
    }
    let scratch = Scratch::new("killed");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "a_killed_tool_takes_everything_with_it"])
        .env(TOOL_IN, &scratch.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut tool = command.spawn().expect("the tool starts");
    let group = || fs::read_to_string(scratch.0.join("ready")).ok()?.parse::<i32>().ok();
    await_that("the tool is not ready", || group().is_some());
    let state_file = scratch.places().dev().join("stack.json");
    let mode = fs::metadata(&state_file).expect("the state file").permissions().mode();
    assert_eq!(mode & 0o077, 0, "others may read the tokens: {mode:o}");

    tool.kill().expect("the tool is killed");
    tool.wait().expect("the tool ends");

    await_that("the state file is still there", || !state_file.exists());
    assert_all_end(group().expect("a group"));
    assert_eq!(end_all(&scratch.places()), Ok(0));
}
