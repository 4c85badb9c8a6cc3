//! What an undo should give back, by the history of the records alone: not by the restore's own report.

use std::collections::{BTreeMap, BTreeSet};

use domain::restore::difference::Comparison;

use super::history::{History, Key, Mark};
use super::plan::Kind;
use super::restores::Wanted;
use super::walk::{Carried, Walk};

/// The values that a restore has overwritten at one place, as an undo may give them back.
pub(super) struct Overwritten {
    /// What was there before; more than one where people were at work at the same moment. Empty where nothing was.
    pub(super) before: BTreeSet<String>,
    /// The value that the restore has left.
    pub(super) left: String,
    /// Whether it has changed anything.
    pub(super) is_changed: bool,
}

/// Separates the values that a restore makes from those of others.
pub(super) struct Own<'a> {
    pub(super) comparison: Comparison,
    pub(super) kind: Kind,
    pub(super) target: &'a str,
    /// A run noted that it was about to clear it.
    pub(super) may_be_cleared: bool,
}

impl Own<'_> {
    fn may_be(&self, value: &str) -> bool {
        let lower = self.kind == Kind::Lower && value == self.target.to_lowercase();
        lower || self.comparison.same(value, self.target) || self.may_be_cleared && value.is_empty()
    }
}

/// What was written at one place from `from` to `to`.
pub(super) fn overwritten(history: &History, key: &Key, (from, to): (Mark, Mark), own: &Own<'_>) -> Overwritten {
    let sent = history.sent(key, from, to);
    let changes: Vec<_> = sent.iter().filter(|sent| sent.before != sent.after).collect();
    let mut foreign: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut of_merged = BTreeSet::new();
    for change in &changes {
        if history.is_own(key, from, change.place) {
            // The value of a record that was merged into this one while it was written: it looks like an edit.
            of_merged.extend((!own.may_be(change.before)).then(|| change.before.to_owned()));
            continue;
        }
        // A run that reads just before an edit and writes just after it knows the value from before the edit.
        let read = history.last_read(key.0, change.place).map(|read| history.value(key, read));
        let known: BTreeSet<String> = read.into_iter().chain([change.before.to_owned()]).collect();
        foreign.push((change.before.to_owned(), known));
    }
    let last = foreign.iter().rfind(|(value, _)| !own.may_be(value)).or(foreign.first());
    let mut before: BTreeSet<String> = last.map(|(value, _)| BTreeSet::from([value.clone()])).unwrap_or_default();
    let raced = foreign.iter().filter(|(_, known)| known.len() > 1);
    before.extend(raced.flat_map(|(_, known)| known.clone()));
    before.extend(of_merged);
    // A person has cleared the value that a run was about to clear, or the run has: both look the same.
    if own.may_be_cleared && before.contains("") {
        before.extend(history.values(key, from, to).into_iter().filter(|value| !own.may_be(value)));
    }
    let left = sent.last().map_or_else(|| history.value(key, to), |last| last.after.to_owned());
    Overwritten { before, left, is_changed: !changes.is_empty() }
}

impl Walk<'_> {
    /// What an undo of `undone` should give back.
    pub(super) fn to_undo(&self, undone: &Carried, history: &History, include_edited: bool) -> BTreeMap<Key, Wanted> {
        let (from, to) = undone.wrote;
        let mut wanted = BTreeMap::new();
        for (key, target) in &undone.targets {
            let (comparison, kind) = self.known(undone.object, &key.1);
            let may_be_cleared = undone.cleared.contains(key);
            let found = overwritten(history, key, (from, to), &Own { comparison, kind, target, may_be_cleared });
            let mut ours = BTreeSet::from([found.left.clone(), target.clone()]);
            let was_there = history.values(key, from, to);
            if kind.is_cleared_on_the_way() {
                ours.insert(String::new());
            }
            // A run that was stopped does not know what the CRM has made of its value, which looks like an edit then.
            let form_is_unknown = kind == Kind::Lower && !undone.is_completed && found.left != *target;
            // The last run of a restore that did not complete may have overwritten an edit, or may not.
            let edit_is_unknown = !undone.is_completed && history.is_edited(key, from, to);
            let is_unknown = form_is_unknown || edit_is_unknown;
            let is_doubtful = !found.is_changed || found.before.contains(&found.left) || is_unknown;
            let targets = if is_doubtful { was_there.union(&found.before).cloned().collect() } else { found.before };
            let only_over = (!include_edited).then_some(ours);
            let is_edited = history.value(key, to) != found.left;
            wanted.insert(key.clone(), Wanted { targets, only_over, left: Some(found.left), is_edited, is_doubtful });
        }
        wanted
    }
}
