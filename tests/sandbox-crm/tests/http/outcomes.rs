//! Batches that carry out only a part.

use sandbox_crm::{Fault, Faults, GoneIds, PortalConfig, ScriptedFault, Variants};
use serde_json::{Value, json};

use crate::client::{Answer, Fixture, ids};

const DATED: &str = "/crm/objects/2026-09/contacts/batch";

fn inputs(ids: &[u64]) -> Vec<Value> {
    ids.iter().map(|id| json!({"id": id.to_string()})).collect()
}

async fn read(fixture: &Fixture, ids: &[u64]) -> Answer {
    fixture.post(&format!("{DATED}/read"), json!({"inputs": inputs(ids), "properties": ["email"]})).await
}

async fn fixture(scripted: ScriptedFault) -> (Fixture, Vec<u64>) {
    let fixture = Fixture::contacts(6).await;
    fixture.portal.set_faults(Faults { script: vec![scripted], ..Faults::default() });
    let ids = fixture.live_ids("contacts");
    (fixture, ids)
}

fn sorted(mut ids: Vec<u64>) -> Vec<u64> {
    ids.sort_unstable();
    ids
}

/// A1: some of the records are in `errors`, with status 200 as well as 207.
#[tokio::test]
async fn a_batch_read_can_fail_for_some_of_its_records() {
    for (status, category) in [(None, None), (Some(200), Some("RATE_LIMIT"))] {
        let scripted = ScriptedFault {
            status,
            category: category.map(str::to_owned),
            ..ScriptedFault::once(Fault::PartialErrors)
        };
        let (fixture, all) = fixture(scripted).await;

        let answer = read(&fixture, &all).await;

        let document = answer.json();
        assert_eq!(answer.status, status.unwrap_or(207));
        assert_eq!(sorted(answer.ids()), [all[0], all[2], all[4]]);
        assert_eq!((&document["status"], &document["numErrors"]), (&json!("COMPLETE"), &json!(1)));
        assert!(document["startedAt"].is_string() && document["completedAt"].is_string());
        let error = &document["errors"][0];
        assert_eq!(error["category"], category.unwrap_or("INTERNAL_ERROR"));
        assert_eq!(error["context"]["ids"], json!([all[1].to_string(), all[3].to_string(), all[5].to_string()]));
        assert_eq!(sorted(read(&fixture, &all).await.ids()), all, "the next call is whole");
    }
}

/// A1: an update that fails for some records leaves these as they are.
#[tokio::test]
async fn a_batch_update_can_fail_for_the_records_that_are_named() {
    let fixture = Fixture::contacts(4).await;
    let all = fixture.live_ids("contacts");
    let scripted = ScriptedFault { ids: vec![all[0], all[3]], ..ScriptedFault::once(Fault::PartialErrors) };
    fixture.portal.set_faults(Faults { script: vec![scripted], ..Faults::default() });
    let changes: Vec<Value> =
        all.iter().map(|id| json!({"id": id.to_string(), "properties": {"city": "Ulm"}})).collect();

    let answer = fixture.post(&format!("{DATED}/update"), json!({"inputs": changes})).await;

    assert_eq!((answer.status, sorted(answer.ids())), (207, all[1..3].to_vec()));
    let truth = fixture.portal.truth("contacts", 0, 10).expect("contacts");
    let in_ulm = truth.iter().filter(|record| record.properties.get("city").is_some_and(|city| city == "Ulm"));
    assert_eq!(in_ulm.map(|record| record.id).collect::<Vec<_>>(), all[1..3]);
}

/// A1: records that are in neither `results` nor `errors`, and batches that are not complete.
#[tokio::test]
async fn records_can_be_left_out_and_batches_can_be_unfinished() {
    for (fault, state) in [
        (Fault::LeftOut, "COMPLETE"),
        (Fault::Pending, "PENDING"),
        (Fault::Processing, "PROCESSING"),
        (Fault::Canceled, "CANCELED"),
    ] {
        let (fixture, all) = fixture(ScriptedFault::once(fault)).await;
        let answer = read(&fixture, &all).await;
        let document = answer.json();
        assert_eq!((answer.status, &document["status"]), (200, &json!(state)));
        assert_eq!(sorted(answer.ids()), [all[0], all[2], all[4]]);
        assert!(document.get("errors").is_none());
    }
    let (fixture, all) = fixture(ScriptedFault::once(Fault::LeftOut)).await;
    assert_eq!(read(&fixture, &all[..1]).await.json()["results"], json!([]), "the only one is left out too");
}

/// A list can be answered with 200, a part of its records, and errors.
#[tokio::test]
async fn a_list_can_have_errors_beside_its_results() {
    let scripted = ScriptedFault { status: Some(200), ..ScriptedFault::once(Fault::PartialErrors) };
    let (fixture, all) = fixture(scripted).await;
    let answer = fixture.get("/crm/objects/2026-09/contacts").await;
    assert_eq!((answer.status, answer.ids()), (200, vec![all[0], all[2], all[4]]));
    assert_eq!(answer.json()["numErrors"], 1);
}

/// So can a list of definitions.
#[tokio::test]
async fn definitions_can_have_errors_beside_them() {
    let fixture = Fixture::contacts(0).await;
    let path = "/crm/properties/2026-09/contacts";
    let whole = fixture.get(path).await.json()["results"].as_array().map_or(0, Vec::len);
    let script = vec![ScriptedFault::once(Fault::PartialErrors)];
    fixture.portal.set_faults(Faults { script, ..Faults::default() });
    let part = fixture.get(path).await;
    assert_eq!((part.status, &part.json()["numErrors"]), (207, &json!(1)));
    assert_eq!(part.json()["results"].as_array().map(Vec::len), Some(whole.div_ceil(2)));
}

/// B1: ids that are gone, in every form that was seen.
#[tokio::test]
async fn ids_that_are_gone_are_left_out_named_or_make_the_whole_call_404() {
    let fixture = Fixture::contacts(3).await;
    let all = fixture.live_ids("contacts");
    let asked = [all[0], 5, all[2]];
    let expected =
        [(GoneIds::Usual, 200), (GoneIds::Named, 207), (GoneIds::Refused, 404), (GoneIds::RefusedUnnamed, 404)];
    for (gone_ids, status) in expected {
        fixture.portal.set_variants(Variants { gone_ids, ..Variants::default() });
        let answer = read(&fixture, &asked).await;
        let document = answer.json();
        assert_eq!(answer.status, status, "{gone_ids:?}");
        if status == 404 {
            assert_eq!(document["category"], "OBJECT_NOT_FOUND");
            assert_eq!(document["context"]["ids"].is_array(), gone_ids == GoneIds::Refused);
        } else {
            assert_eq!(sorted(ids(&document)), [all[0], all[2]]);
        }
        let named = [&document["context"]["ids"], &document["errors"][0]["context"]["ids"]];
        assert_eq!(named.contains(&&json!(["5"])), matches!(gone_ids, GoneIds::Named | GoneIds::Refused));
        assert_eq!(read(&fixture, &all).await.status, 200, "records that are there are read");
    }
}

/// The answer to a write also has what the CRM sets and computes itself.
#[tokio::test]
async fn a_write_is_answered_with_properties_that_nobody_wrote() {
    let fixture = Fixture::with(PortalConfig::empty().with_records("deals", 30)).await;
    let id = fixture.live_ids("deals")[0];
    let body = json!({"inputs": [{"id": id.to_string(), "properties": {"dealname": "x"}}]});
    let answer = fixture.post("/crm/objects/2026-09/deals/batch/update", body).await.json();
    let shown = answer["results"][0]["properties"].as_object().expect("properties").clone();
    assert!(["dealname", "hs_lastmodifieddate", "hs_object_id"].iter().all(|name| shown.contains_key(*name)));
    assert!(shown.len() > 5, "{shown:?}");
}
