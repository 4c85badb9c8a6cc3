use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::catalog::STANDARD;
use crate::config::IdSpacing;
use crate::data::layout::Layout;
use crate::data::text::AWKWARD;
use crate::property_set::PropertySet;

fn contacts(records: u64, hidden: u64, set: PropertySet) -> Store {
    let base = Base::Generated { seed: 4, layout: Layout::new(4, records, IdSpacing::Clumpy) };
    Store::new(Schema::standard(&STANDARD[0], set), base, hidden, hidden)
}

/// What is done to a record, which is named by its place among all.
#[derive(Debug, Clone)]
enum Step {
    Create,
    CreateAs(u64),
    Update(usize),
    Archive(usize),
    Purge(usize),
    Merge(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Create),
        (1_u64..2_000).prop_map(Step::CreateAs),
        any::<usize>().prop_map(Step::Update),
        any::<usize>().prop_map(Step::Archive),
        any::<usize>().prop_map(Step::Purge),
        any::<(usize, usize)>().prop_map(|(into, id)| Step::Merge(into, id)),
    ]
}

/// Does the same to the store and to a plain map of what should be there.
fn take(step: &Step, store: &Store, model: &mut BTreeMap<u64, Presence>) {
    let ids: Vec<u64> = model.keys().copied().collect();
    let at = |place: &usize| ids[place % ids.len()];
    let is_live = |model: &BTreeMap<u64, Presence>, id: u64| model[&id] == Presence::Live;
    let mut writing = store.write();
    match step {
        Step::Create => {
            let id = writing.create(&Changes::new(), None);
            assert!(ids.last().is_none_or(|last| id > *last), "new ids are the highest");
            model.insert(id, Presence::Live);
        }
        Step::CreateAs(id) => {
            writing.create_as(*id, &Changes::new(), None);
            model.insert(*id, Presence::Live);
        }
        _ if ids.is_empty() => {}
        Step::Update(place) => {
            let id = at(place);
            assert_eq!(writing.update(id, &Changes::new()), is_live(model, id));
        }
        Step::Archive(place) | Step::Purge(place) => {
            let presence = if matches!(step, Step::Archive(_)) { Presence::Archived(1) } else { Presence::Gone };
            let id = at(place);
            let was_live = is_live(model, id);
            assert_eq!(writing.hide(id, presence), was_live);
            if was_live {
                model.insert(id, presence);
            }
        }
        Step::Merge(into, id) => {
            let (into, id) = (at(into), at(id));
            let possible = into != id && is_live(model, into) && is_live(model, id);
            assert_eq!(writing.merge(into, id), possible);
            if possible {
                model.insert(id, Presence::Merged(into));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_store_lists_what_a_plain_map_would(
        records in 0_u64..60,
        steps in prop::collection::vec(step(), 0..60),
        start in 0_u64..3_000_000,
    ) {
        let store = contacts(records, 0, PropertySet::Tiny);
        let base = &store.base;
        let mut model: BTreeMap<u64, Presence> =
            (0..records).map(|index| (base.id_at(index), Presence::Live)).collect();
        for step in &steps {
            take(step, &store, &mut model);
        }
        let reading = store.read();
        let ids = |views: &mut dyn Iterator<Item = RecordView<'_>>| views.map(|view| view.id).collect::<Vec<_>>();
        let after: Vec<u64> = model.range(start + 1..).map(|(id, _)| *id).collect();
        prop_assert_eq!(ids(&mut reading.all_after(start)), after);
        let before: Vec<u64> = model.range(..start).rev().map(|(id, _)| *id).collect();
        prop_assert_eq!(ids(&mut reading.all_before(start)), before);
        let live: Vec<u64> =
            model.iter().filter(|(_, presence)| **presence == Presence::Live).map(|(id, _)| *id).collect();
        prop_assert_eq!(reading.live_count(), live.len() as u64);
        prop_assert_eq!(ids(&mut reading.live_after(0)), live);
        for (id, presence) in &model {
            prop_assert_eq!(reading.get(*id).map(|view| view.presence()), Some(*presence));
        }
    }

    #[test]
    fn hidden_records_are_as_many_as_asked_for_and_merged_ones_have_a_live_survivor(
        live in 1_u64..500,
        share in 0_u64..450,
    ) {
        let hidden = live * share / 1_000;
        let store = contacts(live + 2 * hidden, hidden, PropertySet::Tiny);
        let reading = store.read();
        prop_assert_eq!(reading.live_count(), live);
        prop_assert_eq!(reading.archived_after(0).count() as u64, hidden);
        let merged: Vec<u64> = reading
            .all_after(0)
            .filter(|view| matches!(view.presence(), Presence::Merged(_)))
            .map(|view| view.id)
            .collect();
        prop_assert_eq!(merged.len() as u64, hidden);
        prop_assert!(merged.iter().all(|id| reading.resolve(*id).is_some()));
    }
}

#[test]
fn three_thousand_contacts_hold_every_awkward_text_and_a_note_of_the_longest_kind() {
    let store = contacts(3_000, 0, PropertySet::Standard);
    let (schema, reading) = (store.schema(), store.read());
    let (mut seen, mut longest, mut unset, mut empty) = (HashSet::<&str>::new(), 0, 0, 0);
    for view in reading.live_after(0) {
        for property in schema.properties() {
            match view.value(property) {
                Some(value) => {
                    longest = longest.max(value.chars().count());
                    empty += usize::from(value.is_empty());
                    seen.extend(AWKWARD.iter().copied().filter(|text| *text == value));
                }
                None => unset += 1,
            }
        }
    }
    assert_eq!(seen.len(), AWKWARD.len());
    assert_eq!(longest, crate::data::text::LONGEST_NOTE);
    assert!(unset > 1_000 && empty > 100, "{unset} unset and {empty} empty values");
}
