//! Lists of due records.

use std::time::Duration;

use domain::ports::ledger::{Change, DUE_SHARDS, DueList, Key, Ledger, due_shard};
use jiff::{SignedDuration, Timestamp};

use super::{check, commit, due, version};

/// How often a list that may lag is read, every 50 ms.
const LOOKS: u32 = 100;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

async fn list(ledger: &dyn Ledger, shard: u8, now: Timestamp) -> Vec<Key> {
    list_of(ledger, DueList::Work, shard, now).await
}

async fn list_of(ledger: &dyn Ledger, list: DueList, shard: u8, now: Timestamp) -> Vec<Key> {
    ledger.due(list, shard, now, 100).await.expect("the ledger answers")
}

/// Waits until the list of due work of `shard` is `expected`, since it may lag.
async fn expect(ledger: &dyn Ledger, shard: u8, now: Timestamp, expected: &[&Key]) {
    expect_in(ledger, DueList::Work, shard, now, expected).await;
}

async fn expect_in(ledger: &dyn Ledger, list: DueList, shard: u8, now: Timestamp, expected: &[&Key]) {
    let mut found = list_of(ledger, list, shard, now).await;
    for _ in 0..LOOKS {
        if found.iter().eq(expected.iter().copied()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = list_of(ledger, list, shard, now).await;
    }
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}

/// `count` keys of shard `shard`.
fn keys(shard: u8, count: usize) -> Vec<Key> {
    let some = (0_u32..).map(|n| Key::new(format!("p{}", n % 5), n.to_string()));
    some.filter(|key| due_shard(key) == shard).take(count).collect()
}

/// Due records list earliest first, from their due time on and not before, up to the limit.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn due_records_list_earliest_first(ledger: &dyn Ledger) {
    let keys = keys(3, 4);
    let [late, early, middle, never] = &keys[..] else { unreachable!("four keys") };
    let changes = [
        due(late, None, Some(at(30))),
        due(early, None, Some(at(10))),
        due(middle, None, Some(at(20))),
        due(never, None, None),
    ];
    commit(ledger, &changes).await;

    expect(ledger, 3, at(1_000), &[early, middle, late]).await;
    expect(ledger, 3, at(20), &[early, middle]).await;
    expect(ledger, 3, at(20) - SignedDuration::from_millis(1), &[early]).await;
    expect(ledger, 3, at(9), &[]).await;
    let first = ledger.due(DueList::Work, 3, at(1_000), 1).await.expect("the ledger answers");
    assert!(first.iter().eq([early]), "{first:?}");
}

/// A record is due in its own shard only.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn due_records_are_spread_over_shards(ledger: &dyn Ledger) {
    let by_shard: Vec<_> = (0..DUE_SHARDS).map(|shard| keys(shard, 2)).collect();
    let changes: Vec<_> = by_shard.iter().flatten().map(|key| due(key, None, Some(at(0)))).collect();
    commit(ledger, &changes).await;

    for shard in 0..DUE_SHARDS {
        let mut expected: Vec<_> = by_shard[usize::from(shard)].iter().collect();
        expected.sort();
        let mut found = Vec::new();
        for _ in 0..LOOKS {
            found = list(ledger, shard, at(0)).await;
            if found.len() == expected.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        found.sort();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "shard {shard}");
    }
}

/// A record is due in its own list only, in every shard.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn due_records_are_in_their_own_list(ledger: &dyn Ledger) {
    for shard in 0..DUE_SHARDS {
        let keys = keys(shard, DueList::ALL.len());
        let own = || keys.iter().zip(DueList::ALL);
        let changes: Vec<_> = own().map(|(key, due_in)| Change { due_in, ..due(key, None, Some(at(0))) }).collect();
        commit(ledger, &changes).await;

        for (key, list) in own() {
            expect_in(ledger, list, shard, at(0), &[key]).await;
        }
    }
}

/// A record's place in the due list follows every commit that writes it, and no other.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn due_times_move_and_go(ledger: &dyn Ledger) {
    let keys = keys(5, 2);
    let [moved, other] = &keys[..] else { unreachable!("two keys") };
    commit(ledger, &[due(moved, None, Some(at(10))), due(other, None, Some(at(20)))]).await;
    expect(ledger, 5, at(100), &[moved, other]).await;

    let change = async |due_at| {
        let seen = version(ledger, moved).await;
        let change: Change = due(moved, seen, due_at);
        commit(ledger, &[change]).await;
    };
    change(Some(at(30))).await;
    expect(ledger, 5, at(100), &[other, moved]).await;
    let (seen, seen_other) = (version(ledger, moved).await, version(ledger, other).await);
    commit(ledger, &[check(moved, seen), due(other, seen_other, Some(at(40)))]).await;
    expect(ledger, 5, at(100), &[moved, other]).await;
    change(None).await;
    expect(ledger, 5, at(100), &[other]).await;
}

/// Times between two milliseconds are never listed early.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn nothing_is_due_too_early(ledger: &dyn Ledger) {
    let keys = keys(1, 1);
    let due_at = at(10) + SignedDuration::from_nanos(1_000_001);
    commit(ledger, &[due(&keys[0], None, Some(due_at))]).await;

    expect(ledger, 1, at(10) + SignedDuration::from_millis(2), &[&keys[0]]).await;
    assert_eq!(list(ledger, 1, at(10) + SignedDuration::from_millis(1)).await, []);
}
