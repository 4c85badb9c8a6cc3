//! B5, B11: pages that fail, and pages without end.

use std::collections::HashSet;

use sandbox_crm::{Cursors, Endpoint, Fault, Faults, PortalConfig, ScriptedFault};
use serde_json::{Value, json};

use crate::client::Fixture;

fn list(limit: usize) -> String {
    format!("/crm/objects/2026-09/contacts?limit={limit}&properties=email")
}

async fn always(scripted: ScriptedFault) -> Fixture {
    let fixture = Fixture::contacts(60).await;
    let script = vec![ScriptedFault { times: None, ..scripted }];
    fixture.portal.set_faults(Faults { script, ..Faults::default() });
    fixture
}

fn batch(ids: &[u64], properties: &[&str]) -> Value {
    let inputs: Vec<Value> = ids.iter().map(|id| json!({"id": id.to_string()})).collect();
    json!({"inputs": inputs, "properties": properties})
}

/// B5.
#[tokio::test]
async fn pages_and_batches_can_fail_above_a_size() {
    let fixture = always(ScriptedFault { above: Some(25), ..ScriptedFault::once(Fault::GatewayTimeout) }).await;
    assert_eq!([fixture.get(&list(50)).await.status, fixture.get(&list(25)).await.status], [504, 200]);
    let ids = fixture.live_ids("contacts");
    let path = "/crm/objects/2026-09/contacts/batch/read";
    assert_eq!(fixture.post(path, batch(&ids[..26], &[])).await.status, 504);
    assert_eq!(fixture.post(path, batch(&ids[..25], &[])).await.status, 200);
    let search = "/crm/objects/2026-09/contacts/search";
    assert_eq!(fixture.post(search, json!({"limit": 26})).await.status, 504);
}

/// B5: one record cannot be read, at any size of its page.
#[tokio::test]
async fn a_record_can_make_every_page_with_its_values_fail() {
    let ids = Fixture::contacts(60).await.live_ids("contacts");
    let fixture = always(ScriptedFault { poison: vec![ids[12]], ..ScriptedFault::once(Fault::InternalError) }).await;
    assert_eq!([fixture.get(&list(12)).await.status, fixture.get(&list(13)).await.status], [200, 500]);
    let from = |id: u64| format!("{}&after={id}", list(1));
    assert_eq!(fixture.get(&from(ids[12])).await.status, 500);
    assert_eq!(fixture.get(&from(ids[13])).await.ids(), [ids[13]]);
    let ids_only = fixture.get("/crm/objects/2026-09/contacts?limit=100&properties=hs_object_id").await;
    assert_eq!(ids_only.ids(), ids);
    let path = "/crm/objects/2026-09/contacts/batch/read";
    assert_eq!(fixture.post(path, batch(&ids[10..15], &["email"])).await.status, 500);
    assert_eq!(fixture.post(path, batch(&ids[13..], &["email"])).await.status, 200);
    let search = fixture.post("/crm/objects/2026-09/contacts/search", json!({"limit": 100})).await;
    assert_eq!(search.ids().len(), 60);
}

/// B11.
#[tokio::test]
async fn empty_pages_can_go_on_without_end() {
    for cursors in [Cursors::NextId, Cursors::Opaque] {
        let scripted = ScriptedFault { skip: 1, times: None, ..ScriptedFault::once(Fault::EmptyPage) };
        let faults = Faults { cursors, script: vec![scripted], ..Faults::default() };
        let config = PortalConfig { faults, ..PortalConfig::empty() };
        let fixture = Fixture::with(config.with_records("contacts", 60)).await;
        let (mut after, mut seen) = (String::new(), HashSet::new());
        for page in 0..20 {
            let answer = fixture.get(&format!("{}&after={after}", list(20))).await;
            assert_eq!((answer.status, answer.ids().len()), (200, if page == 0 { 20 } else { 0 }));
            let document = answer.json();
            document["paging"]["next"]["after"].as_str().expect("there is more").clone_into(&mut after);
            assert!(seen.insert(after.clone()), "{after} was there before");
        }
    }
}

#[tokio::test]
async fn an_empty_page_between_others_loses_nothing_where_cursors_are_opaque() {
    let scripted = ScriptedFault { skip: 1, endpoint: Some(Endpoint::List), ..ScriptedFault::once(Fault::EmptyPage) };
    let faults = Faults { cursors: Cursors::Opaque, script: vec![scripted], ..Faults::default() };
    let fixture = Fixture::with(PortalConfig { faults, ..PortalConfig::empty() }.with_records("contacts", 60)).await;
    assert_eq!(fixture.walk(&list(20)).await, fixture.live_ids("contacts"));
    assert_eq!(fixture.portal.calls().total, 4);
}
