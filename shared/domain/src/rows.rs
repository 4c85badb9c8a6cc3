//! A page of records between the CRM client, which fills it straight from the response's bytes, and the CSV writer,
//! which reads it once. One buffer is reused for all pages of a run, so a page costs no allocation per value.

use crate::ids::RecordId;

/// Rows of equally many columns, values packed one behind the other.
#[derive(Debug, Clone, Default)]
pub struct RowBuffer {
    columns: usize,
    ids: Vec<RecordId>,
    /// Start and end in `bytes`, row after row; an unset value is `(0, 0)`.
    spans: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

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

    /// Starts a row whose values are all unset.
    pub fn begin_row(&mut self, id: RecordId) {
        self.ids.push(id);
        self.spans.resize(self.spans.len() + self.columns, (0, 0));
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
        let row = self.ids.len().checked_sub(1).expect("a row was begun");
        self.spans[row * self.columns + column] = (span(start), span(self.bytes.len()));
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

    /// One value of row `row`; empty where it is unset. Text, since every value came in as one.
    pub fn value(&self, row: usize, column: usize) -> &str {
        let (start, end) = self.spans[row * self.columns + column];
        std::str::from_utf8(&self.bytes[start as usize..end as usize]).unwrap_or_default()
    }

    /// The values of row `row` in column order; unset values are empty. UTF-8, since every value came in as a `str`.
    pub fn values(&self, row: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        self.spans[row * self.columns..(row + 1) * self.columns]
            .iter()
            .map(|&(start, end)| &self.bytes[start as usize..end as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_by_column_and_unset_ones_are_empty() {
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
