//! Stacks that are still running: told of, and ended by `cargo dev down`.

use std::fs;
use std::path::PathBuf;

use crate::failure::Result;
use crate::functions::processes;
use crate::places::Places;
use crate::processes::end_group;
use crate::stack::Stack;

/// A stack whose state file is still there.
#[derive(Debug)]
pub struct Leftover {
    /// Its state file.
    pub state_file: PathBuf,
    /// Its process groups that are still running; none when it has ended without removing the file.
    pub groups: Vec<i32>,
}

impl Leftover {
    /// Whether it is the running stack called `name`.
    pub fn is(&self, name: &str) -> bool {
        self.state_file.file_stem().is_some_and(|stem| stem == name) && !self.groups.is_empty()
    }
}

/// The stacks of this checkout that were not ended.
///
/// # Errors
/// When the processes of this machine cannot be listed.
pub fn leftovers(places: &Places) -> Result<Vec<Leftover>> {
    let Ok(entries) = fs::read_dir(places.dev()) else { return Ok(Vec::new()) };
    let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let stacks = files.filter_map(|file| Stack::read(&file).ok().map(|stack| (file, stack)));
    let running = processes()?;
    let target = places.target().to_string_lossy().into_owned();
    // A group's id can have been given away since: only processes from under target/ are the stack's.
    let is_ours = |group: i32| running.iter().any(|p| p.group == group && p.command.contains(&target));
    Ok(stacks
        .map(|(state_file, stack)| {
            let groups = stack.process_groups.into_values().filter(|group| is_ours(*group)).collect();
            Leftover { state_file, groups }
        })
        .collect())
}

/// Ends the stacks of this checkout that are still running, and says how many there were.
///
/// # Errors
/// When the processes of this machine cannot be listed.
pub fn end_leftovers(places: &Places) -> Result<usize> {
    let mut ended = 0;
    for leftover in leftovers(places)? {
        leftover.groups.iter().copied().for_each(end_group);
        ended += usize::from(!leftover.groups.is_empty());
        // The tool that made the file may have removed it just now.
        let _ = fs::remove_file(leftover.state_file);
    }
    Ok(ended)
}
