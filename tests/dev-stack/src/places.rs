//! Where things are. Everything that is made or installed goes under `target/`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::failure::{OrFailure, Result};

/// The folders of this checkout.
#[derive(Debug, Clone)]
pub struct Places {
    root: PathBuf,
    target: PathBuf,
}

impl Places {
    /// Those of the checkout that this tool was built from. `CARGO_TARGET_DIR` is respected.
    ///
    /// # Errors
    /// When the checkout has gone since.
    pub fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = fs::canonicalize(&here).or_failure(|| format!("cannot find the checkout at {}", here.display()))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self::new(root, target))
    }

    /// Those of the checkout at `root` that is built in `target`.
    pub fn new(root: PathBuf, target: PathBuf) -> Self {
        Self { root, target }
    }

    /// The checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where Cargo builds.
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

/// Makes `folder`, and what is above it, where they are missing.
///
/// # Errors
/// When that is not possible.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).or_failure(|| format!("cannot make the folder {}", folder.display()))
}
