//! Stacks that outlived the tool that brought them up, because it was killed: found and ended.
//!
//! A stack's process groups are noted in `target/dev/{name}.processes.json` as soon as they start, and what describes a
//! running stack, tokens included, is in `target/dev/{name}.json`. A running tool holds the lock of
//! `target/dev/{name}.lock`. If the tool is killed, a [`Watcher`] ends and removes everything at once. After a crash of
//! the machine, the next command does so.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, OrFailure, Result};
use crate::places::{Places, make_secret_folder, write_secret_file};
use crate::process_list::processes;
use crate::processes::{Group, TransientFile, try_end_group};
use crate::watcher::Watcher;

/// The right to bring up the stack of a name. Only one tool has it at a time.
#[derive(Debug)]
pub struct Claim {
    notes: TransientFile,
    groups: BTreeMap<String, i32>,
    watcher: Watcher,
    _lock: File,
}

impl Claim {
    /// Takes the name, and ends what is left of a stack of that name whose tool was killed.
    ///
    /// # Errors
    /// When another tool has it.
    pub fn take(places: &Places, name: &str) -> Result<Self> {
        make_secret_folder(&places.dev())?;
        let lock = lock(&lock_of(places, name))?
            .ok_or_else(|| Failure::new(format!("a stack called '{name}' is running; `cargo dev down` ends it")))?;
        forget(places, name)?;
        let mut watcher = Watcher::start()?;
        let notes = TransientFile::new(notes_of(places, name));
        watcher.remove_file(notes.path())?;
        Ok(Self { notes, groups: BTreeMap::new(), watcher, _lock: lock })
    }

    /// Notes a process group of the stack.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, group: &Group) -> Result<()> {
        self.watcher.end_group(group.id())?;
        self.groups.insert(group.name().to_owned(), group.id());
        let text = serde_json::to_vec_pretty(&self.groups).or_failure(|| "cannot note processes".to_owned())?;
        write_secret_file(self.notes.path(), &text)
    }

    /// Has the watcher remove a file if this tool is killed.
    ///
    /// # Errors
    /// When the watcher has gone.
    pub fn guard(&mut self, file: &Path) -> Result<()> {
        self.watcher.remove_file(file)
    }
}

/// Ends all stacks of this checkout. Returns how many were running.
///
/// # Errors
/// When they belong to another user, or what is noted of them cannot be read.
pub fn end_all(places: &Places) -> Result<usize> {
    let mut ended = 0;
    for name in names(places)? {
        ended += usize::from(end(places, &name)?);
        if lock(&lock_of(places, &name))?.is_some() {
            forget(places, &name)?;
        }
    }
    Ok(ended)
}

/// Ends and removes what is left of stacks whose tool is dead.
///
/// # Errors
/// When that belongs to another user, or what is noted of it cannot be read.
pub fn forget_dead(places: &Places) -> Result<()> {
    for name in names(places)? {
        if let Some(_lock) = lock(&lock_of(places, &name))? {
            forget(places, &name)?;
        }
    }
    Ok(())
}

fn lock_of(places: &Places, name: &str) -> PathBuf {
    places.dev().join(format!("{name}.lock"))
}

fn notes_of(places: &Places, name: &str) -> PathBuf {
    places.dev().join(format!("{name}.processes.json"))
}

/// The names of all stacks that were ever brought up.
fn names(places: &Places) -> Result<Vec<String>> {
    let entries = match fs::read_dir(places.dev()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).or_failure(|| format!("cannot look into {}", places.dev().display())),
    };
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(files.filter_map(|file| file.strip_suffix(".lock").map(str::to_owned)).collect())
}

/// The lock; None if a running tool holds it.
fn lock(path: &Path) -> Result<Option<File>> {
    let file = File::create(path).or_failure(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).or_failure(|| format!("cannot lock {}", path.display())),
    }
}

/// Ends what is left of a stack, and removes what describes it.
fn forget(places: &Places, name: &str) -> Result<()> {
    end(places, name)?;
    let state_file = places.dev().join(format!("{name}.json"));
    match fs::remove_file(&state_file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).or_failure(|| format!("cannot remove {}", state_file.display()))
        }
        _ => Ok(()),
    }
}

/// Ends the process groups of a stack that are noted. Returns whether one of them was running.
fn end(places: &Places, name: &str) -> Result<bool> {
    let notes = notes_of(places, name);
    let text = match fs::read(&notes) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).or_failure(|| format!("cannot read {}", notes.display())),
    };
    let target = places.target().to_string_lossy().into_owned();
    let groups: BTreeMap<String, i32> = serde_json::from_slice(&text).map_err(|_| {
        Failure::new(format!(
            "{} does not list the processes to end; remove it, and end the processes that run from {target}",
            notes.display()
        ))
    })?;
    let running = processes()?;
    // A group's id can have been given away since: only processes from under target/ are the stack's.
    let is_ours = |group: &i32| running.iter().any(|p| p.group == *group && p.command.contains(&target));
    let ours: Vec<i32> = groups.into_values().filter(is_ours).collect();
    for group in &ours {
        try_end_group(*group).map_err(|_| {
            Failure::new(format!(
                "the stack '{name}' was brought up by another user; run `cargo dev down` as that user"
            ))
        })?;
    }
    // The tool that made the file may have removed it just now.
    let _ = fs::remove_file(notes);
    Ok(!ours.is_empty())
}
