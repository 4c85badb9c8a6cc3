//! What every look into the dead-letter queues does. See [`domain::ports::dead_letters`] for the contract.

use domain::ports::dead_letters::DeadLetters;
use domain::work::Work;

use crate::queue::some_of_everything;

/// The queues whose messages are looked at, for tests.
pub trait SettingAside {
    /// Sets a message with `body` aside; where there are several queues, in another one every time.
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

/// Work that was set aside is seen, and seen again, as it is left where it is.
///
/// # Panics
/// When the implementation breaks its contract.
pub async fn work_is_seen_and_stays(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    assert_eq!(dead_letters.peek().await.expect("answered"), []);
    let work = some_of_everything(1);
    set_all_aside(queues, &work).await;

    for _ in 0..2 {
        assert_eq!(sorted(dead_letters.peek().await.expect("answered")), sorted(work.clone()));
    }
}

/// Work that was set aside more than once is seen once.
///
/// # Panics
/// When the implementation breaks its contract.
pub async fn the_same_work_is_seen_once(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    let work = &some_of_everything(0)[..1];
    for _ in 0..3 {
        set_all_aside(queues, work).await;
    }
    assert_eq!(dead_letters.peek().await.expect("answered"), work);
}

/// Messages that are no work hide none that are.
///
/// # Panics
/// When the implementation breaks its contract.
pub async fn what_is_no_work_is_left_out(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    let work = &some_of_everything(0)[..2];
    for body in ["not JSON", "{}", r#"{"work":"unheard-of"}"#] {
        queues.set_aside(body).await;
    }
    set_all_aside(queues, work).await;

    assert_eq!(sorted(dead_letters.peek().await.expect("answered")), sorted(work.to_vec()));
}

/// However much was set aside, some of it is seen.
///
/// # Panics
/// When the implementation breaks its contract.
pub async fn some_of_very_much_is_seen(dead_letters: &dyn DeadLetters, queues: &impl SettingAside) {
    let work = some_of_everything(44);
    set_all_aside(queues, &work).await;

    let seen = dead_letters.peek().await.expect("answered");

    assert!(!seen.is_empty() && seen.iter().all(|one| work.contains(one)), "{seen:?}");
}
