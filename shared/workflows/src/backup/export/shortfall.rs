//! What of a page's records and values could not be read.

use std::ops::Range;

use domain::ids::RecordId;
use domain::object::{MOST_UNREADABLE, ReadMode};
use domain::ports::crm::PageEnd;
use domain::{Failure, FailureKind};

use super::reading::ChunkReading;
use crate::run::StepError;

impl ChunkReading<'_> {
    /// Notes which records of the range could not be read, and how many values of the page were no valid Unicode.
    pub(super) fn note_unreadable(&mut self, after: RecordId, upper: Option<RecordId>, end: &PageEnd) {
        let is_inside = |id: &RecordId| {
            let is_in_range = *id > after && upper.is_none_or(|upper| *id <= upper);
            self.subject.object.mode == ReadMode::Sequential || is_in_range
        };
        self.shortfall.unreadable.extend(end.unreadable.iter().copied().filter(is_inside));
        self.shortfall.mended_values += end.mended_values;
    }

    /// Notes which values of rows that are kept were not shown.
    pub(super) fn note_hidden_values(&mut self, rows: &Range<usize>) {
        if self.rows.is_complete() {
            return;
        }
        for row in rows.clone() {
            for column in self.rows.not_shown(row) {
                if let Some(property) = self.properties.get(column) {
                    *self.shortfall.hidden_values.entry((*property).to_owned()).or_default() += 1;
                }
            }
        }
    }

    /// So many records that cannot be read are no matter of single records any more.
    pub(super) fn check_unreadable(&self) -> Result<(), StepError> {
        let unreadable = self.subject.object.unreadable.len() + self.shortfall.unreadable.len();
        if unreadable <= MOST_UNREADABLE {
            return Ok(());
        }
        let label = &self.subject.object.definition.label;
        Err(StepError::Fatal(Failure::new(
            FailureKind::CrmRecordsUnreadable,
            format!(
                "The CRM could not give more than {MOST_UNREADABLE} {label} records; tell its support, and make a new \
                 backup when they can be opened there."
            ),
        )))
    }
}
