//! The CRM refuses, ignores or changes what it is sent.

use domain::restore::RestoreState;
use faults::crm::PropertyRules;
use faults::{SimulatedObject, World};
use in_memory::faults::{Fault, Sweep};

use crate::scenario::{OBJECT, Scenario, Setup, Values, all_fans, damage_every_email, record, stages};

fn rules(world: &World, property: &str, change: impl FnOnce(&mut PropertyRules)) {
    world.crm.change(OBJECT, |object| change(object.rules(property)));
}

fn hundred() -> Setup {
    Setup { records: 100, damage: damage_every_email, ..Setup::default() }
}

fn key(nth: usize, property: &str) -> (u64, String) {
    (record(nth).0, property.to_owned())
}

#[tokio::test(start_paused = true)]
async fn one_bad_record_in_a_hundred_costs_few_calls_and_the_others_are_restored() {
    for names_faults in [true, false] {
        for nth in [0, 37, 99] {
            let scenario = Scenario::in_memory(hundred()).await;
            let bad = scenario.good.get(&key(nth, "email")).cloned().expect("an address");
            assert_eq!(scenario.good.values().filter(|value| **value == bad).count(), 1, "only this record has it");
            scenario.world.crm.change(OBJECT, |object| {
                object.names_faults = names_faults;
                object.refuse("email", Some(&bad), "INVALID_EMAIL");
            });
            let restore = scenario.planned().await;
            let planned = scenario.world.restore(&restore).await.plan.expect("planned").counts.changed;

            scenario.carried_out(&restore).await;

            let calls = scenario.world.crm.calls("update_batch");
            assert!(calls <= 16, "one and at most 15 more: {calls}");
            let outcome = scenario.world.import(&restore).await.expect("it wrote").outcome;
            assert_eq!((outcome.records_restored, outcome.records_failed), (planned - 1, 1));
            let errors = scenario.world.errors(&restore).await;
            assert_eq!((errors.len(), errors[0][0].clone()), (1, record(nth).to_string()));
            assert!(errors[0][4].starts_with("INVALID_EMAIL"), "{errors:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_values_of_a_bad_record_are_restored_when_the_crm_names_the_bad_one() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    scenario.world.crm.change(OBJECT, |object| object.refuse("city", None, "READ_ONLY_VALUE"));
    let restore = scenario.planned().await;
    scenario.carried_out(&restore).await;
    let found = scenario.values();
    let emails = scenario.good.iter().filter(|((_, property), _)| property == "email");
    for (key, value) in emails {
        assert_eq!(found.get(key), Some(value));
    }
    let errors = scenario.world.errors(&restore).await;
    assert!(!errors.is_empty() && errors.iter().all(|line| line[1] == "city"), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn a_property_that_the_crm_keeps_refusing_is_dropped() {
    let scenario = Scenario::in_memory(Setup { records: 2_000, ..Setup::default() }).await;
    scenario.world.crm.change(OBJECT, |object| object.refuse("city", None, "READ_ONLY_VALUE"));
    let restore = scenario.planned().await;
    let ended = scenario.carried_out(&restore).await;
    let dropped: Vec<_> =
        ended.dropped.iter().map(|dropped| (dropped.property.as_str(), dropped.code.as_str())).collect();
    assert_eq!(dropped, [("city", "READ_ONLY_VALUE")]);
    let errors = scenario.world.errors(&restore).await;
    let refused = errors.iter().filter(|line| line[4].starts_with("READ_ONLY_VALUE")).count();
    let given_up = errors.iter().filter(|line| line[4].starts_with("PROPERTY_DROPPED")).count();
    assert!((3..=24).contains(&refused), "{refused} refusals");
    let found = scenario.values();
    let cities = (0..2_000).map(|nth| key(nth, "city"));
    let differing = cities.filter(|city| found.get(city) != scenario.good.get(city)).count();
    assert_eq!(refused + given_up, differing, "every city that differs has an outcome");
    let emails = scenario.good.iter().filter(|((_, property), _)| property == "email");
    assert!(emails.into_iter().all(|(key, value)| found.get(key) == Some(value)));
}

/// D11, R5: with 100 bad addresses among 2,000, the property was given up after 50 of them, and some 1,000 good values
/// with it.
#[tokio::test(start_paused = true)]
async fn bad_values_do_not_cost_the_good_values_of_their_property() {
    let prepare = |world: &World| {
        for (place, id) in world.crm.change(OBJECT, |object| object.ids()).into_iter().enumerate() {
            let quality = if place % 20 == 0 { "bad" } else { "good" };
            world.crm.edit(OBJECT, id, "email", &format!("{quality}-{id}@example.com"));
        }
    };
    let setup = Setup { records: 2_000, prepare, damage: damage_every_email, ..Setup::default() };
    let scenario = Scenario::in_memory(setup).await;
    scenario.world.crm.change(OBJECT, |object| {
        for (place, id) in object.ids().into_iter().enumerate().step_by(20) {
            assert_eq!(place % 20, 0);
            object.refuse("email", Some(&format!("bad-{id}@example.com")), "INVALID_EMAIL");
        }
    });
    let restore = scenario.planned().await;
    let ended = scenario.carried_out(&restore).await;
    assert_eq!(ended.dropped, []);
    let outcome = scenario.world.import(&restore).await.expect("it wrote").outcome;
    assert_eq!((outcome.values_restored, outcome.values_failed), (1_900, 100));
    let errors = scenario.world.errors(&restore).await;
    assert!(errors.iter().all(|line| line[4].starts_with("INVALID_EMAIL")), "{:?}", errors.first());
}

/// D11: each of 400 records was narrowed down to the same bad value, at eight calls for each.
#[tokio::test(start_paused = true)]
async fn a_value_that_was_refused_is_not_sent_again_for_other_records() {
    let prepare = |world: &World| {
        for id in world.crm.change(OBJECT, |object| object.ids()) {
            world.crm.edit(OBJECT, id, "city", "Nowhere");
            world.crm.edit(OBJECT, id, "email", &format!("{id}@example.com"));
        }
    };
    let damage = |world: &World| {
        damage_every_email(world);
        for id in world.crm.change(OBJECT, |object| object.ids()) {
            world.crm.edit(OBJECT, id, "city", "Berlin");
        }
    };
    let scenario = Scenario::in_memory(Setup { records: 2_000, prepare, damage, ..Setup::default() }).await;
    scenario.world.crm.change(OBJECT, |object| object.refuse("city", Some("Nowhere"), "INVALID_CITY"));
    let restore = scenario.planned().await;
    let ended = scenario.carried_out(&restore).await;
    assert_eq!(ended.dropped, []);
    let calls = scenario.world.crm.calls("update_batch");
    assert!(calls <= 20 + 8 * 16, "one for each batch, and for the eight under way at first a few more: {calls}");
    let outcome = scenario.world.import(&restore).await.expect("it wrote").outcome;
    assert_eq!((outcome.values_restored, outcome.values_failed), (2_000, 2_000));
    let errors = scenario.world.errors(&restore).await;
    assert!(errors.iter().all(|line| line[1] == "city" && line[4].starts_with("INVALID_CITY")));
}

/// A run dies between clearing a stage and setting it, and the target is refused by then: the stage gets back what it
/// had, also where its property was given up meanwhile.
#[tokio::test(start_paused = true)]
async fn a_stage_that_a_dead_run_has_cleared_is_put_back_when_it_cannot_be_set() {
    let setup = Setup { records: 100, prepare: stages, damage: all_fans, ..Setup::default() };
    let before = Scenario::calls_before(&setup).await;
    for code in ["INVALID_OPTION", "READ_ONLY_VALUE"] {
        let sweep = Sweep::expecting(400).after(before);
        sweep
            .of(Fault::WorkerDies, async |faults| {
                let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await;
                let restore = scenario.planned().await;
                scenario.world.crm.change(OBJECT, |object| object.refuse_from("city", Some("customer"), code, 3));
                scenario.carried_out(&restore).await;
                let found = scenario.values();
                let empty = (0..100).filter(|nth| nth % 3 != 2 && !found.contains_key(&key(*nth, "city")));
                assert_eq!(empty.collect::<Vec<_>>(), [0; 0], "{code} after {:?}", faults.struck());
                let undo = scenario.undo_planned(&restore, false).await;
                scenario.world.crm.change(OBJECT, SimulatedObject::accept_all);
                if scenario.world.restore(&undo).await.plan.expect("planned").counts.changed > 0 {
                    scenario.carried_out(&undo).await;
                }
                scenario.assert_values(&scenario.damaged);
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_single_records_leaves_the_others_of_the_batch() {
    let scenario = Scenario::in_memory(hundred()).await;
    scenario.world.crm.change(OBJECT, |object| object.refuse_record(record(5), "LOCKED"));
    let restore = scenario.planned().await;
    scenario.carried_out(&restore).await;
    assert_eq!(scenario.world.crm.calls("update_batch"), 1);
    let errors = scenario.world.errors(&restore).await;
    assert_eq!((errors.len(), errors[0][0].clone()), (1, record(5).to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_crm_ignores_is_a_failed_row_and_nothing_to_undo() {
    let scenario = Scenario::in_memory(hundred()).await;
    rules(&scenario.world, "email", |rules| rules.ignores_writes = true);
    let restore = scenario.planned().await;
    scenario.carried_out(&restore).await;
    scenario.assert_values(&scenario.damaged);
    let errors = scenario.world.errors(&restore).await;
    assert!(!errors.is_empty() && errors.iter().all(|line| line[4].starts_with("WRITE_IGNORED")));
    let undo = scenario.undo_planned(&restore, false).await;
    assert_eq!(scenario.world.restore(&undo).await.plan.expect("planned").counts.changed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stage_goes_backwards_by_being_cleared_first() {
    let setup = Setup { records: 100, prepare: stages, damage: all_fans, ..Setup::default() };
    let scenario = Scenario::in_memory(setup).await;
    let restore = scenario.planned().await;
    scenario.carried_out(&restore).await;
    scenario.assert_values(&scenario.good);
    assert_eq!(scenario.world.crm.calls("update_batch"), 3, "ignored, cleared, set");
    assert_eq!(scenario.world.import(&restore).await.expect("it wrote").outcome.values_failed, 0);
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}

#[tokio::test(start_paused = true)]
async fn values_that_are_not_options_now_are_in_the_plan_and_stay() {
    let setup = Setup { records: 100, prepare: stages, damage: all_fans, ..Setup::default() };
    let scenario = Scenario::in_memory(setup).await;
    scenario.world.crm.change(OBJECT, |object| object.define_options("city", &["customer", "fan"]));
    let restore = scenario.planned().await;
    let plan = scenario.world.review(&restore).await.plan.expect("planned");
    let city = plan.properties.iter().find(|(property, _)| property.name == "city").expect("asked for").1;
    assert_eq!((city.set, city.cleared, city.cannot_be_set), (33, 33, 34));
    assert!(plan.warnings.iter().any(|warning| warning.kind == "values-cannot-be-set"));
    scenario.carried_out(&restore).await;
    let errors = scenario.world.errors(&restore).await;
    assert_eq!(errors.iter().filter(|line| line[4].starts_with("NOT_AN_OPTION")).count(), 34);
}

#[tokio::test(start_paused = true)]
async fn properties_that_cannot_be_restored_are_listed_with_a_reason() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    scenario.world.crm.change(OBJECT, |object| {
        object.archive_property("other");
        let city = object.properties.iter_mut().find(|property| property.name == "city").expect("defined");
        city.read_only = true;
    });
    let wish = ["email", "city", "other"];
    let restore = scenario.world.ask_restore(&scenario.backup, OBJECT, &wish).await.expect("accepted");
    scenario.rest_until(&restore, RestoreState::Planned).await;
    let plan = scenario.world.review(&restore).await.plan.expect("planned");
    let reasons = plan.properties.iter().map(|(property, _)| property.reason().map(|(word, _)| word));
    let reasons: Vec<_> = reasons.collect();
    assert_eq!(reasons, [None, Some("read-only"), Some("archived")]);
    scenario.carried_out(&restore).await;
    let found = scenario.values();
    let emails = scenario.good.iter().filter(|((_, property), _)| property == "email");
    assert!(emails.into_iter().all(|(key, value)| found.get(key) == Some(value)));
}

/// The CRM keeps addresses in lower case, in which the backup does not hold all of them. Whatever dies, an undo gives
/// back what was there.
#[tokio::test(start_paused = true)]
async fn a_value_that_the_crm_changes_is_undone_after_a_death() {
    let before = Scenario::calls_before(&Setup::default()).await;
    let sweep = Sweep::expecting(95).every(2).after(before);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults, ..Setup::default() }).await;
            rules(&scenario.world, "email", |rules| rules.normalise = Some(str::to_lowercase));
            let restore = scenario.planned().await;
            scenario.carried_out(&restore).await;
            let lower: Values = scenario
                .good
                .iter()
                .map(|(key, value)| {
                    let touched = scenario.damaged.get(key) != Some(value) && key.1 == "email";
                    (key.clone(), if touched { value.to_lowercase() } else { value.clone() })
                })
                .collect();
            scenario.assert_values(&lower);
            let undo = scenario.undo_planned(&restore, false).await;
            scenario.carried_out(&undo).await;
            scenario.assert_values(&scenario.damaged);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_cannot_be_set_after_all_is_put_back_and_not_left_empty() {
    let setup = Setup { records: 100, prepare: stages, damage: all_fans, ..Setup::default() };
    let scenario = Scenario::in_memory(setup).await;
    let restore = scenario.planned().await;
    scenario.world.crm.change(OBJECT, |object| {
        // Ignored at first, as it goes backwards; refused when it would go forwards from nothing.
        object.names_faults = true;
        object.refuse_from("city", Some("customer"), "INVALID_OPTION", 3);
    });
    scenario.carried_out(&restore).await;
    let found = scenario.values();
    for nth in 0..100 {
        let stage = found.get(&key(nth, "city")).map(String::as_str);
        let expected = [Some("lead"), Some("fan"), None][nth % 3];
        assert_eq!(stage, expected, "record {nth}");
    }
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}

#[tokio::test(start_paused = true)]
async fn what_a_record_lacks_besides_does_not_drop_a_property() {
    let scenario = Scenario::in_memory(Setup { records: 400, ..Setup::default() }).await;
    scenario.world.crm.change(OBJECT, |object| object.refuse("city", None, "MISSING_REQUIRED_PROPERTY"));
    let restore = scenario.planned().await;
    let ended = scenario.carried_out(&restore).await;
    assert_eq!(ended.dropped, []);
    assert!(scenario.world.errors(&restore).await.len() > 50);
}
