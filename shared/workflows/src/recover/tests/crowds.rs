//! Unreadable records, and queues in which work stays for long.

use super::*;

/// Enough unreadable chunks that each list of due work begins with more of them than a round reads.
fn unreadable() -> Vec<Change> {
    let unreadable = |nth: u64| Change {
        key: Key::new("BACKUP#unreadable", format!("CHUNK#contacts#0001#{nth:020}")),
        expected: None,
        format: 1,
        body: Some(serde_json::json!({ "from": "another version" })),
        due_at: Some(samples::NOW - SignedDuration::from_hours(1)),
        due_in: DueList::Work,
        forget_at: None,
    };
    (0..3_000).map(unreadable).collect()
}

#[tokio::test]
async fn unreadable_records_do_not_keep_others_from_their_turn() {
    let notification = unannounced();
    let world = World::with(std::slice::from_ref(&notification)).await;
    for change in unreadable() {
        world.ledger.commit(&[change]).await.expect("new");
    }
    let before: Vec<_> = futures_util::future::join_all(
        (0..DUE_SHARDS).map(|shard| world.ledger.due(DueList::Work, shard, samples::NOW, PER_SHARD)),
    )
    .await;
    assert!(before.iter().all(|list| list.as_ref().is_ok_and(|keys| keys.len() == PER_SHARD as usize)));

    world.clock.set(notification.due_at().expect("not announced"));
    let recovered = world.recover(&Faults::none().worker()).round().await.expect("the lists are readable");

    assert_eq!((recovered.due, recovered.failed), (1, 3_000), "each is looked at once");
    assert_eq!(world.queue.receive(), Some(notification.work()));
}

/// A chunk that stays in the queue while others have all places has a message there, and needs few more.
#[tokio::test]
async fn a_chunk_in_a_full_queue_gets_few_messages_and_is_shown_as_waiting() {
    let backup = samples::exporting(1);
    let (object, waiting) = samples::discovered(&backup, "contacts", Some(1_000));
    let chunk = waiting.activate(samples::NOW).expect("waiting");
    let world = World::with::<Backup>(&[backup]).await;
    world.ledger.commit(&[Change::create(&object), Change::create(&chunk)]).await.expect("new");
    let mut seen = Vec::new();

    for minute in 1..=120 {
        world.clock.advance(SignedDuration::from_mins(1));
        let recovered = world.round().await;
        if recovered.due > 0 {
            assert!(recovered.oldest >= SignedDuration::from_mins(minute) - QUEUE_GRACE, "how long it has waited");
            seen.push(minute);
        }
    }

    let messages = world.queue.queued().into_iter().filter(|message| message.work == chunk.work()).count();
    assert!(messages <= 120 / 4 + 5, "{messages} messages in two hours");
    let longest = seen.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert_eq!(longest, Some(4), "the alarm about stalled work looks at five minutes at a time");
}
