//! The archive's CSV: RFC 4180, UTF-8 without a byte order mark, every line ended by CRLF, exact bytes.
//!
//! A value is quoted if it contains a comma, a quote, a CR or an LF, and not otherwise. Leading and trailing spaces are
//! part of a value (RFC 4180, section 2.4) and are written unchanged. Formulas are not defused: a value that begins
//! with `=` stays as it is. The CRM does not distinguish unset and empty values, and both are empty fields. No line is
//! empty, because the record id comes first.

use std::io::Write;
use std::ops::Range;

use domain::ids::RecordId;
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;
use memchr::memchr_iter;

const LINE_END: &[u8] = b"\r\n";

/// The bytes that make quotes necessary.
const SPECIAL: [u8; 4] = *b",\"\r\n";

/// The file's first line: [`RECORD_ID_COLUMN`], then `columns`.
pub fn header_row<'a>(columns: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut line = Vec::new();
    write_value(RECORD_ID_COLUMN.as_bytes(), &mut line);
    for column in columns {
        line.push(b',');
        write_value(column.as_bytes(), &mut line);
    }
    line.extend_from_slice(LINE_END);
    line
}

/// Appends the lines of `range` of `rows` to `out`: the record id, then the values in column order.
///
/// # Panics
/// If `range` reaches past the last row: a fault of the caller.
pub fn write_rows(rows: &RowBuffer, range: Range<usize>, out: &mut Vec<u8>) {
    for row in range {
        write_id(rows.ids()[row], out);
        // Most values are empty, so commas are written in runs.
        let mut commas = 0;
        for value in rows.values(row) {
            commas += 1;
            if !value.is_empty() {
                write_commas(commas, out);
                commas = 0;
                write_value(value, out);
            }
        }
        write_commas(commas, out);
        out.extend_from_slice(LINE_END);
    }
}

fn write_commas(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b',');
}

fn write_id(id: RecordId, out: &mut Vec<u8>) {
    write!(out, "{id}").expect("writing to memory does not fail");
}

/// Appends `value`, in quotes if necessary.
pub(crate) fn write_value(value: &[u8], out: &mut Vec<u8>) {
    if !needs_quotes(value) {
        out.extend_from_slice(value);
        return;
    }
    write_quoted(value, out);
}

/// Appends `value` in quotes.
pub(crate) fn write_quoted(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut written = 0;
    for quote in memchr_iter(b'"', value) {
        out.extend_from_slice(&value[written..=quote]);
        out.push(b'"');
        written = quote + 1;
    }
    out.extend_from_slice(&value[written..]);
    out.push(b'"');
}

/// Looks at eight bytes at once, because most of the time is spent here and most values are short.
fn needs_quotes(value: &[u8]) -> bool {
    let Some(tail) = value.last_chunk() else { return value.iter().any(|byte| SPECIAL.contains(byte)) };
    // The last eight bytes may overlap the eight before.
    let (words, _) = value.as_chunks();
    words.iter().fold(marks(*tail), |found, word| found | marks(*word)) != 0
}

/// Zero unless one of the bytes is [`SPECIAL`].
const fn marks(bytes: [u8; 8]) -> u64 {
    /// The highest bit of each byte that equals `special`, and perhaps of bytes above it.
    const fn mark(word: u64, special: u8) -> u64 {
        let zero_where_equal = word ^ (EACH_BYTE * special as u64);
        zero_where_equal.wrapping_sub(EACH_BYTE) & !zero_where_equal & (EACH_BYTE * 0x80)
    }
    /// Multiplying a number of one byte by this puts it into every byte.
    const EACH_BYTE: u64 = u64::MAX / 0xFF;
    let word = u64::from_le_bytes(bytes);
    let [a, b, c, d] = SPECIAL;
    mark(word, a) | mark(word, b) | mark(word, c) | mark(word, d)
}

#[cfg(test)]
mod tests {
    use domain::property::{Columns, Property, Sensitivity};
    use proptest::prelude::*;

    use super::*;

    fn one_row(id: u64, values: &[&str]) -> RowBuffer {
        let mut rows = RowBuffer::new(values.len());
        rows.begin_row(RecordId(id));
        for (column, value) in values.iter().enumerate() {
            rows.set(column, value);
        }
        rows
    }

    fn line(values: &[&str]) -> String {
        let mut out = Vec::new();
        write_rows(&one_row(7, values), 0..1, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_header_names_the_record_id_first() {
        assert_eq!(header_row(["email", "odd,name"].into_iter()), b"hs_object_id,email,\"odd,name\"\r\n");
        assert_eq!(header_row(std::iter::empty()), b"hs_object_id\r\n");
    }

    #[test]
    fn a_value_is_quoted_only_if_necessary() {
        assert_eq!(line(&["plain", " spaced ", "=1+1", "", "ü😀漢שלום"]), "7,plain, spaced ,=1+1,,ü😀漢שלום\r\n");
        assert_eq!(
            line(&["a,b", "say \"hi\"", "\"", "a\r\nb", "\r", "\n"]),
            "7,\"a,b\",\"say \"\"hi\"\"\",\"\"\"\",\"a\r\nb\",\"\r\",\"\n\"\r\n"
        );
    }

    #[test]
    fn a_special_character_is_found_in_every_place() {
        for special in [",", "\"", "\r", "\n"] {
            for (length, at) in (1..40).flat_map(|length| (0..length).map(move |at| (length, at))) {
                let mut value = "x".repeat(length);
                value.replace_range(at..=at, special);
                assert!(needs_quotes(value.as_bytes()), "{special:?} at {at} of {length}");
            }
        }
    }

    #[test]
    fn no_other_byte_makes_quotes_necessary() {
        for byte in (0..=u8::MAX).filter(|byte| !SPECIAL.contains(byte)) {
            for length in 0..20 {
                assert!(!needs_quotes(&vec![byte; length]), "{length} times {byte:#x}");
            }
        }
    }

    #[test]
    fn rows_outside_the_range_are_left_out() {
        let mut rows = RowBuffer::new(0);
        (1..=4).for_each(|id| rows.begin_row(RecordId(id)));
        let mut out = b"before\r\n".to_vec();
        write_rows(&rows, 1..3, &mut out);
        assert_eq!(out, b"before\r\n2\r\n3\r\n");
    }

    /// Texts with characters that matter to CSV, and any texts.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof!["[,\"\r\n a=ü😀]{0,80}", any::<String>(), Just(String::new())]
    }

    proptest! {
        #[test]
        fn a_csv_reader_gets_back_every_value(
            table in (1_usize..8).prop_flat_map(|columns| {
                prop::collection::vec((any::<u64>(), prop::collection::vec(value(), columns)), 1..20)
            }),
        ) {
            let mut rows = RowBuffer::new(table[0].1.len());
            for (id, values) in &table {
                rows.begin_row(RecordId(*id));
                for (column, value) in values.iter().enumerate() {
                    rows.set(column, value);
                }
            }
            let mut out = Vec::new();
            write_rows(&rows, 0..rows.len(), &mut out);

            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(out.as_slice());
            let read: Vec<_> = reader.records().collect::<Result<_, _>>().expect("well-formed CSV");
            prop_assert_eq!(read.len(), table.len());
            for (record, (id, values)) in read.iter().zip(&table) {
                prop_assert_eq!(&record[0], id.to_string());
                prop_assert!(record.iter().skip(1).eq(values.iter().map(String::as_str)));
            }
        }

        /// D9: progress reports include the first line's size before it is written.
        #[test]
        fn the_first_line_has_as_many_bytes_as_its_columns_say(names in prop::collection::vec(value(), 0..20)) {
            let property = |name: &String| Property {
                name: name.clone(),
                label: String::new(),
                kind: "string".to_owned(),
                sensitivity: Sensitivity::NonSensitive,
                calculated: false,
                read_only: false,
            };
            let columns = Columns { properties: names.iter().map(property).collect() };
            prop_assert_eq!(columns.header_bytes(), header_row(columns.names()).len() as u64);
        }

        #[test]
        fn a_csv_writer_writes_the_same_bytes(values in prop::collection::vec(value(), 1..20)) {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
            writer.write_record(std::iter::once(&"7").chain(&values)).expect("in memory");
            let theirs = String::from_utf8(writer.into_inner().expect("in memory")).expect("UTF-8");
            prop_assert_eq!(line(&values), theirs);
        }
    }
}
