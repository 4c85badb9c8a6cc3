//! A8: threads in an order that is not that of their ids.

use sandbox_crm::{Churn, Faults, PortalConfig, ThreadOrder, ThreadSort, Variants};

use crate::client::Fixture;

const THREADS: &str = "/conversations/conversations/2026-09/threads";

async fn fixture(variants: Variants) -> Fixture {
    Fixture::with(PortalConfig { variants, ..PortalConfig::empty() }.with_records("conversations", 60)).await
}

fn latest(order: ThreadOrder) -> Variants {
    Variants { thread_order: order, ..Variants::default() }
}

#[tokio::test]
async fn threads_can_be_in_the_order_of_their_messages_until_another_is_asked_for() {
    let first = fixture(latest(ThreadOrder::LatestFirst)).await;
    let ids = first.live_ids("conversations");
    let mut listed = first.walk(&format!("{THREADS}?limit=25")).await;
    assert_ne!(listed, ids);
    assert_eq!(first.walk(&format!("{THREADS}?limit=25&sort=id")).await, ids);
    let last = fixture(latest(ThreadOrder::LatestLast)).await;
    listed.reverse();
    assert_eq!(last.walk(&format!("{THREADS}?limit=25")).await, listed);
    listed.sort_unstable();
    assert_eq!(listed, ids, "each is there once while nothing moves");
}

#[tokio::test]
async fn a_wish_for_an_order_can_be_ignored_or_refused() {
    let ignoring = Variants { thread_sort: ThreadSort::Ignored, ..latest(ThreadOrder::LatestFirst) };
    let fixture_ignoring = fixture(ignoring).await;
    assert_ne!(
        fixture_ignoring.get(&format!("{THREADS}?sort=id")).await.ids(),
        fixture_ignoring.live_ids("conversations")
    );
    let refusing = fixture(Variants { thread_sort: ThreadSort::Refused, ..Variants::default() }).await;
    assert_eq!(refusing.get(&format!("{THREADS}?sort=id")).await.status, 400);
    assert_eq!(refusing.get(THREADS).await.status, 200);
    let honouring = fixture(Variants::default()).await;
    assert_eq!(honouring.get(&format!("{THREADS}?sort=subject")).await.status, 400);
}

#[tokio::test]
async fn a_thread_that_gets_a_message_moves_while_it_is_listed() {
    let churn = Churn { every_pages: 1, touch: 3, ..Churn::default() };
    let faults = Faults { churn: Some(churn), ..Faults::default() };
    let config = PortalConfig { faults, variants: latest(ThreadOrder::LatestFirst), ..PortalConfig::empty() };
    let fixture = Fixture::with(config.with_records("conversations", 60)).await;
    let mut listed = fixture.walk(&format!("{THREADS}?limit=10")).await;
    let lines = listed.len();
    listed.sort_unstable();
    listed.dedup();
    assert!(listed.len() < lines, "some are there twice");
    assert_ne!(listed, fixture.live_ids("conversations"), "and some are missing");
}
