//! Nothing that the dev stack starts outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dev_stack::functions::processes;
use dev_stack::leftovers::{Claim, end_all};
use dev_stack::places::Places;
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
    let of_group = |process: &dev_stack::functions::Process| process.group == group;
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
    let told = failure.to_string();
    assert!(told.starts_with("the server ended with") && told.ends_with("the port is taken"), "{told}");
}

#[test]
fn one_tool_at_a_time_brings_a_stack_up() {
    let scratch = Scratch::new("claim");
    let claim = Claim::take(&scratch.places(), "stack").expect("nobody has it");
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
    let mut claim = Claim::take(&places, "stack").expect("nobody has it");
    claim.note(&group).expect("a note");

    assert_eq!(end_all(&places), Ok(1));

    assert_all_end(group.id());
    assert_eq!(end_all(&places), Ok(0));
}
