//! Counts a page's unreadable records and values.

use std::ops::Range;

use domain::ids::RecordId;
use domain::object::MOST_UNREADABLE;
use domain::ports::crm::PageEnd;
use domain::ports::crm_model::ReadMode;
use domain::{Failure, FailureKind};

use super::reading::ChunkReading;
use crate::run::StepError;

impl ChunkReading<'_> {
    /// Records which records of the range were unreadable, and how many values of the page were invalid Unicode.
    pub(super) fn note_unreadable(&mut self, after: RecordId, upper: Option<RecordId>, end: &PageEnd) {
        let is_inside = |id: &RecordId| {
            let is_in_range = *id > after && upper.is_none_or(|upper| *id <= upper);
            self.subject.object.mode == ReadMode::Sequential || is_in_range
        };
        self.shortfall.unreadable.extend(end.unreadable.iter().copied().filter(is_inside));
        self.shortfall.mended_values += end.mended_values;
    }

    /// Records which values of the kept rows the CRM did not return.
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

    /// Above this number, unreadable records are a failure of the backup, no longer of single records.
    pub(super) fn check_unreadable(&self) -> Result<(), StepError> {
        let unreadable = self.subject.object.unreadable.len() + self.shortfall.unreadable.len();
        if unreadable <= MOST_UNREADABLE {
            return Ok(());
        }
        let label = &self.subject.object.definition.label;
        Err(StepError::Fatal(Failure::new(
            FailureKind::CrmRecordsUnreadable,
            format!(
                "More than {MOST_UNREADABLE} {label} records could not be read. Tell the CRM's support. Make a new \
                 backup when these records can be opened in the CRM."
            ),
        )))
    }
}
