//! How a backup's progress looks in the API's answers.

use domain::budget::WaitReason;
use domain::ids::ObjectType;
use domain::object::{ObjectState, ReadMode, Verdict};
use jiff::Timestamp;
use lambda::representation::BackupRepresentation;
use serde::Serialize;
use workflows::read_backups::{BackupProgress, ObjectProgress, Waiting};

/// A backup with its objects.
#[derive(Serialize)]
pub(crate) struct ProgressRepresentation<'a> {
    #[serde(flatten)]
    backup: BackupRepresentation<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<WaitRepresentation>,
    objects: Vec<ObjectRepresentation<'a>>,
}

#[derive(Serialize)]
struct WaitRepresentation {
    until: Timestamp,
    reason: WaitReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl WaitRepresentation {
    fn of(Waiting { until, reason, since }: Waiting) -> Self {
        Self { until, reason, since }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRepresentation<'a> {
    object_type: &'a ObjectType,
    label: &'a str,
    custom: bool,
    state: ObjectState,
    read_mode: ReadMode,
    columns: u32,
    records: u64,
    expected_records: Option<u64>,
    pages: u64,
    bytes: u64,
    share_done: Option<f64>,
    seconds_left: Option<u64>,
    crm_total: Option<u64>,
    verdict: Option<Verdict>,
    window: Window,
}

#[derive(Serialize)]
struct Window {
    from: Timestamp,
    to: Option<Timestamp>,
}

impl<'a> ProgressRepresentation<'a> {
    /// `progress` as it looks at `now`.
    pub(crate) fn of(progress: &'a BackupProgress, now: Timestamp) -> Self {
        Self {
            backup: BackupRepresentation::of(&progress.backup, now),
            waiting: progress.waiting.map(WaitRepresentation::of),
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
            state: object.state,
            read_mode: object.mode,
            columns: object.column_count,
            records: progress.records,
            expected_records: object.counts.before,
            pages: progress.pages,
            bytes: progress.plain_bytes,
            // Four digits are plenty for a bar, and a constant width is easier to read.
            share_done: progress.share_done.map(|share| (share * 10_000.0).round() / 10_000.0),
            seconds_left: progress.seconds_left,
            crm_total: object.counts.after,
            verdict: object.verdict,
            window: Window { from: object.window_from, to: object.window_to },
        }
    }
}
