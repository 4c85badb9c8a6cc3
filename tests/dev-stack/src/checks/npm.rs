//! Packages of the npm registry, each as it is, without the packages that it names.

use std::fs;
use std::path::Path;
use std::process::Command;

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::make_folder;
use dev_stack::processes;

use super::on_path::on_path;

/// Unpacks `package`, such as `name@1.2.3`, into `folder`, where npm's own folder `package` is then. Names what this
/// machine lacks for it.
pub(super) fn unpack(package: &str, folder: &Path) -> Result<std::result::Result<(), String>> {
    let Some(npm) = on_path(&["npm"]) else {
        return Ok(Err(format!("there is no npm, which is needed to fetch {package}")));
    };
    make_folder(folder)?;
    let mut pack = Command::new(npm);
    pack.current_dir(folder).args(["pack", "--silent", package]);
    let name = processes::run_for_stdout("npm pack", &mut pack)?;
    let name = name.ok_or_else(|| Failure::new(format!("npm cannot fetch {package}, see above")))?;
    let archive = folder.join(name.trim());
    let status = processes::run("tar", Command::new("tar").current_dir(folder).arg("-xzf").arg(&archive))?;
    fs::remove_file(&archive).or_failure(|| format!("cannot remove {}", archive.display()))?;
    if status.success() { Ok(Ok(())) } else { Err(Failure::new(format!("{package} cannot be unpacked"))) }
}
