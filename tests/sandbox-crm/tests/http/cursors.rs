use sandbox_crm::{Churn, Cursors, Faults, PortalConfig, RecordState};

use crate::client::Fixture;

const CONTACTS: &str = "/crm/objects/2026-09/contacts?limit=10";

async fn fixture(cursors: Cursors) -> Fixture {
    let faults = Faults { cursors, ..Faults::default() };
    Fixture::with(PortalConfig { faults, ..PortalConfig::empty() }.with_records("contacts", 95)).await
}

/// A number between two ids that no page has ended with.
fn between(ids: &[u64]) -> u64 {
    ids[55] + u64::from(ids[56] > ids[55] + 1)
}

#[tokio::test]
async fn whatever_the_cursors_a_list_is_complete_when_it_is_only_continued() {
    for cursors in [
        Cursors::Ids,
        Cursors::NextId,
        Cursors::Opaque,
        Cursors::Restart,
        Cursors::Refuse,
        Cursors::Skip,
        Cursors::Offsets,
    ] {
        let fixture = fixture(cursors).await;
        assert_eq!(fixture.walk(CONTACTS).await, fixture.live_ids("contacts"), "{cursors:?}");
    }
}

#[tokio::test]
async fn ids_can_be_started_from_anywhere() {
    let fixture = fixture(Cursors::Ids).await;
    let ids = fixture.live_ids("contacts");
    let page = fixture.get(&format!("{CONTACTS}&after={}", between(&ids))).await.ids();
    assert_eq!(page, ids[56..66]);
}

/// C1: HubSpot's own guide shows this form, so a portal uses it by default.
#[tokio::test]
async fn the_last_id_plus_one_starts_at_that_id() {
    assert_eq!(Faults::default().cursors, Cursors::NextId);
    let fixture = fixture(Cursors::NextId).await;
    let ids = fixture.live_ids("contacts");
    let first = fixture.get(CONTACTS).await.json();
    assert_eq!(first["paging"]["next"]["after"], (ids[9] + 1).to_string());
    for start in [ids[56], between(&ids)] {
        let page = fixture.get(&format!("{CONTACTS}&after={start}")).await.ids();
        assert_eq!(page, ids[56..66]);
    }
}

/// A9: the last records of a page come again on the next one.
#[tokio::test]
async fn opaque_lists_can_show_records_twice_and_still_come_to_an_end() {
    let faults = Faults { cursors: Cursors::Opaque, repeats: 2, ..Faults::default() };
    let fixture = Fixture::with(PortalConfig { faults, ..PortalConfig::empty() }.with_records("contacts", 26)).await;
    let ids = fixture.live_ids("contacts");
    let listed = fixture.walk(CONTACTS).await;
    assert_eq!(listed, [&ids[..10], &ids[8..18], &ids[16..]].concat());
    assert_eq!(fixture.walk(&CONTACTS.replace("10", "2")).await, ids, "pages of so many would never end");
}

#[tokio::test]
async fn opaque_cursors_are_no_numbers_and_numbers_are_refused() {
    let fixture = fixture(Cursors::Opaque).await;
    let page = fixture.get(CONTACTS).await.json();
    let after = page["paging"]["next"]["after"].as_str().expect("a cursor");
    assert!(after.parse::<u64>().is_err());
    let ids = fixture.live_ids("contacts");
    assert_eq!(fixture.get(&format!("{CONTACTS}&after={}", ids[9])).await.status, 400);
}

#[tokio::test]
async fn ids_that_were_not_handed_out_are_not_honoured_in_three_ways() {
    let restarting = fixture(Cursors::Restart).await;
    let ids = restarting.live_ids("contacts");
    let start = format!("{CONTACTS}&after={}", between(&ids));
    assert_eq!(restarting.get(&start).await.ids(), ids[..10]);
    assert_eq!(fixture(Cursors::Refuse).await.get(&start).await.status, 400);
    let skipping = fixture(Cursors::Skip).await.get(&start).await.ids();
    assert!(skipping.is_sorted() && skipping[0] > ids[56]);
}

#[tokio::test]
async fn records_disappear_and_appear_between_pages() {
    let churn = Churn {
        objects: vec!["contacts".to_owned()],
        every_pages: 2,
        delete: 3,
        create: 2,
        times: Some(3),
        ..Churn::default()
    };
    let faults = Faults { churn: Some(churn), ..Faults::default() };
    let fixture = Fixture::with(PortalConfig { faults, ..PortalConfig::empty() }.with_records("contacts", 95)).await;
    let before = fixture.live_ids("contacts");

    let listed = fixture.walk(CONTACTS).await;

    let records = fixture.portal.truth("contacts", 0, 1_000).expect("contacts");
    let archived = records.iter().filter(|record| record.state == RecordState::Archived).count();
    assert_eq!((records.len(), archived), (95 + 6, 9));
    assert_eq!(fixture.portal.live_records("contacts"), Some(92));
    let after = fixture.live_ids("contacts");
    // What was there all the time is listed.
    assert!(before.iter().filter(|id| after.contains(id)).all(|id| listed.contains(id)));
    let created: Vec<_> = after.iter().filter(|id| !before.contains(id)).collect();
    assert!(created.len() >= 3 && created.iter().all(|id| **id > before[94]));
    let made = records.iter().find(|record| record.id == *created[0]).expect("it is there");
    assert!(made.properties.len() > 20, "created records are filled");
}
