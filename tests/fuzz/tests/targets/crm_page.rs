//! Pages of records: the same ids and values as `serde_json` finds, no value empty unless the document says so, and no
//! nesting that overflows the stack.

use domain::ids::RecordId;
use domain::rows::RowBuffer;
use fuzz::{Form, Target};
use hubspot::{Malformed, Shape, read_page};
use serde_json::Value;

use fuzz::document::{Document, depth};

/// Not sorted by name, and with names of members that have another meaning elsewhere in a page.
const COLUMNS: [&str; 8] = ["email", "createdate", "a,b", "after", "next", "properties", "größe", "hs_object_id"];

const WORDS: &[&str] = &[
    "results",
    "paging",
    "next",
    "after",
    "id",
    "properties",
    "email",
    "createdate",
    "a,b",
    "größe",
    "hs_object_id",
    "total",
    "status",
    "errors",
    "numErrors",
    "archived",
];

/// Documents of this depth are read.
const READ: usize = 60;
/// Documents of this depth are refused.
const TOO_DEEP: usize = 140;

#[test]
fn fuzz_crm_page() {
    Target::new("crm_page", Form::Json, WORDS).fuzz(|input| (check(input, Shape::Nested), check(input, Shape::Flat)));
}

/// The result: where the page was refused, or how many rows and values it has.
type Seen = (Option<usize>, usize, usize, bool);

fn check(input: &[u8], shape: Shape) -> Seen {
    let mut rows = RowBuffer::new(COLUMNS.len());
    let read = read_page(input, shape, &COLUMNS, &mut rows);
    let document = serde_json::from_slice::<Document>(input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input));
    match (&read, &document) {
        (Ok(next), Ok(document)) => {
            let page = page_of(document, shape).expect("what is no page was read as one");
            assert_same(&rows, next.as_deref(), &page);
        }
        (Err(_), Ok(document)) if depth(input) < READ => {
            assert!(page_of(document, shape).is_none(), "a page was refused");
        }
        (Ok(_), Err(error)) => assert!(may_be_read(&error.to_string()), "what is no JSON was read: {error}"),
        (Err(_), _) => {}
    }
    assert!(read.is_err() || depth(input) < TOO_DEEP, "a document of any depth is read");
    let shown = (0..rows.len()).map(|row| COLUMNS.len() - rows.not_shown(row).count()).sum();
    let refused = read.as_ref().err().map(|Malformed { at }| at.min(&500) / 8);
    (refused, rows.len().min(8), shown, matches!(read, Ok(Some(_))))
}

/// Half a surrogate pair is repaired, and numbers may have any size.
fn may_be_read(error: &str) -> bool {
    ["surrogate", "hex escape", "number out of range"].iter().any(|word| error.contains(word))
}

/// A page in the form of the API's description.
struct Page<'d> {
    records: Vec<Record<'d>>,
    next: Option<&'d Document>,
}

/// A record: its id, and the document's cell for each column.
type Record<'d> = (RecordId, Vec<Cell<'d>>);

enum Cell<'d> {
    /// The document does not contain it.
    NotShown,
    /// The document says that there is no value.
    None,
    Value(&'d Document),
}

fn page_of(document: &Document, shape: Shape) -> Option<Page<'_>> {
    document.last("results")?;
    let mut records = Vec::new();
    for results in document.all("results") {
        let Document::List(list) = results else { return None };
        for record in list {
            records.push(record_of(record, shape)?);
        }
    }
    Some(Page { records, next: document.last("paging").and_then(|paging| paging.last("next")?.last("after")) })
}

fn record_of(record: &Document, shape: Shape) -> Option<Record<'_>> {
    let ids = record.all("id").map(id_of).collect::<Option<Vec<_>>>()?;
    let mut cells: Vec<Cell<'_>> = COLUMNS.iter().map(|_| Cell::NotShown).collect();
    let sources: Vec<&Document> =
        if shape == Shape::Nested { record.all("properties").collect() } else { vec![record] };
    for properties in sources {
        if matches!((properties, shape), (Document::Null, Shape::Nested)) {
            continue;
        }
        for (name, value) in properties.members()? {
            let Some(column) = COLUMNS.iter().position(|column| column == name) else { continue };
            cells[column] = if *value == Document::Null { Cell::None } else { Cell::Value(value) };
        }
    }
    if shape == Shape::Flat {
        // Threads leave empty values out.
        cells.iter_mut().filter(|cell| matches!(cell, Cell::NotShown)).for_each(|cell| *cell = Cell::None);
    }
    Some((*ids.last()?, cells))
}

fn id_of(id: &Document) -> Option<RecordId> {
    match id {
        Document::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(RecordId),
        Document::Number(number) => number.as_u64().map(RecordId),
        _ => None,
    }
}

fn assert_same(rows: &RowBuffer, next: Option<&str>, page: &Page<'_>) {
    assert!(is_text(next, page.next), "the cursor is {next:?}, and the document has {:?}", page.next);
    assert_eq!(rows.len(), page.records.len(), "records");
    for (row, (id, cells)) in page.records.iter().enumerate() {
        assert_eq!(rows.ids()[row], *id, "the id of record {row}");
        for (column, cell) in cells.iter().enumerate() {
            let (shown, text) = (rows.is_shown(row, column), rows.value(row, column));
            let right = match cell {
                Cell::NotShown => !shown,
                Cell::None => shown && text.is_empty(),
                Cell::Value(value) => shown && is_text(Some(text), Some(value)),
            };
            assert!(right, "{} of record {row} was read as {text:?}, shown: {shown}", COLUMNS[column]);
        }
    }
}

/// Whether `value` is read as `text`: a string as itself, any other value as its JSON text.
fn is_text(text: Option<&str>, value: Option<&Document>) -> bool {
    match (text, value) {
        (None, None | Some(Document::Null)) => true,
        (Some(text), Some(Document::Text(expected))) => text == expected,
        (Some(text), Some(other)) => serde_json::from_str::<Value>(text).is_ok_and(|value| value == Value::from(other)),
        _ => false,
    }
}
