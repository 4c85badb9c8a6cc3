//! A chunk: one id range of one object, the unit of fan-out.
//!
//! ```text
//! waiting ─ activated ─▶ ready ─ leased, segment committed … ─▶ done ─ once more: see [`again`] ─▶ waiting
//! ```
//! A chunk covers the ids above `lower` up to and including `upper`. Without `upper` it reaches to the end of the list.
//! The run that holds the lease may split it above the ids that it has read.

pub mod again;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::again::Again;
use crate::Refused;
use crate::backup::Backup;
use crate::ids::ChunkKey;
use crate::ids::{AccountId, BackupId, ObjectType, RecordId};
use crate::lease::QUEUE_GRACE;
use crate::lease::{Leasing, NotLeased, Wait};
use crate::ports::crm::Cursor;
use crate::ports::ledger::{Key, Record};
use crate::trail::Trail;
use crate::work::WORK_KEPT_FOR;
use crate::work::{BackupRef, Work};

/// The state of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChunkState {
    /// Not queued: a run that reads the backup takes it when a lane is free.
    Waiting,
    /// Queued, or being worked on.
    Ready,
    /// Read to the end.
    Done,
}

/// What a run has read but not committed yet. For progress reports only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadSoFar {
    pub records: u64,
    pub pages: u64,
    pub plain_bytes: u64,
}

/// One id range of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    pub account_id: AccountId,
    pub backup_id: BackupId,
    pub key: ChunkKey,
    /// The inclusive upper bound of its ids. None: to the end of the list.
    pub upper: Option<RecordId>,
    pub state: ChunkState,
    /// Where the next segment begins.
    pub cursor: Cursor,
    #[serde(default)]
    pub trail: Trail,
    /// The highest committed id. `lower` before the first commit.
    pub committed_to: RecordId,
    pub records: u64,
    /// The CRM's count of records in the range when the chunk was created, if known.
    pub expected_records: Option<u64>,
    pub next_sequence: u32,
    pub leasing: Leasing,
    pub queued_at: Timestamp,
    /// The first id that the CRM showed for this range, even past its end. Proves the boundary to the chunk on the
    /// left.
    pub first_seen: Option<RecordId>,
    pub first_seen_at: Option<Timestamp>,
    /// The first id past `upper`. None if the list ended. Proves the boundary to the chunk on the right.
    pub seen_past_end: Option<RecordId>,
    /// When the end was read.
    pub finished_at: Option<Timestamp>,
    pub reading: ReadSoFar,
    #[serde(default, skip_serializing_if = "Again::is_none")]
    pub again: Again,
}

/// The change of a chunk by the commit of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    pub lease: u32,
    /// Where the segment begins. Must equal the chunk's cursor.
    pub from: Cursor,
    /// Where the next segment begins.
    pub to: Cursor,
    pub trail: Trail,
    /// The highest id read so far.
    pub last_id: RecordId,
    /// Rows of the segment. 0 if none was written: a range may end without a row.
    pub rows: u64,
    /// The first id that the CRM showed for the range, with the time, if this run saw it.
    pub first_seen: Option<(RecordId, Timestamp)>,
    /// Set if the range was read to its end.
    pub end: Option<RangeEnd>,
}

/// How a range ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeEnd {
    /// The first id past the upper bound. None at the end of the list.
    pub seen_past_end: Option<RecordId>,
    pub at: Timestamp,
}

/// About how many records are left in a chunk that is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedRecords {
    /// Above the highest id that was read.
    pub above: u64,
    /// Of these, in the part that the run keeps.
    pub own: u64,
    /// In each other part but the last, which has the rest.
    pub each: u64,
}

impl Chunk {
    /// The ledger's key of a chunk.
    pub fn key_of(backup_id: &BackupId, key: &ChunkKey) -> Key {
        let prefix = Self::prefix(&key.object_type, key.generation);
        Key::new(Backup::partition(backup_id), format!("{prefix}{:020}", key.lower.0))
    }

    /// Sort-key prefix of all chunks of a backup.
    pub const PREFIX: &'static str = "CHUNK#";

    /// Sort-key prefix of all chunks of one generation of an object. They list in record order.
    pub fn prefix(object: &ObjectType, generation: u32) -> String {
        format!("{}{object}#{generation:04}#", Self::PREFIX)
    }

    /// A chunk of the range from `key` up to `upper`, not queued yet.
    pub fn waiting(
        backup: &BackupRef,
        key: ChunkKey,
        upper: Option<RecordId>,
        expected_records: Option<u64>,
        now: Timestamp,
    ) -> Self {
        Self {
            account_id: backup.account_id.clone(),
            backup_id: backup.backup_id.clone(),
            upper,
            state: ChunkState::Waiting,
            cursor: Cursor::AfterId(key.lower),
            trail: Trail::default(),
            committed_to: key.lower,
            records: 0,
            expected_records,
            next_sequence: 0,
            leasing: Leasing::default(),
            queued_at: now,
            first_seen: None,
            first_seen_at: None,
            seen_past_end: None,
            finished_at: None,
            reading: ReadSoFar::default(),
            again: Again::default(),
            key,
        }
    }

    /// The ids of its backup.
    pub fn backup(&self) -> BackupRef {
        BackupRef { account_id: self.account_id.clone(), backup_id: self.backup_id.clone() }
    }

    /// The message that has it worked on.
    pub fn work(&self) -> Work {
        Work::Export { backup: self.backup(), chunk: self.key.clone() }
    }

    /// Makes it ready: a message about it is sent next, or a run takes it.
    ///
    /// # Errors
    /// [`Refused`] unless it is waiting.
    pub fn activate(&self, now: Timestamp) -> Result<Self, Refused> {
        if self.state != ChunkState::Waiting {
            return Err(Refused::new("activating a chunk", "it is not waiting"));
        }
        Ok(Self { state: ChunkState::Ready, queued_at: now, ..self.clone() })
    }

    /// About how many records are left to read, if known.
    pub fn expected_left(&self) -> Option<u64> {
        self.expected_records.map(|expected| expected.saturating_sub(self.records + self.reading.records))
    }

    /// Removes it from the due work, because its backup has ended or its generation is void.
    #[must_use]
    pub fn dropped(&self) -> Self {
        Self { state: ChunkState::Waiting, ..self.clone() }
    }

    /// Records that it was queued again.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { leasing: self.leasing.requeued(now), ..self.clone() }
    }

    /// Since when it has been overdue. None if it is not ready.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        (self.state == ChunkState::Ready).then(|| self.leasing.overdue_since(self.queued_at, QUEUE_GRACE))
    }

    /// Takes the lease for a run.
    ///
    /// # Errors
    /// [`NotLeased`], and nothing is changed.
    pub fn lease(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        let leasing = self.leasing.take(owner, now, length)?;
        Ok(Self { leasing, reading: ReadSoFar::default(), queued_at: now, ..self.clone() })
    }

    /// Takes the lease for a run that looks for more work. It also takes a chunk that was not queued yet.
    ///
    /// # Errors
    /// [`NotLeased`], and nothing is changed.
    pub fn claim(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        match self.state {
            ChunkState::Waiting => self.activate(now).map_err(|_| NotLeased::NoStep)?.lease(owner, now, length),
            ChunkState::Ready => self.lease(owner, now, length),
            ChunkState::Done => Err(NotLeased::NoStep),
        }
    }

    /// When a run could take it. None if another run holds it, or it is done.
    pub fn claimable_from(&self, now: Timestamp) -> Option<Timestamp> {
        let free = self.state != ChunkState::Done && self.leasing.holder(now).is_none();
        free.then(|| self.leasing.wait.map_or(now, |wait| wait.until.max(now)))
    }

    /// Records what the run with `lease` has read so far.
    ///
    /// # Errors
    /// [`Refused`] if another run has taken over.
    pub fn reading(&self, lease: u32, reading: ReadSoFar) -> Result<Self, Refused> {
        self.check_lease("reporting progress", lease)?;
        Ok(Self { reading, ..self.clone() })
    }

    /// Lowers the upper bound to the first of `bounds` and returns the chunks that take over the ranges above: from
    /// each bound to the next, the last to the old upper bound. `read_to` is the highest id that the run has seen.
    ///
    /// # Errors
    /// [`Refused`] when another run has taken over, or the bounds do not ascend strictly between `read_to` and the
    /// upper bound.
    pub fn split(
        &self,
        lease: u32,
        read_to: RecordId,
        bounds: &[RecordId],
        expected: ExpectedRecords,
        now: Timestamp,
    ) -> Result<(Self, Vec<Self>), Refused> {
        self.check_lease("splitting a chunk", lease)?;
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let (Some(first), Some(last)) = (bounds.first(), bounds.last()) else {
            return Err(Refused::fault("splitting a chunk", "no bound was given"));
        };
        if !ascending || *first <= read_to || self.upper.is_some_and(|upper| *last >= upper) {
            return Err(Refused::fault(
                "splitting a chunk",
                "the bounds are not above the ids read and below the upper bound",
            ));
        }
        let uppers = bounds[1..].iter().copied().map(Some).chain([self.upper]);
        let right = bounds.iter().zip(uppers).map(|(lower, upper)| {
            let key = ChunkKey { lower: *lower, ..self.key.clone() };
            let of_last = expected.above.saturating_sub(expected.own + expected.each * (bounds.len() as u64 - 1));
            let expected = if upper == self.upper { of_last } else { expected.each };
            let part = Self::waiting(&self.backup(), key, upper, Some(expected), now);
            Self { again: self.again.of_part(), ..part }
        });
        let expected_records = Some(self.records + self.reading.records + expected.own);
        Ok((Self { upper: Some(*first), expected_records, ..self.clone() }, right.collect()))
    }

    /// Adds a committed segment. The cursor moves, and the chunk is done at the end of its range.
    ///
    /// # Errors
    /// [`Refused`] if another run has taken over, or the segment does not begin at the chunk's cursor.
    pub fn advance(&self, step: &Advance) -> Result<Self, Refused> {
        self.check_lease("committing a segment", step.lease)?;
        if step.from != self.cursor {
            return Err(Refused::fault("committing a segment", "it does not begin at the chunk's cursor"));
        }
        let seen = self.first_seen.zip(self.first_seen_at).or(step.first_seen);
        let mut next = Self {
            cursor: step.to.clone(),
            trail: step.trail.clone(),
            committed_to: step.last_id,
            records: self.records + step.rows,
            next_sequence: self.next_sequence + u32::from(step.rows > 0),
            leasing: self.leasing.progressed(),
            first_seen: seen.map(|(id, _)| id),
            first_seen_at: seen.map(|(_, at)| at),
            reading: ReadSoFar::default(),
            ..self.clone()
        };
        if let Some(end) = step.end {
            next.state = ChunkState::Done;
            next.seen_past_end = end.seen_past_end;
            next.finished_at = Some(end.at);
            next.leasing = next.leasing.released(None);
        }
        Ok(next)
    }

    /// Gives the lease back before the range has ended, to be taken again after `wait`.
    ///
    /// # Errors
    /// [`Refused`] if another run has taken over.
    pub fn release(&self, lease: u32, wait: Option<Wait>, now: Timestamp) -> Result<Self, Refused> {
        self.check_lease("releasing a chunk", lease)?;
        let leasing = self.leasing.released(wait);
        Ok(Self { leasing, queued_at: now, reading: ReadSoFar::default(), ..self.clone() })
    }

    fn check_lease(&self, what: &'static str, lease: u32) -> Result<(), Refused> {
        if self.state != ChunkState::Ready {
            return Err(Refused::new(what, "the chunk is not being worked on"));
        }
        if !self.leasing.is_held_by(lease) {
            return Err(Refused::new(what, "another run has taken the chunk over"));
        }
        Ok(())
    }
}

impl Record for Chunk {
    fn key(&self) -> Key {
        Self::key_of(&self.backup_id, &self.key)
    }
    fn due_at(&self) -> Option<Timestamp> {
        (self.state == ChunkState::Ready).then(|| self.leasing.due_at_in_a_full_queue(self.queued_at, QUEUE_GRACE))
    }
    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.backup_id.created_at() + WORK_KEPT_FOR)
    }
}

#[cfg(test)]
mod tests;
