//! A restore or an undo: asked for, planned, reviewed, confirmed, written; and what its plan must be like.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::RecordId;
use domain::ports::storage::BlobReader;
use domain::restore::difference::Comparison;
use domain::restore::plan::{PlannedRecord, WhySkipped};
use domain::restore::{Restore, RestoreState};
use domain::storage_keys;
use domain::work::RestoreRef;
use serde::de::DeserializeOwned;
use workflows::restore::ask::AskError;
use workflows::restore::decide::DecideError;

use super::history::{Existence, History, Key, Mark, mark};
use super::people;
use super::plan::{Act, Event, Kind, Name, Refusal, RestorePlan, Step, UndoPlan, Way};
use super::walk::{Carried, Subject, Walk};

/// A value that a restore should give a record, and what there is to know about it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// One of these; more than one where people were at work at the same moment.
    pub(super) targets: BTreeSet<String>,
    /// It is only wanted if the record still has one of these.
    pub(super) only_over: Option<BTreeSet<String>>,
    /// What the restore that is undone has left, as far as that is known: the record having this is no edit.
    pub(super) left: Option<String>,
    /// Somebody has edited it before that restore ended.
    pub(super) is_edited: bool,
    /// It may just as well not be wanted, as nothing was changed.
    pub(super) is_doubtful: bool,
}

/// A restore that was asked for.
pub(super) struct Asked {
    pub(super) restore: RestoreRef,
    pub(super) object: usize,
    pub(super) wanted: BTreeMap<Key, Wanted>,
    pub(super) from: Mark,
    pub(super) is_undo: bool,
    /// It leaves alone what was edited.
    pub(super) spares_edits: bool,
}

impl Walk<'_> {
    /// Restores values from the latest backup.
    pub(super) async fn restore(&mut self, plan: &RestorePlan) {
        let Some(object) = self.plan.objects.get(plan.object).filter(|object| object.name != Name::Conversations)
        else {
            return;
        };
        let Some(held) = &self.held else { return };
        let Some(table) = held.tables.get(object.name.object_type()) else { return };
        let places: BTreeSet<usize> =
            plan.properties.iter().copied().filter(|place| *place < object.properties.len()).collect();
        if places.is_empty() {
            return;
        }
        let names: Vec<String> = places.iter().map(|place| people::property(object, *place)).collect();
        let mut wanted = BTreeMap::new();
        for (place, name) in places.iter().zip(&names) {
            if matches!(object.properties[*place], Kind::Fixed | Kind::Hidden) {
                continue;
            }
            let column = table.header.iter().position(|column| column == name).expect("a column of it");
            for row in &table.rows {
                let key = (RecordId(row[0].parse().expect("an id")), name.clone());
                let targets = BTreeSet::from([row[column].clone()]);
                wanted
                    .insert(key, Wanted { targets, only_over: None, left: None, is_edited: false, is_doubtful: false });
            }
        }
        let from = mark(&self.world.crm, object.name.object_type());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let asked = self.world.ask_restore(&held.backup, object.name.object_type(), &names).await;
        let restore = asked.expect("a restore that can be asked for");
        let asked = Asked { restore, object: plan.object, wanted, from, is_undo: false, spares_edits: false };
        self.carry_out(&asked, &plan.way).await;
    }

    pub(super) async fn undo(&mut self, plan: &UndoPlan) {
        let restores: Vec<&Carried> = self.carried.iter().filter(|carried| !carried.is_undo).collect();
        let Some(undone) = restores.get(plan.of) else { return };
        let history = History::of(&self.world.crm, self.object_type(undone.object));
        let wanted = self.to_undo(undone, &history, plan.include_edited);
        let (object, from) = (undone.object, history.object().journal().len());
        let restore = match self.world.ask_undo(&undone.restore, plan.include_edited).await {
            Ok(restore) => restore,
            Err(AskError::Undone(_) | AskError::UndoExists(_) | AskError::NothingWritten) => return,
            Err(error) => panic!("an undo is refused: {error}"),
        };
        let asked = Asked { restore, object, wanted, from, is_undo: true, spares_edits: !plan.include_edited };
        self.carry_out(&asked, &plan.way).await;
    }

    async fn carry_out(&mut self, asked: &Asked, way: &Way) {
        self.asked.push(asked.restore.clone());
        let subject = Subject::Restore(asked.restore.clone());
        self.through(&way.planning, &subject).await;
        let planned = self.world.restore(&asked.restore).await;
        self.coverage.add(format!("plan {:?}", planned.state), 1);
        match planned.state {
            RestoreState::Planned => {}
            RestoreState::Cancelled => return,
            RestoreState::Failed => {
                assert!(way.planning.may_fail(), "a plan failed that need not: {:?}", planned.failure);
                return;
            }
            state => panic!("a plan did not end: {state:?}"),
        }
        let records = self.assert_planned(asked, &planned).await;
        self.show_everything(asked);
        self.people(&way.reviewed, "between plan and confirmation");
        if way.called_off {
            self.world.call_off(&asked.restore).await.expect("a plan that can be called off");
            return;
        }
        let from = mark(&self.world.crm, self.object_type(asked.object));
        let has_changes = records.iter().any(|record| !record.differences.is_empty());
        match self.world.confirm(&asked.restore).await {
            Ok(_) => {}
            Err(DecideError::NothingToRestore) if !has_changes => return,
            Err(DecideError::PlanExpired(_)) => return,
            Err(error) => panic!("a confirmation is refused: {error}"),
        }
        self.refuse(asked, &way.refusals);
        self.through(&way.writing, &subject).await;
        self.show_everything(asked);
        self.world.crm.change(self.object_type(asked.object), crate::SimulatedObject::accept_all);
        let ended = self.world.restore(&asked.restore).await;
        self.assert_written(asked, &ended, &records, from, way).await;
    }

    fn show_everything(&self, asked: &Asked) {
        self.world.crm.change(self.object_type(asked.object), crate::SimulatedObject::show_all);
    }

    fn refuse(&self, asked: &Asked, refusals: &[Refusal]) {
        let plan = &self.plan.objects[asked.object];
        self.world.crm.change(plan.name.object_type(), |object| {
            let batches = object.update_batches();
            for refusal in refusals.iter().filter(|refusal| refusal.property < plan.properties.len()) {
                let value = Some(refusal.value.as_str()).filter(|value| !value.is_empty());
                let property = people::property(plan, refusal.property);
                object.refuse_from(&property, value, refusal.why.code(), batches + refusal.from);
            }
        });
    }

    /// How values of an object's property are compared, and what it is like.
    pub(super) fn known(&self, object: usize, name: &str) -> (Comparison, Kind) {
        let plan = &self.plan.objects[object];
        let place = (0..plan.properties.len()).find(|place| people::property(plan, *place) == name);
        let kind = place.map_or(Kind::Text, |place| plan.properties[place]);
        (if kind == Kind::Number { Comparison::Number } else { Comparison::Exact }, kind)
    }

    /// Whether the CRM does not show something of this sort at times.
    pub(super) fn hides(&self, of_records: bool) -> bool {
        let events = |phase: &super::plan::Phase| {
            phase.events.iter().any(|event| match event {
                Event::At(_, Act::Hide(_)) => !of_records,
                Event::At(_, Act::Lock(_)) => of_records,
                _ => false,
            })
        };
        self.plan.steps.iter().any(|step| match step {
            Step::Restore(RestorePlan { way, .. }) | Step::Undo(UndoPlan { way, .. }) => {
                events(&way.planning) || events(&way.writing)
            }
            Step::Backup(_) | Step::People(_) => false,
        })
    }

    /// The plan is right about each wanted value and contains no others. Returns it.
    async fn assert_planned(&mut self, asked: &Asked, planned: &Restore) -> Vec<PlannedRecord> {
        let mut records = Vec::new();
        for slice in self.world.slices(&asked.restore).await {
            for (number, segment) in (0_u32..).zip(&slice.segments) {
                let key = storage_keys::plan_segment(&asked.restore, slice.number, number, segment.attempt);
                records.extend(self.lines::<PlannedRecord>(&key).await);
            }
        }
        let by_id: BTreeMap<RecordId, &PlannedRecord> = records.iter().map(|record| (record.id, record)).collect();
        assert_eq!(by_id.len(), records.len(), "a record is planned twice");
        let history = History::of(&self.world.crm, self.object_type(asked.object));
        let to = history.object().journal().len();
        let mut count = 0;
        for (key, wanted) in &asked.wanted {
            let record = by_id.get(&key.0).copied();
            self.assert_planned_value(asked, planned, (key, wanted), record, (&history, to));
            count += u64::from(record.is_some_and(|record| difference(record, planned, &key.1).is_some()));
        }
        let all = records.iter().map(|record| record.differences.len() as u64).sum::<u64>();
        assert_eq!(all, count, "values are planned that nobody asked for");
        let plan = planned.plan.as_ref().expect("a plan");
        assert_eq!(plan.counts.values(|property| property.set + property.cleared), all, "a plan counts wrongly");
        self.coverage.add("values in plans", all);
        records
    }

    fn assert_planned_value(
        &self,
        asked: &Asked,
        planned: &Restore,
        (key, wanted): (&Key, &Wanted),
        record: Option<&PlannedRecord>,
        (history, to): (&History, Mark),
    ) {
        let (comparison, kind) = self.known(asked.object, &key.1);
        let place = place(planned, &key.1);
        let there = history.values(key, asked.from, to);
        let existence = history.existence(key.0, asked.from, to);
        let gone = record.is_some_and(|record| record.gone.is_some());
        if gone {
            assert_ne!(existence, Existence::Always, "a record is called gone that was there: {key:?}");
            return;
        }
        if record.is_some_and(|record| record.unreadable) {
            assert!(self.hides(true), "a record is called unreadable that is not: {key:?}");
            return;
        }
        if record.is_some_and(|record| record.not_shown.contains(&place)) {
            assert!(self.hides(false), "a value is called hidden that is not: {key:?}");
            return;
        }
        let is_ours = |value: &String| {
            wanted.only_over.as_ref().is_none_or(|ours| ours.iter().any(|own| comparison.same(own, value)))
        };
        if let Some(found) = record.and_then(|record| difference(record, planned, &key.1)) {
            assert!(
                there.contains(&found.before),
                "a plan has a wrong value: {key:?} {:?} not in {there:?}",
                found.before
            );
            assert!(
                wanted.targets.contains(&found.target),
                "a plan has a wrong target: {key:?} {:?} {wanted:?}",
                found.target
            );
            assert!(is_ours(&found.before), "a plan would overwrite an edit: {key:?} {:?} {wanted:?}", found.before);
            return;
        }
        let skipped =
            record.and_then(|record| record.skipped.iter().find(|skipped| skipped.difference.property == place));
        if let Some(skipped) = skipped {
            // Records that are created meanwhile have values outside the options.
            let is_option = people::is_option(kind, &skipped.difference.target);
            if skipped.why == WhySkipped::CannotBeSet {
                assert!(!is_option, "a value is called no option that is one: {key:?}");
                return;
            }
            let before = &skipped.difference.before;
            let is_left = wanted.left.as_ref().is_none_or(|left| comparison.same(left, before));
            assert!(there.contains(before), "a plan has a wrong value: {key:?} {before:?} not in {there:?}");
            assert!(
                wanted.is_doubtful || wanted.is_edited || !is_left,
                "a value is called edited that is not: {key:?} {before:?} {wanted:?}"
            );
            return;
        }
        let is_right = there.iter().any(|value| wanted.targets.iter().any(|target| comparison.same(value, target)));
        let expected = is_right || wanted.is_doubtful || existence != Existence::Always;
        assert!(expected, "a plan leaves a value out: {key:?} is {there:?}, wanted {wanted:?}");
    }

    /// The lines of a document in storage.
    pub(super) async fn lines<T: DeserializeOwned>(&self, key: &str) -> Vec<T> {
        let bytes = self.world.blobs.read(key, None).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("a valid line")).collect()
    }
}

/// The place of a property in a restore's list.
pub(super) fn place(restore: &Restore, name: &str) -> u16 {
    let place = restore.properties.iter().position(|known| known == name).expect("a property of the restore");
    u16::try_from(place).expect("few")
}

/// What a plan would change about a record's property.
pub(super) fn difference<'a>(
    record: &'a PlannedRecord,
    restore: &Restore,
    name: &str,
) -> Option<&'a domain::restore::difference::Difference> {
    let place = place(restore, name);
    record.differences.iter().find(|difference| difference.property == place)
}
