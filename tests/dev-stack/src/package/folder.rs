//! The files of a package, with their sums, and all of them in one zip.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, OrFailure, Result};
use crate::places::make_folder;

use super::zips::{self, FILE, PROGRAM};

/// The file of the sums, as `sha256sum -c` reads it.
const SUMS: &str = "SHA256SUMS";

/// A package that is being written.
pub(super) struct Folder {
    path: PathBuf,
    /// The mode and the SHA-256 of each file, by its path in the package.
    files: BTreeMap<String, (u16, String)>,
}

/// Fails unless a package can be made in `folder`: nothing may be there yet, and no zip beside it.
pub(super) fn check_empty(folder: &Path) -> Result<()> {
    let shown = folder.display();
    match fs::read_dir(folder).map(Iterator::count) {
        Ok(1..) => Err(Failure::new(format!("{shown} is not empty; remove it, or choose another folder with --out"))),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).or_failure(|| format!("cannot use {shown}")),
        _ if zip_of(folder)?.exists() => {
            Err(Failure::new(format!("{shown}.zip is there already; remove it, or choose another folder with --out")))
        }
        _ => Ok(()),
    }
}

/// Beside the folder.
fn zip_of(folder: &Path) -> Result<PathBuf> {
    Ok(folder.with_file_name(format!("{}.zip", name_of(folder)?)))
}

fn name_of(folder: &Path) -> Result<&str> {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Failure::new(format!("{} is no name for a folder; choose another with --out", folder.display())))
}

impl Folder {
    pub(super) fn begin(path: &Path) -> Result<Self> {
        check_empty(path)?;
        make_folder(path)?;
        Ok(Self { path: path.to_owned(), files: BTreeMap::new() })
    }

    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes, FILE)
    }

    pub(super) fn put_program(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes, PROGRAM)
    }

    /// Puts the documents in `folder` and in the folders below it at `name`.
    pub(super) fn put_documents(&mut self, folder: &Path, name: &str) -> Result<()> {
        let unread = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(folder).or_failure(unread)? {
            let path = entry.or_failure(unread)?.path();
            let Some(part) = path.file_name().and_then(|part| part.to_str()) else { continue };
            let name = format!("{name}/{part}");
            if path.is_dir() {
                self.put_documents(&path, &name)?;
            } else if path.extension().is_some_and(|extension| extension == "md") {
                self.put(&name, &fs::read(&path).or_failure(|| format!("cannot read {}", path.display()))?)?;
            }
        }
        Ok(())
    }

    /// Writes the sums of all files, and the zip beside the folder. Returns the zip.
    pub(super) fn finish(mut self) -> Result<PathBuf> {
        let lines: Vec<String> = self.files.iter().map(|(name, (_, sum))| format!("{sum}  {name}\n")).collect();
        let sums = lines.concat();
        self.put(SUMS, sums.as_bytes())?;
        let zip = zip_of(&self.path)?;
        let modes = self.files.iter().map(|(name, (mode, _))| (name.as_str(), *mode));
        zips::of_folder(&zip, &self.path, name_of(&self.path)?, modes)?;
        Ok(zip)
    }

    fn write(&mut self, name: &str, bytes: &[u8], mode: u16) -> Result<()> {
        let file = self.path.join(name);
        if let Some(parent) = file.parent() {
            make_folder(parent)?;
        }
        let written =
            fs::write(&file, bytes).and_then(|()| fs::set_permissions(&file, Permissions::from_mode(mode.into())));
        written.or_failure(|| format!("cannot write {}", file.display()))?;
        self.files.insert(name.to_owned(), (mode, sum(bytes)));
        Ok(())
    }
}

/// The SHA-256 in hexadecimal digits.
fn sum(bytes: &[u8]) -> String {
    let digits: Vec<String> = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;
    use std::process;

    use super::*;

    /// Writes the same package into a folder of its own, in the given order. Returns its sums and its zip.
    fn written(parent: &str, names: &[&str]) -> (String, Vec<u8>) {
        let parent = temp_dir().join(format!("{parent}-{}", process::id()));
        let path = parent.join("crm-backup");
        let mut folder = Folder::begin(&path).expect("a folder");
        for name in names {
            folder.put_program(name, name.as_bytes()).expect("a file");
        }
        let zip = folder.finish().expect("a zip");
        let sums = fs::read_to_string(path.join(SUMS)).expect("the sums");
        assert!(check_empty(&path).is_err_and(|failure| failure.to_string().contains("not empty")));
        let zip = fs::read(zip).expect("the zip");
        fs::remove_dir_all(parent).expect("it goes");
        (sums, zip)
    }

    #[test]
    fn a_package_depends_on_nothing_but_its_files() {
        let (sums, zip) = written("one", &["infra/b.py", "a"]);
        let a = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n";
        assert!(sums.starts_with(a) && sums.lines().count() == 2, "{sums}");
        assert_eq!((sums, zip), written("two", &["a", "infra/b.py"]));
    }
}
