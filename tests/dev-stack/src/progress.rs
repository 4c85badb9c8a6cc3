//! Showing how far a backup is: bars on a terminal, a line for every tenth of an object otherwise.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};

use dev_stack::backups::{Backup, Object};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Steps of a bar.
const STEPS: u64 = 1_000;

/// What has been shown so far.
pub(crate) struct Progress {
    state: String,
    objects: Objects,
}

enum Objects {
    Bars { all: MultiProgress, by_object: BTreeMap<String, ProgressBar> },
    Lines { tenths: BTreeMap<String, u64> },
}

impl Progress {
    /// Bars if standard error is a terminal.
    pub(crate) fn new() -> Self {
        let objects = if stderr().is_terminal() {
            Objects::Bars { all: MultiProgress::new(), by_object: BTreeMap::new() }
        } else {
            Objects::Lines { tenths: BTreeMap::new() }
        };
        Self { state: String::new(), objects }
    }

    /// Shows what has changed since the last call.
    pub(crate) fn show(&mut self, backup: &Backup) {
        if self.state != backup.state {
            self.state.clone_from(&backup.state);
            self.objects.tell(&format!("backup {} is {}", backup.backup_id, backup.state));
        }
        for object in &backup.objects {
            self.objects.show(object, backup.has_ended());
        }
    }
}

impl Objects {
    fn tell(&self, line: &str) {
        match self {
            // Above the bars. A terminal that has gone away is nobody's loss.
            Self::Bars { all, .. } => drop(all.println(line)),
            Self::Lines { .. } => eprintln!("{line}"),
        }
    }

    fn show(&mut self, object: &Object, is_last: bool) {
        match self {
            Self::Bars { all, by_object } => {
                let bar = by_object.entry(object.object_type.clone()).or_insert_with(|| all.add(new_bar(object)));
                bar.set_position(share_in(STEPS, object));
                bar.set_message(described(object));
                if is_last || is_done(object) {
                    bar.abandon();
                }
            }
            Self::Lines { tenths } => {
                // Nothing yet, each tenth of it and being done are told once.
                let tenth = if is_done(object) { 11 } else { share_in(10, object) };
                if tenths.insert(object.object_type.clone(), tenth) != Some(tenth) {
                    eprintln!("  {:<28} {}", object.object_type, described(object));
                }
            }
        }
    }
}

fn new_bar(object: &Object) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:28!} {bar:30} {msg}").expect("the template is well formed");
    ProgressBar::new(STEPS).with_style(style).with_prefix(object.object_type.clone())
}

fn is_done(object: &Object) -> bool {
    object.share_done.is_some_and(|share| share >= 1.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of steps")]
#[expect(clippy::cast_precision_loss, reason = "few steps")]
fn share_in(steps: u64, object: &Object) -> u64 {
    (object.share_done.unwrap_or(0.0).clamp(0.0, 1.0) * steps as f64) as u64
}

fn described(object: &Object) -> String {
    let percent = share_in(100, object);
    let left = match object.seconds_left {
        Some(seconds) if seconds > 0 => format!(", about {seconds} s left"),
        _ => String::new(),
    };
    format!("{percent:>3}%  {:>9} records{left}", object.records)
}
