//! Showing how far work is: bars on a terminal, a line for every tenth otherwise.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};

use dev_stack::backups::{Backup, Object};
use dev_stack::restores::Restore;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Steps of a bar.
const STEPS: u64 = 1_000;

/// What has been shown so far.
pub(crate) struct Progress {
    state: String,
    /// The farthest that each object has been seen, and in which generation.
    farthest: BTreeMap<String, Farthest>,
    rows: Rows,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Farthest {
    generation: u32,
    records: u64,
    share_done: Option<f64>,
}

impl Farthest {
    /// If a run is lost, its records are read again. The bar stays where it is until the new run has read as much.
    fn see(&mut self, object: &Object) {
        if object.generation > self.generation {
            *self = Self { generation: object.generation, ..Self::default() };
        }
        self.records = self.records.max(object.records);
        self.share_done = object.share_done.map(|share| share.max(self.share_done.unwrap_or(0.0)));
    }
}

enum Rows {
    Bars { all: MultiProgress, by_name: BTreeMap<String, ProgressBar> },
    Lines { tenths: BTreeMap<String, u64> },
}

/// How far a piece of work is.
struct Row<'a> {
    name: &'a str,
    /// From 0 to 1; None while it is unknown.
    share_done: Option<f64>,
    records: u64,
    seconds_left: Option<u64>,
}

impl Progress {
    /// Bars if standard error is a terminal.
    pub(crate) fn new() -> Self {
        let rows = if stderr().is_terminal() {
            Rows::Bars { all: MultiProgress::new(), by_name: BTreeMap::new() }
        } else {
            Rows::Lines { tenths: BTreeMap::new() }
        };
        Self { state: String::new(), farthest: BTreeMap::new(), rows }
    }

    /// Shows what has changed in a backup since the last call.
    pub(crate) fn show(&mut self, backup: &Backup) {
        self.tell_state("backup", &backup.backup_id, &backup.state);
        for object in &backup.objects {
            let farthest = self.farthest.entry(object.object_type.clone()).or_default();
            farthest.see(object);
            self.rows.show(&Row::of_object(object, *farthest), backup.has_ended());
        }
    }

    /// Shows what has changed in a restore since the last call.
    pub(crate) fn show_restore(&mut self, restore: &Restore) {
        self.tell_state("restore", &restore.restore_id, &restore.state);
        if let Some(row) = Row::of_restore(restore) {
            self.rows.show(&row, restore.is_at_rest());
        }
    }

    fn tell_state(&mut self, what: &str, id: &str, state: &str) {
        if self.state != state {
            state.clone_into(&mut self.state);
            self.rows.print(&format!("{what} {id} is {state}"));
        }
    }
}

impl<'a> Row<'a> {
    fn of_object(object: &'a Object, farthest: Farthest) -> Self {
        let Farthest { share_done, records, .. } = farthest;
        Self { name: &object.object_type, share_done, records, seconds_left: object.seconds_left }
    }

    /// The API gives the progress of a restore only while the restore works. Afterwards the plan has the number of
    /// records.
    fn of_restore(restore: &Restore) -> Option<Self> {
        let Restore { state, progress, plan, .. } = restore;
        let (name, records, share_done) = match (progress, plan, state.as_str()) {
            (Some(progress), ..) => match (progress.records_planned, progress.records_done) {
                (_, Some(done)) => ("written", done, progress.share_done),
                (planned, None) => ("compared", planned.unwrap_or(0), progress.share_done),
            },
            (None, Some(plan), "planned") => ("compared", plan.records.read, 1.0),
            (None, Some(plan), "completed") => ("written", plan.records.changed, 1.0),
            _ => return None,
        };
        Some(Self { name, records, share_done: Some(share_done), seconds_left: None })
    }

    fn is_done(&self) -> bool {
        self.share_done.is_some_and(|share| share >= 1.0)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of steps")]
    #[expect(clippy::cast_precision_loss, reason = "few steps")]
    fn share_in(&self, steps: u64) -> u64 {
        (self.share_done.unwrap_or(0.0).clamp(0.0, 1.0) * steps as f64) as u64
    }

    fn described(&self) -> String {
        let percent = self.share_in(100);
        let left = match self.seconds_left {
            Some(seconds) if seconds > 0 => format!(", about {seconds} s left"),
            _ => String::new(),
        };
        format!("{percent:>3}%  {:>9} records{left}", self.records)
    }
}

impl Rows {
    fn print(&self, line: &str) {
        match self {
            // Above the bars. The terminal can be gone, and then there is nothing to do.
            Self::Bars { all, .. } => drop(all.println(line)),
            Self::Lines { .. } => eprintln!("{line}"),
        }
    }

    fn show(&mut self, row: &Row<'_>, is_last: bool) {
        match self {
            Self::Bars { all, by_name } => {
                let bar = by_name.entry(row.name.to_owned()).or_insert_with(|| all.add(new_bar(row.name)));
                bar.set_position(row.share_in(STEPS));
                bar.set_message(row.described());
                if is_last || row.is_done() {
                    bar.abandon();
                }
            }
            Self::Lines { tenths } => {
                // The beginning, each tenth and the end are printed once.
                let tenth = if row.is_done() { 11 } else { row.share_in(10) };
                if tenths.insert(row.name.to_owned(), tenth) != Some(tenth) {
                    eprintln!("  {:<28} {}", row.name, row.described());
                }
            }
        }
    }
}

fn new_bar(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:28!} {bar:30} {msg}").expect("the template is well formed");
    ProgressBar::new(STEPS).with_style(style).with_prefix(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(generation: u32, records: u64, share_done: Option<f64>) -> Object {
        let (object_type, label, state) = ("contacts".to_owned(), "Contact".to_owned(), "exporting".to_owned());
        Object { object_type, label, state, generation, records, share_done, seconds_left: None }
    }

    /// D1: what is shown goes back only where the object is read again from the beginning.
    #[test]
    fn what_is_shown_does_not_go_back_within_a_generation() {
        let mut farthest = Farthest::default();
        let mut shown = Vec::new();
        for seen in [
            object(1, 750, Some(0.75)),
            object(1, 0, Some(0.0)),
            object(1, 760, Some(0.76)),
            object(2, 10, Some(0.01)),
            object(2, 20, None),
        ] {
            farthest.see(&seen);
            shown.push((farthest.records, farthest.share_done));
        }
        let expected = [(750, Some(0.75)), (750, Some(0.75)), (760, Some(0.76)), (10, Some(0.01)), (20, None)];
        assert_eq!(shown, expected);
    }
}
