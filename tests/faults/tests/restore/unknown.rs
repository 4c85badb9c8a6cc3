//! What the CRM does not show is not known: it is neither empty nor gone, and never overwritten blindly.

use archive::manifest::Manifest;
use domain::gap::{Gap, Missing};
use domain::ports::storage::BlobReader;
use domain::restore::RestoreState;
use domain::work::RestoreRef;
use faults::SimulatedObject;
use in_memory::faults::{Fault, Sweep};

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup, Values, damage_every_email, record};

fn only(values: &Values, property: &str) -> Values {
    values.iter().filter(|(key, _)| key.1 == property).map(|(key, value)| (key.clone(), value.clone())).collect()
}

async fn rows_with(scenario: &Scenario, restore: &RestoreRef, code: &str) -> usize {
    let errors = scenario.world.errors(restore).await;
    errors.iter().filter(|line| line[4].starts_with(code)).count()
}

/// A2, A3: a value that the token may not see was planned as if the CRM had none, and then written blindly.
#[tokio::test(start_paused = true)]
async fn a_property_that_the_crm_does_not_show_is_left_alone() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    scenario.world.crm.change(OBJECT, |object| object.hide("city"));
    let restore = scenario.planned().await;
    let review = scenario.world.review(&restore).await.plan.expect("planned");
    let city = review.properties.iter().find(|(property, _)| property.name == "city").expect("asked for").1;
    assert_eq!((city.not_shown, city.set, city.cleared, city.present), (230, 0, 0, 0));
    assert!(review.warnings.iter().any(|warning| warning.kind == "values-not-shown"));
    assert!(review.plan.skipped_key.is_some());

    scenario.carried_out(&restore).await;

    let found = scenario.values();
    assert_eq!(only(&found, "city"), only(&scenario.damaged, "city"));
    assert_eq!(only(&found, "email"), only(&scenario.good, "email"));
    assert_eq!(rows_with(&scenario, &restore, "NOT_SHOWN").await, 230);
}

/// A2: between plan and confirmation the token loses the right to see a value. Nothing is overwritten that no pre-image
/// holds.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_hidden_after_the_plan_is_left_alone() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.planned().await;
    let city = scenario.world.review(&restore).await.plan.expect("planned").properties[1].1;
    scenario.world.crm.change(OBJECT, |object| object.hide("city"));

    scenario.carried_out(&restore).await;

    let found = scenario.values();
    assert_eq!(only(&found, "city"), only(&scenario.damaged, "city"));
    assert_eq!(only(&found, "email"), only(&scenario.good, "email"));
    let outcome = scenario.world.import(&restore).await.expect("it wrote").outcome;
    assert_eq!(outcome.values_failed, city.set + city.cleared);
    assert_eq!(rows_with(&scenario, &restore, "NOT_SHOWN").await as u64, outcome.values_failed);
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.world.crm.change(OBJECT, faults::SimulatedObject::show_all);
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}

/// A1: records that the CRM could not give for a moment were reported as deleted and stayed damaged.
#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_not_a_deleted_one() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let damaged = [record(0), record(2)];
    scenario.world.crm.change(OBJECT, |object| damaged.iter().for_each(|id| object.make_unreadable(*id)));
    let restore = scenario.planned().await;
    let plan = scenario.world.review(&restore).await.plan.expect("planned");
    assert_eq!((plan.plan.counts.unreadable, plan.plan.counts.not_found, plan.plan.counts.merged), (2, 0, 0));
    assert!(plan.warnings.iter().any(|warning| warning.kind == "records-unreadable"));
    // One more cannot be read when it is to be written.
    scenario.world.crm.change(OBJECT, |object| object.make_unreadable(record(4)));

    scenario.carried_out(&restore).await;

    assert_eq!(scenario.world.import(&restore).await.expect("it wrote").records_unreadable, 2);
    let errors = scenario.world.errors(&restore).await;
    let named: Vec<_> = errors.iter().map(|line| (line[0].clone(), line[4].split(':').next().unwrap_or(""))).collect();
    for nth in [0, 2, 4] {
        assert!(named.contains(&(record(nth).to_string(), "UNREADABLE")), "{named:?}");
        let key = (record(nth).0, "email".to_owned());
        assert_eq!(scenario.values().get(&key), scenario.damaged.get(&key));
    }
    assert!(named.iter().all(|(_, code)| *code == "UNREADABLE"), "{named:?}");
}

/// A1: wherever a run dies, and although the records cannot be read by the run that goes on, an undo gives back what
/// was there.
#[tokio::test(start_paused = true)]
async fn a_dead_runs_write_to_a_record_that_is_now_unreadable_is_unclear() {
    let setup = Setup { records: 100, damage: damage_every_email, ..Setup::default() };
    let before = Scenario::calls_before(&setup).await;
    let mut unclear = 0;
    let sweep = Sweep::expecting(80).after(before);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await;
            let world = &scenario.world;
            let restore = scenario.planned().await;
            world.confirm(&restore).await.expect("planned");
            while faults.struck().is_empty() && world.step().await {}
            if faults.struck().is_empty() {
                return;
            }
            world.crm.change(OBJECT, |object| (0..50).for_each(|nth| object.make_unreadable(record(nth))));
            scenario.rest_until(&restore, RestoreState::Completed).await;
            unclear += world.import(&restore).await.expect("it wrote").outcome.values_unclear;

            world.crm.change(OBJECT, SimulatedObject::show_all);
            let undo = scenario.undo_planned(&restore, false).await;
            if world.restore(&undo).await.plan.expect("planned").counts.changed > 0 {
                scenario.carried_out(&undo).await;
            }
            scenario.assert_values(&scenario.damaged);
        })
        .await;
    assert!(unclear > 0, "no run died between a write and its commit");
}

/// A2: 51 salaries stood as empty fields in a backup, and a restore from it would have cleared all of them.
#[tokio::test(start_paused = true)]
async fn values_that_the_backup_does_not_know_cannot_be_restored() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let gap = Gap {
        object_type: Some(domain::ids::ObjectType::parse(OBJECT).expect("an object type")),
        label: "CONTACTS".to_owned(),
        missing: Missing::Values { property: "city".to_owned(), rows: 51 },
        reason: "The CRM did not show these values.".to_owned(),
        scopes: Vec::new(),
        in_last_backup: false,
    };
    let objects = &scenario.world.blobs;
    for key in objects.keys("").into_iter().filter(|key| key.contains("manifest")) {
        let bytes = objects.read(&key, None).await.expect("in storage");
        let manifest = Manifest { missing: vec![gap.clone()], ..Manifest::parse(&bytes).expect("a manifest") };
        objects.tamper(&key, manifest.to_json());
    }
    let restore = scenario.world.ask_restore(&scenario.backup, OBJECT, &PROPERTIES).await.expect("accepted");
    scenario.rest_until(&restore, RestoreState::Planned).await;
    let plan = scenario.world.review(&restore).await.plan.expect("planned");
    let city = plan.properties.iter().find(|(property, _)| property.name == "city").expect("asked for");
    assert_eq!(city.0.reason().map(|(word, _)| word), Some("values-unknown"));

    scenario.carried_out(&restore).await;

    let found = scenario.values();
    assert_eq!(only(&found, "city"), only(&scenario.damaged, "city"));
    assert_eq!(only(&found, "email"), only(&scenario.good, "email"));
}

/// M-2: a record that an answer left out was reported as deleted, and an undo left its new values.
#[tokio::test(start_paused = true)]
async fn a_record_that_the_answer_to_a_write_leaves_out_is_looked_at() {
    let scenario = Scenario::in_memory(Setup { records: 100, damage: damage_every_email, ..Setup::default() }).await;
    let restore = scenario.planned().await;
    scenario.world.crm.change(OBJECT, |object| [0, 7].iter().for_each(|nth| object.leave_unmentioned(record(*nth))));
    scenario.carried_out(&restore).await;
    scenario.assert_values(&scenario.good);
    let outcome = scenario.world.import(&restore).await.expect("it wrote").outcome;
    assert_eq!((outcome.values_restored, outcome.values_failed, outcome.values_unclear), (100, 0, 0));
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}

/// The same where the CRM hides the value after the write: it is unclear whether it was written, and an undo looks at
/// it.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_shown_after_it_was_written_is_unclear_and_undone() {
    let scenario = Scenario::in_memory(Setup { records: 100, damage: damage_every_email, ..Setup::default() }).await;
    let world = &scenario.world;
    let restore = scenario.planned().await;
    world.crm.change(OBJECT, |object| object.hide_from("email", 1));
    scenario.carried_out(&restore).await;
    let outcome = world.import(&restore).await.expect("it wrote").outcome;
    assert_eq!((outcome.values_restored, outcome.values_failed, outcome.values_unclear), (0, 0, 100));
    assert_eq!(rows_with(&scenario, &restore, "UNCLEAR").await, 100);
    world.crm.change(OBJECT, faults::SimulatedObject::show_all);
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}
