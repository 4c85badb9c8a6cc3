use std::sync::Arc;

use domain::account::Requester;
use domain::audit::{Act, AuditFilter, AuditOutcome, MOST_COUNTED, Reason};
use domain::ids::AuditEntryId;
use domain::ports::clock::Clock;
use in_memory::faults::{Fault, Faults};
use in_memory::{ManualClock, MemoryLedger};
use jiff::SignedDuration;

use super::*;
use crate::audit_log::{AuditPage, list};
use crate::samples::{self, account_id};

struct World {
    ledger: Arc<MemoryLedger>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn with_account() -> Self {
        let world = Self { ledger: Arc::new(MemoryLedger::new()), clock: Arc::new(ManualClock::at(samples::NOW)) };
        world.ledger.commit(&[Change::create(&samples::connected_account("42"))]).await.expect("new");
        world
    }

    fn refused(&self, account: &str, subject: &str, action: &'static str) -> AuditEntry {
        let (at, by) = (self.clock.now(), Requester { subject: subject.to_owned(), email: None });
        let entry_id = AuditEntryId::new(at, samples::random());
        let act = Act { account_id: account_id(account), entry_id, at, by, ..samples::act(action) };
        let reason = Reason { kind: "forbidden".to_owned(), sentence: "Not allowed.".to_owned() };
        act.ended(None, AuditOutcome::Refused, reason)
    }

    async fn tries(&self, subject: &str, action: &'static str) {
        record_stranger(&*self.ledger, self.refused("42", subject, action)).await.expect("recorded");
    }

    async fn page(&self, strangers: bool) -> AuditPage {
        let filter = AuditFilter { strangers, ..AuditFilter::default() };
        list(&*self.ledger, &*self.clock, &account_id("42"), &filter, None, 100).await.expect("readable")
    }

    /// Who has tried what first in a minute, and how often they have tried anything, newest first.
    async fn strangers(&self) -> Vec<(String, String, u32)> {
        let entries = self.page(true).await.entries.into_iter();
        entries
            .map(|entry| (entry.subject.unwrap_or_default(), entry.action, entry.requests.unwrap_or_default()))
            .collect()
    }

    /// How often the records about strangers were written.
    fn writes(&self) -> u64 {
        let all = self.ledger.all().into_iter();
        all.filter(|stored| stored.key.partition == "STRANGERS#42").map(|stored| stored.version).sum()
    }
}

fn shown(subject: &str, action: &str, requests: u32) -> (String, String, u32) {
    (subject.to_owned(), action.to_owned(), requests)
}

/// B4: each request was an entry of the account's audit log.
#[tokio::test]
async fn of_three_thousand_requests_of_a_stranger_a_hundred_a_minute_are_written_and_none_into_the_accounts_log() {
    let world = World::with_account().await;
    for nth in 0..3_000 {
        world.tries("eve", if nth == 0 { "create-backup" } else { "list-backups" }).await;
        if nth == 2_000 {
            world.clock.advance(SignedDuration::from_mins(1));
        }
    }
    let later = ("eve".to_owned(), "list-backups".to_owned(), MOST_COUNTED);
    assert_eq!(world.strangers().await, [later, shown("eve", "create-backup", MOST_COUNTED)]);
    assert_eq!(world.writes(), u64::from(MOST_COUNTED) * 2);
    assert!(world.page(false).await.entries.is_empty());
}

#[tokio::test]
async fn each_stranger_has_an_entry_in_each_minute() {
    let world = World::with_account().await;
    world.tries("eve", "list-backups").await;
    world.tries("mallory", "read-account").await;
    world.tries("mallory", "list-backups").await;
    world.clock.advance(SignedDuration::from_mins(1));
    world.tries("eve", "read-account").await;
    let mut found = world.strangers().await;
    assert_eq!(found.remove(0), shown("eve", "read-account", 1));
    found.sort();
    assert_eq!(found, [shown("eve", "list-backups", 1), shown("mallory", "read-account", 2)]);
}

#[tokio::test]
async fn nothing_is_written_about_an_account_that_does_not_exist() {
    let world = World::with_account().await;
    let before = world.ledger.all();
    record_stranger(&*world.ledger, world.refused("43", "eve", "list-backups")).await.expect("nothing to do");
    assert_eq!(world.ledger.all(), before);
}

#[tokio::test]
async fn a_request_that_cannot_be_recorded_is_an_error_and_one_that_meets_another_is_counted() {
    let world = World::with_account().await;
    world.tries("eve", "list-backups").await;
    // An overtaken commit is made, and made once more.
    for (fault, counted) in [(Fault::CallFails, 0), (Fault::Overtaken, 2)] {
        let before = world.strangers().await[0].2;
        // The account, the entry, the commit.
        let ledger = Faults::at(3, fault).worker().wrap(world.ledger.clone());
        let recorded = record_stranger(&*ledger, world.refused("42", "eve", "list-backups")).await;
        assert_eq!(recorded.is_ok(), counted > 0);
        assert_eq!(world.strangers().await[0].2, before + counted);
    }
}
