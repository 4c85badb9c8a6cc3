//! One object type in a backup: its progress, and whether its rows are complete.

mod closing;
mod counts;
mod gaps;
mod reopening;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::counts::{Counts, Verdict};
pub use self::reopening::Voided;
use crate::Refused;
use crate::backup::Backup;
use crate::chunk::Chunk;
use crate::gap::Gap;
use crate::ids::{AccountId, BackupId, ChunkKey, ObjectType, RecordId};
use crate::lease::{CrmTrouble, Wait};
use crate::ports::crm::PageSource;
use crate::ports::crm_model::ReadMode;
use crate::ports::ledger::{Key, Record};
use crate::property::{Columns, ObjectDefinition};
use crate::work::{BackupRef, Work};

/// How the CRM's list of an object's records can be used, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListUse {
    /// The list can start at any id.
    #[default]
    AnyRange,
    /// The list is in the order of ids but can only be read from its beginning. The first chunk reads it, all others
    /// search.
    FirstRange,
    /// The list cannot be used in ranges. All chunks search.
    NoRange,
}

/// The state of an object in its backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectState {
    /// Chunks are being read.
    Exporting,
    /// All chunks are done, and their boundaries are proven.
    Exported,
}

/// One object type in a backup.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own in a stored record")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectExport {
    pub account_id: AccountId,
    pub backup_id: BackupId,
    pub definition: ObjectDefinition,
    pub columns_key: String,
    /// Columns of its file, including the record id.
    pub column_count: u32,
    /// Whether a column is sensitive or highly sensitive.
    pub contains_sensitive_data: bool,
    pub state: ObjectState,
    pub mode: ReadMode,
    #[serde(default)]
    pub list_use: ListUse,
    /// Goes up when reading starts again from the beginning. Chunks and segments of older generations are void.
    pub generation: u32,
    /// Chunks of this generation that are not done.
    pub open_chunks: u32,
    pub records: u64,
    pub pages: u64,
    /// CSV bytes committed, without the first line.
    pub plain_bytes: u64,
    /// Bytes of the file's first line. 0 in records of versions that did not store it.
    #[serde(default)]
    pub header_bytes: u64,
    pub packed_bytes: u64,
    pub segments: u32,
    /// Failed attempts to close it.
    pub close_attempts: u32,
    pub close_wait: Option<Wait>,
    /// The CRM's troubles while it is being closed.
    #[serde(skip_serializing_if = "CrmTrouble::is_none", default)]
    pub close_trouble: CrmTrouble,
    /// Whether the counts were read again because they did not explain the rows. Counts lag behind.
    pub recounted: bool,
    /// When its closing was queued again, since the latest change.
    pub requeued_at: Option<Timestamp>,
    pub counts: Counts,
    /// Its list was empty when it was discovered, so it was not counted then. That proves nothing about its records.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listed_empty: bool,
    /// How the rows compare with the counts, once exported.
    pub verdict: Option<Verdict>,
    /// When its first page may have been read.
    pub window_from: Timestamp,
    /// When its last page was read, once exported.
    pub window_to: Option<Timestamp>,
    /// When the latest change was.
    pub updated_at: Timestamp,
    /// Its backup has ended before it was exported, so it is no longer due.
    pub dropped: bool,
    /// Gaps that discovery found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Properties whose values the CRM did not show, with the number of such rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_values: BTreeMap<String, u64>,
    /// Records that the CRM could not return, even alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<RecordId>,
    /// How many values were not valid Unicode. They hold U+FFFD in those places.
    #[serde(default)]
    pub mended_values: u64,
    /// The CRM listed the records in no fixed order, so a record that moved may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unordered: bool,
    /// How often finished chunks were opened again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The most unreadable records of an object. With more of them the backup fails, because the cause must be another one.
pub const MOST_UNREADABLE: usize = 1_000;

/// The most properties of an object whose hidden values are counted.
const MOST_HIDDEN: usize = 2_000;

/// The CRM's count of an object's records before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountBefore {
    /// None where the CRM does not count, or was not asked.
    pub records: Option<u64>,
    /// The CRM was not asked, because the list was empty.
    pub listed_empty: bool,
    /// Records created after that moment may or may not be read.
    pub counted_at: Timestamp,
}

/// What a commit adds to the object's totals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    pub records: u64,
    pub pages: u64,
    pub plain_bytes: u64,
    pub packed_bytes: u64,
    pub segment: bool,
    pub chunk_done: bool,
    pub shortfall: Shortfall,
}

/// Records and values that could not be read, or not exactly.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shortfall {
    /// Properties whose values the CRM did not show, with the number of such rows.
    pub hidden_values: BTreeMap<String, u64>,
    /// Records that the CRM could not return, even alone.
    pub unreadable: Vec<RecordId>,
    /// How many values were not valid Unicode.
    pub mended_values: u64,
    /// The records came in no fixed order.
    pub unordered: bool,
}

impl ObjectExport {
    /// A newly discovered object, with its first chunk, which covers all ids. `columns` are stored at `columns_key`.
    pub fn discovered(
        backup: &BackupRef,
        definition: ObjectDefinition,
        mode: ReadMode,
        columns: &Columns,
        columns_key: String,
        before: CountBefore,
        now: Timestamp,
    ) -> (Self, Chunk) {
        let object = Self {
            account_id: backup.account_id.clone(),
            backup_id: backup.backup_id.clone(),
            definition,
            columns_key,
            column_count: u32::try_from(columns.properties.len() + 1).unwrap_or(u32::MAX),
            contains_sensitive_data: columns.contains_sensitive_data(),
            state: ObjectState::Exporting,
            mode,
            generation: 1,
            open_chunks: 1,
            records: 0,
            pages: 0,
            plain_bytes: 0,
            header_bytes: columns.header_bytes(),
            packed_bytes: 0,
            segments: 0,
            close_attempts: 0,
            close_wait: None,
            close_trouble: CrmTrouble::default(),
            recounted: false,
            requeued_at: None,
            counts: Counts { before: before.records, after: None, created: None },
            listed_empty: before.listed_empty,
            verdict: None,
            window_from: before.counted_at,
            window_to: None,
            updated_at: now,
            dropped: false,
            list_use: ListUse::AnyRange,
            gaps: Vec::new(),
            hidden_values: BTreeMap::new(),
            unreadable: Vec::new(),
            mended_values: 0,
            unordered: false,
            reopened: 0,
        };
        let chunk = object.whole_chunk(now);
        (object, chunk)
    }

    fn whole_chunk(&self, now: Timestamp) -> Chunk {
        let key = ChunkKey {
            object_type: self.definition.object_type.clone(),
            generation: self.generation,
            lower: RecordId(0),
        };
        Chunk::waiting(&self.backup(), key, None, self.expected_records(), now)
    }

    /// How many records it had when it was discovered. None if the CRM cannot count them.
    pub fn expected_records(&self) -> Option<u64> {
        self.counts.before.or(self.listed_empty.then_some(0))
    }

    /// The ids of its backup.
    pub fn backup(&self) -> BackupRef {
        BackupRef { account_id: self.account_id.clone(), backup_id: self.backup_id.clone() }
    }

    /// The message that has it closed.
    pub fn close_work(&self) -> Work {
        Work::CloseObject { backup: self.backup(), object_type: self.definition.object_type.clone() }
    }

    /// Adds a commit of `generation` to the totals.
    ///
    /// # Errors
    /// [`Refused`] if that generation is void.
    pub fn commit(&self, generation: u32, added: &Committed, now: Timestamp) -> Result<Self, Refused> {
        self.check_generation("committing a segment", generation)?;
        if added.chunk_done && self.open_chunks == 0 {
            return Err(Refused::fault("committing a segment", "the object has no open chunk"));
        }
        Ok(Self {
            records: self.records + added.records,
            pages: self.pages + added.pages,
            plain_bytes: self.plain_bytes + added.plain_bytes,
            packed_bytes: self.packed_bytes + added.packed_bytes,
            segments: self.segments + u32::from(added.segment),
            open_chunks: self.open_chunks - u32::from(added.chunk_done),
            updated_at: now,
            mended_values: self.mended_values + added.shortfall.mended_values,
            ..self.with(&added.shortfall)
        })
    }

    /// Adds a shortfall, each property and each record once.
    fn with(&self, shortfall: &Shortfall) -> Self {
        let mut next = Self { unordered: self.unordered || shortfall.unordered, ..self.clone() };
        for (property, rows) in &shortfall.hidden_values {
            if next.hidden_values.len() < MOST_HIDDEN || next.hidden_values.contains_key(property) {
                *next.hidden_values.entry(property.clone()).or_default() += rows;
            }
        }
        next.unreadable.extend(&shortfall.unreadable);
        next.unreadable.sort_unstable();
        next.unreadable.dedup();
        next
    }

    /// Whether a chunk's ids come from the CRM's list or from searches.
    pub fn page_source(&self, chunk: &Chunk) -> PageSource {
        match (self.mode, self.list_use) {
            _ if chunk.again.by_search => PageSource::Search,
            (ReadMode::Sequential, _) | (ReadMode::Ranges, ListUse::AnyRange) => PageSource::List,
            (ReadMode::Ranges, ListUse::FirstRange) if chunk.key.lower == RecordId(0) => PageSource::List,
            (ReadMode::Ranges, _) => PageSource::Search,
        }
    }

    /// Counts `chunks` more chunks of `generation`.
    ///
    /// # Errors
    /// [`Refused`] if that generation is void, or one worker reads the object.
    pub fn split(&self, generation: u32, chunks: u32, now: Timestamp) -> Result<Self, Refused> {
        self.check_generation("splitting a chunk", generation)?;
        if self.mode == ReadMode::Sequential {
            return Err(Refused::new("splitting a chunk", "the object is read by one worker"));
        }
        Ok(Self { open_chunks: self.open_chunks + chunks, updated_at: now, ..self.clone() })
    }

    /// Starts again from the beginning, because the CRM did not honour the ranges of `generation`. From now on chunks
    /// search for ids if the CRM can search, or one worker reads the object. `in_order` is whether the CRM's list was
    /// in the order of ids so far. Returns the object and its only chunk.
    ///
    /// # Errors
    /// [`Refused`] if that generation is void, or one worker reads the object.
    pub fn read_again(&self, generation: u32, in_order: bool, now: Timestamp) -> Result<(Self, Chunk), Refused> {
        self.check_generation("starting again", generation)?;
        if self.mode == ReadMode::Sequential {
            return Err(Refused::new("starting again", "the object is already read by one worker"));
        }
        let (mode, list_use) = match self.list_use {
            ListUse::AnyRange if in_order && self.expected_records().is_some() => {
                (ReadMode::Ranges, ListUse::FirstRange)
            }
            ListUse::AnyRange | ListUse::FirstRange if self.expected_records().is_some() => {
                (ReadMode::Ranges, ListUse::NoRange)
            }
            list_use => (ReadMode::Sequential, list_use),
        };
        let next = Self {
            mode,
            list_use,
            hidden_values: BTreeMap::new(),
            unreadable: Vec::new(),
            mended_values: 0,
            unordered: false,
            reopened: 0,
            generation: self.generation + 1,
            open_chunks: 1,
            records: 0,
            pages: 0,
            plain_bytes: 0,
            packed_bytes: 0,
            segments: 0,
            close_attempts: 0,
            close_wait: None,
            close_trouble: CrmTrouble::default(),
            recounted: false,
            requeued_at: None,
            updated_at: now,
            ..self.clone()
        };
        let chunk = next.whole_chunk(now);
        Ok((next, chunk))
    }

    /// The unreadable records of `chunk`.
    pub fn unreadable_in(&self, chunk: &Chunk) -> impl Iterator<Item = RecordId> {
        self.unreadable.iter().copied().filter(|id| chunk.covers(*id))
    }

    /// Records that the CRM's list cannot start in the middle, so that no further chunk tries it.
    ///
    /// # Errors
    /// [`Refused`] if `generation` is void.
    pub fn only_goes_on(&self, generation: u32, now: Timestamp) -> Result<Self, Refused> {
        self.check_generation("recording how a list can be used", generation)?;
        let list_use = if self.list_use == ListUse::AnyRange { ListUse::FirstRange } else { self.list_use };
        Ok(Self { list_use, updated_at: now, ..self.clone() })
    }

    /// Removes it from the due work, because its backup has ended.
    #[must_use]
    pub fn dropped(&self) -> Self {
        Self { dropped: true, ..self.clone() }
    }

    /// Records that its closing was queued again.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { requeued_at: Some(now), ..self.clone() }
    }

    fn check_generation(&self, what: &'static str, generation: u32) -> Result<(), Refused> {
        if self.state == ObjectState::Exported {
            return Err(Refused::new(what, "the object is closed"));
        }
        if self.generation != generation {
            return Err(Refused::new(what, "the object has started again"));
        }
        Ok(())
    }

    /// Sort-key prefix of all objects of a backup.
    pub const PREFIX: &'static str = "OBJECT#";

    /// The ledger's key of an object type in a backup.
    pub fn key_of(backup_id: &BackupId, object_type: &ObjectType) -> Key {
        Key::new(Backup::partition(backup_id), format!("{}{object_type}", Self::PREFIX))
    }
}

impl Record for ObjectExport {
    fn key(&self) -> Key {
        Self::key_of(&self.backup_id, &self.definition.object_type)
    }
    fn due_at(&self) -> Option<Timestamp> {
        let again = self.requeued_at.map(|at| at + crate::lease::QUEUE_GRACE);
        self.overdue_since().map(|since| again.map_or(since, |again| since.max(again)))
    }
}

#[cfg(test)]
mod tests;
