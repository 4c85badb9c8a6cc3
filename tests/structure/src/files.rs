//! The crates of the workspace and their files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folders in which crates lie beside each other.
const FOLDERS: [&str; 3] = ["functions", "shared", "tests"];

/// A file of a crate.
pub(crate) struct Source {
    /// From the root of the workspace.
    pub(crate) place: String,
    /// The module that it is, from the crate's root.
    pub(crate) module: Vec<String>,
    pub(crate) syntax: syn::File,
}

/// The folders of all crates.
pub(crate) fn crates(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut crates = Vec::new();
    for folder in FOLDERS {
        let entries = entries(&root.join(folder))?;
        crates.extend(entries.into_iter().filter(|entry| entry.join("Cargo.toml").exists()));
    }
    Ok(crates)
}

/// The files of a crate's library or program. Files of tests are left out.
pub(crate) fn sources(root: &Path, of_crate: &Path) -> io::Result<Vec<Source>> {
    let folder = of_crate.join("src");
    let mut sources = Vec::new();
    read_folder(root, &folder, &[], &mut sources)?;
    Ok(sources)
}

fn read_folder(root: &Path, folder: &Path, module: &[String], sources: &mut Vec<Source>) -> io::Result<()> {
    for entry in entries(folder)? {
        let stem = entry.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if stem == "tests" || stem == "fuzzing" {
            continue;
        }
        if entry.is_dir() {
            read_folder(root, &entry, &[module, &[stem]].concat(), sources)?;
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let place = entry.strip_prefix(root).unwrap_or(&entry).display().to_string();
            let syntax = syn::parse_file(&fs::read_to_string(&entry)?)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{place}: {error}")))?;
            let is_folder_itself = ["mod", "lib", "main"].contains(&stem.as_str());
            let module = if is_folder_itself { module.to_vec() } else { [module, &[stem]].concat() };
            sources.push(Source { place, module, syntax });
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}
