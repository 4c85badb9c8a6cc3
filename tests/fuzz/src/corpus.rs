//! The inputs in the repository.

use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};

/// The files of a target's corpus and their names, in the order of the names.
///
/// # Panics
/// If the folder exists and cannot be read.
pub(crate) fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder of the tree").path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    paths.iter().map(|path| (name(path), fs::read(path).expect("a file of the tree"))).collect()
}

/// Saves an input that failed in the folder for temporary files, and returns its path.
pub(crate) fn keep(target: &str, input: &[u8]) -> String {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(input);
    let place = std::env::temp_dir().join(format!("crm-backup-fuzz-{target}-{hash:016x}"));
    match fs::write(&place, input) {
        Ok(()) => place.display().to_string(),
        Err(error) => format!("no file: {error}"),
    }
}
