//! Reads what runs stored about values that no commit contains: the values before they wrote, and known outcomes.

use std::collections::HashMap;

use domain::restore::Restore;
use domain::restore::begun::{BegunValue, BegunValues};
use domain::restore::outcome::{Clearing, PreImage, UncommittedBatch};
use domain::restore::slice::RestoreSlice;
use domain::storage_keys;
use futures_util::future;

use super::RestoreWork;
use crate::run::StepError;
use crate::stored_json;

/// Rounds in which a batch clears values: unique ones first, then stages.
pub(super) const ROUNDS_OF_CLEARING: [u8; 2] = [1, 2];

/// The values of a batch that runs have begun to write.
#[derive(Default)]
pub(super) struct BegunBatch {
    pub(super) values: BegunValues,
    /// The latest run that has begun it. 0 if no run has.
    pub(super) last_attempt: u32,
}

/// The outcomes that a run stored of a batch that it could not commit.
pub(super) struct KnownOutcomes {
    attempt: u32,
    pub(super) outcomes: UncommittedBatch,
}

impl KnownOutcomes {
    /// Whether no later run has begun the batch.
    pub(super) fn is_latest_of(&self, begun: &BegunBatch) -> bool {
        self.attempt >= begun.last_attempt
    }
}

/// The run that holds the lease of a slice, if the slice does not list it among its tries yet. It is dead once no run
/// works on the slice.
pub(super) fn dead_run(slice: &RestoreSlice) -> Option<u32> {
    let last = slice.leasing.lease.as_ref().map(|lease| lease.number);
    last.filter(|last| slice.tries.iter().all(|earlier| earlier.attempt != *last))
}

impl RestoreWork {
    /// The outcomes that runs stored of batches of `slice` that they could not commit, by batch: those of the latest
    /// such run.
    ///
    /// # Errors
    /// [`StepError::Storage`].
    pub(super) async fn uncommitted(
        &self,
        restore: &Restore,
        slice: &RestoreSlice,
    ) -> Result<HashMap<u64, KnownOutcomes>, StepError> {
        let mut uncommitted = HashMap::new();
        for attempt in slice.tries.iter().map(|earlier| earlier.attempt).chain(dead_run(slice)) {
            let key = storage_keys::uncommitted(&restore.reference(), slice.number, attempt);
            for outcomes in stored_json::read_lines_if_any::<UncommittedBatch>(&*self.reader, &key).await? {
                uncommitted.insert(outcomes.batch, KnownOutcomes { attempt, outcomes });
            }
        }
        Ok(uncommitted)
    }

    /// The records that the runs `attempts` stored, in order of the runs, about a batch of `slice`.
    ///
    /// # Errors
    /// [`StepError::Storage`].
    pub(super) async fn begun_of_batch(
        &self,
        restore: &Restore,
        slice: &RestoreSlice,
        batch: u64,
        attempts: impl Iterator<Item = u32>,
    ) -> Result<BegunBatch, StepError> {
        let reference = &restore.reference();
        let attempts: Vec<u32> = attempts.collect();
        let read = |attempt: &u32| {
            let attempt = *attempt;
            async move {
                let key = storage_keys::pre_image(reference, slice.number, batch, attempt);
                let lines = stored_json::read_lines_if_any::<PreImage>(&*self.reader, &key).await?;
                let mut clearings = Vec::new();
                if lines.iter().any(|line| line.clearings_noted) {
                    for round in ROUNDS_OF_CLEARING {
                        let key = storage_keys::clearings(reference, slice.number, batch, attempt, round);
                        clearings.extend(stored_json::read_lines_if_any::<Clearing>(&*self.reader, &key).await?);
                    }
                }
                Ok::<_, StepError>((attempt, lines, clearings))
            }
        };
        let mut begun = BegunBatch::default();
        for (attempt, lines, clearings) in future::try_join_all(attempts.iter().map(read)).await? {
            for line in lines {
                begun.last_attempt = begun.last_attempt.max(attempt);
                begun.values.entry((line.id, line.property)).or_default().add(line);
            }
            BegunValue::add_clearings(&mut begun.values, &clearings);
        }
        Ok(begun)
    }
}
