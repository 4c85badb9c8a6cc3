//! The order of the rows of a page, and repeated records in it.

use std::collections::{HashMap, HashSet};

use domain::ids::RecordId;
use domain::rows::RowBuffer;

/// Keeps the first row of each record.
pub(crate) fn drop_repeated(rows: &mut RowBuffer) {
    if rows.ids().is_sorted_by(|a, b| a < b) {
        return;
    }
    let mut seen = HashSet::with_capacity(rows.len());
    let once: Vec<RecordId> = rows.ids().iter().copied().filter(|id| seen.insert(*id)).collect();
    arrange(rows, &once);
}

/// Puts `rows` into the order of `listed`, since batch reads have no order. A record that was not listed (the survivor
/// of a merge) is dropped.
pub(crate) fn arrange(rows: &mut RowBuffer, listed: &[RecordId]) {
    if rows.ids() == listed {
        return;
    }
    let mut places = HashMap::with_capacity(rows.len());
    for (row, id) in rows.ids().iter().enumerate() {
        places.entry(*id).or_insert(row);
    }
    let mut arranged = RowBuffer::new(rows.columns());
    for (id, &row) in listed.iter().filter_map(|id| places.get_key_value(id)) {
        copy_row(&mut arranged, rows, row, *id);
    }
    *rows = arranged;
}

/// Adds the rows of `more` whose ids `rows` does not have.
pub(crate) fn append_new(rows: &mut RowBuffer, more: &RowBuffer) {
    for (row, id) in more.ids().iter().enumerate() {
        if !rows.ids().contains(id) {
            copy_row(rows, more, row, *id);
        }
    }
}

/// Adds row `row` of `from` to `rows`. Values that are not shown there stay not shown.
fn copy_row(rows: &mut RowBuffer, from: &RowBuffer, row: usize, id: RecordId) {
    rows.begin_row(id);
    for column in (0..rows.columns()).filter(|&column| from.is_shown(row, column)) {
        rows.set(column, from.value(row, column));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(records: &[(u64, &str)]) -> RowBuffer {
        let mut rows = RowBuffer::new(1);
        for (id, value) in records {
            rows.begin_row(RecordId(*id));
            rows.set(0, value);
        }
        rows
    }

    /// A9: a list can show a record twice on a page.
    #[test]
    fn a_repeated_record_becomes_one_row() {
        let mut read = rows(&[(9, "i"), (4, "d"), (9, "again"), (5, "e")]);
        drop_repeated(&mut read);
        assert_eq!(read.ids(), [9, 4, 5].map(RecordId));
        assert_eq!(read.value(0, 0), "i");
    }

    #[test]
    fn records_read_by_id_are_put_in_the_order_of_the_list() {
        let mut read = rows(&[(9, "i"), (4, "d"), (77, "survivor of a merge"), (2, "b"), (2, "again")]);
        arrange(&mut read, &[2, 3, 4, 9].map(RecordId));
        assert_eq!(read.ids(), [2, 4, 9].map(RecordId));
        let values: Vec<_> = (0..3).flat_map(|row| read.values(row)).collect();
        assert_eq!(values, [b"b", b"d", b"i"]);
    }
}
