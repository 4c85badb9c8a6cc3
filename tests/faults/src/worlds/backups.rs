//! A backup, and what must be true of it: its archive holds what the CRM held, names what it lacks, and nothing else is
//! left.

use std::collections::{BTreeMap, BTreeSet};

use archive::manifest::{File, Manifest};
use domain::backup::{Backup, BackupState};
use domain::gap::{Gap, Missing};
use domain::ids::RecordId;
use domain::object::Verdict;
use domain::storage_keys;
use domain::work::BackupRef;
use jiff::SignedDuration;

use super::history::{Existence, History, Mark};
use super::people;
use super::plan::{Act, Event, Kind, Name, ObjectPlan, Phase};
use super::walk::{Held, Marks, PATIENCE, Subject, Walk};
use crate::{Exported, Table};

/// Runs in a row that may go wrong before a step fails for good.
const FAILS_AFTER: u64 = 6;

impl Phase {
    /// Whether so much goes wrong that a backup or a restore may fail of it.
    pub(super) fn may_fail(&self) -> bool {
        let troubled = self.troubles.iter().filter(|trouble| !trouble.what.is_limit());
        let calls: u64 = troubled.map(|trouble| if trouble.minutes > 0 { 2 } else { trouble.calls }).sum();
        let is_long = |minutes: u32| i64::from(minutes) * 60 >= PATIENCE.as_secs();
        let refusals = self.troubles.iter().filter(|trouble| trouble.what.is_refusal());
        let refused: u64 = refusals.map(|trouble| if trouble.minutes > 0 { FAILS_AFTER } else { trouble.calls }).sum();
        self.faults.len() as u64 + calls >= FAILS_AFTER
            || refused > 3
            || self.troubles.iter().any(|trouble| is_long(trouble.minutes))
    }
}

impl Phase {
    /// By how much the clock goes back in all.
    pub(super) fn goes_back_by(&self) -> SignedDuration {
        SignedDuration::from_millis(-self.jumps().map(|millis| millis.min(0)).sum::<i64>())
    }

    /// By how much the clock goes forward in all, besides the time that passes.
    pub(super) fn goes_forward_by(&self) -> SignedDuration {
        SignedDuration::from_millis(self.jumps().map(|millis| millis.max(0)).sum::<i64>())
    }

    fn jumps(&self) -> impl Iterator<Item = i64> {
        self.events.iter().filter_map(|event| match event {
            Event::At(_, Act::Jump(millis)) => Some(*millis),
            _ => None,
        })
    }
}

impl Walk<'_> {
    /// Asks for a backup and goes on to its end.
    pub(super) async fn back_up(&mut self, phase: &Phase) {
        let from = self.marks();
        let backup = self.world.request().await;
        self.through(phase, &Subject::Backup(backup.clone())).await;
        for object in &self.plan.objects {
            self.world.crm.change(object.name.object_type(), crate::SimulatedObject::show_all);
        }
        let ended = self.world.backup(&backup).await;
        self.coverage.add(format!("backup {:?}", ended.state), 1);
        match ended.state {
            BackupState::Completed => self.assert_complete(&ended, &from).await,
            BackupState::Cancelled => self.assert_left_nothing(&backup),
            BackupState::Failed => {
                let failure = ended.failure.as_ref().map(|failure| failure.kind.to_string()).unwrap_or_default();
                self.coverage.add(format!("backup failed: {failure}"), 1);
                assert!(phase.may_fail(), "a backup failed that need not: {:?}", ended.failure);
                self.assert_left_nothing(&backup);
            }
            state => panic!("a backup did not end: {state:?}"),
        }
        self.backups.push(backup);
    }

    fn assert_left_nothing(&self, backup: &BackupRef) {
        let keys = self.world.blobs.keys(&storage_keys::archive_prefix(backup));
        assert!(keys.is_empty(), "an archive without a completed backup: {keys:?}");
    }

    async fn assert_complete(&mut self, ended: &Backup, from: &Marks) {
        let backup = ended.reference();
        let exported = self.world.exported(&backup).await;
        let archive = ended.archive.as_ref().expect("a completed backup has an archive");
        let keys = self.world.blobs.keys(&storage_keys::archive_prefix(&backup));
        assert_eq!(keys, [archive.manifest_key.clone(), archive.storage_key.clone()], "stray objects of an archive");
        let mut tables = BTreeMap::new();
        for (object, from) in self.plan.objects.iter().zip(from) {
            let name = object.name.object_type();
            let history = History::of(&self.world.crm, name);
            let to = history.object().journal().len();
            let table =
                exported.files.contains_key(&format!("{name}.csv")).then(|| exported.table(&format!("{name}.csv")));
            assert_object(object, &history, (*from, to), table.as_ref(), &exported, &mut self.coverage);
            tables.extend(table.map(|table| (name.to_owned(), table)));
        }
        assert_no_other_files(&exported, &tables);
        self.held = Some(Held { backup, tables });
    }
}

fn assert_no_other_files(exported: &Exported, tables: &BTreeMap<String, Table>) {
    let known: BTreeSet<String> = tables.keys().map(|name| format!("{name}.csv")).collect();
    let strange: Vec<_> = exported.files.keys().filter(|name| !known.contains(*name)).collect();
    assert!(strange.is_empty(), "files of no object: {strange:?}");
}

/// What an archive holds of an object is what the CRM held at some moment of the time in between, and the manifest says
/// so.
fn assert_object(
    plan: &ObjectPlan,
    history: &History,
    (from, to): (Mark, Mark),
    table: Option<&Table>,
    exported: &Exported,
    coverage: &mut super::Coverage,
) {
    let name = plan.name.object_type();
    let gaps: Vec<&Gap> = exported
        .manifest
        .missing
        .iter()
        .filter(|gap| gap.object_type.as_ref().is_some_and(|of| of.as_str() == name))
        .collect();
    let rows: Vec<RecordId> = table.map(Table::ids).unwrap_or_default().into_iter().map(RecordId).collect();
    let held: BTreeSet<RecordId> = rows.iter().copied().collect();
    assert_eq!(held.len(), rows.len(), "a record has two rows in {name}");
    let named = unreadable(&gaps);
    let all = history.records();
    let lost: Vec<RecordId> = all
        .iter()
        .copied()
        .filter(|id| history.existence(*id, from, to) == Existence::Always && !held.contains(id) && !named.contains(id))
        .collect();
    let found = verdict(&exported.manifest, name);
    assert!(
        lost.is_empty(),
        "records are lost: {} of {name}, such as {:?}; verdict {found:?}",
        lost.len(),
        &lost[..lost.len().min(3)]
    );
    let invented: Vec<_> =
        held.iter().filter(|id| !all.contains(id) || history.existence(**id, from, to) == Existence::Never).collect();
    assert!(invented.is_empty(), "rows of no record: {invented:?} in {name}");
    let misnamed: Vec<_> = named.iter().filter(|id| !history.object().unreadable.contains(id)).collect();
    assert!(misnamed.is_empty(), "records are called unreadable that are not: {misnamed:?}");
    if let Some(table) = table {
        assert_values(plan, history, (from, to), table, &gaps);
    }
    let has_changed = !all.iter().all(|id| history.existence(*id, from, to) != Existence::AtTimes);
    assert_verdict(plan, found, has_changed, !gaps.is_empty());
    coverage.add(format!("verdict {found:?}"), 1);
    coverage.add(format!("lists with cursors {:?}", plan.cursors), u64::from(rows.len() > 100));
}

fn unreadable(gaps: &[&Gap]) -> BTreeSet<RecordId> {
    let ids = gaps.iter().filter_map(|gap| match &gap.missing {
        Missing::Records { ids } => Some(ids.clone()),
        _ => None,
    });
    ids.flatten().collect()
}

fn verdict(manifest: &Manifest, name: &str) -> Verdict {
    let of_file = |file: &File| (file.object_type.as_str() == name).then_some(file.verdict);
    let file = manifest.files.iter().find_map(of_file);
    let without = manifest.without_file.iter().find(|object| object.object_type.as_str() == name);
    file.or(without.map(|object| object.verdict)).unwrap_or_else(|| panic!("an object is not in the manifest: {name}"))
}

fn assert_verdict(plan: &ObjectPlan, found: Verdict, has_changed: bool, has_gaps: bool) {
    let name = plan.name;
    if name == Name::Conversations {
        assert!(matches!(found, Verdict::Uncounted | Verdict::Short), "a wrong verdict: {found:?} of {name:?}");
    } else if has_gaps {
        assert_eq!(found, Verdict::Short, "a wrong verdict of {name:?}, which lacks something");
    } else if has_changed {
        assert!(matches!(found, Verdict::Exact | Verdict::Drift), "a wrong verdict: {found:?} of {name:?}");
    } else {
        assert_eq!(found, Verdict::Exact, "a wrong verdict of {name:?}, which has not changed");
    }
}

fn assert_values(plan: &ObjectPlan, history: &History, (from, to): (Mark, Mark), table: &Table, gaps: &[&Gap]) {
    let places: Vec<(usize, String, Kind)> =
        plan.properties.iter().enumerate().map(|(place, kind)| (place, people::property(plan, place), *kind)).collect();
    assert_eq!(table.header.len(), places.len() + 1, "a wrong number of columns: {:?}", table.header);
    for (_, property, kind) in places {
        let column = table.header.iter().position(|name| *name == property);
        let column = column.unwrap_or_else(|| panic!("a column is lost: {property}"));
        let hidden = gaps.iter().find_map(|gap| match &gap.missing {
            Missing::Values { property: of, rows } if *of == property => Some(*rows),
            _ => None,
        });
        if kind == Kind::Hidden {
            let empty = table.rows.iter().all(|row| row[column].is_empty());
            assert!(
                empty && hidden == Some(table.rows.len() as u64),
                "hidden values are not reported: {hidden:?} of {property}"
            );
            continue;
        }
        assert_eq!(hidden, None, "values are called hidden that are not: {property}");
        for row in &table.rows {
            let key = (RecordId(row[0].parse().expect("an id")), property.clone());
            let there = history.values(&key, from, to);
            assert!(there.contains(&row[column]), "a wrong value: {key:?} is {:?} and was {there:?}", row[column]);
        }
    }
}
