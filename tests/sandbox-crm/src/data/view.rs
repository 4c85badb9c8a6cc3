//! A record as it is now.

use super::base::Base;
use super::clock::write_time;
use super::digits::write_number;
use super::overlay::{Entry, Presence};
use crate::property::{Property, Source};

/// A record as it is now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) id: u64,
    pub(super) base: &'a Base,
    /// The index that unwritten values are computed from.
    pub(super) template: Option<u64>,
    pub(super) entry: Option<&'a Entry>,
}

impl RecordView<'_> {
    /// Milliseconds since 1970.
    pub(crate) fn created_at(&self) -> i64 {
        match (self.entry, self.template) {
            (Some(entry), _) => entry.created_at,
            (None, Some(index)) => self.base.created_at(index),
            (None, None) => 0,
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn updated_at(&self) -> i64 {
        match (self.entry, self.template) {
            (Some(entry), _) => entry.updated_at,
            (None, Some(index)) => self.base.updated_at(index),
            (None, None) => 0,
        }
    }

    /// Whether a search finds it when its index knows what was created and archived up to `known_until`
    /// (milliseconds since 1970).
    pub(crate) fn is_indexed(&self, known_until: i64) -> bool {
        self.entry.is_none_or(|entry| entry.is_indexed(known_until))
    }

    pub(crate) fn presence(&self) -> Presence {
        self.entry.map_or(Presence::Live, |entry| entry.presence)
    }

    /// Appends the value of `property`, unless it is unset.
    pub(crate) fn write_value(&self, property: &Property, out: &mut String) -> bool {
        if let Some(written) = self.entry.and_then(|entry| entry.values.get(property.name.as_str())) {
            out.push_str(written.as_deref().unwrap_or_default());
            return written.is_some();
        }
        match property.source {
            Source::RecordId => {
                write_number(self.id, out);
                true
            }
            Source::CreatedAt => {
                write_time(self.created_at(), out);
                true
            }
            Source::UpdatedAt => {
                write_time(self.updated_at(), out);
                true
            }
            Source::CreatedColumn(column) => self.write_time_column(column, Base::created_at, self.created_at(), out),
            Source::UpdatedColumn(column) => self.write_time_column(column, Base::updated_at, self.updated_at(), out),
            _ => self.template.is_some_and(|index| self.base.write_value(index, property, out)),
        }
    }

    /// Appends a time as it stands in the loaded file, or, where it has changed since, as it is now.
    fn write_time_column(&self, column: usize, loaded: fn(&Base, u64) -> i64, time: i64, out: &mut String) -> bool {
        let untouched = self.template.filter(|index| *index < self.base.len() && loaded(self.base, *index) == time);
        if let Some(cell) = untouched.map(|index| self.base.loaded_cell(index, column)) {
            out.push_str(cell.unwrap_or_default());
            cell.is_some()
        } else {
            write_time(time, out);
            true
        }
    }

    /// The value of `property`.
    pub(crate) fn value(&self, property: &Property) -> Option<String> {
        let mut text = String::new();
        self.write_value(property, &mut text).then_some(text)
    }
}

/// Base records and written ones in one order: a written record takes the place of the base's.
pub(super) fn in_order<'a>(
    base: &'a Base,
    indexes: impl Iterator<Item = u64>,
    written: impl Iterator<Item = (&'a u64, &'a Entry)>,
    comes_before: fn(&u64, &u64) -> bool,
) -> impl Iterator<Item = RecordView<'a>> {
    let mut indexes = indexes.map(|index| (index, base.id_at(index))).peekable();
    let mut written = written.peekable();
    let untouched = |(index, id)| RecordView { id, base, template: Some(index), entry: None };
    std::iter::from_fn(move || {
        let Some((id, entry)) = written.peek().copied() else { return indexes.next().map(untouched) };
        if let Some(earlier) = indexes.next_if(|(_, of_base)| comes_before(of_base, id)) {
            return Some(untouched(earlier));
        }
        written.next();
        indexes.next_if(|(_, of_base)| of_base == id);
        Some(RecordView { id: *id, base, template: entry.template, entry: Some(entry) })
    })
}
