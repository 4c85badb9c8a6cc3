//! Commits the written batches: one outcome object, then the slice's progress, and at its end the restore's.

use domain::lease::Leftover;
use domain::ports::ledger::{self, Change, Versioned};
use domain::restore::RestoreEvent;
use domain::restore::outcome::{Fate, OutcomeCounts, UncommittedBatch, ValueOutcome};
use domain::restore::slice::{Applied, OutcomeFile, RestoreSlice, SliceState};
use domain::storage_keys;
use tokio::sync::mpsc;

use super::{Application, WrittenBatch};
use crate::contention;
use crate::restore::{Ending, RestoreUsage, after};
use crate::run::StepError;
use crate::stored_json;

/// Batches per commit. Together with the batches in progress and those that wait, a run stays below
/// [`BATCHES_AHEAD`](domain::restore::slice::BATCHES_AHEAD) of the committed position.
const GROUP: usize = 40;
/// The approximate bytes of one outcome object.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Batches that are written and not committed yet, in order.
#[derive(Default)]
struct WrittenGroup {
    batches: Vec<WrittenBatch>,
    /// The approximate bytes of their outcomes in storage.
    bytes: usize,
}

impl Application<'_> {
    /// Commits the written batches in order. An error comes with the leftover of the run.
    pub(super) async fn commit_all(
        &self,
        mut results: mpsc::Receiver<Result<WrittenBatch, StepError>>,
        usage: &mut RestoreUsage,
    ) -> Result<Ending, (StepError, Leftover)> {
        let mut committed = self.slice.batches_before(self.slice.written_to);
        let mut group = WrittenGroup::default();
        let mut done = false;
        let mut interrupted = None;
        let mut beyond = Vec::new();
        while let Some(result) = results.recv().await {
            match result {
                Ok(batch) => group.add(batch),
                Err(error) => {
                    interrupted = Some(error);
                    break;
                }
            }
            if group.is_full() {
                let full = std::mem::take(&mut group);
                match self.commit(&full, &mut committed, usage).await {
                    Ok(is_done) => done = is_done,
                    Err(error) => {
                        interrupted = Some(error);
                        beyond.extend(full.batches);
                        break;
                    }
                }
            }
        }
        // Batches that were begun after the failed one are finished before this run gives its lease back.
        while interrupted.is_some()
            && let Some(result) = results.recv().await
        {
            beyond.extend(result);
        }
        if !group.batches.is_empty() {
            match self.commit(&group, &mut committed, usage).await {
                Ok(is_done) => done = is_done,
                Err(error) => {
                    interrupted = interrupted.or(Some(error));
                    beyond.extend(group.batches);
                }
            }
        }
        let is_beyond = !beyond.is_empty();
        self.keep(beyond).await;
        match interrupted {
            // The run is recorded, so that its outcomes are looked for.
            Some(error) => match self.leaves(committed) {
                Leftover::Nothing if is_beyond => Err((error, Leftover::Untold)),
                left => Err((error, left)),
            },
            None if done => Ok(Ending::Finished),
            None => Ok(Ending::RunOver),
        }
    }

    /// Returns whether the slice is done.
    async fn commit(
        &self,
        group: &WrittenGroup,
        committed: &mut u64,
        usage: &mut RestoreUsage,
    ) -> Result<bool, StepError> {
        let Some(last) = group.batches.last() else { return Ok(false) };
        let (restore, counts) = (self.restore.reference(), group.counts());
        let records = counts.records_done;
        let (lines, failures) = group.lines()?;
        let loaded = self.present_slice().await?;
        let file = (!lines.is_empty()).then_some(OutcomeFile { attempt: self.lease, failures });
        if file.is_some() {
            let number = u32::try_from(loaded.record.outcomes.len()).unwrap_or(u32::MAX);
            let key = storage_keys::outcome(&restore, loaded.record.number, number, self.lease);
            self.work.put_lines(&key, lines).await?;
        }
        let step = Applied { from: loaded.record.written_to, to: last.to, file, counts };
        let done = contention::retry(|| async {
            let loaded = self.present_slice().await?;
            let next = loaded.record.applied(self.lease, &step)?;
            let done = next.state == SliceState::Done;
            let mut changes = vec![Change::replace(&loaded, &next)];
            // While a restore is being concluded, slices are no longer counted off, but written values are still
            // reported.
            if done {
                let parent = self.work.load(&restore).await?;
                if let Ok(counted) = after(&parent.record, RestoreEvent::SliceFinished, self.work.now()) {
                    changes.push(Change::replace(&parent, &counted));
                }
            }
            Ok::<_, StepError>(contention::settle(self.work.ledger().commit(&changes).await, done)?)
        })
        .await?;
        *committed = last.number + 1;
        usage.records += records;
        Ok(done)
    }

    /// Stores the known outcomes of batches that cannot be committed, because an earlier one failed or the ledger
    /// refused. If no other run begins these batches again, the outcomes are reported when the slice is settled.
    /// Outcomes that cannot be stored count as unclear.
    async fn keep(&self, batches: Vec<WrittenBatch>) {
        if batches.is_empty() {
            return;
        }
        let kept = async {
            let mut lines = Vec::new();
            for WrittenBatch { number, outcomes, counts, .. } in batches {
                stored_json::add_line(&UncommittedBatch { batch: number, outcomes, counts }, &mut lines)?;
            }
            let key = storage_keys::uncommitted(&self.restore.reference(), self.slice.number, self.lease);
            self.work.put_lines(&key, lines).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, restore.id = %self.restore.restore_id, "restore.uncommitted-not-kept");
        }
    }

    async fn present_slice(&self) -> Result<Versioned<RestoreSlice>, StepError> {
        ledger::load::<RestoreSlice>(self.work.ledger(), self.key).await?.ok_or(StepError::GONE)
    }
}

impl WrittenGroup {
    fn add(&mut self, batch: WrittenBatch) {
        self.bytes += batch.outcomes.iter().map(bytes_of).sum::<usize>();
        self.batches.push(batch);
    }

    fn is_full(&self) -> bool {
        self.batches.len() >= GROUP || self.bytes >= GROUP_BYTES
    }

    fn counts(&self) -> OutcomeCounts {
        let mut counts = OutcomeCounts::default();
        for batch in &self.batches {
            counts.add(&batch.counts);
        }
        counts
    }

    /// The lines of its outcome object, and whether any of them must be reported to people.
    fn lines(&self) -> Result<(Vec<u8>, bool), StepError> {
        let (mut lines, mut failures) = (Vec::with_capacity(self.bytes), false);
        for outcome in self.batches.iter().flat_map(|batch| &batch.outcomes) {
            failures |= outcome.belongs_in_report();
            stored_json::add_line(outcome, &mut lines)?;
        }
        Ok((lines, failures))
    }
}

/// The approximate bytes of an outcome as a line of JSON.
fn bytes_of(outcome: &ValueOutcome) -> usize {
    /// Member names and punctuation around the values.
    const AROUND: usize = 80;
    let of_fate = match &outcome.fate {
        Fate::Written { after } => after.as_ref().map_or(0, String::len),
        Fate::Failed { code, message, now } => code.len() + message.len() + now.as_ref().map_or(0, String::len),
        Fate::Unclear => 0,
    };
    AROUND + outcome.before.len() + outcome.target.len() + of_fate
}
