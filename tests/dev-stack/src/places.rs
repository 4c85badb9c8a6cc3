//! The folders of the checkout. Everything that is made or installed goes under `target/`.

use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::failure::{Failure, OrFailure, Result};

/// The folders of this checkout.
#[derive(Debug, Clone)]
pub struct Places {
    root: PathBuf,
    target: PathBuf,
}

impl Places {
    /// The folders of the checkout around the package that Cargo runs, else of the checkout around the
    /// current folder, else the one around the program. Not where it was built, since a checkout can be copied with its
    /// `target/`. `CARGO_TARGET_DIR` is respected.
    ///
    /// # Errors
    /// When there is no checkout around any of them.
    pub fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let starts = [package, env::current_dir().ok(), env::current_exe().ok()];
        let root = starts.iter().flatten().find_map(|start| checkout_around(start));
        let root = root.ok_or_else(|| Failure::new("there is no checkout of crm-backup here; run this inside one"))?;
        let root = fs::canonicalize(&root).or_failure(|| format!("cannot find {}", root.display()))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self::new(root, target))
    }

    /// The folders of the checkout at `root`, which is built in `target`.
    pub fn new(root: PathBuf, target: PathBuf) -> Self {
        Self { root, target }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder in which Cargo builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where stacks keep their state, logs and environments.
    pub fn dev(&self) -> PathBuf {
        self.target.join("dev")
    }

    /// Where tools are installed.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Where this crate's Python scripts are.
    pub fn scripts(&self) -> PathBuf {
        self.root.join("tests/dev-stack/python")
    }
}

/// The checkout that `place` is in.
fn checkout_around(place: &Path) -> Option<PathBuf> {
    let is_checkout =
        |folder: &&Path| folder.join("infra/template.yaml").is_file() && folder.join("tests/dev-stack").is_dir();
    place.ancestors().find(is_checkout).map(Path::to_owned)
}

/// Fails when the disk of `folder` is full: programs seldom give this as the reason of their failure.
///
/// # Errors
/// When a small file cannot be written there.
pub fn check_space(folder: &Path) -> Result<()> {
    let probe = folder.join(".space");
    let written = fs::write(&probe, vec![0; 1 << 20]);
    let _ = fs::remove_file(&probe);
    match written {
        Err(error) if error.kind() == ErrorKind::StorageFull => {
            Err(error).or_failure(|| format!("cannot write to {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a folder that only this user may look into.
///
/// # Errors
/// When that is not possible.
pub fn make_secret_folder(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    let closed = fs::metadata(folder).and_then(|metadata| match metadata.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => fs::set_permissions(folder, Permissions::from_mode(0o700)),
    });
    closed.or_failure(|| format!("cannot make {} private", folder.display()))
}

/// Writes a file that only this user may read, at once or not at all.
///
/// # Errors
/// When that is not possible.
pub fn write_secret_file(file: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("cannot write {}", file.display());
    let fresh = file.with_extension("new");
    // A file that is there already would keep its mode.
    let _ = fs::remove_file(&fresh);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh);
    written.and_then(|mut written| written.write_all(bytes)).or_failure(what)?;
    fs::rename(&fresh, file).or_failure(what)
}

/// Makes `folder`, and what is above it, where they are missing.
///
/// # Errors
/// When that is not possible.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).or_failure(|| format!("cannot make the folder {}", folder.display()))
}
