//! Ends a restore that has written: waits until no run can write any more, reports the values that dead runs may have
//! written, makes the report of values not restored, and in one transaction ends the restore, creates the import and
//! frees the lock.

use std::time::Duration;

use domain::Failure;
use domain::lease::Wait;
use domain::lease::WaitReason;
use domain::notification::{Event, Notification};
use domain::ports::ledger::{Change, Ledger, LedgerError, Versioned};
use domain::restore::import::Import;
use domain::restore::outcome::{Fate, OutcomeCounts, UncommittedBatch, ValueOutcome};
use domain::restore::slice::{BATCHES_AHEAD, OutcomeFile, RestoreSlice, Settling, SliceState};
use domain::restore::{Restore, RestoreEvent, RestoreState};
use domain::storage_keys;
use domain::work::RestoreRef;
use jiff::{SignedDuration, Timestamp};

use super::begun::dead_run;
use super::definition::Definition;
use super::report::{Kind, ReportRequest, Reported, not_restored};
use super::{Ending, RestoreWork, after, dispatch, free_lock};
use crate::contention;
use crate::notify;
use crate::run::{Run, StepError};
use crate::stored_json;

/// How soon to check again whether the runs that may still write have ended. Most give their lease back within seconds.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// Why errors.csv is missing, if it cannot be made.
const NO_LIST: &str = "errors.csv could not be made, because some of its data has expired, or cannot be read or \
                       written. The counts of the import are correct. To restore what is left, start a new restore \
                       from the same backup.";

/// Why errors.csv is missing, if the restore could not be concluded.
const NOT_PUT_TOGETHER: &str = "errors.csv could not be made, because the outcome of the last values is unknown. \
                                Values that the import counts as not tried may have been written. To restore what is \
                                left, start a new restore from the same backup.";

/// The report of an import.
enum ErrorsFile {
    Nothing,
    At(String),
    /// It cannot be made. The sentence says why.
    Missing(&'static str),
}

impl RestoreWork {
    /// Concludes a restore within the run's time, or comes back later if a run may still write.
    pub(super) async fn conclude(&self, restore: &Restore, lease: u32, run: &Run) -> Result<Ending, StepError> {
        let reference = restore.reference();
        let slices = dispatch::slices(self.ledger(), &reference).await?;
        let now = self.now();
        if slices.iter().any(|slice| slice.record.is_worked_on(now)) {
            self.come_back(restore, lease).await?;
            return Ok(Ending::Finished);
        }
        let mut settled = Vec::with_capacity(slices.len());
        for slice in slices {
            settled.push(self.settle(restore, slice, lease).await?);
        }
        let outcome = sum(&settled);
        // A slice that ended before its last batch may have no errors nevertheless.
        let file = if Import::of(restore, &outcome, None, now).not_restored().is_any() {
            self.errors(restore, &settled, lease, run).await?
        } else {
            Some(ErrorsFile::Nothing)
        };
        let Some(file) = file else { return Ok(Ending::RunOver) };
        self.end(&reference, RestoreEvent::Concluded { lease }, (&outcome, &file)).await?;
        Ok(Ending::Finished)
    }

    /// Ends the restore by `event`. The import, the lock and the notification change in the same transaction.
    async fn end(
        &self,
        reference: &RestoreRef,
        event: RestoreEvent,
        (outcome, file): (&OutcomeCounts, &ErrorsFile),
    ) -> Result<(), StepError> {
        let (ended, notification, report) = contention::retry(|| async {
            let loaded = self.load(reference).await?;
            let now = self.now();
            let next = after(&loaded.record, event.clone(), now)?;
            let import = import(&next, outcome, file, now);
            let notification = notification_of(&next, Some(&import), now);
            let mut changes = vec![Change::replace(&loaded, &next), Change::create(&import)];
            changes.extend(free_lock(self.ledger(), &next).await?);
            changes.extend(notification.as_ref().map(Change::create));
            Ok::<_, StepError>(contention::settle(
                self.ledger().commit(&changes).await,
                (next, notification, loaded.record.report),
            )?)
        })
        .await?;
        if let (Some(report), ErrorsFile::Missing(_)) = (&report, file) {
            self.abort(report).await;
        }
        log_end(&ended);
        if let Some(notification) = &notification {
            notify::announce_soon(&*self.queue, notification).await;
        }
        Ok(())
    }

    async fn come_back(&self, restore: &Restore, lease: u32) -> Result<(), StepError> {
        let wait = Wait { until: self.now() + LOOK_AGAIN, reason: WaitReason::RunsEnding };
        let released = RestoreEvent::Released { lease, wait: Some(wait) };
        let next = self.apply_event(&restore.reference(), released).await?;
        if let Some(work) = next.work() {
            let delay = Duration::try_from(LOOK_AGAIN).unwrap_or_default();
            self.queue.send(&[work], delay).await?;
        }
        Ok(())
    }

    /// Ends a restore with a slice that cannot be settled. That is only known when no run can write any more.
    pub(super) async fn give_up(&self, restore: &RestoreRef, failure: Failure) -> Result<(), StepError> {
        let outcome = outcome_so_far(self.ledger(), restore).await?;
        self.end(restore, RestoreEvent::NotConcluded(failure), (&outcome, &ErrorsFile::Missing(NOT_PUT_TOGETHER))).await
    }

    /// Ends a slice at its last commit. Batches that are not committed are reported with the outcomes that their run
    /// stored. Values that a dead run was about to write are reported as unclear, so that an undo checks them.
    async fn settle(
        &self,
        restore: &Restore,
        slice: Versioned<RestoreSlice>,
        lease: u32,
    ) -> Result<RestoreSlice, StepError> {
        if slice.record.state != SliceState::Applying {
            return Ok(slice.record);
        }
        let Beyond { lines, failures, mut settling } = self.beyond(restore, &slice.record).await?;
        // No run leases the slice any more, so no run uses a number above its leases.
        let attempt = slice.record.leasing.last_number + lease;
        if !lines.is_empty() {
            settling.file = Some(OutcomeFile { attempt, failures });
            let number = u32::try_from(slice.record.outcomes.len()).unwrap_or(u32::MAX);
            let key = storage_keys::outcome(&restore.reference(), slice.record.number, number, attempt);
            self.put_lines(&key, lines).await?;
        }
        let settled = slice.record.settled(settling, self.now())?;
        self.ledger().commit(&[Change::replace(&slice, &settled)]).await?;
        Ok(settled)
    }

    /// The outcomes of the batches that are not committed.
    async fn beyond(&self, restore: &Restore, slice: &RestoreSlice) -> Result<Beyond, StepError> {
        let committed = slice.batches_before(slice.written_to);
        let mut beyond = Beyond::default();
        let mut uncommitted = self.uncommitted(restore, slice).await?;
        let definition = Definition::of(&*self.reader, restore).await?;
        for batch in committed..slice.batches().min(committed + BATCHES_AHEAD) {
            let attempts = slice.tries_at(batch).chain(dead_run(slice));
            let begun = self.begun_of_batch(restore, slice, batch, attempts).await?;
            if let Some(known) = uncommitted.remove(&batch).filter(|known| known.is_latest_of(&begun)) {
                beyond.add_known(&known.outcomes)?;
                continue;
            }
            for ((id, property), begun) in begun.values {
                let target = begun.target().to_owned();
                let known = definition.properties.get(usize::from(property));
                let before = begun.overwritten(known, None, None).to_owned();
                let outcome = ValueOutcome { id, property, before, target, fate: Fate::Unclear };
                beyond.settling.counts.values_unclear += 1;
                beyond.add(&outcome)?;
            }
        }
        Ok(beyond)
    }

    /// Makes the report of values not restored. None if the run's time ends first. If the report cannot be made, the
    /// restore ends without it and says so.
    async fn errors(
        &self,
        restore: &Restore,
        slices: &[RestoreSlice],
        lease: u32,
        run: &Run,
    ) -> Result<Option<ErrorsFile>, StepError> {
        let reference = restore.reference();
        let made = async {
            let sources = not_restored(&reference, slices);
            let properties = &Definition::of(&*self.reader, restore).await?.properties;
            self.report(&ReportRequest { kind: Kind::Errors, restore, lease, properties, sources }, run.ends).await
        };
        match made.await {
            Err(StepError::Storage(error)) if !error.is_retryable() => {
                tracing::error!(%error, restore.id = %reference.restore_id, "restore.report-given-up");
                Ok(Some(ErrorsFile::Missing(NO_LIST)))
            }
            Ok(Reported::Nothing) => Ok(Some(ErrorsFile::Nothing)),
            Ok(Reported::Made(key)) => Ok(Some(ErrorsFile::At(key))),
            Ok(Reported::RunOver) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The outcomes of a slice's batches that are not committed.
#[derive(Default)]
struct Beyond {
    lines: Vec<u8>,
    /// Whether any value in the lines was not written, or may not have been.
    failures: bool,
    settling: Settling,
}

impl Beyond {
    fn add(&mut self, outcome: &ValueOutcome) -> Result<(), StepError> {
        self.failures |= outcome.belongs_in_report();
        Ok(stored_json::add_line(outcome, &mut self.lines)?)
    }

    /// Adds a batch whose run stored all outcomes.
    fn add_known(&mut self, known: &UncommittedBatch) -> Result<(), StepError> {
        self.settling.counts.add(&known.counts);
        self.settling.whole.push(known.batch);
        known.outcomes.iter().try_for_each(|outcome| self.add(outcome))
    }
}

fn import(ended: &Restore, outcome: &OutcomeCounts, file: &ErrorsFile, now: Timestamp) -> Import {
    let key = if let ErrorsFile::At(key) = file { Some(key.clone()) } else { None };
    let import = Import::of(ended, outcome, key, now);
    match file {
        ErrorsFile::Missing(why) if import.not_restored().is_any() => {
            Import { errors_missing: Some((*why).to_owned()), ..import }
        }
        _ => import,
    }
}

/// The outcomes reported by slices so far.
///
/// # Errors
/// [`LedgerError`].
pub(super) async fn outcome_so_far(ledger: &dyn Ledger, restore: &RestoreRef) -> Result<OutcomeCounts, LedgerError> {
    let slices = dispatch::slices(ledger, restore).await?;
    Ok(sum(&slices.into_iter().map(|slice| slice.record).collect::<Vec<_>>()))
}

fn sum(slices: &[RestoreSlice]) -> OutcomeCounts {
    let mut outcome = OutcomeCounts::default();
    for slice in slices {
        outcome.add(&slice.outcome);
    }
    outcome
}

/// The notification of a restore that has ended. None for a cancelled one, since the person who cancelled it knows.
pub(super) fn notification_of(ended: &Restore, import: Option<&Import>, now: Timestamp) -> Option<Notification> {
    let (restore_id, name) = (ended.restore_id.clone(), Import::name_of(ended));
    let event = match (&ended.failure, ended.state) {
        (Some(failure), RestoreState::Failed) => {
            Event::RestoreFailed { restore_id, name, has_written: ended.has_written(), failure: failure.clone() }
        }
        (_, RestoreState::Stopped) => Event::RestoreStopped { restore_id, name },
        (_, RestoreState::Completed) => Event::RestoreCompleted {
            restore_id,
            name,
            values_restored: import.map_or(0, |import| import.outcome.values_restored),
            values_not_restored: import.map_or(0, |import| import.not_restored().values),
            records_not_restored: import.map_or(0, |import| import.not_restored().records),
        },
        _ => return None,
    };
    let by = ended.confirmation.as_ref().map_or(&ended.created_by, |confirmation| &confirmation.by);
    Some(Notification::new(ended.account_id.clone(), ended.restore_id.random(), event, Some(by.clone()), now))
}

/// Logs how it ended. The template counts the lines named `restore.failed`; its alarm depends on that name.
pub(super) fn log_end(ended: &Restore) {
    let (account, id) = (&ended.account_id, &ended.restore_id);
    if let Some(failure) = &ended.failure {
        tracing::warn!(account.id = %account, restore.id = %id, failure.kind = %failure.kind, "restore.failed");
    } else {
        tracing::info!(account.id = %account, restore.id = %id, state = ?ended.state, "restore.ended");
    }
}
