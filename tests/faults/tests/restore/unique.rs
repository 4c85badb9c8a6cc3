//! Values that no two records may have.

use domain::ids::RecordId;
use domain::ports::crm_batch::SideEffect;
use faults::World;
use faults::crm::Edit;
use in_memory::faults::{Fault, Sweep};

use crate::scenario::{OBJECT, Scenario, Setup, record};

/// Every record has an address of its own, and no other may have it.
fn unique_addresses(world: &World) {
    world.crm.change(OBJECT, |object| {
        object.rules("email").unique = true;
        object.rules("email").side_effect = Some(SideEffect::Unique);
        for id in object.ids() {
            object.edit(Edit::value(id, "email", &format!("a{id}@example.com")));
        }
    });
}

fn address(world: &World, nth: usize) -> String {
    world.crm.change(OBJECT, |object| object.value(record(nth), "email").unwrap_or_default())
}

/// Three records far from each other pass their addresses on, two more exchange theirs, and the rest gets other ones.
fn exchange(world: &World) {
    let old: Vec<String> = (0..230).map(|nth| address(world, nth)).collect();
    for (nth, address) in old.iter().enumerate() {
        let new = match nth {
            0 => old[115].clone(),
            115 => old[229].clone(),
            229 => old[0].clone(),
            50 => old[180].to_uppercase(),
            180 => old[50].clone(),
            _ if nth % 2 == 0 => format!("other-{address}"),
            _ => address.clone(),
        };
        world.crm.edit(OBJECT, record(nth), "email", &new);
    }
}

fn setup() -> Setup {
    Setup { prepare: unique_addresses, damage: exchange, ..Setup::default() }
}

/// D11: two records that had exchanged an address could not be restored: each was refused for the other's sake.
#[tokio::test(start_paused = true)]
async fn exchanged_addresses_are_restored_and_exchanged_again_by_an_undo() {
    let scenario = Scenario::in_memory(setup()).await;
    scenario.there_and_back().await;
    let calls = scenario.world.crm.calls("update_batch");
    assert!(calls <= 2 * (2 + 2), "two batches each way, one of them with values to free and to set last: {calls}");
}

/// D11: addresses are cleared before they are set, so a run may die in between. Then they are set by the next one, and
/// an undo knows what was there.
#[tokio::test(start_paused = true)]
async fn exchanged_addresses_are_restored_after_a_fault_at_any_call() {
    let before = Scenario::calls_before(&setup()).await;
    for fault in [Fault::WorkerDies, Fault::AnswerLost] {
        let sweep = Sweep::expecting(200).after(before);
        sweep
            .of(fault, async |faults| {
                Scenario::in_memory(Setup { faults, ..setup() }).await.there_and_back().await;
            })
            .await;
    }
}

/// D11: the address of a record is in use by one that the backup does not know. All other values are restored.
#[tokio::test(start_paused = true)]
async fn an_address_of_a_new_record_is_reported_as_taken() {
    for names_faults in [true, false] {
        let scenario = Scenario::in_memory(setup()).await;
        let taken = scenario.good[&(record(2).0, "email".to_owned())].clone();
        scenario.world.crm.change(OBJECT, |object| {
            object.names_faults = names_faults;
            let new = RecordId(object.ids().last().expect("records").0 + 1);
            object.edit(Edit::Create(new));
            object.edit(Edit::value(new, "email", &taken));
            object.edit(Edit::value(record(2), "city", "Elsewhere"));
        });
        let restore = scenario.planned().await;
        let review = scenario.world.review(&restore).await.plan.expect("planned");
        assert!(review.warnings.iter().any(|warning| warning.kind == "unique"));

        scenario.carried_out(&restore).await;

        let errors = scenario.world.errors(&restore).await;
        let rows: Vec<_> = errors.iter().map(|line| (line[0].as_str(), line[1].as_str())).collect();
        assert_eq!(rows, [(record(2).to_string().as_str(), "email")]);
        assert!(errors[0][4].starts_with("UNIQUE_VALUE_TAKEN: Another record has this value"), "{errors:?}");
        let city = (record(2).0, "city".to_owned());
        assert_eq!(scenario.values().get(&city), scenario.good.get(&city));
    }
}
