//! Reads rows of one CSV of an archive from the bytes of [`crate::reader::SliceReader`]: the record id and the wanted
//! columns.

use std::collections::HashMap;

use csv_core::{ReadFieldResult, Reader};
use domain::ids::RecordId;

/// No value of a backup is longer. A longer one is treated as damage.
const LONGEST_VALUE: usize = 256 * 1024 * 1024;

/// The wanted columns of a row.
#[derive(Clone, PartialEq, Eq)]
pub struct ArchivedRow {
    pub id: RecordId,
    /// Its values, in the order of the wanted columns. Empty is null.
    pub values: Vec<String>,
}

/// The bytes are not a row of the described file. A retry does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of the backup's file is damaged")]
pub struct DamagedRow;

/// Reads rows from the bytes of a CSV, which may come in pieces of any size and begin with any row but the header.
pub struct RowReader {
    csv: Reader,
    /// Columns in the file, including the record id.
    columns: usize,
    /// The place of a column's value in the result.
    wanted: HashMap<usize, usize>,
    /// How many rows are skipped.
    skip: u64,
    /// The value that is being read.
    value: Vec<u8>,
    length: usize,
    /// The column that is being read.
    column: usize,
    /// Whether only line ends have followed the last row.
    is_between: bool,
    row: ArchivedRow,
}

impl RowReader {
    /// A reader of a file of `columns` columns, the record id included, that wants those at `wanted` (each once, the
    /// record id's is 0) and none of the first `skip` rows.
    pub fn new(columns: usize, wanted: &[usize], skip: u64) -> Self {
        let mut csv = Reader::new();
        // A reader passes over a byte-order mark, if its bytes come all at once. Behind an empty line it does not.
        csv.read_field(b"\n", &mut [0]);
        Self {
            csv,
            columns,
            wanted: wanted.iter().enumerate().map(|(place, &column)| (column, place)).collect(),
            skip,
            value: vec![0; 4 * 1024],
            length: 0,
            column: 0,
            is_between: true,
            row: ArchivedRow { id: RecordId(0), values: vec![String::new(); wanted.len()] },
        }
    }

    /// Reads the next bytes and appends the rows that they complete to `rows`.
    ///
    /// # Errors
    /// [`DamagedRow`].
    pub fn read(&mut self, mut plain: &[u8], rows: &mut Vec<ArchivedRow>) -> Result<(), DamagedRow> {
        // An empty input would mean the end of the file.
        while !plain.is_empty() {
            let room = self.value.get_mut(self.length..).ok_or(DamagedRow)?;
            let (result, taken, written) = self.csv.read_field(plain, room);
            let (read, rest) = plain.split_at_checked(taken).ok_or(DamagedRow)?;
            plain = rest;
            self.is_between &= read.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            self.length += written;
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::End => {}
                ReadFieldResult::OutputFull if self.value.len() < LONGEST_VALUE => {
                    self.value.resize(self.value.len() * 2, 0);
                }
                ReadFieldResult::OutputFull => return Err(DamagedRow),
                ReadFieldResult::Field { record_end } => {
                    self.end_value()?;
                    if record_end {
                        self.is_between = true;
                        self.end_row(rows)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks that the bytes so far end with a whole row, as every part does.
    ///
    /// # Errors
    /// [`DamagedRow`].
    pub fn check_row_ended(&self) -> Result<(), DamagedRow> {
        if self.is_between { Ok(()) } else { Err(DamagedRow) }
    }

    fn end_value(&mut self) -> Result<(), DamagedRow> {
        let wanted = self.wanted.get(&self.column).copied();
        if self.skip == 0 && (self.column == 0 || wanted.is_some()) {
            let bytes = self.value.get(..self.length).unwrap_or_default();
            let text = std::str::from_utf8(bytes).map_err(|_| DamagedRow)?;
            if self.column == 0 {
                self.row.id = RecordId::parse(text).map_err(|_| DamagedRow)?;
            }
            if let Some(value) = wanted.and_then(|place| self.row.values.get_mut(place)) {
                text.clone_into(value);
            }
        }
        self.length = 0;
        self.column += 1;
        Ok(())
    }

    fn end_row(&mut self, rows: &mut Vec<ArchivedRow>) -> Result<(), DamagedRow> {
        if std::mem::take(&mut self.column) != self.columns {
            return Err(DamagedRow);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        let next = ArchivedRow { id: RecordId(0), values: vec![String::new(); self.row.values.len()] };
        rows.push(std::mem::replace(&mut self.row, next));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::rows::RowBuffer;
    use proptest::prelude::*;

    use super::*;
    use crate::csv;

    fn read(plain: &[u8], piece: usize, reader: RowReader) -> Result<Vec<ArchivedRow>, DamagedRow> {
        let (mut reader, mut rows) = (reader, Vec::new());
        for piece in plain.chunks(piece) {
            reader.read(piece, &mut rows)?;
        }
        reader.check_row_ended()?;
        Ok(rows)
    }

    proptest! {
        /// The wanted columns come back, for any values and any pieces.
        #[test]
        fn wanted_columns_come_back(
            table in (1_usize..6).prop_flat_map(|columns| {
                prop::collection::vec((any::<u64>(), prop::collection::vec("[,\"\r\n a=ü😀]{0,30}", columns)), 1..20)
            }),
            piece in 1_usize..40,
            skip in 0_usize..5,
        ) {
            let columns = table[0].1.len();
            let mut buffer = RowBuffer::new(columns);
            for (id, values) in &table {
                buffer.begin_row(RecordId(*id));
                for (column, value) in values.iter().enumerate() {
                    buffer.set(column, value);
                }
            }
            let mut plain = Vec::new();
            csv::write_rows(&buffer, 0..buffer.len(), &mut plain);

            let wanted = [columns, 1];
            let wanted = if columns == 1 { &wanted[..1] } else { &wanted[..] };
            let rows = read(&plain, piece, RowReader::new(columns + 1, wanted, skip as u64)).expect("well-formed");

            let expected = table.iter().skip(skip);
            prop_assert_eq!(rows.len(), table.len().saturating_sub(skip));
            for (row, (id, values)) in rows.iter().zip(expected) {
                prop_assert_eq!(row.id, RecordId(*id));
                prop_assert!(wanted.iter().map(|&column| &values[column - 1]).eq(&row.values));
            }
        }
    }

    #[test]
    fn bytes_that_are_not_rows_of_the_file_are_damage() {
        let cases: [&[u8]; 8] = [
            b"\xef\xbb\xbf7,a,b\r\n",
            b"7,a\r\n",
            b"7,a,b,c\r\n",
            b"x,a,b\r\n",
            b"7,\xff,b\r\n",
            b"7,a",
            b"7,a,b\r\n\"",
            b"7,a,b\r\n\r\n7",
        ];
        for plain in cases {
            assert_eq!(read(plain, 3, RowReader::new(3, &[1], 0)).err(), Some(DamagedRow), "{plain:?}");
        }
    }

    #[test]
    fn a_long_value_is_read_whole() {
        let long = "x".repeat(100_000);
        let rows = read(format!("7,{long}\r\n8,\r\n").as_bytes(), 1_000, RowReader::new(2, &[1], 0)).expect("two rows");
        assert_eq!(rows.iter().map(|row| row.values[0].len()).collect::<Vec<_>>(), [100_000, 0]);
    }
}
