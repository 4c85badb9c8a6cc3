//! What has been written to an object since the portal was made: only this costs memory.

use std::collections::{BTreeMap, HashMap};

/// Whether a record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Live,
    /// In the recycling bin since then.
    Archived(i64),
    /// Became part of another record.
    Merged(u64),
    Gone,
}

/// A record that was written to.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The index that its unwritten values are computed from.
    pub(crate) template: Option<u64>,
    /// Whether it is one of the base's records.
    pub(crate) is_base: bool,
    pub(crate) presence: Presence,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// Written values by property; None is unset.
    pub(crate) values: HashMap<Box<str>, Option<Box<str>>>,
}

impl Entry {
    /// See [`RecordView::is_indexed`](super::view::RecordView::is_indexed).
    pub(crate) fn is_indexed(&self, known_until: i64) -> bool {
        match self.presence {
            Presence::Live => self.is_base || self.created_at <= known_until,
            Presence::Archived(at) => at > known_until && (self.is_base || self.created_at <= known_until),
            Presence::Merged(_) | Presence::Gone => false,
        }
    }
}

/// All written records of an object.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// Base records that are no longer live.
    dead_base: u64,
    /// Live records that are not of the base.
    live_created: u64,
}

impl Overlay {
    /// How many of `base` records and the created ones are live.
    pub(crate) fn live_count(&self, base: u64) -> u64 {
        base - self.dead_base + self.live_created
    }

    /// Adds a record, or replaces it.
    pub(crate) fn insert(&mut self, id: u64, entry: Entry) {
        self.remove(id);
        self.count(&entry, true);
        self.entries.insert(id, entry);
    }

    /// Changes whether a written record is there.
    pub(crate) fn set_presence(&mut self, id: u64, presence: Presence) {
        if let Some(mut entry) = self.remove(id) {
            entry.presence = presence;
            self.insert(id, entry);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.count(&entry, false);
        Some(entry)
    }

    fn count(&mut self, entry: &Entry, add: bool) {
        let counter = match (entry.is_base, entry.presence == Presence::Live) {
            (true, false) => &mut self.dead_base,
            (false, true) => &mut self.live_created,
            _ => return,
        };
        if add { *counter += 1 } else { *counter -= 1 }
    }
}
