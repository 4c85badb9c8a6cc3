//! The contract of every reader of dead-letter queues. See [`domain::ports::dead_letters`].

use std::time::Duration;

use domain::ports::dead_letters::DeadLetters;
use domain::work::Work;

use crate::queue::some_of_everything;

/// The dead-letter queues of an implementation, for tests.
pub trait SettingAside {
    /// Puts a message with `body` into a dead-letter queue. If there are several, each message goes to another one.
    fn set_aside(&self, body: &str) -> impl Future<Output = ()>;
}

async fn set_all_aside(queues: &impl SettingAside, work: &[Work]) {
    for one in work {
        queues.set_aside(&serde_json::to_string(one).expect("work is JSON")).await;
    }
}

fn sorted(mut work: Vec<Work>) -> Vec<Work> {
    work.sort_by_key(|work| format!("{work:?}"));
    work
}

/// Work in a dead-letter queue is returned, and returned again, since it stays there.
///
/// # Panics
/// If the implementation breaks its contract.
pub async fn work_is_seen_and_stays(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    assert_eq!(dead_letters.peek().await.expect("answered"), []);
    let work = some_of_everything(1);
    set_all_aside(queues, &work).await;

    for _ in 0..2 {
        seen_in_time(dead_letters, &work).await;
    }
}

/// Waits until a look has seen all of `work`, and nothing else.
async fn seen_in_time(dead_letters: &dyn DeadLetters, work: &[Work]) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let seen = sorted(dead_letters.peek().await.expect("answered"));
        if seen == sorted(work.to_vec()) {
            return;
        }
        assert!(tokio::time::Instant::now() < patience, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Work that is in dead-letter queues more than once is returned once.
///
/// # Panics
/// If the implementation breaks its contract.
pub async fn the_same_work_is_seen_once(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    let work = &some_of_everything(0)[..1];
    for _ in 0..3 {
        set_all_aside(queues, work).await;
    }
    assert_eq!(dead_letters.peek().await.expect("answered"), work);
}

/// Messages that are not work do not hide others that are.
///
/// # Panics
/// If the implementation breaks its contract.
pub async fn messages_that_are_not_work_are_left_out(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    let work = &some_of_everything(0)[..2];
    for body in ["not JSON", "{}", r#"{"work":"unheard-of"}"#] {
        queues.set_aside(body).await;
    }
    set_all_aside(queues, work).await;

    assert_eq!(sorted(dead_letters.peek().await.expect("answered")), sorted(work.to_vec()));
}

/// A look goes beyond the messages that one request returns, and with any number of messages it returns some work.
///
/// # Panics
/// If the implementation breaks its contract.
pub async fn some_of_many_messages_are_seen(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    let work = some_of_everything(44);
    set_all_aside(queues, &work).await;

    let seen = dead_letters.peek().await.expect("answered");

    assert!(
        seen.len() >= 25 && seen.iter().all(|one| work.contains(one)),
        "{} of {}: {seen:?}",
        seen.len(),
        work.len()
    );
}
