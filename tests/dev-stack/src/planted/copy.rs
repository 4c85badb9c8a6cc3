//! A copy of the sources, so that no fault gets into the checkout itself, with a target folder of its own: Cargo cannot
//! distinguish crates of two checkouts in one target folder, and would use a faulty one for the checkout. Both stay in
//! `target/`: only what has changed since is copied again, so Cargo builds little anew.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use dev_stack::failure::{OrFailure, Result};
use dev_stack::places::{Places, make_folder};

use super::fault::Fault;
use super::text_of;

/// What the copy does not need, at the top of the checkout.
const LEFT_OUT: [&str; 2] = [".git", "target"];

/// A copy of the sources.
pub(super) struct Copy {
    places: Places,
}

impl Copy {
    /// One of the checkout as it is now.
    pub(super) fn of(checkout: &Places) -> Result<Self> {
        let folder = checkout.target().join("planted");
        let (root, target) = (folder.join("tree"), folder.join("target"));
        make_folder(&root)?;
        make_folder(&target)?;
        copy_folder(checkout.root(), &root, &LEFT_OUT)?;
        Ok(Self { places: Places::new(root, target) })
    }

    /// Where it is, and where it is built.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Does `work` while `fault` is in the copy, and takes it out again.
    pub(super) fn with<T>(&self, fault: &Fault, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut before = Vec::new();
        let mut planted = Ok(());
        for change in &fault.changes {
            planted = planted.and_then(|()| {
                let text = text_of(&self.places, &change.file)?;
                write(&self.places, &change.file, &change.planted_in(&text)?)?;
                before.push((&change.file, text));
                Ok(())
            });
        }
        let done = planted.and_then(|()| work());
        // The last change first: two may be in the same file.
        for (file, text) in before.iter().rev() {
            write(&self.places, file, text)?;
        }
        done
    }
}

fn write(places: &Places, file: &str, text: &str) -> Result<()> {
    fs::write(places.root().join(file), text).or_failure(|| format!("cannot write {file} of the copy"))
}

/// Makes `to` the same as `from`, and touches no file that is the same already.
fn copy_folder(from: &Path, to: &Path, left_out: &[&str]) -> Result<()> {
    let mut names = BTreeSet::new();
    for entry in entries(from)? {
        let Some(name) = entry.file_name().filter(|name| !left_out.iter().any(|left| *name == OsStr::new(left))) else {
            continue;
        };
        names.insert(name.to_owned());
        let target = to.join(name);
        if entry.is_dir() {
            make_folder(&target)?;
            copy_folder(&entry, &target, &[])?;
        } else {
            copy_file(&entry, &target)?;
        }
    }
    for gone in entries(to)?.iter().filter(|entry| entry.file_name().is_none_or(|name| !names.contains(name))) {
        let removed = if gone.is_dir() { fs::remove_dir_all(gone) } else { fs::remove_file(gone) };
        removed.or_failure(|| format!("cannot remove {}", gone.display()))?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let entries = fs::read_dir(folder).or_failure(unreadable)?;
    entries.map(|entry| entry.map(|entry| entry.path()).or_failure(unreadable)).collect()
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).or_failure(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    fs::write(to, bytes).or_failure(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_its_original_and_leaves_alone_what_is_the_same() {
        let folder = std::env::temp_dir().join(format!("planted-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to"));
        for (path, text) in
            [("from/a/x", "1"), ("from/a/y", "2"), ("from/target/z", "3"), ("to/a/w", "4"), ("to/b", "5")]
        {
            let path = folder.join(path);
            make_folder(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        copy_folder(&from, &to, &LEFT_OUT).expect("copied");
        let written = |file: &str| fs::metadata(to.join(file)).and_then(|data| data.modified()).expect("a time");
        let before = (written("a/x"), written("a/y"));
        fs::write(from.join("a/y"), "22").expect("written");
        copy_folder(&from, &to, &LEFT_OUT).expect("copied");
        assert_eq!(written("a/x"), before.0);
        assert_eq!(fs::read_to_string(to.join("a/y")).expect("copied"), "22");
        for gone in ["a/w", "b", "target"] {
            assert!(!to.join(gone).exists(), "{gone}");
        }
        fs::remove_dir_all(folder).expect("removed");
    }
}
