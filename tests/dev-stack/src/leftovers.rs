//! Stacks that outlived the tool that brought them up, because it was killed: found and ended.
//!
//! A stack's process groups are noted in `target/dev/{name}.processes.json` as soon as they start.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, OrFailure, Result};
use crate::functions::processes;
use crate::places::{Places, make_folder};
use crate::processes::{Group, TransientFile, end_group};

const NOTES: &str = ".processes.json";

/// The right to bring up the stack of a name: one tool at a time has it.
#[derive(Debug)]
pub struct Claim {
    notes: TransientFile,
    groups: BTreeMap<String, i32>,
    _lock: File,
}

impl Claim {
    /// Takes the name, and ends what is left of a stack of that name whose tool was killed.
    ///
    /// # Errors
    /// When another tool has it.
    pub fn take(places: &Places, name: &str) -> Result<Self> {
        make_folder(&places.dev())?;
        let path = places.dev().join(format!("{name}.lock"));
        let lock = File::create(&path).or_failure(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(format!("a stack called '{name}' is running; `cargo dev down` ends it")));
            }
            Err(TryLockError::Error(error)) => Err(error).or_failure(|| format!("cannot lock {}", path.display()))?,
        }
        let notes = places.dev().join(format!("{name}{NOTES}"));
        end(places, &notes)?;
        Ok(Self { notes: TransientFile::new(notes), groups: BTreeMap::new(), _lock: lock })
    }

    /// Notes a process group of the stack.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, group: &Group) -> Result<()> {
        self.groups.insert(group.name().to_owned(), group.id());
        let path = self.notes.path();
        let text = serde_json::to_vec_pretty(&self.groups).or_failure(|| "cannot note processes".to_owned())?;
        fs::write(path, text).or_failure(|| format!("cannot write {}", path.display()))
    }
}

/// Ends all stacks of this checkout, and says how many were running.
///
/// # Errors
/// When the processes of this machine cannot be listed.
pub fn end_all(places: &Places) -> Result<usize> {
    let Ok(entries) = fs::read_dir(places.dev()) else { return Ok(0) };
    let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let notes: Vec<PathBuf> = files.filter(|file| file.to_string_lossy().ends_with(NOTES)).collect();
    let mut ended = 0;
    for file in notes {
        ended += usize::from(end(places, &file)?);
    }
    Ok(ended)
}

/// Ends the process groups that `notes` names, and says whether any was running.
fn end(places: &Places, notes: &Path) -> Result<bool> {
    let Ok(text) = fs::read(notes) else { return Ok(false) };
    let groups: BTreeMap<String, i32> = serde_json::from_slice(&text).unwrap_or_default();
    let running = processes()?;
    let target = places.target().to_string_lossy().into_owned();
    // A group's id can have been given away since: only processes from under target/ are the stack's.
    let is_ours = |group: &i32| running.iter().any(|p| p.group == *group && p.command.contains(&target));
    let ours: Vec<i32> = groups.into_values().filter(is_ours).collect();
    ours.iter().copied().for_each(end_group);
    // The tool that made the file may have removed it just now.
    let _ = fs::remove_file(notes);
    Ok(!ours.is_empty())
}
