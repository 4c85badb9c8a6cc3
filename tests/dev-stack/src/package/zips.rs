//! Zips whose bytes depend on their contents alone: no times, no owners, fixed modes, entries in the order of their
//! names. Lambda runs what is called `bootstrap`.

use std::fs;
use std::path::Path;

use async_zip::base::write::ZipFileWriter;
use async_zip::error::ZipError;
use async_zip::{Compression, ZipDateTimeBuilder, ZipEntryBuilder};
use futures_lite::future::block_on;

use crate::failure::{OrFailure, Result};

/// The mode of a file that is read.
pub(super) const FILE: u16 = 0o644;
/// The mode of a file that is run.
pub(super) const PROGRAM: u16 = 0o755;

/// A zip in memory.
type Zip = ZipFileWriter<Vec<u8>>;

/// The zip of a function.
pub(super) fn of_function(executable: &Path) -> Result<Vec<u8>> {
    let program = fs::read(executable).or_failure(|| format!("cannot read {}", executable.display()))?;
    let mut zip = Zip::new(Vec::new());
    let unpacked = || format!("cannot pack {}", executable.display());
    add(&mut zip, "bootstrap", PROGRAM, Compression::Deflate, &program).or_failure(unpacked)?;
    block_on(zip.close()).or_failure(unpacked)
}

/// Writes a zip of files of `folder`, which are given with their modes, in a folder called `name`.
pub(super) fn of_folder<'f>(
    file: &Path,
    folder: &Path,
    name: &str,
    files: impl Iterator<Item = (&'f str, u16)>,
) -> Result<()> {
    let unwritten = || format!("cannot write {}", file.display());
    let mut zip = Zip::new(Vec::new());
    for (part, mode) in files {
        let path = folder.join(part);
        let bytes = fs::read(&path).or_failure(|| format!("cannot read {}", path.display()))?;
        let is_packed = path.extension().is_some_and(|extension| extension == "zip");
        let compression = if is_packed { Compression::Stored } else { Compression::Deflate };
        add(&mut zip, &format!("{name}/{part}"), mode, compression, &bytes).or_failure(unwritten)?;
    }
    let bytes = block_on(zip.close()).or_failure(unwritten)?;
    fs::write(file, bytes).or_failure(unwritten)
}

fn add(
    zip: &mut Zip,
    name: &str,
    mode: u16,
    compression: Compression,
    bytes: &[u8],
) -> std::result::Result<(), ZipError> {
    // The earliest time that a zip can have.
    let time = ZipDateTimeBuilder::new().year(1980).month(1).day(1).build();
    let entry = ZipEntryBuilder::new(name.into(), compression).unix_permissions(mode).last_modification_date(time);
    block_on(zip.write_entry_whole(entry, bytes))
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;
    use std::fs::{File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::process;
    use std::time::{Duration, SystemTime};

    use sha2::{Digest, Sha256};

    use super::*;

    /// Changes when the library packs in another way. Then the same commit makes other bytes than before, and this may
    /// only happen together with a change of Cargo.lock.
    const EXPECTED: &str = "61beee0db38d0b2d37d40b4f130cf7e4afdeda85b5599c38166fc93a4f0a59b4";

    #[test]
    fn a_zip_depends_on_nothing_but_the_program() {
        let file = temp_dir().join(format!("a-program-{}", process::id()));
        fs::write(&file, "#!/bin/sh\n".repeat(1000)).expect("a file");
        let first = of_function(&file).expect("a zip");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("another mode");
        let earlier = SystemTime::now() - Duration::from_hours(48);
        File::options().write(true).open(&file).and_then(|file| file.set_modified(earlier)).expect("another time");
        assert_eq!(first, of_function(&file).expect("a zip"));
        fs::remove_file(&file).expect("it goes");

        let digits: Vec<String> = Sha256::digest(&first).iter().map(|byte| format!("{byte:02x}")).collect();
        let sum = digits.concat();
        assert_eq!(sum, EXPECTED);
        // The time, the date and the name in the local header, and the mode in the central directory.
        assert_eq!(first[10..14], [0, 0, 0b0010_0001, 0], "1 January 1980 at midnight");
        assert_eq!(&first[30..39], b"bootstrap", "what Lambda runs");
        let directory = first.windows(4).position(|bytes| bytes == b"PK\x01\x02").expect("a central directory");
        let mode = u16::from_le_bytes([first[directory + 40], first[directory + 41]]);
        assert_eq!(mode & 0o777, PROGRAM);
    }
}
