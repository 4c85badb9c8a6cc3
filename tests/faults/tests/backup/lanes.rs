//! One run reads several chunks side by side.

use std::sync::Arc;

use domain::backup::BackupState;
use domain::budget::CallLimits;
use domain::object::ListUse;
use domain::work::Work;
use faults::crm::{Cursors, Otherwise, Period, Trouble};
use faults::{Pace, Settings, SimulatedCrm, World, samples};
use in_memory::MemoryLedger;
use jiff::SignedDuration;

use crate::worlds::{assert_complete, assert_tidy};

/// A world with one object of many records beside ten small ones, whose CRM allows so many calls in ten seconds.
async fn world(contacts: u64, per_ten_seconds: u32, settings: Settings) -> World {
    slow_world(contacts, per_ten_seconds, SignedDuration::from_millis(300), settings).await
}

/// The same, with calls that take this long.
async fn slow_world(contacts: u64, per_ten_seconds: u32, latency: SignedDuration, settings: Settings) -> World {
    let clock = Arc::new(samples::clock(Pace::Simulated));
    let mut objects = samples::one_of_everything();
    objects[0] = samples::many_contacts(contacts, Cursors::Ids);
    let limits = CallLimits::in_ten_seconds(per_ten_seconds, 1_000_000);
    let crm = SimulatedCrm::new(clock.clone(), objects).with_limits(limits).with_latency(latency);
    World::with_crm(Arc::new(MemoryLedger::new()), clock, crm, settings).await
}

/// Backs up, and returns how many messages about chunks were delivered, and how long it took.
async fn messages_of(world: &World) -> (usize, SignedDuration) {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_complete(world, &ended).await;
    assert_tidy(world, &backup).await;
    let delivered = world.delivered();
    let messages = delivered.iter().filter(|work| matches!(work, Work::Export { .. })).count();
    (messages, ended.ended_at.expect("an end").duration_since(ended.created_at))
}

#[tokio::test(start_paused = true)]
async fn one_run_uses_the_rate_up_and_reads_all_objects_of_a_backup() {
    let (messages, took) =
        messages_of(&world(60_000, 190, Settings { workers: 16, ..Settings::default() }).await).await;
    assert_eq!(messages, 1);
    // 18.6 calls a second: 611 pages, the ends of ranges, discovery and proofs. One lane alone needs 190 s.
    assert!(took < SignedDuration::from_secs(40), "{took}");
}

/// Closing an object takes a search, and so does each bound of a split. The ten small objects are done first, but their
/// searches do not keep the lanes of the large one waiting.
#[tokio::test(start_paused = true)]
async fn closing_small_objects_does_not_delay_a_large_one() {
    let (messages, took) = messages_of(&world(5_000, 190, Settings { workers: 16, ..Settings::default() }).await).await;
    assert_eq!(messages, 1);
    assert!(took < SignedDuration::from_secs(7), "{took}");
}

/// With answers after 800 ms, the rate needs 18 lanes, and each waits for a search. Bounds are used as soon as they are
/// found, and those for all lanes are searched for at once. Otherwise this takes two seconds longer.
#[tokio::test(start_paused = true)]
async fn lanes_begin_soon_if_answers_are_slow() {
    let settings = Settings { workers: 24, ..Settings::default() };
    let world = slow_world(10_000, 190, SignedDuration::from_millis(800), settings).await;
    let (messages, took) = messages_of(&world).await;
    assert_eq!(messages, 1);
    assert!(took < SignedDuration::from_secs(15), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_use_the_rate_up_asks_for_another() {
    let settings = Settings { workers: 2, ..Settings::default() };
    let (messages, _) = messages_of(&world(20_000, 190, settings).await).await;
    assert!((2..=4).contains(&messages), "{messages}");
}

/// The lanes of a run that ends because its time is over go on in one other run.
#[tokio::test(start_paused = true)]
async fn a_run_hands_all_its_chunks_over_to_one_other() {
    // More lanes than the rate needs, so no run asks for another one beside it.
    let settings = Settings { workers: 16, export_run: SignedDuration::from_secs(4), ..Settings::default() };
    let (messages, took) = messages_of(&world(20_000, 190, settings).await).await;
    let runs = usize::try_from(took.as_secs() / 4).expect("few") + 1;
    assert!((2..=runs).contains(&messages), "{messages} messages in {took}");
    // Without that message the chunks would wait for recover-stalled, a minute each time.
    assert!(took < SignedDuration::from_secs(45), "{took}");
}

/// A chunk whose call failed waits for half a minute. The other lanes read all the rest meanwhile.
#[tokio::test(start_paused = true)]
async fn a_lane_that_waits_does_not_disturb_the_others() {
    let world = world(6_000, 190, Settings { workers: 4, ..Settings::default() }).await;
    world.crm.trouble(Period::CallsOf("page", 30..31), Trouble::Unavailable);
    let backup = world.request().await;
    world.go_on_until(samples::beginning() + SignedDuration::from_secs(25)).await;

    let objects = world.objects_of(&backup).await;
    let open: u32 = objects.iter().map(|object| object.open_chunks).sum();
    assert_eq!(open, 1, "one chunk waits");
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
    assert_complete(&world, &ended).await;
}

/// The list of one object cannot be started in the middle. A lane notices it, and from then on searches find the ids of
/// that object. The lanes of the other objects go on with their lists.
#[tokio::test(start_paused = true)]
async fn a_range_that_is_not_honoured_costs_other_lanes_nothing() {
    for otherwise in [Otherwise::Restarts, Otherwise::Refused] {
        let clock = Arc::new(samples::clock(Pace::Simulated));
        let objects = vec![
            samples::many_contacts(6_000, Cursors::OnlyGiven(otherwise)),
            samples::long_notes("companies", 6_000, 20),
            samples::long_notes("deals", 6_000, 20),
        ];
        let limits = CallLimits::in_ten_seconds(190, 1_000_000);
        let crm = SimulatedCrm::new(clock.clone(), objects).with_limits(limits);
        let settings = Settings { workers: 8, ..Settings::default() };
        let world = World::with_crm(Arc::new(MemoryLedger::new()), clock, crm, settings).await;
        let backup = world.request().await;
        let ended = world.to_the_end(&backup).await;

        assert_complete(&world, &ended).await;
        assert_tidy(&world, &backup).await;
        let objects = world.objects_of(&backup).await;
        let uses: Vec<ListUse> = objects.iter().map(|object| object.list_use).collect();
        assert_eq!(uses, [ListUse::AnyRange, ListUse::FirstRange, ListUse::AnyRange], "{otherwise:?}");
        assert!(world.crm.calls("nth_after") > 5, "each was read by several lanes");
    }
}
