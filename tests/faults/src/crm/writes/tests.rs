use std::sync::Arc;

use async_trait::async_trait;
use domain::account::ApiVersion;
use domain::budget::CallKind;
use domain::ports::call_gate::{CallGate, GateClosed, RefusedPolicy};
use domain::ports::crm::{CrmConnector, CrmTarget, Cursor, PageRequest, PageSource};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::crm::{Moment, Period, SimulatedCrm, Trouble};
use crate::{Pace, samples};

use super::*;

const BEGINNING: Timestamp = Timestamp::UNIX_EPOCH;

struct OpenGate;

#[async_trait]
impl CallGate for OpenGate {
    async fn admit(&self, _: CallKind) -> Result<(), GateClosed> {
        Ok(())
    }
    async fn refused(&self, _: RefusedPolicy, _: SignedDuration) {}
    async fn daily_remaining(&self, _: u32) {}
}

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

fn read(object: &mut SimulatedObject, ids: &[u64]) -> Vec<(u64, String)> {
    let ids: Vec<RecordId> = ids.iter().copied().map(RecordId).collect();
    let contacts = object.definition.object_type.clone();
    let request = BatchRead { object: &contacts, properties: &["email"], ids: &ids };
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

    assert_eq!(read(&mut object, &[3, 4, 9]), [(4, "by hand".to_owned()), (3, "new".to_owned())]);
    assert_eq!(object.table().rows[2][1], "new");
    let (object_type, mut rows) = (object.definition.object_type.clone(), RowBuffer::new(2));
    let properties = ["email", "stage"];
    let request = PageRequest {
        object: &object_type,
        properties: &properties,
        cursor: &Cursor::START,
        source: PageSource::List,
        limit: 100,
    };
    object.page(&request, &mut rows, BEGINNING).expect("a page");
    assert_eq!(rows.values(2).collect::<Vec<_>>(), [&b"new"[..], b""]);
    assert_eq!(object.updates(), [update(3, &[("email", "new"), ("stage", "")])]);
}

#[test]
fn one_bad_value_refuses_the_batch_and_names_its_property_if_that_is_asked_for() {
    let mut object = contacts();
    object.refuse("email", Some("bad"), "INVALID_EMAIL");
    object.define_options("stage", &["lead"]);
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
    object.rules("email").normalise = Some(str::to_lowercase);
    object.define_options("stage", &["lead", "customer"]);
    object.rules("stage").forward_only = true;
    object.define_options("topics", &["news", "offers"]);
    object.rules("topics").multiple = true;
    let stage = object.definitions().expect("an answer").remove(1);
    assert_eq!((stage.property.kind.as_str(), stage.options), ("enumeration", vec!["lead".into(), "customer".into()]));
    assert!(stage.forward_only);

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
    assert_eq!(read(&mut object, &[1, 2, 3]), [(2, "survivor".to_owned())]);

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
    assert_eq!(read(&mut object, &[1]), [(1, String::new())]);
    assert_eq!(refused(&mut object, &[update(1, &[("email", "x")])]).0, "PROPERTY_DOESNT_EXIST");
}

#[tokio::test(start_paused = true)]
async fn people_write_just_before_the_call_that_was_chosen() {
    let crm = SimulatedCrm::new(Arc::new(samples::clock(Pace::Simulated)), vec![contacts()]);
    let target = CrmTarget { base_url: "https://crm.example".to_owned(), api_version: ApiVersion::V2026_09 };
    let gate = Arc::new(OpenGate);
    let client = crm.connect(&target, SecretString::from("token"), gate, Timestamp::MAX).expect("a client");
    let object_type = contacts().definition.object_type;
    let email = async || {
        let request = BatchRead { object: &object_type, properties: &["email"], ids: &[RecordId(1)] };
        let mut rows = RowBuffer::new(1);
        client.read_batch(&request, &mut rows).await.map(|_| rows.values(0).flatten().copied().collect::<Vec<u8>>())
    };
    crm.edit("contacts", RecordId(1), "email", "first");
    crm.edit_at(Moment::CallOf("read_batch", 2), "contacts", Edit::value(RecordId(1), "email", "second"));
    crm.edit_at(Moment::Call(4), "contacts", Edit::value(RecordId(1), "email", "third"));
    crm.trouble(Period::Calls(5..6), Trouble::Unavailable);

    assert_eq!(email().await.expect("an answer"), b"first");
    client.definitions(&object_type).await.expect("an answer");
    assert_eq!(email().await.expect("an answer"), b"second");
    assert_eq!(email().await.expect("an answer"), b"third");
    let updates = [update(1, &[("email", "late")])];
    client.update_batch(&object_type, &updates).await.expect_err("the CRM is down");
    assert_eq!(email().await.expect("an answer"), b"third");
    let counted = ["read_batch", "definitions", "update_batch"].map(|method| crm.calls(method));
    assert_eq!(counted, [4, 1, 1]);
}
