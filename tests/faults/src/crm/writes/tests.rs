use domain::ports::crm::Cursor;
use domain::ports::crm::PageRequest;
use jiff::Timestamp;

use super::*;

const BEGINNING: Timestamp = Timestamp::UNIX_EPOCH;

fn contacts() -> SimulatedObject {
    SimulatedObject::new("contacts", &["email", "stage", "topics", RECORD_ID_COLUMN], 1..=5, BEGINNING)
}

fn update(id: u64, values: &[(&str, &str)]) -> RecordUpdate {
    let values = values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    RecordUpdate { id: RecordId(id), values }
}

/// The values that the CRM shows after it accepted an update of one record.
fn accepted(object: &mut SimulatedObject, id: u64, values: &[(&str, &str)]) -> Vec<String> {
    match object.update_batch(&[update(id, values)]).expect("an answer") {
        BatchUpdate::Written { mut records, refused } if refused.is_empty() && records.len() == 1 => {
            let shown = records.remove(0).values;
            shown.into_iter().take(values.len()).map(|(_, value)| value).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn refused(object: &mut SimulatedObject, updates: &[RecordUpdate]) -> (String, Vec<String>) {
    match object.update_batch(updates).expect("an answer") {
        BatchUpdate::Refused(refusal) => (refusal.code, refusal.properties),
        written @ BatchUpdate::Written { .. } => panic!("{written:?}"),
    }
}

fn read(object: &SimulatedObject, ids: &[u64]) -> Vec<(u64, String)> {
    let ids: Vec<RecordId> = ids.iter().copied().map(RecordId).collect();
    let request = BatchRead { object: &object.definition.object_type, properties: &["email"], ids: &ids };
    let mut rows = RowBuffer::new(1);
    object.read_batch(&request, &mut rows).expect("an answer");
    let value = |row| String::from_utf8(rows.values(row).flatten().copied().collect()).expect("text");
    rows.ids().iter().enumerate().map(|(row, id)| (id.0, value(row))).collect()
}

#[test]
fn what_was_written_is_what_every_read_shows() {
    let mut object = contacts();
    assert_eq!(accepted(&mut object, 3, &[("email", "new"), ("stage", "")]), ["new", ""]);
    object.edit(Edit::value(RecordId(4), "email", "by hand"));

    assert_eq!(read(&object, &[3, 4, 9]), [(4, "by hand".to_owned()), (3, "new".to_owned())]);
    assert_eq!(object.table().rows[2][1], "new");
    let (object_type, mut rows) = (object.definition.object_type.clone(), RowBuffer::new(2));
    let properties = ["email", "stage"];
    let request = PageRequest { object: &object_type, properties: &properties, cursor: &Cursor::START, limit: 100 };
    object.page(&request, &mut rows, BEGINNING).expect("a page");
    assert_eq!(rows.values(2).collect::<Vec<_>>(), [&b"new"[..], b""]);
    assert_eq!(object.updates(), [update(3, &[("email", "new"), ("stage", "")])]);
}

#[test]
fn one_bad_value_refuses_the_batch_and_names_its_property_if_that_is_asked_for() {
    let mut object = contacts();
    object.refuse("email", Some("bad"), "INVALID_EMAIL");
    object.rules("stage").options = vec!["lead".to_owned()];
    for (value, code) in [
        (("email", "bad"), "INVALID_EMAIL"),
        (("stage", "king"), "INVALID_OPTION"),
        ((RECORD_ID_COLUMN, "7"), "READ_ONLY_VALUE"),
        (("nonsense", "7"), "PROPERTY_DOESNT_EXIST"),
    ] {
        let updates = [update(1, &[("topics", "changed")]), update(2, &[value])];
        assert_eq!(refused(&mut object, &updates), (code.to_owned(), vec![value.0.to_owned()]));
    }
    object.names_faults = false;
    assert_eq!(refused(&mut object, &[update(2, &[("email", "bad")])]), ("INVALID_EMAIL".to_owned(), vec![]));
    assert!(object.updates().is_empty());
    object.accept_all();
    assert_eq!(accepted(&mut object, 2, &[("email", "bad")]), ["bad"]);
}

#[test]
fn writes_can_be_ignored_changed_and_bound_to_one_direction() {
    let mut object = contacts();
    object.rules("email").normalise = Some(|value| value.to_lowercase());
    let stage = object.rules("stage");
    stage.options = ["lead", "customer"].map(str::to_owned).to_vec();
    stage.forward_only = true;
    let topics = object.rules("topics");
    topics.options = ["news", "offers"].map(str::to_owned).to_vec();
    topics.multiple = true;

    let values = [("email", "A@B.C"), ("stage", "customer"), ("topics", "offers;news")];
    assert_eq!(accepted(&mut object, 1, &values), ["a@b.c", "customer", "news;offers"]);
    assert_eq!(accepted(&mut object, 1, &[("stage", "lead")]), ["customer"]);
    assert_eq!(accepted(&mut object, 1, &[("stage", "")]), [""]);
    assert_eq!(accepted(&mut object, 1, &[("stage", "lead")]), ["lead"]);
    object.rules("email").ignores_writes = true;
    assert_eq!(accepted(&mut object, 1, &[("email", "other")]), ["a@b.c"]);
}

#[test]
fn merged_records_answer_under_the_survivors_id_and_gone_ones_not_at_all() {
    let mut object = contacts();
    object.edit(Edit::value(RecordId(2), "email", "survivor"));
    object.edit(Edit::Merge(RecordId(1), RecordId(2)));
    object.edit(Edit::Delete(RecordId(3)));
    object.refuse_record(RecordId(4), "LOCKED");
    assert_eq!(read(&object, &[1, 2, 3]), [(2, "survivor".to_owned())]);

    let updates = [1, 3, 4].map(|id| update(id, &[("email", "new")]));
    let BatchUpdate::Written { records, refused } = object.update_batch(&updates).expect("an answer") else {
        panic!("refused")
    };
    assert_eq!(records.iter().map(|record| record.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!(refused.iter().map(|(id, refusal)| (id.0, refusal.code.as_str())).collect::<Vec<_>>(), [(4, "LOCKED")]);
    assert_eq!(object.value(RecordId(2), "email").as_deref(), Some("new"));
}

#[test]
fn archived_properties_are_defined_as_such_and_hold_no_values() {
    let mut object = contacts();
    object.edit(Edit::value(RecordId(1), "email", "kept"));
    object.archive_property("email");
    let definitions = object.definitions().expect("an answer");
    let archived: Vec<&str> =
        definitions.iter().filter(|one| one.archived).map(|one| one.property.name.as_str()).collect();
    assert_eq!((archived, definitions.len()), (vec!["email"], 4));
    assert_eq!(read(&object, &[1]), [(1, String::new())]);
    assert_eq!(refused(&mut object, &[update(1, &[("email", "x")])]).0, "PROPERTY_DOESNT_EXIST");
}
