//! Shows restores and imports to users.

mod warnings;

use std::time::Duration;

use domain::account::Account;
use domain::audit::Act;
use domain::budget::BudgetPolicy;
use domain::ids::{AccountId, RestoreId};

use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Ledger, LedgerError, ListRequest, Record};
use domain::ports::storage::{BlobReader, DownloadLinks, StorageError};
use domain::restore::import::Import;
use domain::restore::outcome::OutcomeCounts;
use domain::restore::plan::PropertyCounts;
use domain::restore::property::RestoredProperty;
use domain::restore::slice::RestoreSlice;
use domain::restore::{LONGEST_RESTORE, Plan, Restore, RestoreState};
use domain::work::RestoreRef;

use super::definition::Definition;
use super::sum_up::Samples;
pub use super::sum_up::{Sample, SampleValue};
use super::{dispatch, waiting};
use crate::audit_log;
use crate::backup::read::Waiting;
use crate::crm_session::policy_of;
use crate::link::Link;
use crate::listing;
use crate::stored_json;

/// Why an import has no errors.csv, for imports that were stored before they had a reason of their own.
const NO_LIST_BEFORE: &str = "errors.csv could not be made when the restore ended. The counts of the import are \
                              correct. To restore what is left, start a new restore from the same backup.";

/// Why a restore, an import or a report cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    #[error("there is no such restore")]
    RestoreUnknown,
    #[error("there is no such import")]
    ImportUnknown,
    #[error("the plan is not ready")]
    PlanNotReady,
    /// The report has no rows, so there is no file.
    #[error("there is no such report")]
    NoReport,
    /// The report has rows but could not be made. The sentence is for people.
    #[error("the report could not be made")]
    ReportMissing(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestFirst<T> {
    pub items: Vec<T>,
    /// The last item's id, if more items follow.
    pub next: Option<RestoreId>,
    /// Items left out because the present code cannot read them.
    pub left_out: usize,
}

/// A restore with its plan, progress and outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    pub restore: Restore,
    /// Its plan, once made and while it is kept.
    pub plan: Option<PlanReview>,
    pub progress: Option<Progress>,
    /// Its outcome so far. None before it is confirmed.
    pub outcome: Option<OutcomeCounts>,
    /// Set if no run can work on it at the moment.
    pub waiting: Option<Waiting>,
}

/// A plan for people to review.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanReview {
    pub plan: Plan,
    pub properties: Vec<(RestoredProperty, PropertyCounts)>,
    /// The first records that would change. Empty once they are no longer kept.
    pub samples: Vec<Sample>,
    pub warnings: Vec<Warning>,
    /// The approximate time that it takes at the account's limits.
    pub estimate: Duration,
}

/// A warning before confirming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// A stable slug for programs.
    pub kind: &'static str,
    /// The property that it is about, if any.
    pub property: Option<String>,
    /// A sentence for people.
    pub sentence: String,
}

/// The progress of a restore's present step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Records compared, or written.
    pub records_done: u64,
    /// Records to compare, or to write.
    pub records_total: u64,
}

impl Progress {
    /// From 0 to 1.
    pub fn share_done(self) -> f64 {
        if self.records_total == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more precision")]
        let share = self.records_done as f64 / self.records_total as f64;
        share.min(1.0)
    }
}

/// An account's restores, newest first, behind `after`.
///
/// # Errors
/// [`ReviewError`].
pub async fn restores(
    ledger: &dyn Ledger,
    account: &AccountId,
    after: Option<&RestoreId>,
    limit: u32,
) -> Result<NewestFirst<Restore>, ReviewError> {
    page(ledger, account, Restore::PREFIX, after, limit).await
}

/// An account's imports, newest first, behind `after`.
///
/// # Errors
/// [`ReviewError`].
pub async fn imports(
    ledger: &dyn Ledger,
    account: &AccountId,
    after: Option<&RestoreId>,
    limit: u32,
) -> Result<NewestFirst<Import>, ReviewError> {
    page(ledger, account, Import::PREFIX, after, limit).await
}

async fn page<T: Record>(
    ledger: &dyn Ledger,
    account: &AccountId,
    prefix: &str,
    after: Option<&RestoreId>,
    limit: u32,
) -> Result<NewestFirst<T>, ReviewError> {
    if ledger.get(&Account::key_of(account)).await?.is_none() {
        return Err(ReviewError::AccountUnknown);
    }
    let request = ListRequest {
        partition: Account::key_of(account).partition,
        prefix: prefix.to_owned(),
        after: after.map(|after| format!("{prefix}{after}")),
        newest_first: true,
        limit,
    };
    let found = ledger.list(&request).await?;
    let next = listing::last_id(&found.records, prefix, RestoreId::parse).filter(|_| found.more);
    let listing::Readable { records: items, left_out } = listing::of_page(found.records);
    Ok(NewestFirst { items, next, left_out })
}

/// One restore.
///
/// # Errors
/// [`ReviewError`].
pub async fn restore(
    ledger: &dyn Ledger,
    reader: &dyn BlobReader,
    clock: &dyn Clock,
    reference: &RestoreRef,
) -> Result<Review, ReviewError> {
    let restore = load(ledger, reference).await?;
    let slices = dispatch::slices(ledger, reference).await?;
    let slices: Vec<RestoreSlice> = slices.into_iter().map(|slice| slice.record).collect();
    let account = ledger::load::<Account>(ledger, &Account::key_of(&reference.account_id)).await?;
    let policy = account.and_then(|account| {
        let connection = account.record.crm_connection.as_ref()?;
        Some(policy_of(&account.record, connection))
    });
    let plan = match &restore.plan {
        Some(plan) => plan_review(reader, &restore, plan, policy.as_ref()).await?,
        None => None,
    };
    let outcome = if restore.has_written() { Some(outcome(ledger, &restore, &slices).await?) } else { None };
    let progress = if restore.is_open(clock.now()) { progress(&restore, &slices) } else { None };
    let waiting = waiting::of(&restore, &slices, clock.now());
    Ok(Review { restore, plan, progress, outcome, waiting })
}

async fn load(ledger: &dyn Ledger, reference: &RestoreRef) -> Result<Restore, ReviewError> {
    let loaded = ledger::load::<Restore>(ledger, &Restore::key_of(reference)).await?;
    Ok(loaded.ok_or(ReviewError::RestoreUnknown)?.record)
}

/// The outcome of a restore so far. Slices are kept for some months only; after that it is in the import.
async fn outcome(
    ledger: &dyn Ledger,
    restore: &Restore,
    slices: &[RestoreSlice],
) -> Result<OutcomeCounts, LedgerError> {
    let mut sum = OutcomeCounts::default();
    if slices.is_empty() {
        let key = Import::key_of(&restore.account_id, &restore.restore_id);
        let import = ledger::load::<Import>(ledger, &key).await?;
        return Ok(import.map_or(sum, |import| import.record.outcome));
    }
    for slice in slices {
        sum.add(&slice.outcome);
    }
    Ok(sum)
}

fn progress(restore: &Restore, slices: &[RestoreSlice]) -> Option<Progress> {
    let sum = |count: fn(&RestoreSlice) -> u64| slices.iter().map(count).sum();
    match restore.state {
        RestoreState::Queued | RestoreState::Planning | RestoreState::Summarising => {
            Some(Progress { records_done: sum(|slice| slice.rows_planned), records_total: sum(|slice| slice.rows) })
        }
        RestoreState::Applying | RestoreState::Concluding => Some(Progress {
            records_done: sum(|slice| slice.outcome.records_done),
            records_total: sum(|slice| slice.plan.changed),
        }),
        _ => None,
    }
}

/// None once the plan is no longer kept.
async fn plan_review(
    reader: &dyn BlobReader,
    restore: &Restore,
    plan: &Plan,
    policy: Option<&BudgetPolicy>,
) -> Result<Option<PlanReview>, ReviewError> {
    let definition = match Definition::of(reader, restore).await {
        Err(StorageError::Absent(_)) => return Ok(None),
        read => read?,
    };
    let samples = match stored_json::read::<Samples>(reader, &plan.samples_key).await {
        Err(StorageError::Absent(_)) => Vec::new(),
        read => read?.0,
    };
    let counts = plan.counts.properties.iter().copied().chain(std::iter::repeat(PropertyCounts::default()));
    let properties: Vec<_> = definition.properties.into_iter().zip(counts).collect();
    let estimate = policy.map_or(Duration::ZERO, |policy| estimate(plan.calls, policy));
    let mut warnings = warnings::of(plan, &properties);
    let ends = restore.created_at + LONGEST_RESTORE;
    if Duration::try_from(ends.duration_since(plan.made_at)).is_ok_and(|left| estimate > left) {
        let hours = estimate.as_secs() / 3_600;
        let sentence = format!(
            "This restore takes about {hours} hours at the account's limits, but every restore ends 46 hours after its \
             request. Restore fewer properties at a time, or raise the account's share of the CRM's calls."
        );
        warnings.push(Warning { kind: "takes-too-long", property: None, sentence });
    }
    Ok(Some(PlanReview { plan: plan.clone(), properties, samples, warnings, estimate }))
}

/// How long these calls take: at the rate per ten seconds, and within the account's daily limit.
fn estimate(calls: u64, policy: &BudgetPolicy) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "an estimate needs no more precision")]
    let at_rate = calls as f64 / policy.calls_per_second();
    let full_days = calls / u64::from(policy.calls_per_day().max(1));
    Duration::from_secs_f64(at_rate).max(Duration::from_hours(24 * full_days))
}

/// One import, and its restore.
///
/// # Errors
/// [`ReviewError`].
pub async fn import(ledger: &dyn Ledger, reference: &RestoreRef) -> Result<(Import, Restore), ReviewError> {
    let key = Import::key_of(&reference.account_id, &reference.restore_id);
    let import = ledger::load::<Import>(ledger, &key).await?.ok_or(ReviewError::ImportUnknown)?.record;
    Ok((import, load(ledger, reference).await?))
}

/// A link to the report of values that an import has not restored.
///
/// # Errors
/// [`ReviewError`].
pub async fn errors_link(
    ledger: &dyn Ledger,
    links: &dyn DownloadLinks,
    clock: &dyn Clock,
    (reference, act): (&RestoreRef, &Act),
    valid_for: Duration,
) -> Result<Link, ReviewError> {
    let (import, _) = import(ledger, reference).await?;
    let is_any = import.not_restored().is_any();
    let missing = || {
        let why = import.errors_missing.unwrap_or_else(|| NO_LIST_BEFORE.to_owned());
        if is_any { ReviewError::ReportMissing(why) } else { ReviewError::NoReport }
    };
    let key = import.errors_key.ok_or_else(missing)?;
    let file_name = format!("errors-{}-{}.csv", import.object_type, import.restore_id);
    let link = link(links, clock, (&key, &file_name), valid_for).await?;
    audit_log::record(ledger, &act.succeeded(reference.restore_id.to_string())).await?;
    Ok(link)
}

/// A link to the report of values that a plan leaves unchanged. The audit log has the entry before the caller gets the
/// link.
///
/// # Errors
/// [`ReviewError`].
pub async fn skipped_link(
    ledger: &dyn Ledger,
    links: &dyn DownloadLinks,
    clock: &dyn Clock,
    (reference, act): (&RestoreRef, &Act),
    valid_for: Duration,
) -> Result<Link, ReviewError> {
    let restore = load(ledger, reference).await?;
    if matches!(restore.state, RestoreState::Queued | RestoreState::Planning | RestoreState::Summarising) {
        return Err(ReviewError::PlanNotReady);
    }
    let key = restore.plan.and_then(|plan| plan.skipped_key).ok_or(ReviewError::NoReport)?;
    let file_name = format!("skipped-{}-{}.csv", restore.object_type, restore.restore_id);
    let link = link(links, clock, (&key, &file_name), valid_for).await?;
    audit_log::record(ledger, &act.succeeded(reference.restore_id.to_string())).await?;
    Ok(link)
}

async fn link(
    links: &dyn DownloadLinks,
    clock: &dyn Clock,
    (key, file_name): (&str, &str),
    valid_for: Duration,
) -> Result<Link, ReviewError> {
    let url = links.link(key, file_name, valid_for).await?;
    Ok(Link { url, expires_at: clock.now() + valid_for })
}
