//! Programs of this machine.

use std::env;

/// The first of `names` that is on the PATH.
pub(super) fn on_path(names: &[&str]) -> Option<String> {
    let path = env::var_os("PATH")?;
    let has = |name: &str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    names.iter().find(|name| has(name)).map(|name| (*name).to_owned())
}
