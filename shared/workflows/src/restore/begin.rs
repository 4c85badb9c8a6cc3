//! Begins a plan: reads the CRM's present properties, settles the source of the values, and adds the slices to the
//! ledger.

use std::collections::HashSet;

use archive::manifest::File;
use domain::backup::Backup;
use domain::ids::BackupId;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::{BATCH, PropertyDefinition};
use domain::ports::ledger::{self, Change, MAX_CHANGES};
use domain::ports::storage::StorageError;
use domain::restore::property::{FormerProperty, RestoredProperty};
use domain::restore::slice::RestoreSlice;
use domain::restore::{Restore, RestoreEvent, RestoreSource};
use domain::storage_keys;
use domain::work::{BackupRef, RestoreRef};
use domain::{Failure, FailureKind};

use super::definition::{Definition, Values, manifest};
use super::{MOST_SLICES, RestoreWork, dispatch};
use crate::run::{Run, StepError};
use crate::stored_json;

/// The fewest rows of a slice. Slices begin at multiples of a batch, so that several slices need no more calls than
/// one.
const LEAST_ROWS: u64 = 50_000;

struct Range {
    first: u64,
    rows: u64,
}

impl RestoreWork {
    pub(super) async fn begin(&self, restore: &Restore, lease: u32, run: &Run) -> Result<(), StepError> {
        let session = self.sessions.open(&restore.account_id, restore.api_version, run).await?;
        let crm = &*session.crm;
        if crm.account().await?.portal_id != restore.portal_id {
            return Err(other_portal());
        }
        let definitions = match crm.definitions(&restore.object_type).await {
            Err(error) if error.kind == CrmErrorKind::NotFound => return Err(object_gone(restore)),
            answer => answer?,
        };
        let (definition, ranges) = match &restore.source {
            RestoreSource::Backup { backup_id } => self.of_backup(restore, backup_id, &definitions).await?,
            RestoreSource::Undo { restore_id, include_edited } => {
                let undone = RestoreRef { account_id: restore.account_id.clone(), restore_id: restore_id.clone() };
                self.of_outcomes(&undone, *include_edited, &definitions).await?
            }
        };
        let reference = restore.reference();
        let key = storage_keys::restore_definition(&reference, lease);
        stored_json::write(&*self.writer, &key, &definition).await?;
        let ranges = if definition.restores_anything() { ranges } else { Vec::new() };
        self.add_slices(&reference, &ranges).await?;
        let slices = u32::try_from(ranges.len()).unwrap_or(u32::MAX);
        self.apply_event(&reference, RestoreEvent::SlicesDefined { lease, slices }).await?;
        tracing::info!(restore.id = %reference.restore_id, slices, "restore.planning");
        self.after_slice(&reference).await
    }

    async fn of_backup(
        &self,
        restore: &Restore,
        backup_id: &BackupId,
        definitions: &[PropertyDefinition],
    ) -> Result<(Definition, Vec<Range>), StepError> {
        let backup = BackupRef { account_id: restore.account_id.clone(), backup_id: backup_id.clone() };
        let loaded = ledger::load::<Backup>(self.ledger(), &Backup::key_of(&backup)).await?;
        let backup = loaded.ok_or_else(archive_gone)?.record;
        let archive = backup.usable_archive(self.now()).map_err(|_| archive_gone())?;
        let manifest = match manifest(&*self.reader, &archive.manifest_key).await {
            Err(StorageError::Absent(_)) => return Err(archive_gone()),
            read => read?,
        };
        let file = manifest
            .files
            .into_iter()
            .find(|file| file.object_type == restore.object_type)
            .ok_or_else(not_in_archive)?;
        let column_of: Option<Vec<usize>> =
            restore.properties.iter().map(|name| file.columns.iter().position(|column| column.name == *name)).collect();
        let column_of = column_of.ok_or_else(not_in_archive)?;
        let former = column_of.iter().filter_map(|&column| file.columns.get(column)).map(|column| FormerProperty {
            name: column.name.clone(),
            label: column.label.clone(),
            kind: column.kind.clone(),
        });
        let unknown = |name: &str| manifest.missing.iter().any(|gap| gap.is_of_values(&restore.object_type, name));
        let properties = judged(former, definitions)
            .into_iter()
            .map(|property| if unknown(&property.name) { property.of_unknown_values() } else { property });
        let properties = properties.collect();
        let ranges = ranges_of(file.rows);
        let values = Values::Archive {
            storage_key: archive.storage_key.clone(),
            etag: archive.etag.clone(),
            columns: file.columns.len(),
            column_of,
            parts: parts_with_rows(file),
        };
        Ok((Definition { properties, values }, ranges))
    }

    /// An undo has a slice for each slice of the restore that it undoes.
    async fn of_outcomes(
        &self,
        undone: &RestoreRef,
        include_edited: bool,
        definitions: &[PropertyDefinition],
    ) -> Result<(Definition, Vec<Range>), StepError> {
        let original = self.load(undone).await?.record;
        let before = Definition::of(&*self.reader, &original).await?;
        let former = before.properties.into_iter().map(|property| FormerProperty {
            name: property.name,
            label: property.label,
            kind: property.kind,
        });
        let properties = judged(former, definitions);
        let slices = dispatch::slices(self.ledger(), undone).await?;
        let ranges = slices.iter().map(|slice| Range { first: 0, rows: slice.record.outcome.records_done });
        let values = Values::Outcomes { restore: undone.clone(), include_edited };
        Ok((Definition { properties, values }, ranges.collect()))
    }

    /// Adds the missing slices to the ledger.
    async fn add_slices(&self, restore: &RestoreRef, ranges: &[Range]) -> Result<(), StepError> {
        let present = dispatch::slices(self.ledger(), restore).await?;
        let present: HashSet<u32> = present.into_iter().map(|slice| slice.record.number).collect();
        let now = self.now();
        let numbered = (0_u32..).zip(ranges).filter(|(number, _)| !present.contains(number));
        let missing: Vec<RestoreSlice> = numbered
            .map(|(number, range)| RestoreSlice::waiting(restore, number, range.first, range.rows, now))
            .collect();
        for slices in missing.chunks(MAX_CHANGES) {
            let changes: Vec<Change> = slices.iter().map(Change::create).collect();
            self.ledger().commit(&changes).await?;
        }
        Ok(())
    }
}

fn judged(former: impl Iterator<Item = FormerProperty>, now: &[PropertyDefinition]) -> Vec<RestoredProperty> {
    let definition = |name: &str| now.iter().find(|definition| definition.property.name == name);
    former.map(|then| RestoredProperty::judge(&then, definition(&then.name))).collect()
}

fn parts_with_rows(file: File) -> Vec<archive::manifest::Part> {
    file.parts.into_iter().filter(|part| part.first_id.is_some()).collect()
}

/// Equal ranges of whole batches, as few as [`LEAST_ROWS`] and [`MOST_SLICES`] allow.
fn ranges_of(rows: u64) -> Vec<Range> {
    let each = LEAST_ROWS.max(rows.div_ceil(MOST_SLICES)).next_multiple_of(BATCH as u64);
    (0..rows.div_ceil(each))
        .map(|number| Range { first: number * each, rows: each.min(rows - number * each) })
        .collect()
}

fn other_portal() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::CrmOtherPortal,
        "The CRM token belongs to another portal than the values, so nothing was changed. Connect the account to the \
         portal of the values, then plan again.",
    ))
}

fn object_gone(restore: &Restore) -> StepError {
    let label = &restore.label;
    let sentence = format!("The CRM no longer has the object type {label}, so its values cannot be restored.");
    StepError::Crm(CrmError::new(CrmErrorKind::NotFound, sentence))
}

/// The request was checked against the same manifest, so this is a fault of the service.
fn not_in_archive() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::ArchiveLacksValues,
        "The backup's archive lacks the object or a chosen property. Plan again. If that fails too, report it to the \
         operator.",
    ))
}

fn archive_gone() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::ArchiveExpired,
        "The backup's archive has expired or was deleted. Pick a later backup and plan again.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_few_and_contain_whole_batches_of_all_rows() {
        for rows in [0, 1, 99, 50_000, 50_001, 123_456, 5_000_000, 5_000_001, 50_000_000] {
            let ranges = ranges_of(rows);
            assert!(ranges.len() as u64 <= MOST_SLICES, "{rows}");
            let mut next = 0;
            for range in &ranges {
                assert_eq!(range.first, next);
                assert!(range.first.is_multiple_of(BATCH as u64) && range.rows > 0);
                next += range.rows;
            }
            assert_eq!(next, rows);
            let calls: u64 = ranges.iter().map(|range| range.rows.div_ceil(BATCH as u64)).sum();
            assert_eq!(calls, rows.div_ceil(BATCH as u64));
        }
    }
}
