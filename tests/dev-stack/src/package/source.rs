//! Where a package comes from: the version, the commit, and whether the files differ from the commit.

use std::process::Command;

use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::processes;

/// The version of the whole workspace.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files that a package is made from.
pub(super) struct Source {
    pub(super) version: String,
    /// None outside of a Git checkout.
    pub(super) commit: Option<Commit>,
    /// Whether files differ from the commit, files that it does not have included.
    has_changes: bool,
}

pub(super) struct Commit {
    pub(super) id: String,
    /// When it was made, in the form of RFC 3339.
    pub(super) date: String,
}

impl Source {
    /// Asks Git.
    pub(super) fn of(places: &Places) -> Result<Self> {
        let version = VERSION.to_owned();
        if !places.root().join(".git").exists() {
            return Ok(Self { version, commit: None, has_changes: false });
        }
        let latest = git(places, &["log", "-1", "--format=%H %cI"])?;
        let unclear = || Failure::new("Git does not name the latest commit");
        let (id, date) = latest.trim().split_once(' ').ok_or_else(unclear)?;
        let changes = git(places, &["status", "--porcelain"])?;
        let commit = Some(Commit { id: id.to_owned(), date: date.to_owned() });
        Ok(Self { version, commit, has_changes: !changes.trim().is_empty() })
    }

    /// A source without changes.
    #[cfg(test)]
    pub(super) fn for_tests(commit: Option<Commit>) -> Self {
        Self { version: "1.0.0".to_owned(), commit, has_changes: false }
    }

    /// For the person who gets the package.
    pub(super) fn in_words(&self) -> String {
        match &self.commit {
            None => "made from files of which Git knows no commit".to_owned(),
            Some(commit) if self.has_changes => {
                format!(
                    "made from commit {} WITH CHANGES that are in no commit, so nobody can make it again",
                    commit.id
                )
            }
            Some(commit) => format!("made from commit {} of {}", commit.id, commit.date),
        }
    }
}

fn git(places: &Places, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    let output = processes::run_for_stdout("git", command.current_dir(places.root()).args(arguments))?;
    output.ok_or_else(|| Failure::new("Git cannot say which commit this is, see above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_a_missing_commit_are_named() {
        let commit = || Some(Commit { id: "0a1b".to_owned(), date: "2026-12-01T08:00:00+00:00".to_owned() });
        let of = |commit, has_changes| Source { version: "1".to_owned(), commit, has_changes }.in_words();
        assert_eq!(of(commit(), false), "made from commit 0a1b of 2026-12-01T08:00:00+00:00");
        assert!(of(commit(), true).contains("0a1b WITH CHANGES"));
        assert!(of(None, false).contains("no commit"));
    }
}
