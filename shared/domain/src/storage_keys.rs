//! The keys of blobs in object storage.
//!
//! ```text
//! archives/{account}/{backup}/{attempt}.zip          the archive; removed after 14 days
//! archives/{account}/{backup}/{attempt}.manifest.json
//! segments/{account}/{backup}/columns/{object}.{attempt}.json
//! segments/{account}/{backup}/rows/{object}/{generation}/{lower}/{sequence}.{attempt}.deflate
//! plans/{account}/{restore}/samples.{attempt}.json             removed after 2 days
//! plans/{account}/{restore}/skipped.{attempt}.csv
//! plans/{account}/{restore}/{slice}/{segment}.{attempt}.jsonl
//! plans/{account}/{restore}/report.{attempt}.{sources}.csv     rows of a report that do not fill an upload part yet
//! restores/{account}/{restore}/definition.{attempt}.json       properties and sources; removed after 90 days
//! restores/{account}/{restore}/pre-images/{slice}/{batch}.{attempt}.jsonl
//! restores/{account}/{restore}/outcomes/{slice}/{number}.{attempt}.jsonl
//! restores/{account}/{restore}/uncommitted/{slice}.{attempt}.jsonl
//! restores/{account}/{restore}/errors.{attempt}.csv
//! exports/{account}/{entry}.csv                                an audit log to download; removed after a day
//! ```
//! Every key that a run writes contains the number of its lease, so two runs never share bytes.

use crate::ids::{AccountId, AuditEntryId, ObjectType, RecordId};
use crate::work::{BackupRef, RestoreRef};

/// Lifecycle prefix of finished archives.
pub const ARCHIVES: &str = "archives/";
/// Lifecycle prefix of a backup's working files.
pub const SEGMENTS: &str = "segments/";

/// Lifecycle prefix of plans of restores.
pub const PLANS: &str = "plans/";
/// Lifecycle prefix of definitions, pre-images, outcomes and reports of restores.
pub const RESTORES: &str = "restores/";

/// Prefix of a backup's archive and manifest.
pub fn archive_prefix(backup: &BackupRef) -> String {
    format!("{ARCHIVES}{}/{}/", backup.account_id, backup.backup_id)
}

/// The archive of assembly run `attempt`.
pub fn archive(backup: &BackupRef, attempt: u32) -> String {
    format!("{}{attempt:04}.zip", archive_prefix(backup))
}

/// The manifest beside [`archive`], with each part's place inside the archive.
pub fn manifest(backup: &BackupRef, attempt: u32) -> String {
    format!("{}{attempt:04}.manifest.json", archive_prefix(backup))
}

/// Prefix of a backup's working files, which are only needed while it runs.
pub fn working_prefix(backup: &BackupRef) -> String {
    format!("{SEGMENTS}{}/{}/", backup.account_id, backup.backup_id)
}

/// An object's columns, as discovery run `attempt` found them.
pub fn columns(backup: &BackupRef, object: &ObjectType, attempt: u32) -> String {
    format!("{}columns/{object}.{attempt:04}.json", working_prefix(backup))
}

/// The DEFLATE bytes of one segment.
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

fn plan_prefix(restore: &RestoreRef) -> String {
    format!("{PLANS}{}/{}/", restore.account_id, restore.restore_id)
}

fn restore_prefix(restore: &RestoreRef) -> String {
    format!("{RESTORES}{}/{}/", restore.account_id, restore.restore_id)
}

/// A restore's definition by run `attempt`: its properties and the sources of their values.
pub fn restore_definition(restore: &RestoreRef, attempt: u32) -> String {
    format!("{}definition.{attempt:04}.json", restore_prefix(restore))
}

/// The samples of a plan, for its review.
pub fn plan_samples(restore: &RestoreRef, attempt: u32) -> String {
    format!("{}samples.{attempt:04}.json", plan_prefix(restore))
}

/// Prefix of all reports of what a plan leaves unchanged.
pub fn plan_skipped_prefix(restore: &RestoreRef) -> String {
    format!("{}skipped.", plan_prefix(restore))
}

/// The report of what a plan leaves unchanged.
pub fn plan_skipped(restore: &RestoreRef, attempt: u32) -> String {
    format!("{}{attempt:04}.csv", plan_skipped_prefix(restore))
}

/// A segment of a slice's plan.
pub fn plan_segment(restore: &RestoreRef, slice: u32, segment: u32, attempt: u32) -> String {
    format!("{}{slice:05}/{segment:06}.{attempt:04}.jsonl", plan_prefix(restore))
}

/// Rows of a report about its first `sources`, which run `attempt` leaves to the next run.
pub fn report_rest(restore: &RestoreRef, attempt: u32, sources: u64) -> String {
    format!("{}report.{attempt:04}.{sources:08}.csv", plan_prefix(restore))
}

/// The values that run `attempt` is about to overwrite with batch `batch` of a slice.
pub fn pre_image(restore: &RestoreRef, slice: u32, batch: u64, attempt: u32) -> String {
    format!("{}pre-images/{slice:05}/{batch:08}.{attempt:04}.jsonl", restore_prefix(restore))
}

/// The values of a batch that run `attempt` is about to clear, in its first or second round of clearing.
pub fn clearings(restore: &RestoreRef, slice: u32, batch: u64, attempt: u32, round: u8) -> String {
    format!("{}pre-images/{slice:05}/{batch:08}.{attempt:04}.clearings-{round}.jsonl", restore_prefix(restore))
}

/// The outcomes of some batches of a slice.
pub fn outcome(restore: &RestoreRef, slice: u32, number: u32, attempt: u32) -> String {
    format!("{}outcomes/{slice:05}/{number:06}.{attempt:04}.jsonl", restore_prefix(restore))
}

/// The outcomes of batches of a slice that run `attempt` could not commit.
pub fn uncommitted(restore: &RestoreRef, slice: u32, attempt: u32) -> String {
    format!("{}uncommitted/{slice:05}.{attempt:04}.jsonl", restore_prefix(restore))
}

/// Prefix of all reports of what a restore has not restored.
pub fn restore_errors_prefix(restore: &RestoreRef) -> String {
    format!("{}errors.", restore_prefix(restore))
}

/// The report of what a restore has not restored.
pub fn restore_errors(restore: &RestoreRef, attempt: u32) -> String {
    format!("{}{attempt:04}.csv", restore_errors_prefix(restore))
}

/// Lifecycle prefix of exports.
pub const EXPORTS: &str = "exports/";

/// An exported audit log. `entry` is the audit entry of the export.
pub fn audit_export(account: &AccountId, entry: &AuditEntryId) -> String {
    format!("{EXPORTS}{account}/{entry}.csv")
}
