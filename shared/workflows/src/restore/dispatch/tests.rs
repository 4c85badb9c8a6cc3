//! The worker places of accounts with several restores.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::ApiVersion;
use domain::ids::{BackupId, ObjectType};
use domain::restore::open_plans::OpenPlans;
use domain::restore::slice::{Compared, PlanSegment};
use domain::restore::{RestoreRequest, RestoreSource};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue};

use super::*;
use crate::samples::{self, NOW, account_id};

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
}

impl World {
    fn new() -> Self {
        let queue = Arc::new(MemoryQueue::new(Arc::new(ManualClock::at(NOW))));
        Self { ledger: Arc::new(MemoryLedger::new()), queue }
    }

    async fn put(&self, changes: Vec<Change>) {
        self.ledger.commit(&changes).await.expect("new");
    }

    /// The `nth` restore of an account, in `state` with this many slices that have no place.
    async fn restore(&self, account: &str, nth: u8, state: RestoreState, slices: u32) -> RestoreRef {
        let restore = RestoreRef { account_id: account_id(account), restore_id: RestoreId::new(NOW, [nth; 10]) };
        let request = RestoreRequest {
            restore: restore.clone(),
            portal_id: samples::PORTAL,
            api_version: ApiVersion::V2026_09,
            source: RestoreSource::Backup { backup_id: BackupId::new(NOW, [1; 10]) },
            object_type: ObjectType::parse("contacts").expect("a name"),
            label: "Contact".to_owned(),
            properties: vec!["phone".to_owned()],
            by: samples::requester(),
        };
        let accepted = Restore { state, slices, open_slices: slices, ..Restore::accepted(request, NOW) };
        let slice = |number| {
            let waiting = RestoreSlice::waiting(&restore, number, 0, 1, NOW);
            if state == RestoreState::Applying { with_a_plan(&waiting) } else { waiting }
        };
        let slices = (0..slices).map(|number| Change::create(&slice(number)));
        self.put([Change::create(&accepted)].into_iter().chain(slices).collect()).await;
        restore
    }

    /// Three plans of 20 slices each, named as open.
    async fn three_plans(&self, account: &str) -> Vec<RestoreRef> {
        let mut plans = Vec::new();
        for nth in 1..=3 {
            plans.push(self.restore(account, nth, RestoreState::Planning, 20).await);
        }
        let restores = plans.iter().map(|plan| plan.restore_id.clone()).collect();
        self.put(vec![Change::create(&OpenPlans { account_id: account_id(account), restores })]).await;
        plans
    }

    async fn dispatch(&self, restore: &RestoreRef) {
        self.dispatch_among(20, restore, NOW).await;
    }

    async fn dispatch_among(&self, places: usize, restore: &RestoreRef, now: Timestamp) {
        dispatch(&*self.ledger, &*self.queue, now, (restore, Places(places))).await.expect("dispatched");
    }

    /// The slices that are queued or worked on, by account and restore.
    async fn busy(&self, restores: &[RestoreRef]) -> BTreeMap<RestoreId, usize> {
        let mut busy = BTreeMap::new();
        for restore in restores {
            let slices = slices(&*self.ledger, restore).await.expect("readable");
            let active = slices.iter().filter(|slice| slice.record.is_active()).count();
            busy.insert(restore.restore_id.clone(), active);
        }
        busy
    }

    /// Ends the first active slice of a plan, and dispatches as the run that compared it does.
    async fn compare_one(&self, restore: &RestoreRef) {
        self.end_one(restore, NOW).await;
        self.dispatch(restore).await;
    }

    async fn end_one(&self, restore: &RestoreRef, now: Timestamp) {
        let all = slices(&*self.ledger, restore).await.expect("readable");
        let loaded = all.into_iter().find(|slice| slice.record.is_active()).expect("one has a place");
        let slice = loaded.record.lease("run", now, jiff::SignedDuration::from_mins(1)).expect("free");
        let slice = compared(&slice, slice.leasing.last_number, None);
        self.put(vec![Change::replace(&loaded, &slice)]).await;
    }

    async fn edit(&self, restore: &RestoreRef, change: impl FnOnce(&mut Restore)) {
        samples::edit(&*self.ledger, &Restore::key_of(restore), change).await;
    }
}

fn compared(slice: &RestoreSlice, lease: u32, segment: Option<PlanSegment>) -> RestoreSlice {
    let step = Compared { from_row: 0, rows: 1, segment, counts: slice.plan.clone(), end: true };
    slice.compared(lease, &step).expect("its lease")
}

/// The slice with a record to write.
fn with_a_plan(waiting: &RestoreSlice) -> RestoreSlice {
    let active = waiting.activate(NOW).expect("waiting");
    let leased = active.lease("run", NOW, jiff::SignedDuration::from_mins(1)).expect("free");
    let segment = PlanSegment { attempt: 1, changed: 1, skips: false };
    compared(&leased, leased.leasing.last_number, Some(segment))
}

#[tokio::test]
async fn one_plan_has_two_places_and_three_plans_have_three() {
    let world = World::new();
    let alone = world.restore("41", 9, RestoreState::Planning, 20).await;
    world.dispatch(&alone).await;
    assert_eq!(world.queue.queued().len(), 2, "also without a record of the open plans");

    let plans = world.three_plans("42").await;
    for plan in plans.iter().chain(&plans) {
        world.dispatch(plan).await;
    }
    assert!(world.busy(&plans).await.into_values().eq([1, 1, 1]));
    assert_eq!(world.queue.queued().len(), 2 + 3);
}

/// B3: while an account makes plans, a restore of another account gets its places at once.
#[tokio::test]
async fn plans_of_one_account_take_no_place_from_another() {
    let world = World::new();
    for plan in world.three_plans("42").await {
        world.dispatch(&plan).await;
    }
    let other = world.restore("43", 7, RestoreState::Applying, 4).await;
    world.dispatch(&other).await;
    let own = world.restore("42", 8, RestoreState::Applying, 4).await;
    world.dispatch(&own).await;
    let busy = world.busy(&[other, own]).await;
    assert!(busy.into_values().eq([2, 2]), "a restore that writes has its own places");
    assert_eq!(world.queue.queued().len(), 3 + 2 + 2);
}

#[tokio::test]
async fn a_free_place_goes_to_the_plan_that_has_the_fewest() {
    let world = World::new();
    let large = world.restore("42", 1, RestoreState::Planning, 20).await;
    let restores = vec![large.restore_id.clone()];
    world.put(vec![Change::create(&OpenPlans { account_id: account_id("42"), restores })]).await;
    world.dispatch(&large).await;
    let mut plans = vec![large.clone()];
    for nth in 2..=3 {
        let small = world.restore("42", nth, RestoreState::Planning, 5).await;
        samples::edit::<OpenPlans>(&*world.ledger, &OpenPlans::key_of(&account_id("42")), |open| {
            open.restores.push(small.restore_id.clone());
        })
        .await;
        world.dispatch(&small).await;
        plans.push(small);
    }
    assert!(world.busy(&plans).await.into_values().eq([2, 1, 0]));
    world.compare_one(&large).await;
    assert!(world.busy(&plans).await.into_values().eq([1, 1, 1]));
}

/// The template's default has two places for all accounts.
#[tokio::test]
async fn the_plans_of_an_account_leave_a_place_and_take_turns() {
    let world = World::new();
    let plans = world.three_plans("42").await;
    let mut served = Vec::new();
    for minute in 0..6 {
        let now = NOW + jiff::SignedDuration::from_mins(minute);
        for plan in &plans {
            world.dispatch_among(2, plan, now).await;
        }
        let busy = world.busy(&plans).await;
        assert_eq!(busy.values().sum::<usize>(), 1, "of two places, one is left for others");
        let turn = plans.iter().position(|plan| busy[&plan.restore_id] == 1).expect("one has the place");
        world.end_one(&plans[turn], now).await;
        served.push(turn);
    }
    assert_eq!(served, [0, 1, 2, 0, 1, 2]);
}

#[tokio::test]
async fn the_places_of_a_plan_that_has_ended_go_to_the_others() {
    let world = World::new();
    let plans = world.three_plans("42").await;
    world.dispatch(&plans[0]).await;
    world.edit(&plans[0], |restore| restore.state = RestoreState::Cancelled).await;
    // As the run does that finds that its plan is no longer needed.
    world.dispatch(&plans[0]).await;
    assert_eq!(world.busy(&plans[1..]).await.into_values().sum::<usize>(), 3);
}
