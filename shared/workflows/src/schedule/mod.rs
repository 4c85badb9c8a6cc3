//! Schedules: switching them on and off, and starting the backups that are due.

mod start;

use domain::account::Account;
use domain::audit::Act;
use domain::ids::AccountId;
use domain::notification::{Event, Notification};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::schedule::{Cadence, Schedule};
use domain::{Failure, FailureKind};
use jiff::Timestamp;

pub use self::start::{StartScheduled, Started};

use crate::contention::{self, Attempt};

/// A requested change of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleWish {
    pub enabled: bool,
    /// How often it runs. None leaves it unchanged.
    pub every: Option<Cadence>,
}

/// Why a schedule cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    /// The account has no CRM connection, which has the time zone.
    #[error("the account is not connected to a CRM")]
    NotConnected,
    /// The account's plan, with this name, has no schedules.
    #[error("the plan '{0}' has no schedules")]
    NotInPlan(&'static str),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// An account's schedule. Off if it was never switched on.
///
/// # Errors
/// [`ScheduleError`].
pub async fn read(ledger: &dyn Ledger, account: &AccountId) -> Result<Schedule, ScheduleError> {
    if ledger.get(&Account::key_of(account)).await?.is_none() {
        return Err(ScheduleError::AccountUnknown);
    }
    let loaded = ledger::load::<Schedule>(ledger, &Schedule::key_of(account)).await?;
    Ok(loaded.map_or_else(|| Schedule::off(account.clone()), |loaded| loaded.record))
}

/// Switches a schedule on or off, or changes how often it runs. Repeating it changes nothing.
///
/// # Errors
/// [`ScheduleError`].
pub async fn set(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    act: &Act,
    wish: ScheduleWish,
) -> Result<Schedule, ScheduleError> {
    contention::retry(|| try_set(ledger, clock, act, wish)).await
}

async fn try_set(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    act: &Act,
    wish: ScheduleWish,
) -> Result<Attempt<Schedule>, ScheduleError> {
    let account: Option<Versioned<Account>> = ledger::load(ledger, &Account::key_of(&act.account_id)).await?;
    let account = account.ok_or(ScheduleError::AccountUnknown)?;
    let loaded = ledger::load::<Schedule>(ledger, &Schedule::key_of(&act.account_id)).await?;
    let present = loaded.as_ref().map_or_else(|| Schedule::off(act.account_id.clone()), |loaded| loaded.record.clone());
    let every = wish.every.unwrap_or(present.every);
    let next = if wish.enabled {
        if !account.record.tier.allows().may_schedule {
            return Err(ScheduleError::NotInPlan(account.record.tier.as_str()));
        }
        let connection = account.record.crm_connection.as_ref().ok_or(ScheduleError::NotConnected)?;
        present.switched_on(every, &act.by, &connection.time_zone, clock.now())
    } else {
        present.switched_off(every)
    };
    let write = loaded.as_ref().map_or_else(|| Change::create(&next), |loaded| Change::replace(loaded, &next));
    let target = match (wish.enabled, every) {
        (false, _) => "off",
        (true, Cadence::Week) => "on, every week",
        (true, Cadence::TwoWeeks) => "on, every two weeks",
    };
    let mut changes = vec![write, Change::create(&act.succeeded(target.to_owned()))];
    // An account that loses its plan at the same time loses the schedule too: the second of the two commits finds a
    // changed account. So the account is written unchanged, and not only read.
    changes.push(Change::replace(&account, &account.record));
    Ok(contention::settle(ledger.commit(&changes).await, next)?)
}

/// The consequences of a change of `account` for its schedule. A schedule that is on is stopped if the plan no longer
/// has schedules, with a notification. A waiting run is checked again, since the plan may allow it earlier.
///
/// # Errors
/// [`LedgerError`].
pub(crate) async fn follow_account(
    ledger: &dyn Ledger,
    account: &Account,
    now: Timestamp,
) -> Result<(Vec<Change>, Option<Notification>), LedgerError> {
    let loaded = ledger::load::<Schedule>(ledger, &Schedule::key_of(&account.account_id)).await?;
    let Some((loaded, on)) = loaded.as_ref().and_then(|loaded| Some((loaded, loaded.record.on.as_ref()?))) else {
        return Ok((Vec::new(), None));
    };
    if !account.tier.allows().may_schedule {
        let (changes, notification) = stopped(loaded, account, now);
        return Ok((changes, Some(notification)));
    }
    let waits = on.waits_until.is_some().then(|| Change::replace(loaded, &loaded.record.looked_at_anew()));
    Ok((waits.into_iter().collect(), None))
}

fn stopped(loaded: &Versioned<Schedule>, account: &Account, now: Timestamp) -> (Vec<Change>, Notification) {
    let failure = not_in_plan(account.tier.as_str());
    let next = loaded.record.stopped(failure.clone());
    let notification = skipped(&loaded.record, Event::ScheduleSkipped { failure, next_run_at: None }, now);
    (vec![Change::replace(loaded, &next), Change::create(&notification)], notification)
}

/// The notification of `event`, for the person who switched the schedule on.
fn skipped(schedule: &Schedule, event: Event, now: Timestamp) -> Notification {
    let by = schedule.on.as_ref().map(|on| on.by.clone());
    // A schedule emits at most one notification per instant, so the id is derived from the account alone.
    let about = schedule.account_id.derived_bytes();
    Notification::new(schedule.account_id.clone(), about, event, by, now)
}

fn not_in_plan(plan: &str) -> Failure {
    Failure::new(
        FailureKind::ScheduleNotInPlan,
        format!(
            "The account's plan is now '{plan}', which has no schedules. Ask an operator about the plan, then switch \
             the schedule on again. Until then, you can make backups yourself."
        ),
    )
}

#[cfg(test)]
mod tests;
