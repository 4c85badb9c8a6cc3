//! The history of an object's records, for questions about any moment: the number of entries of its journal by then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::ids::RecordId;

use crate::crm::{Entry, Happened};
use crate::{SimulatedCrm, SimulatedObject};

/// A moment, as the number of entries of the journal.
pub(super) type Mark = usize;

/// A record and one of its properties.
pub(super) type Key = (RecordId, String);

/// What happened to an object's records.
pub(super) struct History {
    object: SimulatedObject,
    values: HashMap<Key, Vec<usize>>,
    existence: BTreeMap<RecordId, Vec<usize>>,
    reads: HashMap<RecordId, Vec<usize>>,
}

/// A value that the product has sent, and what the CRM made of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    /// Its place in the journal.
    pub(super) place: usize,
    /// The value that was sent.
    pub(super) value: &'a str,
    pub(super) before: &'a str,
    pub(super) after: &'a str,
}

/// How many entries the journal of an object has now.
pub(super) fn mark(crm: &SimulatedCrm, object: &str) -> Mark {
    crm.change(object, |object| object.journal().len())
}

impl History {
    /// The history up to now.
    pub(super) fn of(crm: &SimulatedCrm, object: &str) -> Self {
        let object = crm.change(object, |object| object.clone());
        let (mut values, mut existence, mut reads) = (HashMap::new(), BTreeMap::new(), HashMap::new());
        for (place, Entry { id, what, .. }) in object.journal().iter().enumerate() {
            match what {
                Happened::Edited { property, .. } | Happened::Sent { property, .. } => {
                    values.entry((*id, property.clone())).or_insert_with(Vec::new).push(place);
                }
                Happened::Created | Happened::Deleted => existence.entry(*id).or_insert_with(Vec::new).push(place),
                Happened::Read => reads.entry(*id).or_insert_with(Vec::new).push(place),
            }
        }
        Self { object, values, existence, reads }
    }

    /// The object as it is now.
    pub(super) fn object(&self) -> &SimulatedObject {
        &self.object
    }

    fn entries(&self, key: &Key) -> impl DoubleEndedIterator<Item = (usize, &Happened)> {
        let places = self.values.get(key).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|place| (*place, &self.object.journal()[*place].what))
    }

    /// The value that a record's property had at `mark`; empty for none.
    pub(super) fn value(&self, key: &Key, mark: Mark) -> String {
        if let Some((_, what)) = self.entries(key).rfind(|(place, _)| *place < mark) {
            return after(what).to_owned();
        }
        match self.entries(key).next() {
            Some((_, what)) => before(what).to_owned(),
            None => self.object.value(key.0, &key.1).unwrap_or_default(),
        }
    }

    /// All values that it had from `from` to `to`.
    pub(super) fn values(&self, key: &Key, from: Mark, to: Mark) -> BTreeSet<String> {
        let changes = self.entries(key).filter(|(place, _)| (from..to).contains(place));
        changes.map(|(_, what)| after(what).to_owned()).chain([self.value(key, from)]).collect()
    }

    /// Whether people have changed it from `from` to `to`.
    pub(super) fn is_edited(&self, key: &Key, from: Mark, to: Mark) -> bool {
        let edits = self.entries(key).filter(|(_, what)| matches!(what, Happened::Edited { .. }));
        edits.into_iter().any(|(place, _)| (from..to).contains(&place))
    }

    /// What the product has sent of it from `from` to `to`, in order.
    pub(super) fn sent(&self, key: &Key, from: Mark, to: Mark) -> Vec<Sent<'_>> {
        let entries = self.entries(key).filter(|(place, _)| (from..to).contains(place));
        let sent = entries.filter_map(|(place, what)| match what {
            Happened::Sent { sent, before, after, .. } => Some(Sent { place, value: sent, before, after }),
            _ => None,
        });
        sent.collect()
    }

    /// Whether the value that a record's property had at `mark` was made by the product since `from`.
    pub(super) fn is_own(&self, key: &Key, from: Mark, mark: Mark) -> bool {
        let mut changes = self.entries(key).filter(|(place, what)| *place < mark && before(what) != after(what));
        changes.next_back().is_some_and(|(place, what)| place >= from && matches!(what, Happened::Sent { .. }))
    }

    /// The values that the product has sent anything of from `from` to `to`.
    pub(super) fn touched(&self, from: Mark, to: Mark) -> BTreeSet<Key> {
        let entries = &self.object.journal()[from..to];
        let sent = entries.iter().filter_map(|entry| match &entry.what {
            Happened::Sent { property, .. } => Some((entry.id, property.clone())),
            _ => None,
        });
        sent.collect()
    }

    /// Everything from `from` to `to`.
    pub(super) fn journal(&self, from: Mark, to: Mark) -> &[Entry] {
        &self.object.journal()[from..to]
    }

    /// The last time before `mark` at which a batch that had the record was read.
    pub(super) fn last_read(&self, id: RecordId, mark: Mark) -> Option<Mark> {
        self.reads.get(&id)?.iter().rfind(|place| **place < mark).copied()
    }

    /// Whether there was such a record at `mark`.
    pub(super) fn existed(&self, id: RecordId, mark: Mark) -> bool {
        let places = self.existence.get(&id).map(Vec::as_slice).unwrap_or_default();
        let is_creation = |place: &usize| self.object.journal()[*place].what == Happened::Created;
        if let Some(place) = places.iter().rfind(|place| **place < mark) {
            return is_creation(place);
        }
        places.first().map_or_else(|| self.object.has(id), |place| !is_creation(place))
    }

    /// Whether there was such a record at any moment, or at every moment, from `from` to `to`.
    pub(super) fn existence(&self, id: RecordId, from: Mark, to: Mark) -> Existence {
        let places = self.existence.get(&id).map(Vec::as_slice).unwrap_or_default();
        if places.iter().any(|place| (from..to).contains(place)) {
            return Existence::AtTimes;
        }
        if self.existed(id, from) { Existence::Always } else { Existence::Never }
    }

    /// All records that ever were.
    pub(super) fn records(&self) -> BTreeSet<RecordId> {
        self.existence.keys().copied().chain(self.object.ids()).collect()
    }
}

/// Whether a record was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existence {
    /// From the beginning to the end.
    Always,
    /// For a part of the time.
    AtTimes,
    Never,
}

fn before(what: &Happened) -> &str {
    match what {
        Happened::Edited { before, .. } | Happened::Sent { before, .. } => before,
        _ => "",
    }
}

fn after(what: &Happened) -> &str {
    match what {
        Happened::Edited { after, .. } | Happened::Sent { after, .. } => after,
        _ => "",
    }
}
