//! Several things go wrong in one backup: faults at any calls, of recover-stalled too, messages that come twice and
//! messages that are lost, workers at once, short runs, and a CRM that is away for a while.

use domain::backup::BackupState;
use faults::crm::{Cursors, Otherwise, Period, Trouble};
use faults::{Copies, FailedMessages, Settings, SimulatedObject, World, samples};
use in_memory::faults::{Fault, Faults};
use jiff::SignedDuration;

use crate::worlds::{assert_consistent, assert_one_archive, assert_true, in_memory};

/// Faults and failing calls of the CRM. Together they are fewer than six, since what fails six times in a row fails its
/// backup, and rightly so.
const MOST_FAULTS: usize = 3;
const MOST_FAILING_CALLS: u64 = 2;

fn objects(random: &mut fastrand::Rng) -> Vec<SimulatedObject> {
    let all = [Cursors::Ids, Cursors::Ids, Cursors::Opaque, Cursors::OnlyGiven(Otherwise::Skips(3))];
    let cursors = *random.choice(all.iter()).expect("some");
    let mut objects = samples::one_of_everything();
    objects[0] = samples::many_contacts(random.u64(0..6_000), cursors);
    objects
}

fn settings(random: &mut fastrand::Rng) -> Settings {
    let faults = (0..random.usize(1..=MOST_FAULTS)).map(|_| {
        let fault = *random.choice([Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies].iter()).expect("some");
        (random.u64(1..400), fault)
    });
    let faults = Faults::script(faults.collect::<Vec<_>>());
    Settings {
        workers: random.usize(1..=4),
        copies: *random.choice([Copies::One, Copies::TwoInARow, Copies::TwoAtOnce].iter()).expect("some"),
        failed: *random.choice([FailedMessages::ComeBack, FailedMessages::AreLost].iter()).expect("some"),
        export_run: SignedDuration::from_millis(random.i64(400..9_000)),
        faults,
        seed: random.u64(..),
        ..Settings::default()
    }
}

async fn world(seed: u64) -> World {
    let mut random = fastrand::Rng::with_seed(seed);
    let objects = objects(&mut random);
    let world = in_memory(objects, settings(&mut random)).await;
    if random.bool() {
        let first = random.u64(2..80);
        world.crm.trouble(Period::Calls(first..first + random.u64(1..=MOST_FAILING_CALLS)), Trouble::Unavailable);
    }
    world
}

#[tokio::test(start_paused = true)]
async fn the_archive_holds_what_the_crm_holds() {
    let (mut struck, mut troubled) = (0, 0);
    for seed in 0..250 {
        let world = world(seed).await;
        let backup = world.request().await;
        let ended = world.to_the_end(&backup).await;

        let what = format!("seed {seed}: {:?} {:?}", world.settings, ended.failure);
        println!("{what}");
        assert_eq!(ended.state, BackupState::Completed, "{what}");
        assert_true(&world, &world.exported(&backup).await);
        assert_consistent(&world, &backup).await;
        assert_one_archive(&world, &ended);
        assert!(world.may_begin_another().await);
        world.assert_backup_told(&backup).await;
        struck += world.settings.faults.struck().len();
        troubled += usize::from(world.crm.struck() > 0);
    }
    assert!(struck > 150 && troubled > 50, "{struck} faults, {troubled} worlds with trouble of the CRM");
}
