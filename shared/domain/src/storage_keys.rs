//! Where things are in object storage.
//!
//! ```text
//! archives/{account}/{backup}/{attempt}.zip          the archive; removed after 14 days
//! archives/{account}/{backup}/{attempt}.manifest.json
//! segments/{account}/{backup}/columns/{object}.{attempt}.json
//! segments/{account}/{backup}/rows/{object}/{generation}/{lower}/{sequence}.{attempt}.deflate
//! ```
//! Every key that a run writes holds the number of its lease, so two runs never share bytes.

use crate::ids::{ObjectType, RecordId};
use crate::work::BackupRef;

/// Lifecycle prefix of finished archives.
pub const ARCHIVES: &str = "archives/";
/// Lifecycle prefix of everything that is only needed while a backup runs.
pub const SEGMENTS: &str = "segments/";

/// Everything that is made of a backup's archive.
pub fn archive_prefix(backup: &BackupRef) -> String {
    format!("{ARCHIVES}{}/{}/", backup.account_id, backup.backup_id)
}

/// The archive made by assembly run `attempt`.
pub fn archive(backup: &BackupRef, attempt: u32) -> String {
    format!("{}{attempt:04}.zip", archive_prefix(backup))
}

/// The manifest beside [`archive`], with each part's place inside the archive.
pub fn manifest(backup: &BackupRef, attempt: u32) -> String {
    format!("{}{attempt:04}.manifest.json", archive_prefix(backup))
}

/// Everything of a backup that is only needed while it runs.
pub fn working_prefix(backup: &BackupRef) -> String {
    format!("{SEGMENTS}{}/{}/", backup.account_id, backup.backup_id)
}

/// An object's columns as discovery run `attempt` has found them.
pub fn columns(backup: &BackupRef, object: &ObjectType, attempt: u32) -> String {
    format!("{}columns/{object}.{attempt:04}.json", working_prefix(backup))
}

/// One segment.
pub fn segment(
    backup: &BackupRef,
    object: &ObjectType,
    generation: u32,
    lower: RecordId,
    sequence: u32,
    attempt: u32,
) -> String {
    format!(
        "{}rows/{object}/{generation:04}/{:020}/{sequence:06}.{attempt:04}.deflate",
        working_prefix(backup),
        lower.0
    )
}
