//! The whole archive, made from the ledger's records: its files, its manifest, and their layout.

use domain::backup::Backup;
use domain::object::{ObjectExport, Verdict};
use domain::property::Columns;
use jiff::Timestamp;

use crate::csv::header_row;
use crate::layout::{ArchiveLayout, CsvFile, Extent, LaidOut, LayoutError, PlacedFile, StoredSegment, file_names};
use crate::manifest::{Column, File, Manifest, NOT_INCLUDED, Part, SPREADSHEETS, Window, WithoutFile};

/// An exported object and its segments, for the archive.
#[derive(Debug, Clone)]
pub struct ExportedObject {
    pub export: ObjectExport,
    pub columns: Columns,
    /// The committed segments of its generation, in record order.
    pub segments: Vec<StoredSegment>,
}

/// An archive, ready to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveContents {
    /// All bytes of the zip, in order. See [`crate::parts::plan`].
    pub extents: Vec<Extent>,
    pub bytes: u64,
    /// The manifest for object storage, with each part's place inside the zip.
    pub manifest: Manifest,
}

/// Lays out the archive of `backup`: a CSV file for each of `objects` that has rows, in their order, and the manifest.
///
/// `completed_at` is the manifest's `completedAt`. The same input makes the same bytes, so a rerun must pass the same
/// time and the same order.
///
/// # Errors
/// [`LayoutError`]: the ledger's records cannot become a valid archive.
pub fn lay_out(
    backup: &Backup,
    objects: Vec<ExportedObject>,
    completed_at: Timestamp,
) -> Result<ArchiveContents, LayoutError> {
    objects.iter().try_for_each(check_rows)?;
    let missing = backup.all_gaps(objects.iter().map(|object| &object.export));
    let (objects, without): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| object.export.records > 0);

    let names = file_names(objects.iter().map(|object| &object.export.definition.object_type));
    let sensitive = objects.iter().any(|object| object.columns.contains_sensitive_data());
    let mut layout = ArchiveLayout::new(backup.created_at);
    let mut files = Vec::with_capacity(objects.len());
    for (name, object) in names.into_iter().zip(objects) {
        let ExportedObject { export, columns, segments } = object;
        let header_row = header_row(columns.names());
        let placed = layout.add_file(CsvFile { name, header_row, segments })?;
        files.push(describe(placed, &export, &columns, completed_at));
    }
    let manifest = Manifest {
        backup_id: backup.backup_id.clone(),
        account_id: backup.account_id.clone(),
        portal_id: backup.portal_id,
        created_at: backup.created_at,
        completed_at,
        api_version: backup.api_version,
        contains_sensitive_data: sensitive || backup.contains_sensitive_data == Some(true),
        not_included: NOT_INCLUDED.to_owned(),
        spreadsheets: SPREADSHEETS.to_owned(),
        missing,
        files,
        without_file: without.iter().map(|object| describe_absent(&object.export, completed_at)).collect(),
    };
    let LaidOut { extents, bytes } = layout.finish(&manifest.without_places().to_json());
    Ok(ArchiveContents { extents, bytes, manifest })
}

/// Checks that each committed row is in the archive once.
fn check_rows(object: &ExportedObject) -> Result<(), LayoutError> {
    let counted = object.export.records;
    let held = object.segments.iter().map(|segment| segment.summary.rows).sum();
    if held == counted {
        return Ok(());
    }
    Err(LayoutError::Rows { object: object.export.definition.object_type.clone(), held, counted })
}

fn describe(placed: PlacedFile, export: &ObjectExport, columns: &Columns, completed_at: Timestamp) -> File {
    File {
        name: placed.name,
        object_type: export.definition.object_type.clone(),
        label: export.definition.label.clone(),
        rows: export.records,
        bytes: placed.bytes,
        crc32: placed.crc32,
        columns: Column::all(columns),
        sha256_tree: placed.sha256_tree,
        window: window(export, completed_at),
        crm_total: export.counts.after,
        verdict: verdict(export),
        mended_values: export.mended_values,
        parts: placed.parts.into_iter().map(Part::from).collect(),
    }
}

fn describe_absent(export: &ObjectExport, completed_at: Timestamp) -> WithoutFile {
    WithoutFile {
        object_type: export.definition.object_type.clone(),
        label: export.definition.label.clone(),
        window: window(export, completed_at),
        crm_total: export.counts.after,
        verdict: verdict(export),
    }
}

fn window(export: &ObjectExport, completed_at: Timestamp) -> Window {
    Window { from: export.window_from, to: export.window_to.unwrap_or(completed_at) }
}

fn verdict(export: &ObjectExport) -> Verdict {
    export.verdict.unwrap_or_else(|| export.verdict(export.counts))
}
