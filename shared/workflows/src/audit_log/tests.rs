//! The common start of all tests of the audit log, and the tests of listing it.

mod exporting;

use std::collections::BTreeSet;

use domain::account::Requester;
use domain::audit::{AuditOutcome, Reason};
use domain::ports::ledger::MAX_CHANGES;
use in_memory::{ManualClock, MemoryLedger};
use jiff::SignedDuration;

use super::*;
use crate::samples;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

struct World {
    ledger: Arc<MemoryLedger>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn with(entries: &[AuditEntry]) -> Self {
        let world = Self {
            ledger: Arc::new(MemoryLedger::new()),
            clock: Arc::new(ManualClock::at(samples::NOW + SignedDuration::from_hours(1))),
        };
        for batch in entries.chunks(MAX_CHANGES) {
            let changes: Vec<_> = batch.iter().map(Change::create).collect();
            world.ledger.commit(&changes).await.expect("new entries");
        }
        world
    }

    async fn page(&self, filter: &AuditFilter, after: Option<&AuditEntryId>, limit: usize) -> AuditPage {
        let account = samples::account_id("42");
        list(&*self.ledger, &*self.clock, &account, filter, after, limit).await.expect("readable")
    }

    /// The places in `entries` of those that the filter selects, in the order of the list.
    async fn places(&self, entries: &[AuditEntry], filter: &AuditFilter) -> Vec<usize> {
        let page = self.page(filter, None, usize::MAX).await;
        assert_eq!(page.next, None);
        let place = |found: &AuditEntry| entries.iter().position(|entry| entry == found).expect("one of them");
        page.entries.iter().map(place).collect()
    }
}

/// An act at `after` past [`samples::NOW`].
fn act_at(after: SignedDuration, action: &'static str) -> Act {
    let at = samples::NOW + after;
    Act { at, entry_id: AuditEntryId::new(at, samples::random()), ..samples::act(action) }
}

/// Entries of acts that succeeded, a second apart.
fn entries(count: u32) -> Vec<AuditEntry> {
    (0..count).map(|nth| act_at(SECOND * i32::try_from(nth).expect("few"), "read").succeeded(None)).collect()
}

#[tokio::test]
async fn entries_list_from_new_to_old_over_pages() {
    let mut entries = entries(5);
    let world = World::with(&entries).await;
    entries.reverse();

    let all = AuditFilter::default();
    let first = world.page(&all, None, 2).await;
    assert_eq!((first.entries.as_slice(), first.next.as_ref()), (&entries[..2], Some(&entries[1].entry_id)));
    let second = world.page(&all, first.next.as_ref(), 2).await;
    assert_eq!((second.entries.as_slice(), second.next.as_ref()), (&entries[2..4], Some(&entries[3].entry_id)));
    let last = world.page(&all, second.next.as_ref(), 2).await;
    assert_eq!((last.entries.as_slice(), last.next), (&entries[4..], None));
}

#[tokio::test]
async fn entries_are_filtered_by_action_person_and_outcome() {
    let grace = Requester { subject: "user-2".to_owned(), email: Some("Grace@example.com".to_owned()) };
    let refused = Reason { kind: "forbidden".to_owned(), sentence: "Not allowed.".to_owned() };
    let entries = [
        act_at(SECOND, "create-backup").succeeded("b-1".to_owned()),
        Act { by: grace, ..act_at(SECOND * 2, "create-backup") }.ended(None, AuditOutcome::Refused, refused),
        act_at(SECOND * 3, "cancel-backup").succeeded("b-1".to_owned()),
    ];
    let world = World::with(&entries).await;
    let actions = |actions: &[&str]| {
        let actions: BTreeSet<_> = actions.iter().map(|&action| action.to_owned()).collect();
        AuditFilter { actions, ..AuditFilter::default() }
    };
    let by = |person: &str| AuditFilter { person: Some(person.to_owned()), ..AuditFilter::default() };
    let ended = |outcome| AuditFilter { outcome: Some(outcome), ..AuditFilter::default() };
    for (filter, expected) in [
        (AuditFilter::default(), vec![2, 1, 0]),
        (actions(&["create-backup"]), vec![1, 0]),
        (actions(&["create-backup", "cancel-backup"]), vec![2, 1, 0]),
        (actions(&["delete-backup"]), vec![]),
        (by("user-2"), vec![1]),
        (by("grace@EXAMPLE.com"), vec![1]),
        (ended(AuditOutcome::Refused), vec![1]),
        (ended(AuditOutcome::Failed), vec![]),
        (AuditFilter { outcome: Some(AuditOutcome::Succeeded), ..by("ada@example.com") }, vec![2, 0]),
    ] {
        assert_eq!(world.places(&entries, &filter).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_range_of_time_includes_its_beginning_and_not_its_end() {
    let entries = entries(5);
    let world = World::with(&entries).await;
    let range = |from: Option<usize>, until: Option<usize>| AuditFilter {
        from: from.map(|place| entries[place].at),
        until: until.map(|place| entries[place].at),
        ..AuditFilter::default()
    };
    for (filter, expected) in [
        (range(Some(1), None), vec![4, 3, 2, 1]),
        (range(None, Some(3)), vec![2, 1, 0]),
        (range(Some(1), Some(3)), vec![2, 1]),
        (range(Some(2), Some(2)), vec![]),
        (
            AuditFilter { until: Some(Timestamp::MAX), from: Some(Timestamp::MIN), ..range(None, None) },
            vec![4, 3, 2, 1, 0],
        ),
        (AuditFilter { until: Some(Timestamp::MIN), ..range(None, None) }, vec![]),
    ] {
        assert_eq!(world.places(&entries, &filter).await, expected, "{filter:?}");
    }
}

/// Entries of one millisecond list in any order, since their ids are no finer.
#[tokio::test]
async fn a_range_that_begins_or_ends_within_a_millisecond_is_exact_too() {
    let micros = SignedDuration::from_micros;
    // The lowest id is read last, in a batch of its own. It is neither the first nor the last in time.
    let read = usize::try_from(PER_READ).expect("few");
    let mut entries = vec![act_at(micros(500), "read").succeeded(None)];
    entries.extend((0..read - 1).map(|_| act_at(micros(700), "read").succeeded(None)));
    entries.push(act_at(micros(300), "read").succeeded(None));
    let world = World::with(&entries).await;

    let until = AuditFilter { until: Some(samples::NOW + micros(600)), ..AuditFilter::default() };
    let mut before = world.places(&entries, &until).await;
    before.sort_unstable();
    assert_eq!(before, [0, read]);
    let from = AuditFilter { from: Some(samples::NOW + micros(400)), ..AuditFilter::default() };
    let mut after = world.places(&entries, &from).await;
    after.sort_unstable();
    assert_eq!(after, (0..read).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_after_an_entry_does_not_leave_the_range() {
    let entries = entries(5);
    let world = World::with(&entries).await;
    let early = AuditFilter { until: Some(entries[2].at), ..AuditFilter::default() };
    assert_eq!(
        world.page(&early, Some(&entries[4].entry_id), 10).await.entries,
        [entries[1].clone(), entries[0].clone()]
    );
    assert_eq!(world.page(&early, Some(&entries[1].entry_id), 10).await.entries, [entries[0].clone()]);
}

#[tokio::test]
async fn an_expired_entry_is_left_out_before_the_ledger_deletes_it() {
    let entries = entries(2);
    let world = World::with(&entries).await;
    world.clock.set(entries[0].forget_at);
    assert_eq!(world.places(&entries, &AuditFilter::default()).await, [1]);
}

#[tokio::test]
async fn a_request_reads_a_limited_number_of_entries_and_returns_where_to_continue() {
    let rare = act_at(SignedDuration::ZERO, "rare").succeeded(None);
    let mut all = vec![rare.clone()];
    all.extend(entries(u32::try_from(LOOKED_AT).expect("few") + 1).into_iter().skip(1));
    let world = World::with(&all).await;
    let filter = AuditFilter { actions: ["rare".to_owned()].into(), ..AuditFilter::default() };

    let first = world.page(&filter, None, 10).await;
    assert_eq!((first.entries.len(), first.next.as_ref()), (0, Some(&all[1].entry_id)));
    let second = world.page(&filter, first.next.as_ref(), 10).await;
    assert_eq!((second.entries, second.next), (vec![rare], None));
}

#[tokio::test]
async fn another_accounts_entries_are_not_listed() {
    let mut entries = entries(2);
    entries[0].account_id = samples::account_id("421");
    let world = World::with(&entries).await;
    assert_eq!(world.places(&entries, &AuditFilter::default()).await, [1]);
}

#[tokio::test]
async fn an_entry_recorded_twice_exists_once_and_unchanged() {
    let world = World::with(&[]).await;
    let entry = act_at(SECOND, "read").succeeded(None);
    let other = AuditEntry { action: "other".to_owned(), ..entry.clone() };
    for again in [&entry, &entry, &other] {
        record(&*world.ledger, again).await.expect("no failure");
    }
    assert_eq!(samples::audit_log(&*world.ledger).await, [entry]);
}

#[tokio::test]
async fn the_ledger_refuses_to_replace_an_entry() {
    let entry = act_at(SECOND, "read").succeeded(None);
    let world = World::with(std::slice::from_ref(&entry)).await;
    let loaded = ledger::load::<AuditEntry>(&*world.ledger, &ledger::Record::key(&entry)).await;
    let loaded = loaded.expect("readable").expect("present");
    let forged = AuditEntry { outcome: AuditOutcome::Failed, ..entry.clone() };
    let refused = world.ledger.commit(&[Change::replace(&loaded, &forged)]).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))));
    assert_eq!(samples::audit_log(&*world.ledger).await, [entry]);
}
