//! An account whose data was damaged after its backup, and what must be true of it afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::backup::BackupState;
use domain::budget::CallLimits;
use domain::ids::RecordId;
use domain::ports::ledger::Ledger;
use domain::restore::slice::SliceState;
use domain::restore::{Restore, RestoreState};
use domain::work::{BackupRef, RestoreRef};
use faults::crm::Edit;
use faults::{Copies, FailedMessages, Pace, Settings, SimulatedCrm, SimulatedObject, World, samples};
use in_memory::MemoryLedger;
use in_memory::faults::Faults;
use jiff::SignedDuration;

/// What is damaged and restored.
pub(crate) const PROPERTIES: [&str; 2] = ["email", "city"];
/// The object type that has them.
pub(crate) const OBJECT: &str = "contacts";

/// Values by record and property.
pub(crate) type Values = BTreeMap<(u64, String), String>;

/// How a scenario is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) records: u64,
    pub(crate) workers: usize,
    pub(crate) copies: Copies,
    pub(crate) failed: FailedMessages,
    pub(crate) run_seconds: i64,
    pub(crate) faults: Arc<Faults>,
    /// The CRM's limits, where they matter.
    pub(crate) calls: Option<CallLimits>,
    /// What is done to the CRM before the backup.
    pub(crate) prepare: fn(&World),
    /// What is done to it afterwards.
    pub(crate) damage: fn(&World),
}

impl Default for Setup {
    /// Three batches to compare and two to write, one worker, nothing wrong.
    fn default() -> Self {
        Self {
            records: 230,
            workers: 1,
            copies: Copies::One,
            failed: FailedMessages::ComeBack,
            run_seconds: 290,
            faults: Faults::none(),
            calls: None,
            prepare: |_| {},
            damage,
        }
    }
}

/// A damaged account with a backup from before.
pub(crate) struct Scenario {
    pub(crate) world: World,
    pub(crate) backup: BackupRef,
    /// What the backup holds.
    pub(crate) good: Values,
    /// What the CRM holds after the damage.
    pub(crate) damaged: Values,
}

impl Scenario {
    pub(crate) async fn in_memory(setup: Setup) -> Self {
        Self::on(Arc::new(MemoryLedger::new()), Pace::Simulated, setup).await
    }

    pub(crate) async fn on(ledger: Arc<dyn Ledger>, pace: Pace, setup: Setup) -> Self {
        let ids = samples::clumpy_ids(setup.records);
        let long_ago = samples::beginning() - SignedDuration::from_hours(24 * 400);
        let contacts = SimulatedObject::new(OBJECT, &["city", "email", "other"], ids, long_ago);
        let settings = Settings {
            workers: setup.workers,
            copies: setup.copies,
            failed: setup.failed,
            restore_run: SignedDuration::from_secs(setup.run_seconds),
            faults: setup.faults,
            ..Settings::default()
        };
        let clock = Arc::new(samples::clock(pace));
        let crm = SimulatedCrm::new(clock.clone(), vec![contacts]);
        let crm = setup.calls.into_iter().fold(crm, SimulatedCrm::with_limits);
        let world = World::with_crm(ledger, clock, crm, settings).await;
        (setup.prepare)(&world);
        let backup = world.request().await;
        let ended = world.to_the_end(&backup).await;
        assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
        let good = world.values(OBJECT, &PROPERTIES);
        (setup.damage)(&world);
        let damaged = world.values(OBJECT, &PROPERTIES);
        Self { world, backup, good, damaged }
    }

    pub(crate) fn values(&self) -> Values {
        self.world.values(OBJECT, &PROPERTIES)
    }

    /// Asks for a restore and waits for its plan.
    pub(crate) async fn planned(&self) -> RestoreRef {
        let restore = self.world.ask_restore(&self.backup, OBJECT, &PROPERTIES).await.expect("accepted");
        self.rest_until(&restore, RestoreState::Planned).await;
        restore
    }

    /// Asks for an undo and waits for its plan.
    pub(crate) async fn undo_planned(&self, restore: &RestoreRef, include_edited: bool) -> RestoreRef {
        let undo = self.world.ask_undo(restore, include_edited).await.expect("accepted");
        self.rest_until(&undo, RestoreState::Planned).await;
        undo
    }

    /// Confirms a plan and goes on until some of it is committed, but not all.
    pub(crate) async fn half_way(&self) -> RestoreRef {
        let restore = self.planned().await;
        self.world.confirm(&restore).await.expect("planned");
        while self.world.slices(&restore).await.iter().all(|slice| slice.outcome.records_done == 0) {
            self.world.deliver_one().await;
        }
        assert_eq!(self.world.restore(&restore).await.state, RestoreState::Applying, "not all of it is written");
        restore
    }

    /// Confirms a plan and waits for the end.
    pub(crate) async fn carried_out(&self, restore: &RestoreRef) -> Restore {
        self.world.confirm(restore).await.expect("planned");
        let ended = self.rest_until(restore, RestoreState::Completed).await;
        let import = self.world.import(restore).await.expect("it was confirmed");
        assert_eq!(import.values_not_tried, 0, "after {:?}", self.world.settings.faults.struck());
        ended
    }

    pub(crate) async fn rest_until(&self, restore: &RestoreRef, state: RestoreState) -> Restore {
        let rested = self.world.restore_to_rest(restore).await;
        assert_eq!(rested.state, state, "{:?} after {:?}", rested.failure, self.world.settings.faults.struck());
        if state.is_terminal() {
            self.world.assert_restore_told(restore).await;
            self.world.assert_accounted(restore).await;
        }
        rested
    }

    /// How many calls a scenario like this one makes before its restore begins.
    pub(crate) async fn calls_before(setup: &Setup) -> u64 {
        let faults = Faults::none();
        drop(Self::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await);
        faults.calls()
    }

    /// The whole way there and back.
    pub(crate) async fn there_and_back(&self) {
        let restore = self.planned().await;
        self.carried_out(&restore).await;
        self.assert_values(&self.good);
        self.assert_tidy(&restore, 1).await;

        let undo = self.undo_planned(&restore, false).await;
        self.carried_out(&undo).await;
        self.assert_values(&self.damaged);
        self.assert_tidy(&undo, 2).await;
    }

    pub(crate) fn assert_values(&self, expected: &Values) {
        let found = self.values();
        let of = |values: &Values| -> Values { values.clone() };
        let wrong: Vec<_> = of(expected)
            .into_iter()
            .filter(|(key, value)| found.get(key) != Some(value))
            .chain(of(&found).into_iter().filter(|(key, _)| !expected.contains_key(key)))
            .take(5)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?} after {:?}", self.world.settings.faults.struck());
    }

    /// The account knows of the restore's end, nothing is queued, the lock is free, every slice is done, and there is
    /// an import of each restore that wrote.
    pub(crate) async fn assert_tidy(&self, restore: &RestoreRef, imports: usize) {
        let struck = self.world.settings.faults.struck();
        assert_eq!(self.world.queue.queued(), [], "{struck:?}");
        assert!(self.world.lock_is_free().await, "{struck:?}");
        assert_eq!(self.world.imports().await, imports, "{struck:?}");
        let slices = self.world.slices(restore).await;
        let open = slices.iter().filter(|slice| slice.state == SliceState::Applying).count();
        assert_eq!((open, self.world.blobs.open_uploads()), (0, 0), "{struck:?}");
        self.world.assert_restore_told(restore).await;
        self.world.assert_accounted(restore).await;
    }
}

/// Cities are stages, which go back only by being cleared.
pub(crate) fn stages(world: &World) {
    world.crm.change(OBJECT, |object| {
        object.define_options("city", &["lead", "customer", "fan"]);
        object.rules("city").forward_only = true;
        for (place, id) in object.ids().into_iter().enumerate() {
            let stage = ["lead", "customer", ""][place % 3];
            object.edit(Edit::value(id, "city", stage));
        }
    });
}

/// Every record gets to the last stage.
pub(crate) fn all_fans(world: &World) {
    for id in world.crm.change(OBJECT, |object| object.ids()) {
        world.crm.edit(OBJECT, id, "city", "fan");
    }
}

/// Every record gets another address, and nothing else is wrong.
pub(crate) fn damage_every_email(world: &World) {
    for id in world.crm.change(OBJECT, |object| object.ids()) {
        world.crm.edit(OBJECT, id, "email", &format!("wrong-{id}@example.com"));
    }
}

/// A bad import: half of the addresses are overwritten, some cities are gone and others invented.
pub(crate) fn damage(world: &World) {
    let ids = world.crm.change(OBJECT, |object| object.ids());
    for (place, id) in ids.into_iter().enumerate() {
        if place % 2 == 0 {
            world.crm.edit(OBJECT, id, "email", &format!("wrong-{id}@example.com"));
        }
        if place % 5 == 0 {
            world.crm.edit(OBJECT, id, "city", if place % 10 == 0 { "" } else { "Nowhere" });
        }
    }
}

/// The `nth` record.
pub(crate) fn record(nth: usize) -> RecordId {
    let count = nth as u64 + 1;
    RecordId(samples::clumpy_ids(count)[nth])
}
