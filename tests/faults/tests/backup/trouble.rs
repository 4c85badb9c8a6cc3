//! The CRM is down, refuses, or is not the one it was.

use domain::backup::{Backup, BackupState};
use domain::lease::WaitReason;
use domain::ports::clock::Clock;
use faults::crm::{Period, SimulatedObject, Trouble};
use faults::{FailedMessages, Settings, World, samples};
use in_memory::faults::Faults;
use jiff::SignedDuration;
use workflows::backup::read;
use workflows::run::Patience;

use crate::cases::{Case, FALLBACK, SMALL, SPLIT, archive_of, calm_archive};
use crate::worlds::{assert_complete, assert_tidy, in_memory};

async fn small() -> World {
    in_memory(samples::one_of_everything(), Settings::default()).await
}

/// Runs a backup to its end, which must be a failure of this kind that leaves nothing behind. Returns it.
async fn fails(world: &World, kind: &str) -> Backup {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_failed(world, &ended, kind).await;
    ended
}

async fn assert_failed(world: &World, ended: &Backup, kind: &str) {
    assert_eq!(ended.state, BackupState::Failed);
    assert_eq!(ended.failure.as_ref().map(|failure| failure.kind.as_str()), Some(kind));
    assert_tidy(world, &ended.reference()).await;
}

async fn completes(world: &World) {
    let backup = world.request().await;
    assert_complete(world, &world.to_the_end(&backup).await).await;
    assert_tidy(world, &backup).await;
}

/// How many calls a backup without trouble makes, after those that connected the account.
async fn calls_of(case: Case) -> (u64, u64) {
    let world = case.calm().await;
    let connected = world.crm.all_calls();
    completes(&world).await;
    (connected, world.crm.all_calls())
}

/// A world that waits for the CRM for an hour only.
async fn impatient(case: Case) -> World {
    let settings = case.settings(Faults::none(), FailedMessages::ComeBack);
    let patience = Patience { outage: SignedDuration::from_hours(1), ..settings.patience };
    in_memory((case.objects)(), Settings { patience, ..settings }).await
}

/// A world whose backup is being exported, with some of it committed.
async fn half_way(case: Case) -> (World, domain::work::BackupRef) {
    let world = case.calm().await;
    let backup = world.request().await;
    while world.objects_of(&backup).await.iter().all(|object| object.records == 0) {
        world.deliver_one().await;
    }
    assert_eq!(world.backup(&backup).await.state, BackupState::Exporting);
    (world, backup)
}

/// B6: what was read before an outage is kept, and the archive is what it would have been without.
#[tokio::test(start_paused = true)]
async fn a_quarter_of_an_hour_without_the_crm_ends_exact() {
    for case in [SMALL, SPLIT, FALLBACK] {
        let calm_world = case.calm().await;
        let calm_backup = calm_world.request().await;
        let calm_end = calm_world.to_the_end(&calm_backup).await;
        let calm = calm_world.exported(&calm_backup).await;
        let lasted = calm_end.ended_at.expect("an end").duration_since(calm_end.created_at);
        let down = calm_end.created_at + lasted / 2;
        let up = down + SignedDuration::from_mins(15);
        let world = case.calm().await;
        let backup = world.request().await;
        world.crm.trouble(Period::Times(down..up), Trouble::Unavailable);
        let (mut waits, mut kept) = (Vec::new(), Vec::new());
        while world.step().await {
            let progress = read::read(&*world.ledger, &backup, world.clock.now()).await.expect("readable");
            waits.extend(progress.waiting.filter(|waiting| waiting.reason == WaitReason::CrmUnavailable));
            let objects = world.objects_of(&backup).await;
            let read: Vec<_> = objects.iter().map(|object| (object.generation, object.records)).collect();
            assert!(kept.iter().zip(&read).all(|(before, now)| before <= now), "what was read is kept");
            kept = read;
        }
        let ended = world.backup(&backup).await;
        assert_complete(&world, &ended).await;
        assert_tidy(&world, &backup).await;
        assert!(world.exported(&backup).await.files == calm.files);
        assert!(world.crm.struck() > 3, "it was really down");
        let since = waits.first().expect("it says what it waits for").since.expect("and since when");
        assert!((down..down + SignedDuration::from_mins(1)).contains(&since), "{since}");
        assert!(waits.iter().all(|waiting| waiting.since.is_some_and(|since| since < up)));
        let late = ended.ended_at.expect("an end").duration_since(up);
        assert!(late < SignedDuration::from_mins(8), "it goes on soon after: {late:#}");
    }
}

/// B6: an outage that is too long ends the backup with a sentence, at any step.
#[tokio::test(start_paused = true)]
async fn a_day_and_an_hour_without_the_crm_fail_the_backup_and_say_since_when() {
    for (half, trouble) in [(true, Trouble::Unavailable), (true, Trouble::Malformed), (false, Trouble::Unavailable)] {
        let (world, backup) = if half {
            half_way(SMALL).await
        } else {
            let world = small().await;
            let backup = world.request().await;
            (world, backup)
        };
        let down = world.clock.now();
        world.crm.trouble(Period::Times(down..down + SignedDuration::from_hours(25)), trouble);
        let ended = world.to_the_end(&backup).await;
        let kind = if trouble == Trouble::Malformed { "crm-answer-malformed" } else { "crm-unavailable" };
        assert_failed(&world, &ended, kind).await;
        let sentence = &ended.failure.as_ref().expect("a failure").sentence;
        let since = down.strftime("since %Y-%m-%d %H:%M UTC").to_string();
        assert!(sentence.contains(&since) && sentence.contains("Start again"), "{sentence}");
        let lasted = ended.ended_at.expect("an end").duration_since(down);
        let day = SignedDuration::from_hours(24);
        assert!((day..day + SignedDuration::from_mins(15)).contains(&lasted), "{lasted:#}");
    }
}

/// B4: a backup survives one wrong refusal at any call.
#[tokio::test(start_paused = true)]
async fn a_single_refusal_at_any_call_changes_no_archive() {
    for trouble in [Trouble::TokenRefused, Trouble::ScopeMissing, Trouble::Forbidden, Trouble::NotFound] {
        for case in [SMALL, FALLBACK] {
            let calm = calm_archive(&case.calm().await).await;
            let (connected, all) = calls_of(case).await;
            let sweep = case.sweep(1, 19).after(connected).up_to(all);
            sweep
                .at_calls(async |nth| {
                    let world = case.calm().await;
                    world.crm.trouble(Period::Calls(nth..nth + 1), trouble);
                    assert!(archive_of(&world).await.files == calm.files, "{trouble:?} at call {nth}");
                    world.crm.struck() == 1
                })
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_stays_down_fails_the_backup_whenever_it_goes_down() {
    for (trouble, kind) in [(Trouble::Unavailable, "crm-unavailable"), (Trouble::Malformed, "crm-answer-malformed")] {
        for case in [SMALL, SPLIT, FALLBACK] {
            let (connected, all) = calls_of(case).await;
            let sweep = case.sweep(1, 19).after(connected).up_to(all);
            sweep
                .at_calls(async |nth| {
                    let world = impatient(case).await;
                    world.crm.trouble(Period::Calls(nth..u64::MAX), trouble);
                    let backup = world.request().await;
                    let ended = world.to_the_end(&backup).await;
                    if world.crm.all_calls() < nth {
                        // Workers that split an object do not always need the same number of calls.
                        assert_eq!((case.workers > 1, ended.state), (true, BackupState::Completed));
                        return false;
                    }
                    assert_failed(&world, &ended, kind).await;
                    let lasted = ended.ended_at.expect("an end").duration_since(ended.created_at);
                    assert!(
                        lasted < SignedDuration::from_hours(3),
                        "the user learns of it in time, not after {lasted:#}"
                    );
                    true
                })
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_comes_back_is_waited_for() {
    for case in [SMALL, FALLBACK] {
        let (connected, all) = calls_of(case).await;
        let sweep = case.sweep(1, 19).after(connected).up_to(all);
        sweep
            .at_calls(async |nth| {
                let world = case.calm().await;
                world.crm.trouble(Period::Calls(nth..nth + 4), Trouble::Unavailable);
                completes(&world).await;
                world.crm.struck() > 0
            })
            .await;
    }
    let world = small().await;
    let down = samples::beginning()..samples::beginning() + SignedDuration::from_mins(10);
    world.crm.trouble(Period::Times(down), Trouble::Unavailable);
    completes(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_discovery_goes_on_with_what_is_missing() {
    let objects = (0..40).map(|n| SimulatedObject::new(&format!("p1_{n}"), &["name"], [], samples::beginning()));
    let world = in_memory(objects.collect(), Settings::default()).await;
    let connected = world.crm.all_calls();
    // Every object takes three calls, and after each sixty something is in the way: no run gets through all of them.
    for nth in (1..100).map(|n| connected + n * 60) {
        world.crm.trouble(Period::Calls(nth..nth + 1), Trouble::Unavailable);
    }
    completes(&world).await;
    assert!(world.crm.struck() >= 2, "no run gets through all objects");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_fails_the_backup_soon() {
    let (connected, all) = calls_of(SMALL).await;
    let sweep = SMALL.sweep(1, 30).after(connected).up_to(all);
    sweep
        .at_calls(async |nth| {
            let world = SMALL.calm().await;
            world.crm.trouble(Period::Calls(nth..u64::MAX), Trouble::TokenRefused);
            let ended = fails(&world, "crm-token-refused").await;
            assert!(world.crm.all_calls() < nth + 16, "but not again and again");
            assert!(ended.ended_at.expect("an end") < samples::beginning() + SignedDuration::from_mins(5));
            // It is asked again.
            world.crm.struck() >= 4
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_may_read_nothing_learns_of_all_its_missing_scopes() {
    let world = small().await;
    for (object, scope) in [
        ("contacts", "crm.objects.contacts.read"),
        ("companies", "crm.objects.companies.read"),
        ("conversations", "conversations.read"),
        ("p7654321_pets", "crm.objects.custom.read"),
    ] {
        world.crm.change(object, |object| object.missing_scopes = vec![scope.to_owned()]);
    }
    let ended = fails(&world, "crm-scopes-missing").await;
    let sentence = ended.failure.as_ref().expect("a failure").sentence.as_str();
    assert!(sentence.contains("crm.objects.contacts.read") && sentence.contains("crm.objects.custom.read"));
    assert!(world.objects_of(&ended.reference()).await.iter().all(|object| object.pages == 0));
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_taken_away_half_way_is_named() {
    let world = small().await;
    let backup = world.request().await;
    while world.backup(&backup).await.state != BackupState::Exporting {
        world.deliver_one().await;
    }
    world.crm.change("contacts", |contacts| contacts.missing_scopes = vec!["crm.objects.contacts.read".to_owned()]);
    let failure = world.to_the_end(&backup).await.failure.expect("a failure");
    assert_eq!(failure.kind, "crm-scopes-missing");
    assert!(failure.sentence.contains("crm.objects.contacts.read"));
    assert_tidy(&world, &backup).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_portal_is_noticed() {
    let world = small().await;
    world.crm.become_portal(1);
    fails(&world, "crm-other-portal").await;
    assert_eq!(world.crm.calls("page"), 0, "nothing of the other portal was read");
}
