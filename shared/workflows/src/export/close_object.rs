//! Closing an object: all its chunks are done; are their boundaries proven, and does the number of rows fit?

use std::time::Duration;

use domain::backup::{Backup, BackupEvent, BackupState};
use domain::budget::WaitReason;
use domain::chunk::Chunk;
use domain::ids::{ObjectType, RecordId};
use domain::lease::{MAX_ATTEMPTS, Wait};
use domain::object::{Counts, ObjectExport, ObjectState, ReadMode};
use domain::ports::crm::{Crm, CrmError};
use domain::ports::ledger::{self, Change, LedgerError, Versioned};
use domain::work::{BackupRef, Work};
use jiff::{SignedDuration, Timestamp};

use super::{Export, out_of_attempts};
use crate::contention::{self, Attempt};
use crate::run::{Met, Remedy, Run, StepError, delay_until};

/// How long the CRM's counts are given to follow its records before what they do not explain is taken for a fact.
const RECOUNT_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// The most records that one call can ask for.
const IDS_PER_CALL: usize = 100;

impl Export {
    /// Closes the object if all its chunks are done. Running it twice or at once is fine.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn close_object(&self, backup: &BackupRef, object: &ObjectType, run: &Run) -> Result<(), StepError> {
        let key = ObjectExport::key_of(&backup.backup_id, object);
        let Some(loaded) = ledger::load::<ObjectExport>(self.ledger(), &key).await? else { return Ok(()) };
        let now = self.sessions.clock.now();
        let waits = loaded.record.close_wait.is_some_and(|wait| wait.until > now);
        if loaded.record.state == ObjectState::Exported || loaded.record.open_chunks > 0 || waits {
            return Ok(());
        }
        let parent = ledger::load::<Backup>(self.ledger(), &Backup::key_of(backup)).await?;
        let Some(parent) = parent.filter(|parent| !parent.record.state.is_terminal()) else { return Ok(()) };
        let Err(error) = self.prove_and_close(&parent.record, &loaded, run).await else { return Ok(()) };
        let now = self.sessions.clock.now();
        tracing::warn!(%error, backup.id = %backup.backup_id, object = %object, "close-object.interrupted");
        let object = &loaded.record;
        let attempts = object.close_attempts + 1;
        match error.remedy(now, Met { attempts, trouble: object.close_trouble }, &self.patience) {
            Remedy::Stop => Ok(()),
            Remedy::Fail(failure) => self.fail(backup, failure).await,
            Remedy::Wait(wait, trouble) => self.close_later(&loaded, &object.close_later(wait, trouble), wait).await,
            Remedy::Retry(_) if attempts >= MAX_ATTEMPTS => self.fail(backup, out_of_attempts(object)).await,
            Remedy::Retry(pause) => {
                let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_mins(5));
                let wait = Wait { until: now + pause, reason: WaitReason::ServiceUnavailable };
                self.close_later(&loaded, &object.close_later(wait, object.close_trouble), wait).await
            }
        }
    }

    /// Notes that closing `object` waits, as `waiting` says, and queues it for then.
    async fn close_later(
        &self,
        object: &Versioned<ObjectExport>,
        waiting: &ObjectExport,
        wait: Wait,
    ) -> Result<(), StepError> {
        match self.ledger().commit(&[Change::replace(object, waiting)]).await {
            // Somebody else has looked at it meanwhile, and queued what is to come.
            Err(LedgerError::Conflict) => Ok(()),
            other => {
                other?;
                let delay = delay_until(wait.until, self.sessions.clock.now());
                Ok(self.queue.send(&[waiting.close_work()], delay).await?)
            }
        }
    }

    async fn prove_and_close(
        &self,
        parent: &Backup,
        loaded: &Versioned<ObjectExport>,
        run: &Run,
    ) -> Result<(), StepError> {
        let (backup, object) = (&parent.reference(), &loaded.record);
        let chunks = self.chunks_of(backup, object).await?;
        let session = self.sessions.open(&parent.account_id, parent.api_version, run).await?;
        if object.mode == ReadMode::Ranges && !boundaries_hold(&*session.crm, object, &chunks).await? {
            let name = &object.definition.object_type;
            self.read_again(backup, name, object.generation, false, "a boundary does not fit").await?;
            return self.dispatch(backup).await;
        }
        let counts = counts(&*session.crm, object).await?;
        if object.verdict_of_found(counts).is_unexplained() && !object.recounted {
            let wait = Wait { until: self.sessions.clock.now() + RECOUNT_AFTER, reason: WaitReason::CountsLag };
            return self.close_later(loaded, &object.recount(wait), wait).await;
        }
        let to = chunks.iter().filter_map(|chunk| chunk.finished_at).max().unwrap_or(object.window_from);
        self.commit_close(backup, object, counts, to).await
    }

    async fn chunks_of(&self, backup: &BackupRef, object: &ObjectExport) -> Result<Vec<Chunk>, StepError> {
        let prefix = format!("CHUNK#{}#{:04}#", object.definition.object_type, object.generation);
        let partition = format!("BACKUP#{}", backup.backup_id);
        let chunks: Vec<Versioned<Chunk>> = ledger::list(self.ledger(), &partition, &prefix).await?;
        Ok(chunks.into_iter().map(|chunk| chunk.record).collect())
    }

    async fn commit_close(
        &self,
        backup: &BackupRef,
        object: &ObjectExport,
        counts: Counts,
        to: Timestamp,
    ) -> Result<(), StepError> {
        let closed = contention::retry(|| async {
            let now = self.sessions.clock.now();
            let key = ObjectExport::key_of(&backup.backup_id, &object.definition.object_type);
            let backup_key = Backup::key_of(backup);
            let loaded = ledger::load::<ObjectExport>(self.ledger(), &key).await?.ok_or(StepError::TakenOver)?;
            let closed = loaded.record.close(object.generation, counts, to, now).map_err(|_| StepError::TakenOver)?;
            let parent = ledger::load::<Backup>(self.ledger(), &backup_key).await?.ok_or(StepError::TakenOver)?;
            let counted = parent.record.apply(BackupEvent::ObjectExported, now).map_err(|_| StepError::TakenOver)?;
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
            self.queue.send(&[Work::Assemble { backup: backup.clone() }], Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Voids the object's `generation` and starts again from the beginning, by searches or with one worker. `in_order` says
    /// whether the CRM's list was in the order of ids as far as it was read.
    pub(super) async fn read_again(
        &self,
        backup: &BackupRef,
        object: &ObjectType,
        generation: u32,
        in_order: bool,
        why: &'static str,
    ) -> Result<(), StepError> {
        tracing::warn!(backup.id = %backup.backup_id, object = %object, why, "object.read-again");
        contention::retry(|| async {
            let now = self.sessions.clock.now();
            let key = ObjectExport::key_of(&backup.backup_id, object);
            let loaded = ledger::load::<ObjectExport>(self.ledger(), &key).await?.ok_or(StepError::TakenOver)?;
            let Ok((next, chunk)) = loaded.record.read_again(generation, in_order, now) else {
                // Another chunk of the same generation has noticed it first.
                return Ok(Attempt::Settled(()));
            };
            let changes = [Change::replace(&loaded, &next), Change::create(&chunk)];
            Ok::<_, StepError>(contention::settle(self.ledger().commit(&changes).await, ())?)
        })
        .await
    }
}

/// Whether every chunk begins where the one on its left ends.
///
/// The first id that the left chunk saw past its bound must be the first that the right chunk saw. Where only one of
/// them saw an id, its record must have been deleted meanwhile, or created after reading began.
async fn boundaries_hold(crm: &dyn Crm, object: &ObjectExport, chunks: &[Chunk]) -> Result<bool, CrmError> {
    if !chunks.windows(2).all(|pair| pair[0].upper == Some(pair[1].key.lower)) {
        return Ok(false);
    }
    let suspects: Vec<RecordId> = chunks.windows(2).filter_map(|pair| seen_by_one(&pair[0], &pair[1])).collect();
    for ids in suspects.chunks(IDS_PER_CALL) {
        let existing = crm.existing(&object.definition.object_type, ids).await?;
        if existing.iter().any(|(_, created)| *created < object.window_from) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first id past the boundary that only one of two neighbours saw. Of two different ones it is the lower: the
/// neighbour that saw the higher one first missed it, or rightly did not find it any more or yet.
fn seen_by_one(left: &Chunk, right: &Chunk) -> Option<RecordId> {
    match (left.seen_past_end, right.first_seen) {
        (left, right) if left == right => None,
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}

async fn counts(crm: &dyn Crm, object: &ObjectExport) -> Result<Counts, CrmError> {
    let name = &object.definition.object_type;
    let after = crm.census(name).await?.map(|census| census.records);
    let created = if after.is_some_and(|after| after != object.records) {
        crm.created_since(name, object.window_from).await?
    } else {
        None
    };
    Ok(Counts { before: object.counts.before, after, created })
}
