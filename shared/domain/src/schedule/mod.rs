//! An account's schedule: when its backups start by themselves.
//!
//! ```text
//!  off ── switched on ──▶ on: next run ─ due ─▶ started | skipped ─▶ next run …      on ── switched off | stopped ──▶ off
//!                                └ not allowed yet ─▶ waits, then started
//! ```
//! If several runs became due before the schedule was looked at, they start a single backup. The next run is the next
//! one of the cadence.

mod calendar;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::calendar::next_run;

use crate::account::{Account, Requester};
use crate::ids::{AccountId, BackupId};
use crate::ports::ledger::{DueList, Key, Record};
use crate::{Failure, Refused};

/// How often a scheduled backup starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cadence {
    #[default]
    Week,
    TwoWeeks,
}

impl Cadence {
    /// Days between two runs.
    pub const fn days(self) -> i64 {
        match self {
            Self::Week => 7,
            Self::TwoWeeks => 14,
        }
    }
}

/// The result of a run of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum LatestRun {
    /// It started a backup.
    Started { at: Timestamp, backup_id: BackupId },
    /// It started no backup, for this reason.
    Skipped { at: Timestamp, reason: Failure },
}

/// Whether and how often an account's backups start by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    pub account_id: AccountId,
    pub every: Cadence,
    /// Set while the schedule is on.
    pub on: Option<SwitchedOn>,
    pub latest: Option<LatestRun>,
    /// Why the deployment switched it off.
    pub stopped: Option<Failure>,
}

/// The settings of a schedule that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchedOn {
    /// The person who switched it on. The requester of its backups.
    pub by: Requester,
    /// When it was switched on, to the minute, in the account's local time. Sets the weekday and time of day of all
    /// runs.
    pub anchor: DateTime,
    /// The IANA name of the time zone of the next run.
    pub time_zone: String,
    pub next_run_at: Timestamp,
    /// The run is due, but cannot start before this time.
    pub waits_until: Option<Timestamp>,
}

impl SwitchedOn {
    /// Keeps the run that is due when the cadence changes. Further runs are counted from it.
    fn counted_from_due(&self) -> Self {
        let day = self.next_run_at.to_zoned(zone(&self.time_zone)).date();
        Self { anchor: day.to_datetime(self.anchor.time()), ..self.clone() }
    }

    fn next(&self, every: Cadence, time_zone: &str, after: Timestamp) -> Self {
        Self {
            next_run_at: next_run(self.anchor, every, &zone(time_zone), after),
            time_zone: time_zone.to_owned(),
            waits_until: None,
            ..self.clone()
        }
    }
}

/// The zone of an IANA name. UTC if this version does not know the name.
fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

impl Schedule {
    /// A schedule that was never on.
    pub fn off(account_id: AccountId) -> Self {
        Self { account_id, every: Cadence::default(), on: None, latest: None, stopped: None }
    }

    /// Switches it on, or changes its cadence. A schedule that is on keeps its weekday and time of day. From now on it
    /// belongs to `by`.
    #[must_use]
    pub fn switched_on(&self, every: Cadence, by: &Requester, time_zone: &str, now: Timestamp) -> Self {
        let on = match &self.on {
            Some(on) if self.every == every => SwitchedOn { by: by.clone(), ..on.clone() },
            Some(on) if on.next_run_at <= now => SwitchedOn { by: by.clone(), ..on.counted_from_due() },
            Some(on) => SwitchedOn { by: by.clone(), ..on.next(every, time_zone, now) },
            None => {
                let local = now.to_zoned(zone(time_zone)).datetime();
                let anchor = local.date().at(local.hour(), local.minute(), 0, 0);
                let next_run_at = next_run(anchor, every, &zone(time_zone), now);
                SwitchedOn { by: by.clone(), anchor, time_zone: time_zone.to_owned(), next_run_at, waits_until: None }
            }
        };
        Self { every, on: Some(on), stopped: None, ..self.clone() }
    }

    /// Switches it off, and keeps the cadence `every`.
    #[must_use]
    pub fn switched_off(&self, every: Cadence) -> Self {
        Self { every, on: None, stopped: None, ..self.clone() }
    }

    /// Switches it off because the account's plan has no schedules.
    #[must_use]
    pub fn stopped(&self, reason: Failure) -> Self {
        Self { on: None, stopped: Some(reason), ..self.clone() }
    }

    /// Whether a run should start now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at().is_some_and(|due| due <= now)
    }

    /// Records that the due run started a backup. The next run is due after `now`, in the account's present zone.
    ///
    /// # Errors
    /// [`Refused`] if no run is due.
    pub fn started(&self, backup_id: BackupId, time_zone: &str, now: Timestamp) -> Result<Self, Refused> {
        self.ran(LatestRun::Started { at: now, backup_id }, time_zone, now)
    }

    /// Records that the due run was skipped.
    ///
    /// # Errors
    /// [`Refused`] if no run is due.
    pub fn skipped(&self, reason: Failure, time_zone: &str, now: Timestamp) -> Result<Self, Refused> {
        self.ran(LatestRun::Skipped { at: now, reason }, time_zone, now)
    }

    fn ran(&self, latest: LatestRun, time_zone: &str, now: Timestamp) -> Result<Self, Refused> {
        let on = self.due("ending a run of a schedule", now)?;
        // An account that moves to the west does not run twice on one day.
        let half = SignedDuration::from_hours(self.every.days() * 12);
        let after = now.max(on.next_run_at + half);
        Ok(Self { on: Some(on.next(self.every, time_zone, after)), latest: Some(latest), ..self.clone() })
    }

    /// Lets the due run wait for the allowance until `until`.
    ///
    /// # Errors
    /// [`Refused`] if no run is due.
    pub fn waiting(&self, until: Timestamp, now: Timestamp) -> Result<Self, Refused> {
        let on = self.due("letting a run of a schedule wait", now)?;
        // At least a second, so that it is not due again in the same round.
        let until = until.max(now + SignedDuration::from_secs(1));
        Ok(Self { on: Some(SwitchedOn { waits_until: Some(until), ..on.clone() }), ..self.clone() })
    }

    /// Ends the wait of a due run, so that the next round decides again whether it has to wait.
    #[must_use]
    pub fn looked_at_anew(&self) -> Self {
        let on = self.on.as_ref().map(|on| SwitchedOn { waits_until: None, ..on.clone() });
        Self { on, ..self.clone() }
    }

    fn due(&self, what: &'static str, now: Timestamp) -> Result<&SwitchedOn, Refused> {
        let on = self.on.as_ref().filter(|_| self.is_due(now));
        on.ok_or_else(|| Refused::new(what, "no run is due"))
    }

    /// The ledger's key of an account's schedule.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(Account::partition(account_id), "SCHEDULE")
    }
}

impl Record for Schedule {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.on.as_ref().map(|on| on.waits_until.unwrap_or(on.next_run_at))
    }

    fn due_in(&self) -> DueList {
        DueList::Schedules
    }
}

#[cfg(test)]
mod tests;
