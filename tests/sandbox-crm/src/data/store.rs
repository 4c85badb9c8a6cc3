//! The records of one object: the base, and the overlay of what was written since.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::base::Base;
use super::clock::now;
use super::overlay::{Entry, Overlay, Presence};
use super::random::mix;
use super::view::{RecordView, in_order};
use crate::schema::Schema;

/// New values by property name; an empty one clears the property.
pub(crate) type Changes = HashMap<String, String>;

/// The records of one object.
#[derive(Debug)]
pub(crate) struct Store {
    schema: RwLock<Arc<Schema>>,
    base: Base,
    overlay: RwLock<Overlay>,
}

/// The records of an object at one moment.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    base: &'a Base,
    overlay: RwLockReadGuard<'a, Overlay>,
}

/// Exclusive access to the records of an object.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    base: &'a Base,
    overlay: RwLockWriteGuard<'a, Overlay>,
}

impl Store {
    /// `base` with `archived` and `merged` of its records, evenly spread, taken out of the list.
    pub(crate) fn new(schema: Schema, base: Base, archived: u64, merged: u64) -> Self {
        let store = Self { schema: RwLock::new(Arc::new(schema)), base, overlay: RwLock::default() };
        let records = store.base.len();
        let hidden = archived + merged;
        let mut writing = store.write();
        for number in 0..hidden {
            // The last record stays, so that every merged one has a survivor after it.
            let index = number * records / (hidden + 1);
            let at = store.base.updated_at(index);
            let id = store.base.id_at(index);
            if number * merged / hidden == (number + 1) * merged / hidden {
                writing.hide(id, Presence::Archived(at));
            } else {
                let survivor = store.base.id_at(index + 1);
                writing.hide(id, Presence::Merged(survivor));
                writing.note_merge(survivor, id, store.base.updated_at(index + 1));
            }
        }
        drop(writing);
        store
    }

    pub(crate) fn schema(&self) -> Arc<Schema> {
        self.schema.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_schema(&self, schema: Schema) {
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schema);
    }

    pub(crate) fn read(&self) -> Reading<'_> {
        Reading { base: &self.base, overlay: self.overlay.read().unwrap_or_else(PoisonError::into_inner) }
    }

    pub(crate) fn write(&self) -> Writing<'_> {
        Writing { base: &self.base, overlay: self.overlay.write().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Reading<'_> {
    /// How many records are live.
    pub(crate) fn live_count(&self) -> u64 {
        self.overlay.live_count(self.base.len())
    }

    pub(crate) fn base(&self) -> &Base {
        self.base
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.overlay.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// The record `id`, in any state.
    pub(crate) fn get(&self, id: u64) -> Option<RecordView<'_>> {
        let entry = self.overlay.entries.get(&id);
        let template = entry.map_or_else(|| self.base.index_of(id), |entry| entry.template);
        if entry.is_none() && template.is_none() {
            return None;
        }
        Some(RecordView { id, base: self.base, template, entry })
    }

    /// The live record that answers for `id`: itself, or the one that it was merged into.
    pub(crate) fn resolve(&self, id: u64) -> Option<RecordView<'_>> {
        let mut id = id;
        // A chain of merges is short; the bound only guards against a circle.
        for _ in 0..64 {
            let view = self.get(id)?;
            match view.presence() {
                Presence::Live => return Some(view),
                Presence::Merged(into) => id = into,
                Presence::Archived(_) | Presence::Gone => return None,
            }
        }
        None
    }

    /// The archived record `id`.
    pub(crate) fn archived(&self, id: u64) -> Option<RecordView<'_>> {
        self.get(id).filter(|view| matches!(view.presence(), Presence::Archived(_)))
    }

    /// All records with ids greater than `id`, ascending, in any state.
    pub(crate) fn all_after(&self, id: u64) -> impl Iterator<Item = RecordView<'_>> {
        let indexes = self.base.first_after(id)..self.base.len();
        let written = self.overlay.entries.range((Bound::Excluded(id), Bound::Unbounded));
        in_order(self.base, indexes, written, u64::lt)
    }

    /// Live records with ids greater than `id`, ascending.
    pub(crate) fn live_after(&self, id: u64) -> impl Iterator<Item = RecordView<'_>> {
        self.all_after(id).filter(|view| view.presence() == Presence::Live)
    }

    /// Archived records with ids greater than `id`, ascending.
    pub(crate) fn archived_after(&self, id: u64) -> impl Iterator<Item = RecordView<'_>> {
        let written = self.overlay.entries.range((Bound::Excluded(id), Bound::Unbounded));
        written.filter(|(_, entry)| matches!(entry.presence, Presence::Archived(_))).map(|(id, entry)| RecordView {
            id: *id,
            base: self.base,
            template: entry.template,
            entry: Some(entry),
        })
    }

    /// All records with ids smaller than `id`, descending, in any state.
    pub(crate) fn all_before(&self, id: u64) -> impl Iterator<Item = RecordView<'_>> {
        let indexes = 0..id.checked_sub(1).map_or(0, |last| self.base.first_after(last));
        let written = self.overlay.entries.range(..id);
        in_order(self.base, indexes.rev(), written.rev(), u64::gt)
    }
}

impl Writing<'_> {
    /// The record `id` as an entry, made from the base where it was not written to before.
    fn get(&self, id: u64) -> Option<Entry> {
        if let Some(entry) = self.overlay.entries.get(&id) {
            return Some(entry.clone());
        }
        let index = self.base.index_of(id)?;
        Some(Entry {
            template: Some(index),
            is_base: true,
            presence: Presence::Live,
            created_at: self.base.created_at(index),
            updated_at: self.base.updated_at(index),
            values: HashMap::new(),
        })
    }

    /// Sets properties of a live record. False if there is no such record.
    pub(crate) fn update(&mut self, id: u64, changes: &Changes) -> bool {
        let Some(mut entry) = self.get(id).filter(|entry| entry.presence == Presence::Live) else { return false };
        set_values(&mut entry, changes);
        // A change is always seen as later than the one before, even within a millisecond.
        entry.updated_at = now().max(entry.updated_at + 1);
        self.overlay.insert(id, entry);
        true
    }

    /// Adds a record, empty but for `changes`, or filled as record `template` would be. Returns its id.
    pub(crate) fn create(&mut self, changes: &Changes, template: Option<u64>) -> u64 {
        let last_base = self.base.len().checked_sub(1).map_or(0, |index| self.base.id_at(index));
        let last = self.overlay.entries.last_key_value().map_or(last_base, |(id, _)| last_base.max(*id));
        let id = last + 1 + mix(last, 0x1D) % 40;
        self.create_as(id, changes, template);
        id
    }

    /// Adds a record under an id of the caller's choice, replacing what was there.
    pub(crate) fn create_as(&mut self, id: u64, changes: &Changes, template: Option<u64>) {
        let at = now();
        let place = self.base.index_of(id);
        let mut entry = Entry {
            template,
            is_base: place.is_some(),
            presence: Presence::Live,
            // The base's times of creation ascend with the ids, and searches rely on it.
            created_at: place.map_or(at, |index| self.base.created_at(index)),
            updated_at: at,
            values: HashMap::new(),
        };
        set_values(&mut entry, changes);
        self.overlay.insert(id, entry);
    }

    /// Takes a live record out of the list. False if there is no such record.
    pub(crate) fn hide(&mut self, id: u64, presence: Presence) -> bool {
        let Some(entry) = self.get(id).filter(|entry| entry.presence == Presence::Live) else { return false };
        self.overlay.insert(id, entry);
        self.overlay.set_presence(id, presence);
        true
    }

    /// Merges record `id` into record `survivor`. False when either is not live or both are the same.
    pub(crate) fn merge(&mut self, survivor: u64, id: u64) -> bool {
        let is_live = |record: Option<Entry>| record.is_some_and(|entry| entry.presence == Presence::Live);
        if survivor == id || !is_live(self.get(survivor)) || !self.hide(id, Presence::Merged(survivor)) {
            return false;
        }
        self.note_merge(survivor, id, now());
        true
    }

    fn note_merge(&mut self, survivor: u64, id: u64, at: i64) {
        const MERGED: &str = "hs_merged_object_ids";
        let Some(mut entry) = self.get(survivor) else { return };
        let merged = match entry.values.get(MERGED) {
            Some(Some(earlier)) => format!("{earlier};{id}"),
            _ => id.to_string(),
        };
        entry.values.insert(MERGED.into(), Some(merged.into()));
        entry.updated_at = at.max(entry.updated_at);
        self.overlay.insert(survivor, entry);
    }
}

fn set_values(entry: &mut Entry, changes: &Changes) {
    for (name, value) in changes {
        let value = (!value.is_empty()).then(|| value.as_str().into());
        entry.values.insert(name.as_str().into(), value);
    }
}

#[cfg(test)]
mod tests;
