//! A page of records between the CRM client, which fills it straight from the response's bytes, and the CSV writer,
//! which reads it once. One buffer is reused for all pages of a run, so a page costs no allocation per value.
//!
//! A cell is in one of three states: it has a value, the CRM has shown that there is none, or the CRM has not shown it.
//! The last must never be taken for the second: what is not known is not empty.

use crate::ids::RecordId;

/// Rows of equally many columns, values packed one behind the other.
#[derive(Debug, Clone, Default)]
pub struct RowBuffer {
    columns: usize,
    ids: Vec<RecordId>,
    /// Start and end in `bytes`, row after row; or [`NONE`], or [`NOT_SHOWN`].
    spans: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

/// The CRM has shown that there is no value.
const NONE: (u32, u32) = (0, 0);
/// The CRM has not shown the property at all.
const NOT_SHOWN: (u32, u32) = (u32::MAX, u32::MAX);

impl RowBuffer {
    /// An empty buffer for rows of `columns` values (the record id is not counted).
    pub fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Forgets all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.spans.clear();
        self.bytes.clear();
    }

    /// Starts a row of which nothing is known yet.
    pub fn begin_row(&mut self, id: RecordId) {
        self.ids.push(id);
        self.spans.resize(self.spans.len() + self.columns, NOT_SHOWN);
    }

    /// Sets `column` of the row begun last. A second call for the same column wins.
    ///
    /// # Panics
    /// When no row was begun, when `column` is not below [`RowBuffer::columns`], or when a page exceeds 4 GiB of
    /// values: faults of the caller.
    pub fn set(&mut self, column: usize, value: &str) {
        assert!(column < self.columns, "column out of range");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value.as_bytes());
        let span = |at: usize| u32::try_from(at).expect("a page holds less than 4 GiB of values");
        *self.cell(column) = (span(start), span(self.bytes.len()));
    }

    /// Notes that the row begun last has no value in `column`.
    ///
    /// # Panics
    /// As [`RowBuffer::set`].
    pub fn set_none(&mut self, column: usize) {
        assert!(column < self.columns, "column out of range");
        *self.cell(column) = NONE;
    }

    /// Notes that the row begun last has no value in any column that was not set: for answers that leave out what is
    /// empty.
    pub fn rest_is_none(&mut self) {
        let first = self.ids.len().saturating_sub(1) * self.columns;
        self.spans[first..].iter_mut().filter(|span| **span == NOT_SHOWN).for_each(|span| *span = NONE);
    }

    /// Sets `column` of row `row`, where its value was shown later than the row.
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

    /// Sets the id of the row begun last, where the id comes after the values.
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

    /// Number of values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids of all rows, in order of arrival.
    pub fn ids(&self) -> &[RecordId] {
        &self.ids
    }

    /// One value of row `row`; empty where there is none or it was not shown. Text, since every value came in as one.
    pub fn value(&self, row: usize, column: usize) -> &str {
        std::str::from_utf8(self.bytes_of(self.spans[row * self.columns + column])).unwrap_or_default()
    }

    /// Whether the CRM has shown the value of row `row` in `column`, or that there is none.
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

    /// The values of row `row` in column order, empty where there is none or it was not shown. UTF-8, since every value
    /// came in as a `str`.
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
