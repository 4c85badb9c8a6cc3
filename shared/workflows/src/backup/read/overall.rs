//! The progress of a whole backup: one figure for a progress bar, and one for the remaining time.

use domain::backup::{Backup, BackupState};
use domain::object::ObjectState;
use jiff::Timestamp;

use super::{ObjectProgress, Waiting, seconds_left};

/// The share done when everything is exported.
const EXPORTED: f64 = 0.97;

/// The largest share shown before a backup has completed.
const NEARLY_DONE: f64 = 0.99;

/// How long assembling takes besides copying, in seconds.
const ASSEMBLING_AT_LEAST: f64 = 5.0;

/// Bytes of an archive copied per second.
const COPIED_PER_SECOND: f64 = 1e8;

/// The progress of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Overall {
    /// From 0 to 1; 1 only when completed. None while the expected number of records is unknown.
    pub share_done: Option<f64>,
    /// Estimate of the seconds until it is completed. None without a basis for an estimate, and once it has ended
    /// without an archive.
    pub seconds_left: Option<u64>,
}

/// The progress of `backup` with these `objects`, which may be waiting.
pub(super) fn of(backup: &Backup, objects: &[ObjectProgress], waiting: Option<Waiting>, now: Timestamp) -> Overall {
    let export = ExportTotals::of(objects);
    let exported = export.share().map(|share| share * EXPORTED);
    match backup.state {
        BackupState::Queued | BackupState::Discovering => Overall { share_done: Some(0.0), seconds_left: None },
        BackupState::Exporting => {
            let pause = waiting.map_or(0, |wait| seconds(now, wait.until));
            let left = export.seconds_left(now).map(|left| left + pause + Assembling::of(objects).seconds);
            Overall { share_done: exported, seconds_left: left }
        }
        BackupState::Assembling => Assembling::of(objects).at(now),
        BackupState::Completed => Overall { share_done: Some(1.0), seconds_left: Some(0) },
        BackupState::Failed | BackupState::Cancelled => Overall { share_done: exported, seconds_left: None },
    }
}

struct ExportTotals {
    records: u64,
    expected: u64,
    all_exported: bool,
    /// The CRM does not count an object that is not yet exported.
    is_uncounted: bool,
    begun: Option<Timestamp>,
}

impl ExportTotals {
    fn of(objects: &[ObjectProgress]) -> Self {
        let mut export = Self { records: 0, expected: 0, all_exported: true, is_uncounted: false, begun: None };
        for progress in objects {
            let is_exported = progress.object.state == ObjectState::Exported;
            let expected = progress.object.expected_records();
            export.expected += expected.unwrap_or(0);
            // Capped at the expected number, so that extra records of one object do not stand for missing ones of
            // another.
            export.records += expected.map_or(0, |most| if is_exported { most } else { progress.records.min(most) });
            export.all_exported &= is_exported;
            export.is_uncounted |= !is_exported && expected.is_none();
            let from = progress.object.window_from;
            export.begun = Some(export.begun.map_or(from, |begun| begun.min(from)));
        }
        export
    }

    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn share(&self) -> Option<f64> {
        match self.expected {
            _ if self.all_exported => Some(1.0),
            0 => None,
            expected => Some((self.records as f64 / expected as f64).min(NEARLY_DONE)),
        }
    }

    fn seconds_left(&self, now: Timestamp) -> Option<u64> {
        if self.all_exported {
            return Some(0);
        }
        let counted = self.records < self.expected || !self.is_uncounted;
        let elapsed = now.duration_since(self.begun?).as_secs_f64();
        seconds_left(self.records, self.expected, elapsed).filter(|_| counted)
    }
}

/// How long the archive takes, estimated from its size alone: storage does not report its progress.
struct Assembling {
    begun: Option<Timestamp>,
    seconds: u64,
}

impl Assembling {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither negative nor near the limit")]
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn of(objects: &[ObjectProgress]) -> Self {
        let bytes: u64 = objects.iter().map(|progress| progress.object.packed_bytes).sum();
        let seconds = (ASSEMBLING_AT_LEAST + bytes as f64 / COPIED_PER_SECOND).ceil() as u64;
        Self { begun: objects.iter().map(|progress| progress.object.updated_at).max(), seconds }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn at(&self, now: Timestamp) -> Overall {
        let elapsed = self.begun.map_or(0, |begun| seconds(begun, now));
        let share = (elapsed as f64 / self.seconds as f64).min(1.0);
        let left = self.seconds.checked_sub(elapsed).filter(|left| *left > 0);
        Overall { share_done: Some(EXPORTED + share * (NEARLY_DONE - EXPORTED)), seconds_left: left }
    }
}

/// The seconds from one time to another. 0 if the second is earlier.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}
