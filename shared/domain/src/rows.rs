//! A page of records. The CRM client fills it from the response's bytes, and the CSV writer reads it once. A run uses
//! one buffer for all pages, so a page costs no allocation per value.
//!
//! A cell has a value, or the CRM has shown that there is none, or the CRM has not shown it. The last two must never be
//! confused: an unknown value is not empty.

use crate::ids::RecordId;

/// Rows with the same number of columns. Their values follow each other in one block of bytes.
#[derive(Debug, Clone, Default)]
pub struct RowBuffer {
    columns: usize,
    ids: Vec<RecordId>,
    /// Start and end in `bytes`, row by row, or [`NONE`], or [`NOT_SHOWN`].
    spans: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

/// Memory for values that a buffer keeps from one page to the next. A page of a hundred usual records needs less.
const KEPT: usize = 1 << 20;
/// The CRM has shown that there is no value.
const NONE: (u32, u32) = (0, 0);
/// The CRM has not shown the property at all.
const NOT_SHOWN: (u32, u32) = (u32::MAX, u32::MAX);

impl RowBuffer {
    /// An empty buffer for rows of `columns` values, without the record id.
    pub fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Removes all rows, and keeps the memory of a usual page.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.spans.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }

    /// Starts a row. None of its values are shown yet.
    pub fn begin_row(&mut self, id: RecordId) {
        self.ids.push(id);
        self.spans.resize(self.spans.len() + self.columns, NOT_SHOWN);
    }

    /// Sets `column` of the latest row. A second call for the same column wins.
    ///
    /// # Panics
    /// If no row was begun, if `column` is not below [`RowBuffer::columns`], or if a page exceeds 4 GiB of values:
    /// faults of the caller.
    pub fn set(&mut self, column: usize, value: &str) {
        assert!(column < self.columns, "column out of range");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value.as_bytes());
        let span = |at: usize| u32::try_from(at).expect("a page holds less than 4 GiB of values");
        *self.cell(column) = (span(start), span(self.bytes.len()));
    }

    /// Records that the latest row has no value in `column`.
    ///
    /// # Panics
    /// As [`RowBuffer::set`].
    pub fn set_none(&mut self, column: usize) {
        assert!(column < self.columns, "column out of range");
        *self.cell(column) = NONE;
    }

    /// Records that the latest row has no value in the columns that were not set, for answers that omit empty values.
    pub fn rest_is_none(&mut self) {
        let first = self.ids.len().saturating_sub(1) * self.columns;
        self.spans[first..].iter_mut().filter(|span| **span == NOT_SHOWN).for_each(|span| *span = NONE);
    }

    /// Sets `column` of row `row`, if its value was shown later than the row.
    ///
    /// # Panics
    /// When there is no such cell, or as [`RowBuffer::set`].
    pub fn fill(&mut self, row: usize, column: usize, value: &str) {
        assert!(row < self.ids.len() && column < self.columns, "cell out of range");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value.as_bytes());
        let span = |at: usize| u32::try_from(at).expect("a page holds less than 4 GiB of values");
        self.spans[row * self.columns + column] = (span(start), span(self.bytes.len()));
    }

    fn cell(&mut self, column: usize) -> &mut (u32, u32) {
        let row = self.ids.len().checked_sub(1).expect("a row was begun");
        &mut self.spans[row * self.columns + column]
    }

    /// Sets the id of the latest row, if the id comes after the values.
    ///
    /// # Panics
    /// When no row was begun.
    pub fn set_id(&mut self, id: RecordId) {
        *self.ids.last_mut().expect("a row was begun") = id;
    }

    /// Keeps the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        self.ids.truncate(rows);
        self.spans.truncate(rows * self.columns);
    }

    /// The number of values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids of all rows, in their order of arrival.
    pub fn ids(&self) -> &[RecordId] {
        &self.ids
    }

    /// A value of row `row`. Empty if there is none or it was not shown.
    pub fn value(&self, row: usize, column: usize) -> &str {
        std::str::from_utf8(self.bytes_of(self.spans[row * self.columns + column])).unwrap_or_default()
    }

    /// Whether the CRM has shown `column` of row `row`, with a value or without.
    pub fn is_shown(&self, row: usize, column: usize) -> bool {
        self.spans[row * self.columns + column] != NOT_SHOWN
    }

    /// The columns of row `row` that the CRM has not shown.
    pub fn not_shown(&self, row: usize) -> impl Iterator<Item = usize> {
        let spans = self.spans[row * self.columns..(row + 1) * self.columns].iter().enumerate();
        spans.filter(|(_, span)| **span == NOT_SHOWN).map(|(column, _)| column)
    }

    /// Whether the CRM has shown every value of every row.
    pub fn is_complete(&self) -> bool {
        !self.spans.contains(&NOT_SHOWN)
    }

    /// The values of row `row` as UTF-8, in column order. Empty if there is none or it was not shown.
    pub fn values(&self, row: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        self.spans[row * self.columns..(row + 1) * self.columns].iter().map(|&span| self.bytes_of(span))
    }

    fn bytes_of(&self, span: (u32, u32)) -> &[u8] {
        if span == NOT_SHOWN { &[] } else { &self.bytes[span.0 as usize..span.1 as usize] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_a_value_or_none_or_was_not_shown() {
        let mut rows = RowBuffer::new(3);
        rows.begin_row(RecordId(7));
        rows.set(0, "ä");
        rows.set_none(1);
        rows.begin_row(RecordId(8));
        rows.set(1, "");
        rows.rest_is_none();
        assert_eq!((0..3).map(|column| rows.is_shown(0, column)).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(rows.not_shown(0).collect::<Vec<_>>(), [2]);
        assert_eq!(rows.not_shown(1).count(), 0);
        assert!(!rows.is_complete());
        assert_eq!((rows.value(0, 1), rows.value(0, 2)), ("", ""));
        rows.fill(0, 2, "late");
        assert!(rows.is_complete());
        assert_eq!((rows.value(0, 0), rows.value(0, 2), rows.value(1, 1)), ("ä", "late", ""));
        rows.clear();
        rows.begin_row(RecordId(9));
        rows.rest_is_none();
        assert!(rows.is_complete());
    }

    #[test]
    fn values_come_back_by_column_and_others_are_empty() {
        let mut rows = RowBuffer::new(3);
        rows.begin_row(RecordId(7));
        rows.set(2, "c");
        rows.set(0, "ä");
        rows.begin_row(RecordId(9));
        rows.set(1, "x");
        rows.set(1, "y");
        assert_eq!(rows.values(0).collect::<Vec<_>>(), ["ä".as_bytes(), b"", b"c"]);
        assert_eq!(rows.values(1).collect::<Vec<_>>(), [&b""[..], b"y", b""]);
        assert_eq!((rows.value(0, 0), rows.value(0, 1), rows.value(1, 1)), ("ä", "", "y"));
        rows.truncate(1);
        assert_eq!(rows.ids(), [RecordId(7)]);
        rows.clear();
        assert!(rows.is_empty());
    }
}
