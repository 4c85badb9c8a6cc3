//! Programs of this machine.

use std::env;
use std::path::PathBuf;

/// The first of `names` that is on the PATH.
pub(super) fn on_path(names: &[&str]) -> Option<String> {
    names.iter().find(|name| file_of(name).is_some()).map(|name| (*name).to_owned())
}

/// The file of the first of `names` that is on the PATH.
pub(super) fn file_on_path(names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| file_of(name))
}

fn file_of(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
