//! The records that were there before anything was written.

use super::layout::Layout;
use super::loaded::LoadedRecords;
use super::random::mix;
use super::values::{Subject, write_value};
use crate::property::{Property, Source};

/// Where records come from.
#[derive(Debug)]
pub(crate) enum Base {
    /// Computed from a seed.
    Generated {
        /// The object's own seed.
        seed: u64,
        layout: Layout,
    },
    /// Read from a file.
    Loaded(LoadedRecords),
}

impl Base {
    /// How many records there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Generated { layout, .. } => layout.len(),
            Self::Loaded(records) => records.len(),
        }
    }

    /// The id of record `index`; ascends with the index.
    pub(crate) fn id_at(&self, index: u64) -> u64 {
        match self {
            Self::Generated { layout, .. } => layout.id_at(index),
            Self::Loaded(records) => records.get(index).id,
        }
    }

    /// The index of the first record with an id greater than `id`.
    pub(crate) fn first_after(&self, id: u64) -> u64 {
        match self {
            Self::Generated { layout, .. } => layout.first_after(id),
            Self::Loaded(records) => records.first_after(id),
        }
    }

    /// The index of the record `id`.
    pub(crate) fn index_of(&self, id: u64) -> Option<u64> {
        let index = self.first_after(id.checked_sub(1)?);
        (index < self.len() && self.id_at(index) == id).then_some(index)
    }

    /// Milliseconds since 1970.
    pub(crate) fn created_at(&self, index: u64) -> i64 {
        match self {
            Self::Generated { layout, .. } => layout.created_at(index),
            Self::Loaded(records) => records.get(index).created_at,
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn updated_at(&self, index: u64) -> i64 {
        match self {
            Self::Generated { layout, .. } => layout.updated_at(index),
            Self::Loaded(records) => records.get(index).updated_at,
        }
    }

    /// The index of the first record created at or after `millis`, where creation times ascend with the index.
    pub(crate) fn first_created_since(&self, millis: i64) -> Option<u64> {
        match self {
            Self::Generated { layout, .. } => Some(layout.first_created_since(millis)),
            Self::Loaded(_) => None,
        }
    }

    /// A cell of record `index` of a loaded file.
    pub(crate) fn loaded_cell(&self, index: u64, column: usize) -> Option<&str> {
        match self {
            Self::Generated { .. } => None,
            Self::Loaded(records) => records.cell(index, column),
        }
    }

    /// Appends what `property` holds in record `index`, unless it is unset. `index` may lie beyond the records that
    /// there are: such values are for records created later.
    pub(crate) fn write_value(&self, index: u64, property: &Property, out: &mut String) -> bool {
        match (self, property.source) {
            (Self::Generated { seed, .. }, Source::Generated(meaning, fill)) => {
                if mix(*seed ^ property.salt, index) % 1_000 >= u64::from(fill) {
                    return false;
                }
                write_value(meaning, property, Subject { seed: *seed, index }, out);
                true
            }
            (Self::Loaded(records), Source::Column(column)) => {
                let cell = records.cell(index, column);
                out.push_str(cell.unwrap_or_default());
                cell.is_some()
            }
            _ => false,
        }
    }
}
