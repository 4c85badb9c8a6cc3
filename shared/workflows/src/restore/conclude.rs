//! Ends a restore that has written: waits until no run can write any more, tells what dead runs may have written, makes the
//! report of what was not restored, and in one transaction ends the restore, makes the import and frees the lock.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Failure;
use domain::budget::WaitReason;
use domain::ids::RecordId;
use domain::lease::Wait;
use domain::notification::{Event, Notification};
use domain::ports::ledger::{Change, Ledger, LedgerError, Versioned};
use domain::restore::import::Import;
use domain::restore::outcome::{Fate, OutcomeCounts, PreImage, ValueOutcome, overwritten};
use domain::restore::slice::{BATCHES_AHEAD, OutcomeFile, RestoreSlice, SliceState};
use domain::restore::{Restore, RestoreEvent, RestoreState};
use domain::storage_keys;
use domain::work::RestoreRef;
use jiff::{SignedDuration, Timestamp};

use super::definition::Definition;
use super::{RestoreWork, after, dispatch, free_lock, report};
use crate::contention;
use crate::notify;
use crate::run::{Run, StepError};
use crate::stored_json;

/// How soon to look again whether the runs that may still write have ended. Most give their lease back within seconds.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

impl RestoreWork {
    /// Concludes a restore, or comes back when a run may still write.
    pub(super) async fn conclude(&self, restore: &Restore, lease: u32, run: &Run) -> Result<(), StepError> {
        let reference = restore.reference();
        let slices = dispatch::slices(self.ledger(), &reference).await?;
        let now = self.now();
        if slices.iter().any(|slice| slice.record.is_worked_on(now)) {
            return self.come_back(restore, lease).await;
        }
        let mut settled = Vec::with_capacity(slices.len());
        for slice in slices {
            settled.push(self.settle(restore, slice, lease).await?);
        }
        let outcome = sum(&settled);
        let errors_key = self.errors(restore, &settled, lease, run).await?;
        self.end(&reference, RestoreEvent::Concluded { lease }, (outcome, errors_key)).await
    }

    /// Ends the restore by `event`: the import, the lock and the notification go with it in one transaction.
    async fn end(
        &self,
        reference: &RestoreRef,
        event: RestoreEvent,
        (outcome, errors_key): (OutcomeCounts, Option<String>),
    ) -> Result<(), StepError> {
        let (ended, told) = contention::retry(|| async {
            let loaded = self.load(reference).await?;
            let now = self.now();
            let next = after(&loaded.record, event.clone(), now)?;
            let import = Import::of(&next, &outcome, errors_key.clone(), now);
            let told = told(&next, Some(&import), now);
            let mut changes = vec![Change::replace(&loaded, &next), Change::create(&import)];
            changes.extend(free_lock(self.ledger(), &next).await?);
            changes.extend(told.as_ref().map(Change::create));
            Ok::<_, StepError>(contention::settle(self.ledger().commit(&changes).await, (next, told))?)
        })
        .await?;
        log_end(&ended);
        if let Some(told) = &told {
            notify::announce_soon(&*self.queue, told).await;
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

    /// Ends a restore of which a slice cannot be settled. That is only found out when no run can write any more.
    pub(super) async fn give_up(&self, restore: &RestoreRef, failure: Failure) -> Result<(), StepError> {
        let outcome = told_so_far(self.ledger(), restore).await?;
        self.end(restore, RestoreEvent::NotConcluded(failure), (outcome, None)).await
    }

    /// Ends a slice as far as it got. What a dead run was about to write and nobody has told of since is told as unclear,
    /// so that an undo looks at it.
    async fn settle(
        &self,
        restore: &Restore,
        slice: Versioned<RestoreSlice>,
        lease: u32,
    ) -> Result<RestoreSlice, StepError> {
        if slice.record.state != SliceState::Applying {
            return Ok(slice.record);
        }
        let (lines, counts) = self.unclear(restore, &slice.record).await?;
        // No run leases the slice any more, so a number above its leases is nobody else's.
        let attempt = slice.record.leasing.last_number + lease;
        let file = (!lines.is_empty()).then_some(OutcomeFile { attempt, failures: true });
        if file.is_some() {
            let number = u32::try_from(slice.record.outcomes.len()).unwrap_or(u32::MAX);
            let key = storage_keys::outcome(&restore.reference(), slice.record.number, number, attempt);
            self.put_lines(&key, lines).await?;
        }
        let settled = slice.record.settled(file, &counts, self.now()).map_err(|_| StepError::TakenOver)?;
        self.ledger().commit(&[Change::replace(&slice, &settled)]).await?;
        Ok(settled)
    }

    async fn unclear(&self, restore: &Restore, slice: &RestoreSlice) -> Result<(Vec<u8>, OutcomeCounts), StepError> {
        let committed = slice.batches_before(slice.written_to);
        let dead = slice.leasing.lease.as_ref().map(|lease| lease.number);
        let (mut lines, mut counts) = (Vec::new(), OutcomeCounts::default());
        let definition = Definition::of(&*self.reader, restore).await?;
        for batch in committed..slice.batches().min(committed + BATCHES_AHEAD) {
            let attempts =
                slice.tries_at(batch).chain(dead.filter(|dead| slice.tries.iter().all(|t| t.attempt != *dead)));
            let mut begun: BTreeMap<(RecordId, u16), Vec<PreImage>> = BTreeMap::new();
            for attempt in attempts {
                let key = storage_keys::pre_image(&restore.reference(), slice.number, batch, attempt);
                for line in stored_json::read_lines_if_any::<PreImage>(&*self.reader, &key).await? {
                    begun.entry((line.id, line.property)).or_default().push(line);
                }
            }
            for ((id, property), found) in begun {
                let target = found.last().map(|line| line.target.clone()).unwrap_or_default();
                let known = definition.properties.get(usize::from(property));
                let is_own = |value: &str| known.is_some_and(|known| known.is_made_on_the_way_to(&target, value));
                let chain: Vec<&str> = found.iter().map(|line| line.before.as_str()).collect();
                let before = overwritten(&chain, is_own).to_owned();
                let outcome = ValueOutcome { id, property, before, target, fate: Fate::Unclear };
                counts.values_unclear += 1;
                stored_json::add_line(&outcome, &mut lines)?;
            }
        }
        Ok((lines, counts))
    }

    /// The report of what was not restored; None when there is nothing to tell, or when it cannot be made: a restore ends
    /// without it rather than not at all.
    async fn errors(
        &self,
        restore: &Restore,
        slices: &[RestoreSlice],
        lease: u32,
        run: &Run,
    ) -> Result<Option<String>, StepError> {
        let reference = restore.reference();
        let made = async {
            let definition = Definition::of(&*self.reader, restore).await?;
            let key = storage_keys::restore_errors(&reference, lease);
            self.report(key, &definition.properties, report::not_restored(&reference, slices), run.ends).await
        };
        match made.await {
            Err(error) if !error.is_retryable() => {
                tracing::error!(%error, restore.id = %reference.restore_id, "restore.report-given-up");
                Ok(None)
            }
            made => Ok(made?),
        }
    }
}

/// What became of the values that slices have told of.
///
/// # Errors
/// [`LedgerError`].
pub(super) async fn told_so_far(ledger: &dyn Ledger, restore: &RestoreRef) -> Result<OutcomeCounts, LedgerError> {
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

/// What the account is told of a restore that has ended; nothing of one that was cancelled, since whoever did that knows.
pub(super) fn told(ended: &Restore, import: Option<&Import>, now: Timestamp) -> Option<Notification> {
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

/// Says how it ended. The template counts the lines named `restore.failed`; its alarm hangs on that name.
pub(super) fn log_end(ended: &Restore) {
    let (account, id) = (&ended.account_id, &ended.restore_id);
    if let Some(failure) = &ended.failure {
        tracing::warn!(account.id = %account, restore.id = %id, failure.kind = %failure.kind, "restore.failed");
    } else {
        tracing::info!(account.id = %account, restore.id = %id, state = ?ended.state, "restore.ended");
    }
}
