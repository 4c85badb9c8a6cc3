//! The progress of a backup in the API's answers.

use domain::gap::Gap;
use domain::ids::ObjectType;
use domain::object::{ObjectState, Verdict};
use domain::ports::crm_model::ReadMode;
use http_api::representation::{BackupRepresentation, WaitRepresentation, shown};
use jiff::Timestamp;
use serde::Serialize;
use workflows::backup::read::{BackupProgress, ObjectProgress};

/// A backup with the progress of its objects.
#[derive(Serialize)]
pub(crate) struct BackupProgressRepresentation<'a> {
    #[serde(flatten)]
    backup: BackupRepresentation<'a>,
    progress: OverallRepresentation,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<WaitRepresentation>,
    missing: Vec<Gap>,
    objects: Vec<ObjectRepresentation<'a>>,
}

/// The progress of all objects and the archive together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OverallRepresentation {
    share_done: Option<f64>,
    seconds_left: Option<u64>,
}

/// An object's state as users see it.
#[derive(Serialize)]
#[serde(untagged)]
enum ObjectStateRepresentation {
    Own(ObjectState),
    /// The backup ended before the object was exported.
    Shown(&'static str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRepresentation<'a> {
    object_type: &'a ObjectType,
    label: &'a str,
    custom: bool,
    state: ObjectStateRepresentation,
    read_mode: ReadMode,
    generation: u32,
    columns: u32,
    records: u64,
    expected_records: Option<u64>,
    pages: u64,
    bytes: u64,
    share_done: Option<f64>,
    seconds_left: Option<u64>,
    crm_total: Option<u64>,
    verdict: Option<Verdict>,
    window: WindowRepresentation,
}

#[derive(Serialize)]
struct WindowRepresentation {
    from: Timestamp,
    to: Option<Timestamp>,
}

impl<'a> BackupProgressRepresentation<'a> {
    /// `progress` as it looks at `now`.
    pub(crate) fn of(progress: &'a BackupProgress, now: Timestamp) -> Self {
        Self {
            backup: BackupRepresentation::of(&progress.backup, now),
            progress: OverallRepresentation {
                share_done: progress.overall.share_done.map(rounded),
                seconds_left: progress.overall.seconds_left,
            },
            waiting: progress.waiting.map(WaitRepresentation::of),
            missing: progress.backup.all_gaps(progress.objects.iter().map(|progress| &progress.object)),
            objects: progress.objects.iter().map(ObjectRepresentation::of).collect(),
        }
    }
}

impl<'a> ObjectRepresentation<'a> {
    fn of(progress: &'a ObjectProgress) -> Self {
        let object = &progress.object;
        Self {
            object_type: &object.definition.object_type,
            label: &object.definition.label,
            custom: object.definition.custom,
            state: if progress.is_unfinished {
                ObjectStateRepresentation::Shown("unfinished")
            } else {
                ObjectStateRepresentation::Own(object.state)
            },
            read_mode: object.mode,
            generation: object.generation,
            columns: object.column_count,
            records: progress.records,
            expected_records: object.expected_records(),
            pages: progress.pages,
            bytes: progress.bytes,
            share_done: progress.share_done.map(rounded),
            seconds_left: progress.seconds_left,
            crm_total: object.counts.after,
            verdict: object.verdict,
            window: WindowRepresentation { from: shown(object.window_from), to: object.window_to.map(shown) },
        }
    }
}

/// Four digits are enough for a progress bar.
fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}
