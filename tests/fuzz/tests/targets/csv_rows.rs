//! Rows of a backup's CSV: any bytes in pieces of any size are read safely, and written rows are read back.

use archive::csv;
use archive::manifest::Part;
use archive::reader::inflate_slice;
use archive::rows::{ArchivedRow, DamagedRow, RowReader};
use archive::segment::SegmentWriter;
use domain::ids::RecordId;
use domain::rows::RowBuffer;
use fuzz::{Form, Target};

use crate::strict_csv;

const COLUMNS: usize = 3;
/// The second column is not wanted.
const WANTED: [usize; 2] = [2, 0];

#[test]
fn fuzz_csv_rows() {
    let words = ["\r\n", ",", "\"\"", "\",\"", "\"\r\n", "18446744073709551615", "\u{feff}", "ü", "\0"];
    Target::new("csv_rows", Form::Bytes, &words).fuzz(|input| {
        let whole = read(input, input.len().max(1), 0);
        for piece in [1, 7] {
            assert!(read(input, piece, 0) == whole, "pieces of {piece} bytes are read otherwise than all at once");
        }
        if let Ok(rows) = &whole {
            assert!(
                input.is_empty() || input.ends_with(b"\n") || input.ends_with(b"\r"),
                "half a row was taken for one"
            );
            let skipped = read(input, 5, 1);
            assert!(skipped.is_ok_and(|left| left[..] == rows[rows.len().min(1)..]), "the first row is not the first");
        }
        if let Some(lines) = strict_csv::read(input) {
            let expected = expected(&lines);
            assert!(
                expected.is_none() || whole.as_ref().ok() == expected.as_ref(),
                "rows are not those that were written"
            );
        }
        written_is_read(input);
        whole.map_or(usize::MAX, |rows| rows.len().min(32))
    });
}

fn read(plain: &[u8], piece: usize, skip: u64) -> Result<Vec<ArchivedRow>, DamagedRow> {
    let (mut reader, mut rows) = (RowReader::new(COLUMNS, &WANTED, skip), Vec::new());
    for piece in plain.chunks(piece) {
        reader.read(piece, &mut rows)?;
    }
    reader.check_row_ended()?;
    Ok(rows)
}

/// The rows of a file whose lines all have as many cells as there are columns, with a number in the first. None if the
/// reader may refuse the file.
fn expected(lines: &[Vec<Vec<u8>>]) -> Option<Vec<ArchivedRow>> {
    let row = |line: &Vec<Vec<u8>>| {
        let [id, _, last] = line.as_slice() else { return None };
        let (id, last) = (std::str::from_utf8(id).ok()?, std::str::from_utf8(last).ok()?);
        let values = vec![last.to_owned(), id.to_owned()];
        id.bytes().all(|byte| byte.is_ascii_digit()).then_some(ArchivedRow { id: RecordId(id.parse().ok()?), values })
    };
    lines.iter().map(row).collect()
}

/// Values written as a segment are read back from it.
fn written_is_read(input: &[u8]) {
    let text = String::from_utf8_lossy(&input[..input.len().min(4_096)]);
    let values: Vec<&str> = text.split('|').collect();
    let mut page = RowBuffer::new(COLUMNS - 1);
    for (id, values) in (1..).zip(values.chunks(COLUMNS - 1)) {
        page.begin_row(RecordId(id));
        values.iter().enumerate().for_each(|(column, value)| page.set(column, value));
    }
    let mut writer = SegmentWriter::new();
    writer.write_rows(&page, 0..page.len());
    let (packed, summary) = writer.finish();
    let part = Part {
        offset: 0,
        length: summary.plain_bytes,
        rows: summary.rows,
        first_id: None,
        last_id: None,
        crc32: summary.crc32,
        sha256: summary.sha256,
        place: None,
    };
    let plain = inflate_slice(&packed, &part).expect("a segment is a sound slice");
    let mut written = Vec::new();
    csv::write_rows(&page, 0..page.len(), &mut written);
    assert!(plain == written, "a segment holds other bytes than were written");
    let lines = strict_csv::read(&plain).expect("what is written is CSV by the RFC");
    let rows = read(&plain, 11, 0).expect("what is written can be read");
    assert_eq!((lines.len(), rows.len()), (page.len(), page.len()), "rows");
    for (place, (line, row)) in lines.iter().zip(&rows).enumerate() {
        assert_eq!(row.id, page.ids()[place], "an id");
        assert_eq!(row.values[0], page.value(place, 1), "a value");
        assert_eq!(line[1], page.value(place, 0).as_bytes(), "a value by the RFC");
    }
}
