//! What happened to the records of an object, in order, and by whom.

use domain::ids::RecordId;
use jiff::Timestamp;

/// Something that happened to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    pub id: RecordId,
    pub what: Happened,
}

/// What happened. An empty value means that there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// People have given it a value.
    Edited {
        property: String,
        before: String,
        after: String,
    },
    /// The CRM has accepted a value of an update, and may have kept another one.
    Sent {
        property: String,
        /// The value that was sent.
        sent: String,
        before: String,
        after: String,
    },
    /// Its values were read in a batch.
    Read,
    Created,
    /// It was archived, or became part of another one.
    Deleted,
}

/// Everything that happened to the records of an object since it was made.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    pub(super) now: Timestamp,
    entries: Vec<Entry>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { now: Timestamp::UNIX_EPOCH, entries: Vec::new() }
    }
}

impl Journal {
    pub(super) fn add(&mut self, id: RecordId, what: Happened) {
        self.entries.push(Entry { at: self.now, id, what });
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
