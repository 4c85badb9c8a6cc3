//! Commits what was written: one outcome object, then the slice's progress, and at its end the restore's.

use domain::ports::ledger::{self, Change, Versioned};
use domain::restore::RestoreEvent;
use domain::restore::outcome::{OutcomeCounts, ValueOutcome};
use domain::restore::slice::{Applied, Left, OutcomeFile, Position, RestoreSlice, SliceState};
use domain::storage_keys;
use tokio::sync::mpsc;

use super::{Application, WrittenBatch};
use crate::contention;
use crate::restore::{Ending, RestoreUsage, after};
use crate::run::StepError;
use crate::stored_json;

/// Batches that one commit tells of. With those under way and those that wait, a run stays below
/// [`BATCHES_AHEAD`](domain::restore::slice::BATCHES_AHEAD) of what is committed.
const GROUP: usize = 40;
/// Bytes of one outcome object, about.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Batches that are written and not committed yet.
#[derive(Default)]
struct Group {
    batches: usize,
    /// The batch after the last one.
    until: u64,
    to: Position,
    lines: Vec<u8>,
    failures: bool,
    counts: OutcomeCounts,
}

impl Application<'_> {
    /// Commits what is written, in order. An error comes with what is left behind.
    pub(super) async fn commit_all(
        &self,
        mut results: mpsc::Receiver<Result<WrittenBatch, StepError>>,
        usage: &mut RestoreUsage,
    ) -> Result<Ending, (StepError, Left)> {
        let mut committed = self.slice.batches_before(self.slice.written_to);
        let mut group = Group::default();
        let mut done = false;
        let mut interrupted = None;
        while let Some(result) = results.recv().await {
            let added = result.and_then(|batch| group.add(&batch));
            if let Err(error) = added {
                interrupted = Some(error);
                break;
            }
            if group.is_full() {
                match self.commit(std::mem::take(&mut group), &mut committed, usage).await {
                    Ok(is_done) => done = is_done,
                    Err(error) => {
                        interrupted = Some(error);
                        group = Group::default();
                        break;
                    }
                }
            }
        }
        // What was begun after the batch that failed is finished before this run gives its lease back.
        while interrupted.is_some() && results.recv().await.is_some() {}
        if group.batches > 0 {
            match self.commit(group, &mut committed, usage).await {
                Ok(is_done) => done = is_done,
                Err(error) => interrupted = interrupted.or(Some(error)),
            }
        }
        match interrupted {
            Some(error) => Err((error, self.leaves(committed))),
            None if done => Ok(Ending::Finished),
            None => Ok(Ending::RunOver),
        }
    }

    /// Returns whether the slice is done.
    async fn commit(&self, group: Group, committed: &mut u64, usage: &mut RestoreUsage) -> Result<bool, StepError> {
        let (until, records) = (group.until, group.counts.records_done);
        let restore = self.restore.reference();
        let loaded = self.present_slice().await?;
        let file = (!group.lines.is_empty()).then_some(OutcomeFile { attempt: self.lease, failures: group.failures });
        if file.is_some() {
            let number = u32::try_from(loaded.record.outcomes.len()).unwrap_or(u32::MAX);
            let key = storage_keys::outcome(&restore, loaded.record.number, number, self.lease);
            self.work.put_lines(&key, group.lines).await?;
        }
        let step = Applied { from: loaded.record.written_to, to: group.to, file, counts: group.counts };
        let done = contention::retry(|| async {
            let loaded = self.present_slice().await?;
            let next = loaded.record.applied(self.lease, &step).map_err(|_| StepError::TakenOver)?;
            let done = next.state == SliceState::Done;
            let mut changes = vec![Change::replace(&loaded, &next)];
            // While a restore is being concluded nothing is counted off any more, but what was written is told.
            if done {
                let parent = self.work.load(&restore).await?;
                if let Ok(counted) = after(&parent.record, RestoreEvent::SliceFinished, self.work.now()) {
                    changes.push(Change::replace(&parent, &counted));
                }
            }
            Ok::<_, StepError>(contention::settle(self.work.ledger().commit(&changes).await, done)?)
        })
        .await?;
        *committed = until;
        usage.records += records;
        Ok(done)
    }

    async fn present_slice(&self) -> Result<Versioned<RestoreSlice>, StepError> {
        ledger::load::<RestoreSlice>(self.work.ledger(), self.key).await?.ok_or(StepError::TakenOver)
    }
}

impl Group {
    fn add(&mut self, batch: &WrittenBatch) -> Result<(), StepError> {
        self.batches += 1;
        self.until = batch.number + 1;
        self.to = batch.to;
        self.counts.add(&batch.counts);
        self.failures |= batch.outcomes.iter().any(ValueOutcome::is_to_be_told);
        for outcome in &batch.outcomes {
            stored_json::add_line(outcome, &mut self.lines)?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.batches >= GROUP || self.lines.len() >= GROUP_BYTES
    }
}
