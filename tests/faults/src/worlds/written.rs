//! What must be true of a restore that has ended: every planned value has one outcome, the outcome agrees
//! with the CRM, and nothing else was touched.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::RecordId;
use domain::restore::outcome::{Clearing, Fate, ValueOutcome, reasons};
use domain::restore::plan::PlannedRecord;
use domain::restore::{Restore, RestoreState};
use domain::storage_keys;
use jiff::SignedDuration;

use super::history::{Existence, History, Key, Mark, Sent};
use super::plan::{Kind, PortFault, TroublePlan, Way};
use super::restores::Asked;
use super::undone::{Overwritten, Own, overwritten};
use super::walk::{Carried, Walk};
use crate::crm::Happened;

/// A batch that was begun before a stop goes on for no longer than this before it reads.
const BEGUN_WITHIN: SignedDuration = SignedDuration::from_secs(5);

/// How long a CRM that is down is waited for once a restore was stopped.
const FINISHING_PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// A planned value and what became of it.
struct Reported<'a> {
    key: &'a Key,
    before: &'a str,
    target: &'a str,
    outcome: Option<&'a ValueOutcome>,
}

/// A restore that has ended, and all there is to know about it.
struct Ended<'a> {
    asked: &'a Asked,
    restore: &'a Restore,
    way: &'a Way,
    history: History,
    span: (Mark, Mark),
    /// Values that a run noted before it cleared them.
    cleared: BTreeSet<Key>,
}

impl Ended<'_> {
    fn is_completed(&self) -> bool {
        self.restore.state == RestoreState::Completed
    }

    /// Whether its last run may have given up values that are cleared: the CRM was down or refused for too long.
    fn may_give_up_finishing(&self) -> bool {
        let writing = &self.way.writing;
        let is_long = |trouble: &TroublePlan| i64::from(trouble.minutes) * 60 >= FINISHING_PATIENCE.as_secs();
        writing.may_fail() || writing.troubles.iter().any(is_long)
    }
}

impl Walk<'_> {
    /// Checks a restore that was confirmed at `from`.
    pub(super) async fn assert_written(
        &mut self,
        asked: &Asked,
        restore: &Restore,
        records: &[PlannedRecord],
        from: Mark,
        way: &Way,
    ) {
        let history = History::of(&self.world.crm, self.object_type(asked.object));
        let span = (from, history.object().journal().len());
        let cleared = self.cleared(restore).await;
        let ended = Ended { asked, restore, way, history, span, cleared };
        let kind = if asked.is_undo { "undo" } else { "restore" };
        self.coverage.add(format!("{kind} {:?}", restore.state), 1);
        match restore.state {
            RestoreState::Completed | RestoreState::Stopped => {}
            RestoreState::Failed => {
                // A day has so few calls that one batch with refused values takes more.
                let kind_of_failure = restore.failure.as_ref().map(|failure| failure.kind.as_str());
                let is_starved = self.plan.per_day > 0 && !way.refusals.is_empty();
                let took_too_long = is_starved && kind_of_failure == Some("restore-took-too-long");
                assert!(
                    way.writing.may_fail() || took_too_long,
                    "a {kind} failed that need not: {:?}",
                    restore.failure
                );
            }
            state => panic!("a {kind} did not end: {state:?}"),
        }
        let mut targets = BTreeMap::new();
        for record in records {
            for difference in &record.differences {
                let name = restore.properties[usize::from(difference.property)].clone();
                targets.insert((record.id, name), (difference.before.clone(), difference.target.clone()));
            }
        }
        let outcomes = self.outcomes(restore).await;
        let strange = outcomes.keys().find(|key| !targets.contains_key(*key));
        assert!(strange.is_none(), "an outcome of no planned value: {strange:?}");
        for (key, (before, target)) in &targets {
            let reported = Reported { key, before, target, outcome: outcomes.get(key) };
            self.assert_value(&ended, &reported);
        }
        self.assert_touched(&ended, &targets);
        self.assert_after_stop(&ended);
        self.assert_counts(&ended, targets.len() as u64, &outcomes).await;
        self.assert_reported(&ended, records, &outcomes).await;
        let targets = targets.into_iter().map(|(key, (_, target))| (key, target)).collect();
        let (is_completed, cleared) = (ended.is_completed(), ended.cleared);
        let (restore, object, is_undo) = (asked.restore.clone(), asked.object, asked.is_undo);
        self.carried.push(Carried { restore, object, targets, cleared, is_undo, is_completed, wrote: span });
    }

    /// What became of each value, by what the restore has put into storage.
    async fn outcomes(&mut self, restore: &Restore) -> BTreeMap<Key, ValueOutcome> {
        let reference = restore.reference();
        let mut outcomes = BTreeMap::new();
        for slice in self.world.slices(&reference).await {
            for (number, file) in (0_u32..).zip(&slice.outcomes) {
                let key = storage_keys::outcome(&reference, slice.number, number, file.attempt);
                for line in self.lines::<ValueOutcome>(&key).await {
                    let key = (line.id, restore.properties[usize::from(line.property)].clone());
                    self.coverage.add(format!("fate {}", word(&line.fate)), 1);
                    assert!(outcomes.insert(key.clone(), line).is_none(), "a value has two outcomes: {key:?}");
                }
            }
        }
        outcomes
    }

    /// Values that runs noted before they cleared them.
    async fn cleared(&self, restore: &Restore) -> BTreeSet<Key> {
        let (mut cleared, of_restore) = (BTreeSet::new(), format!("/{}/", restore.restore_id));
        let keys = self.world.blobs.keys(storage_keys::RESTORES);
        for key in keys.iter().filter(|key| key.contains(&of_restore) && key.contains(".clearings-")) {
            for line in self.lines::<Clearing>(key).await {
                cleared.insert((line.id, restore.properties[usize::from(line.property)].clone()));
            }
        }
        cleared
    }

    fn assert_value(&self, ended: &Ended<'_>, reported: &Reported<'_>) {
        let (comparison, kind) = self.known(ended.asked.object, &reported.key.1);
        let (from, to) = ended.span;
        let history = &ended.history;
        let may_be_cleared = ended.cleared.contains(reported.key);
        let own = Own { comparison, kind, target: reported.target, may_be_cleared };
        let found = overwritten(history, reported.key, (from, to), &own);
        let sent = history.sent(reported.key, from, to);
        if ended.asked.spares_edits {
            Self::assert_edits_spared(ended, reported, &sent, &own);
        }
        let Some(outcome) = reported.outcome else {
            assert!(sent.is_empty(), "a written value has no outcome: {:?} {sent:?}", reported.key);
            let right =
                history.values(reported.key, from, to).iter().any(|value| comparison.same(value, reported.target));
            assert!(!ended.is_completed() || right, "a value is called right that was not: {:?}", reported.key);
            return;
        };
        assert_eq!(outcome.target, reported.target, "an outcome has a wrong target: {:?}", reported.key);
        Self::assert_goes_back(ended, reported.key, outcome, &found, &sent);
        match &outcome.fate {
            Fate::Written { after } => {
                let after = after.as_deref().unwrap_or(reported.target);
                let is_left = comparison.same(&found.left, after);
                let is_set =
                    sent.iter().any(|sent| sent.value == reported.target && comparison.same(sent.after, after));
                let by_others = history.is_edited(reported.key, from, to);
                assert!(
                    is_set && is_left || by_others,
                    "a value is called written that is not: {:?} {after:?} {sent:?}",
                    reported.key
                );
            }
            Fate::Unclear => {
                let hidden = self.hides(true) || self.hides(false);
                assert!(
                    !ended.is_completed() || hidden,
                    "a value of a completed restore is unclear: {:?}",
                    reported.key
                );
                // What the CRM does not show is not written blindly.
                if !hidden {
                    self.assert_not_emptied(ended, reported, &found, kind);
                }
            }
            Fate::Failed { code, now, .. } => {
                let left = now.as_deref().unwrap_or(&outcome.before);
                self.assert_failed(ended, reported, (code, left), &found, kind);
            }
        }
    }

    /// The value that an undo would give back is one that was there before.
    fn assert_goes_back(ended: &Ended<'_>, key: &Key, outcome: &ValueOutcome, found: &Overwritten, sent: &[Sent<'_>]) {
        let before = &outcome.before;
        // An undo leaves later edits alone; those values are not undone again.
        let is_left = matches!(&outcome.fate, Fate::Failed { code, .. } if code == reasons::EDITED_SINCE);
        let is_fine = found.before.contains(before) || ended.asked.is_undo && is_left;
        assert!(
            !found.is_changed || is_fine,
            "an undo would not go back: {key:?} was {:?}, the outcome says {before:?}; {sent:?}",
            found.before
        );
    }

    /// A value that was not written is as it was, or as `left` says, and the reason `code` is true.
    fn assert_failed(
        &self,
        ended: &Ended<'_>,
        reported: &Reported<'_>,
        (code, left): (&str, &str),
        found: &Overwritten,
        kind: Kind,
    ) {
        let ((from, to), history) = (ended.span, &ended.history);
        let (comparison, _) = self.known(ended.asked.object, &reported.key.1);
        let raced = found.before.len() > 1 || history.is_edited(reported.key, from, to);
        let fits = !found.is_changed || comparison.same(&found.left, left);
        // A value that the CRM has made of a dead run's write looks like a person's edit.
        let unknowable = kind == Kind::Lower && code == reasons::EDITED_SINCE
            || history.existence(reported.key.0, from, to) != Existence::Always;
        assert!(
            fits || raced || unknowable,
            "a value is called failed and has changed: {:?} {code} {left:?}, sent: {:?}",
            reported.key,
            history.sent(reported.key, from, to)
        );
        self.assert_explained(ended, reported, code);
        self.assert_not_emptied(ended, reported, found, kind);
    }

    /// A value that could not be set is not left empty on the way: not even by a restore that is stopped.
    fn assert_not_emptied(&self, ended: &Ended<'_>, reported: &Reported<'_>, found: &Overwritten, kind: Kind) {
        let (from, to) = ended.span;
        let is_empty = ended.history.value(reported.key, to).is_empty();
        let is_emptied = is_empty && ended.history.is_own(reported.key, from, to) && !reported.target.is_empty();
        let was_empty = found.before.contains("");
        let cannot_go_back =
            kind == Kind::Unique || self.refuses(ended, &reported.key.1, |value| found.before.contains(value));
        let is_gone = ended.history.existence(reported.key.0, from, to) != Existence::Always;
        let cannot_finish = !ended.is_completed() && ended.may_give_up_finishing();
        let fine = !is_emptied || was_empty || cannot_go_back || is_gone || cannot_finish;
        assert!(fine, "a value is left empty: {:?} was {:?}", reported.key, found.before);
    }

    /// Whether the CRM refuses a value of `property` meanwhile.
    fn refuses(&self, ended: &Ended<'_>, property: &str, is_it: impl Fn(&str) -> bool) -> bool {
        let plan = &self.plan.objects[ended.asked.object];
        ended.way.refusals.iter().any(|refusal| {
            let same = super::people::property(plan, refusal.property) == property;
            same && (refusal.value.is_empty() || is_it(&refusal.value))
        })
    }

    fn assert_explained(&self, ended: &Ended<'_>, reported: &Reported<'_>, code: &str) {
        let (from, to) = (ended.asked.from, ended.span.1);
        let (history, key) = (&ended.history, reported.key);
        let kind = self.known(ended.asked.object, &key.1).1;
        let refused = self.refuses(ended, &key.1, |_| true);
        let is_explained = match code {
            reasons::RECORD_GONE | reasons::RECORD_MERGED => history.existence(key.0, from, to) != Existence::Always,
            reasons::WRITE_IGNORED => {
                matches!(kind, Kind::Stubborn | Kind::Stage | Kind::Lower) || history.is_edited(key, from, to)
            }
            reasons::NOT_SHOWN => self.hides(false),
            reasons::UNREADABLE => self.hides(true),
            reasons::EDITED_SINCE if kind == Kind::Lower => ended.asked.spares_edits,
            reasons::EDITED_SINCE => ended.asked.spares_edits && history.is_edited(key, from.min(ended.span.0), to),
            reasons::UNIQUE_VALUE_TAKEN => kind == Kind::Unique,
            reasons::PROPERTY_DROPPED => refused,
            code => refused && ended.way.refusals.iter().any(|refusal| refusal.why.code() == code),
        };
        // Where the CRM does not name the refused value, all values of the record are reported.
        let silent = self.plan.objects[ended.asked.object].silent_refusals;
        let is_explained = is_explained || silent && !ended.way.refusals.is_empty();
        assert!(is_explained, "a value failed for no reason: {key:?}, {code}");
    }

    /// An undo overwrites what it was planned over, or what it has made itself; never a later edit of a person.
    fn assert_edits_spared(ended: &Ended<'_>, reported: &Reported<'_>, sent: &[Sent<'_>], own: &Own<'_>) {
        let history = &ended.history;
        for change in sent.iter().filter(|sent| sent.before != sent.after) {
            let is_fine =
                |value: &str| own.comparison.same(value, reported.before) || value.is_empty() && own.may_be_cleared;
            let is_own = history.is_own(reported.key, ended.span.0, change.place);
            let read = history.last_read(reported.key.0, change.place).unwrap_or(change.place);
            let raced = history.is_edited(reported.key, read, change.place);
            assert!(
                is_fine(change.before) || is_own || raced,
                "an undo overwrites an edit: {:?} {:?}, planned over {:?}",
                reported.key,
                change,
                reported.before
            );
        }
    }

    /// Only planned values were sent: the target, nothing on the way to it, or what was there before.
    fn assert_touched(&self, ended: &Ended<'_>, targets: &BTreeMap<Key, (String, String)>) {
        let (from, to) = ended.span;
        for key in ended.history.touched(from, to) {
            // What is sent to a record that was merged since it was read, the CRM writes to the record that it is part of now.
            let is_of_merged = |value: &str| {
                let others = targets.iter().filter(|((_, name), _)| *name == key.1);
                let mut merged =
                    others.filter(|((id, _), _)| ended.history.existence(*id, from, to) != Existence::Always);
                merged.any(|(_, (_, target))| value == target)
            };
            let target = targets.get(&key).map(|(_, target)| target.as_str());
            let kind = self.known(ended.asked.object, &key.1).1;
            for sent in ended.history.sent(&key, from, to) {
                let was_there = || ended.history.values(&key, from, sent.place).contains(sent.value);
                let is_on_the_way = kind.is_cleared_on_the_way() && (sent.value.is_empty() || was_there());
                let fine = target == Some(sent.value) || is_on_the_way || is_of_merged(sent.value);
                assert!(fine, "a strange value was written: {key:?} {sent:?}");
            }
        }
    }

    /// Nothing begins after a stop, and nothing is written after the end.
    fn assert_after_stop(&self, ended: &Ended<'_>) {
        let (from, to) = ended.span;
        let journal = ended.history.journal(from, to);
        if let Some(over) = ended.restore.ended_at {
            // What was written before a clock went back has a later time than what came after it.
            let over = over + ended.way.writing.goes_back_by();
            let late = journal.iter().find(|entry| matches!(entry.what, Happened::Sent { .. }) && entry.at > over);
            assert!(late.is_none(), "a value was written after the end: {late:?}, {over}");
        }
        let writing = &ended.way.writing;
        let freezes = writing.faults.iter().any(|fault| matches!(fault.fault, PortFault::WorkerFrozen(_)));
        // A batch of which values are refused takes many calls, and reads again what it has read long ago.
        let is_smooth = !freezes
            && writing.troubles.is_empty()
            && ended.way.refusals.is_empty()
            && self.plan.per_ten_seconds == 0
            && self.plan.per_day == 0;
        // What was cleared on the way gets a value after the stop. That nothing else is written then, the CRM itself
        // looks at.
        let gives_back =
            ended.asked.wanted.keys().any(|key| self.known(ended.asked.object, &key.1).1.is_cleared_on_the_way());
        if let Some(stopped) = ended.restore.stopped.as_ref().filter(|_| is_smooth && !gives_back) {
            let begun = |at| at > stopped.at + BEGUN_WITHIN + writing.goes_forward_by();
            let late = journal.iter().find(|entry| entry.what == Happened::Read && begun(entry.at));
            assert!(late.is_none(), "a batch was begun after the stop: {late:?}, {}", stopped.at);
        }
    }

    async fn assert_counts(&self, ended: &Ended<'_>, planned: u64, outcomes: &BTreeMap<Key, ValueOutcome>) {
        let count = |of: &dyn Fn(&Fate) -> bool| outcomes.values().filter(|outcome| of(&outcome.fate)).count() as u64;
        let written = count(&|fate| matches!(fate, Fate::Written { .. }));
        let (failed, unclear) =
            (count(&|fate| matches!(fate, Fate::Failed { .. })), count(&|fate| *fate == Fate::Unclear));
        let import = self.world.import(&ended.asked.restore).await.expect("a restore that was confirmed is an import");
        let counts = &import.outcome;
        assert_eq!(
            (counts.values_restored, counts.values_failed, counts.values_unclear),
            (written, failed, unclear),
            "an import counts wrongly"
        );
        let others = planned - outcomes.len() as u64;
        assert_eq!(
            counts.already_right + import.values_not_tried,
            others,
            "an import does not account for every value"
        );
        assert!(!ended.is_completed() || import.values_not_tried == 0, "a completed restore has not tried everything");
    }

    /// The report has a row for every value and record that was not restored.
    async fn assert_reported(
        &self,
        ended: &Ended<'_>,
        records: &[PlannedRecord],
        outcomes: &BTreeMap<Key, ValueOutcome>,
    ) {
        if !ended.is_completed() {
            return;
        }
        let name = |place: u16| ended.restore.properties[usize::from(place)].clone();
        let mut expected: BTreeSet<(RecordId, String)> = BTreeSet::new();
        for record in records {
            let gone = record.gone.is_some() || record.unreadable;
            expected.extend(gone.then(|| (record.id, String::new())));
            expected.extend(record.not_shown.iter().map(|place| (record.id, name(*place))));
            expected.extend(record.skipped.iter().map(|skipped| (record.id, name(skipped.difference.property))));
        }
        expected.extend(outcomes.iter().filter(|(_, outcome)| outcome.belongs_in_report()).map(|(key, _)| key.clone()));
        let rows = self.world.errors(&ended.asked.restore).await;
        let listed = rows.iter().map(|row| (RecordId(row[0].parse().expect("an id")), row[1].clone()));
        let listed: BTreeSet<(RecordId, String)> = listed.collect();
        assert_eq!(listed.len(), rows.len(), "the report has a row twice");
        let differing: Vec<_> = listed.symmetric_difference(&expected).take(3).collect();
        assert!(differing.is_empty(), "the report is not complete: {differing:?}");
    }
}

fn word(fate: &Fate) -> String {
    match fate {
        Fate::Written { .. } => "written".to_owned(),
        Fate::Unclear => "unclear".to_owned(),
        Fate::Failed { code, .. } => format!("failed: {code}"),
    }
}
