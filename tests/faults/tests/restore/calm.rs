//! Nothing goes wrong.

use std::time::Duration;

use domain::budget::CallLimits;
use domain::restore::RestoreState;
use domain::restore::slice::SliceState;
use faults::crm::Edit;

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup, record};

#[tokio::test(start_paused = true)]
async fn values_become_what_the_backup_holds_and_an_undo_gives_back_the_state_before() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    assert_ne!(scenario.good, scenario.damaged);
    scenario.there_and_back().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_lists_its_writes_and_writes_nothing() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.planned().await;
    scenario.assert_values(&scenario.damaged);
    assert!(scenario.world.lock_is_free().await);

    let review = scenario.world.review(&restore).await;
    let plan = review.plan.expect("planned");

    let differing = PROPERTIES.map(|property| {
        let of = |values: &crate::scenario::Values, id: u64| values.get(&(id, property.to_owned())).cloned();
        let ids = (0..230).map(|nth| record(nth).0);
        ids.filter(|id| of(&scenario.good, *id) != of(&scenario.damaged, *id)).count() as u64
    });
    let counted = [0, 1].map(|place| plan.properties[place].1.set + plan.properties[place].1.cleared);
    assert_eq!(counted, differing);
    assert_eq!((plan.plan.counts.read, plan.plan.counts.not_found), (230, 0));
    assert_eq!(plan.samples.len(), 20);
    let kinds: Vec<_> = plan.warnings.iter().map(|warning| warning.kind).collect();
    assert_eq!(kinds, ["changes-live-data", "workflows-may-run"]);
    let batches = plan.plan.counts.changed.div_ceil(100);
    assert_eq!(plan.plan.calls, 2 * batches);
}

#[tokio::test(start_paused = true)]
async fn calls_are_as_many_as_the_records_need() {
    let scenario = Scenario::in_memory(Setup { records: 1_000, ..Setup::default() }).await;
    let calls = || (scenario.world.crm.calls("read_batch"), scenario.world.crm.calls("update_batch"));
    let restore = scenario.planned().await;
    assert_eq!(calls(), (10, 0));

    scenario.carried_out(&restore).await;

    // 600 of them differ: every second, and every fifth of the rest.
    assert_eq!(calls(), (10 + 6, 6));
    let sent = scenario.world.crm.change(OBJECT, |object| object.updates().to_vec());
    let unchanged = sent.iter().filter(|update| update.values.is_empty()).count();
    assert_eq!((sent.len(), unchanged), (600, 0));
}

#[tokio::test(start_paused = true)]
async fn records_that_are_gone_are_listed_and_left_alone() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    scenario.world.crm.change(OBJECT, |object| {
        object.edit(Edit::Delete(record(0)));
        object.edit(Edit::Merge(record(2), record(4)));
    });
    let restore = scenario.planned().await;
    let plan = scenario.world.restore(&restore).await.plan.expect("planned");
    assert_eq!((plan.counts.not_found, plan.counts.merged), (1, 1));
    assert!(plan.skipped_key.is_some());
    // Two more go after the plan was made.
    scenario.world.crm.change(OBJECT, |object| {
        object.edit(Edit::Delete(record(10)));
        object.edit(Edit::Merge(record(12), record(14)));
    });

    scenario.carried_out(&restore).await;

    let reasons: Vec<(String, String)> = scenario
        .world
        .errors(&restore)
        .await
        .into_iter()
        .map(|line| (line[0].clone(), line[4].split(':').next().unwrap_or_default().to_owned()))
        .collect();
    let has = |nth: usize, code: &str| reasons.contains(&(record(nth).to_string(), code.to_owned()));
    assert!(has(0, "RECORD_GONE") && has(2, "RECORD_MERGED"), "{reasons:?}");
    assert!(has(10, "RECORD_GONE") && has(12, "RECORD_MERGED"), "{reasons:?}");
    let written = scenario.world.crm.change(OBJECT, |object| object.updates().to_vec());
    assert!(written.iter().all(|update| [0, 2, 10, 12].iter().all(|&nth| update.id != record(nth))));
    // The survivors are restored for what they are themselves.
    let email = |nth: usize| (record(nth).0, "email".to_owned());
    assert_eq!(scenario.values().get(&email(4)), scenario.good.get(&email(4)));
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_changes_has_nothing_to_confirm() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.world.ask_restore(&scenario.backup, OBJECT, &["other"]).await.expect("accepted");
    let planned = scenario.rest_until(&restore, RestoreState::Planned).await;
    assert_eq!(planned.plan.expect("planned").counts.changed, 0);
    assert!(scenario.world.confirm(&restore).await.is_err());
    let slices = scenario.world.slices(&restore).await;
    assert!(slices.iter().all(|slice| slice.state == SliceState::Planned));
}

#[tokio::test(start_paused = true)]
async fn runs_that_end_early_go_on_where_they_were() {
    let setup = Setup { records: 12_000, run_seconds: 2, workers: 2, ..Setup::default() };
    let scenario = Scenario::in_memory(setup).await;
    scenario.there_and_back().await;
}

/// At so few calls a second each slice takes longer than a lease lasts. recover-stalled finds nothing to do meanwhile.
#[tokio::test(start_paused = true)]
async fn slices_are_planned_and_written_side_by_side() {
    let calls = Some(CallLimits::in_ten_seconds(100, 1_000_000));
    let scenario = Scenario::in_memory(Setup { records: 120_000, workers: 4, calls, ..Setup::default() }).await;
    let rounds = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(40)).await;
            scenario.world.recover().await;
        }
    };
    let (restore, ()) = futures_util::future::join(scenario.planned(), rounds).await;
    assert_eq!(scenario.world.slices(&restore).await.len(), 3);
    assert_eq!(scenario.world.crm.calls("read_batch"), 1_200);
    scenario.carried_out(&restore).await;
    scenario.assert_values(&scenario.good);
}
