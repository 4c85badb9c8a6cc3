use super::*;
use crate::ports::storage::ETag;
use crate::segment::{Segment, SegmentSummary};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// An object of 3 records in one segment, all of whose chunks are done, and that segment.
fn read() -> (ObjectExport, Chunk, Segment) {
    let backup_id = BackupId::new(NOW, [1; 10]);
    let backup = BackupRef { account_id: AccountId::parse("42").expect("digits"), backup_id: backup_id.clone() };
    let definition = ObjectDefinition {
        object_type: ObjectType::parse("contacts").expect("a name"),
        type_id: Some("0-1".to_owned()),
        label: "Contact".to_owned(),
        custom: false,
    };
    let columns = Columns { properties: Vec::new() };
    let before = CountBefore { records: Some(4), listed_empty: false, counted_at: NOW };
    let discovered =
        ObjectExport::discovered(&backup, definition, ReadMode::Ranges, &columns, "c".to_owned(), before, NOW);
    let (object, chunk) = discovered;
    let shortfall = Shortfall {
        hidden_values: [("email".to_owned(), 2)].into(),
        unreadable: vec![RecordId(7)],
        mended_values: 1,
        unordered: false,
    };
    let segment = Segment {
        backup_id,
        object_type: chunk.key.object_type.clone(),
        generation: 1,
        lower: RecordId(0),
        sequence: 0,
        attempt: 1,
        storage_key: "s".to_owned(),
        etag: ETag("e".to_owned()),
        summary: SegmentSummary {
            rows: 3,
            first_id: RecordId(1),
            last_id: RecordId(3),
            plain_bytes: 30,
            packed_bytes: 20,
            crc32: 0,
            sha256: String::new(),
        },
        hidden_values: shortfall.hidden_values.clone(),
        mended_values: shortfall.mended_values,
    };
    let (records, plain_bytes, packed_bytes) = (3, 30, 20);
    let added = Committed { records, pages: 1, plain_bytes, packed_bytes, segment: true, chunk_done: true, shortfall };
    (object.commit(1, &added, NOW).expect("open"), chunk, segment)
}

#[test]
fn a_range_that_is_read_again_counts_once() {
    let (object, chunk, segment) = read();
    let mut void = Voided::default();
    void.add(&segment);
    let reopened = object.reopen(1, 0, std::slice::from_ref(&chunk), &void, NOW).expect("all done");
    let counts = (reopened.records, reopened.plain_bytes, reopened.packed_bytes, reopened.segments);
    assert_eq!((counts, reopened.open_chunks), ((0, 0, 0, 0), 1));
    assert!(!reopened.has_shortfall() && reopened.mended_values == 0, "its shortfalls are void as well");
    assert!(reopened.reopen(1, 1, &[], &Voided::default(), NOW).is_err(), "a chunk is open");

    let gone_on = object.reopen(1, 1, &[], &Voided::default(), NOW).expect("all done");
    assert_eq!((gone_on.records, gone_on.open_chunks, gone_on.unreadable.len()), (3, 1, 1), "what it had counts");
}

#[test]
fn an_object_is_not_closed_by_proofs_from_before_it_was_opened_again() {
    let (judged, ..) = read();
    let reopened = judged.reopen(1, 1, &[], &Voided::default(), NOW).expect("all done");
    let added = Committed { chunk_done: true, ..Committed::default() };
    let done = reopened.commit(1, &added, NOW).expect("open");
    let counts = Counts { before: Some(4), after: Some(4), created: None };
    assert!(done.close(&judged, counts, NOW, NOW).is_err(), "its boundaries were proven before");
    assert!(done.close(&done, counts, NOW, NOW).is_ok());
}

/// Records of the version before this one.
#[test]
fn objects_without_the_member_were_never_opened_again() {
    let (object, _, segment) = read();
    assert!(!serde_json::to_string(&object).expect("JSON").contains("reopened"));
    let mut stored = serde_json::to_value(&segment).expect("JSON");
    for member in ["hiddenValues", "mendedValues"] {
        assert!(stored.as_object_mut().and_then(|segment| segment.remove(member)).is_some());
    }
    let read: Segment = serde_json::from_value(stored).expect("readable");
    assert!(read.hidden_values.is_empty() && read.mended_values == 0);
}

/// One worker reads a list from its beginning to its end, and a record is deleted meanwhile.
#[test]
fn a_deletion_may_have_moved_records_of_a_list_that_one_worker_reads() {
    let (object, ..) = read();
    let closed = |mode, after| {
        let object = ObjectExport { mode, ..object.clone() };
        let counts = Counts { before: Some(4), after: Some(after), created: Some(0) };
        object.close(&object, counts, NOW, NOW).expect("all done").unordered
    };
    assert!(closed(ReadMode::Sequential, 3));
    assert!(!closed(ReadMode::Sequential, 4) && !closed(ReadMode::Ranges, 3));
}

#[test]
fn hidden_values_are_counted_for_a_bounded_number_of_properties() {
    let (object, ..) = read();
    let hidden = |names: std::ops::Range<usize>, rows| Shortfall {
        hidden_values: names.map(|nth| (format!("p{nth:04}"), rows)).collect(),
        ..Shortfall::default()
    };
    let object = ObjectExport { hidden_values: BTreeMap::new(), ..object };
    let full = object.with(&hidden(0..MOST_HIDDEN, 1));
    assert_eq!(full.hidden_values.len(), MOST_HIDDEN);
    let more = full.with(&hidden(MOST_HIDDEN - 1..MOST_HIDDEN + 5, 2));
    assert_eq!(more.hidden_values.len(), MOST_HIDDEN, "no property is added");
    assert_eq!(more.hidden_values[&format!("p{:04}", MOST_HIDDEN - 1)], 3, "known ones are still counted");
}
