//! Closes an object when all its chunks are done: checks that their boundaries and the end are proven, and that the
//! number of rows fits. Missing parts are read once more first.

use std::time::Duration;

use domain::backup::{Backup, BackupEvent, BackupState};
use domain::chunk::Chunk;
use domain::ids::ObjectType;
use domain::lease::WaitReason;
use domain::lease::{MAX_ATTEMPTS, Wait};
use domain::object::{Counts, ObjectExport, ObjectState};
use domain::ports::crm::{Crm, CrmError, CrmErrorKind};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{self, Change, LedgerError, Versioned};
use domain::work::Work;
use jiff::{SignedDuration, Timestamp};

use super::export_run::ExportRun;
use super::out_of_attempts;
use super::proof::{self, Boundaries, OnceMore};
use crate::contention::{self, Attempt};
use crate::run::{Met, Remedy, StepError, delay_until};

/// How long the CRM's counts may lag behind its records before an unexplained difference counts as real.
const RECOUNT_AFTER: SignedDuration = SignedDuration::from_secs(30);

impl ExportRun<'_> {
    /// Closes the object if all its chunks are done. Repeated and simultaneous calls are safe.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub(super) async fn close_object(&self, object: &ObjectType) -> Result<(), StepError> {
        let backup = self.backup;
        let key = ObjectExport::key_of(&backup.backup_id, object);
        let Some(loaded) = ledger::load::<ObjectExport>(self.ledger(), &key).await? else { return Ok(()) };
        let now = self.now();
        let waits = loaded.record.close_wait.is_some_and(|wait| wait.until > now);
        if loaded.record.state == ObjectState::Exported || loaded.record.open_chunks > 0 || waits {
            return Ok(());
        }
        let parent = ledger::load::<Backup>(self.ledger(), &Backup::key_of(backup)).await?;
        let Some(parent) = parent.filter(|parent| !parent.record.state.is_terminal()) else { return Ok(()) };
        let Err(error) = self.prove_and_close(&parent.record, &loaded).await else { return Ok(()) };
        let now = self.now();
        tracing::warn!(%error, backup.id = %backup.backup_id, object = %object, "close-object.interrupted");
        let object = &loaded.record;
        let attempts = object.close_attempts + 1;
        match error.remedy(now, Met { attempts, trouble: object.close_trouble }, &self.export.patience) {
            Remedy::Stop => Ok(()),
            Remedy::Fail(failure) => self.fail(failure).await,
            Remedy::Wait(wait, trouble) => self.close_later(&loaded, &object.close_later(wait, trouble), wait).await,
            Remedy::Retry(_) if attempts >= MAX_ATTEMPTS => self.fail(out_of_attempts(object)).await,
            Remedy::Retry(pause) => {
                let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_mins(5));
                let wait = Wait { until: now + pause, reason: WaitReason::ServiceUnavailable };
                self.close_later(&loaded, &object.close_later(wait, object.close_trouble), wait).await
            }
        }
    }

    /// Records that closing `object` waits, as `waiting` says, and queues it for that time.
    async fn close_later(
        &self,
        object: &Versioned<ObjectExport>,
        waiting: &ObjectExport,
        wait: Wait,
    ) -> Result<(), StepError> {
        match self.ledger().commit(&[Change::replace(object, waiting)]).await {
            // Another run has handled it meanwhile, and queued the next step.
            Err(LedgerError::Conflict) => Ok(()),
            other => {
                other?;
                let delay = delay_until(wait.until, self.now());
                Ok(self.queue().send(&[waiting.close_work()], delay).await?)
            }
        }
    }

    async fn prove_and_close(&self, parent: &Backup, loaded: &Versioned<ObjectExport>) -> Result<(), StepError> {
        let object = &loaded.record;
        let chunks = self.chunks_of(object).await?;
        let crm = &*self.session(parent.api_version).await?.crm;
        if object.mode == ReadMode::Ranges {
            match proof::boundaries(crm, object, &chunks).await? {
                Boundaries::Hold => {}
                Boundaries::Missed(missed) => return self.read_once_more(crm, loaded, &chunks, &missed).await,
                Boundaries::Broken => {
                    let name = &object.definition.object_type;
                    return self.read_again(name, object.generation, false, "a boundary does not fit").await;
                }
            }
        }
        let counts = match counts(crm, object, &chunks).await {
            Err(error) if !object.recounted && is_first_refusal(object, &error) => {
                let wait = Wait { until: self.now() + RECOUNT_AFTER, reason: WaitReason::CountsLag };
                return self.close_later(loaded, &object.recount(wait), wait).await;
            }
            counts => counts?,
        };
        let moved = if object.mode == ReadMode::Ranges { proof::moved(&chunks, counts) } else { OnceMore::new() };
        if moved.is_empty() && object.verdict_of_found(counts).is_unexplained() && !object.recounted {
            let wait = Wait { until: self.now() + RECOUNT_AFTER, reason: WaitReason::CountsLag };
            return self.close_later(loaded, &object.recount(wait), wait).await;
        }
        let missing = match object.mode {
            ReadMode::Ranges if moved.is_empty() => proof::missing(crm, object, &chunks, counts).await?,
            _ => moved,
        };
        if !missing.is_empty() {
            return self.read_once_more(crm, loaded, &chunks, &missing).await;
        }
        let finished = chunks.iter().filter_map(|chunk| chunk.record.finished_at);
        let to = finished.max().unwrap_or(object.window_from);
        self.commit_close(object, counts, to).await
    }

    async fn chunks_of(&self, object: &ObjectExport) -> Result<Vec<Versioned<Chunk>>, StepError> {
        let prefix = Chunk::prefix(&object.definition.object_type, object.generation);
        Ok(ledger::list(self.ledger(), &Backup::partition(&self.backup.backup_id), &prefix).await?)
    }

    async fn commit_close(&self, object: &ObjectExport, counts: Counts, to: Timestamp) -> Result<(), StepError> {
        let backup = self.backup;
        let closed = contention::retry(|| async {
            let now = self.now();
            let key = ObjectExport::key_of(&backup.backup_id, &object.definition.object_type);
            let backup_key = Backup::key_of(backup);
            let loaded = ledger::load::<ObjectExport>(self.ledger(), &key).await?.ok_or(StepError::GONE)?;
            let closed = loaded.record.close(object, counts, to, now)?;
            let parent = ledger::load::<Backup>(self.ledger(), &backup_key).await?.ok_or(StepError::GONE)?;
            let counted = parent.record.apply(BackupEvent::ObjectExported, now)?;
            let changes = [Change::replace(&loaded, &closed), Change::replace(&parent, &counted)];
            Ok::<_, StepError>(contention::settle(self.ledger().commit(&changes).await, (closed, counted))?)
        })
        .await?;
        let (object, parent) = closed;
        tracing::info!(
            backup.id = %backup.backup_id,
            object = %object.definition.object_type,
            records = object.records,
            verdict = ?object.verdict,
            "object.exported"
        );
        if parent.state == BackupState::Assembling {
            self.queue().send(&[Work::Assemble { backup: backup.clone() }], Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Voids the object's `generation` and starts again from the beginning, by searches or with one worker. `in_order`
    /// is whether the CRM's list was in the order of ids as far as it was read.
    pub(super) async fn read_again(
        &self,
        object: &ObjectType,
        generation: u32,
        in_order: bool,
        why: &'static str,
    ) -> Result<(), StepError> {
        let backup = self.backup;
        tracing::warn!(backup.id = %backup.backup_id, object = %object, why, "object.read-again");
        contention::retry(|| async {
            let now = self.now();
            let key = ObjectExport::key_of(&backup.backup_id, object);
            let loaded = ledger::load::<ObjectExport>(self.ledger(), &key).await?.ok_or(StepError::GONE)?;
            let Ok((next, chunk)) = loaded.record.read_again(generation, in_order, now) else {
                // Another chunk of the same generation noticed it first.
                return Ok(Attempt::Settled(()));
            };
            let changes = [Change::replace(&loaded, &next), Change::create(&chunk)];
            Ok::<_, StepError>(contention::settle(self.ledger().commit(&changes).await, ())?)
        })
        .await?;
        self.standing().changed();
        Ok(())
    }
}

/// Whether the CRM refuses to count an object that it was not asked to count before: the token may list its records,
/// but not search for them.
fn is_first_refusal(object: &ObjectExport, error: &CrmError) -> bool {
    object.listed_empty && error.kind.is_refusal() && error.kind != CrmErrorKind::TokenRefused
}

/// The CRM's counts around the time at which the object was read. The number of created records is requested only if it
/// can explain a difference.
async fn counts(crm: &dyn Crm, object: &ObjectExport, chunks: &[Versioned<Chunk>]) -> Result<Counts, CrmError> {
    let name = &object.definition.object_type;
    let after = match crm.census(name).await {
        // Asked for the second time.
        Err(error) if object.recounted && is_first_refusal(object, &error) => {
            tracing::warn!(%error, object = %name, "object.not-counted");
            None
        }
        census => census?.map(|census| census.records),
    };
    let may_have_moved = chunks.iter().any(|chunk| chunk.record.followed_opaque_cursors());
    let created = if after.is_some_and(|after| after != object.records || may_have_moved) {
        crm.created_since(name, object.window_from).await?
    } else {
        None
    };
    Ok(Counts { before: object.counts.before, after, created })
}
