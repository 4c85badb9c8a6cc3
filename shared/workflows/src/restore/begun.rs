//! Reads the values that runs stored before they wrote them.

use domain::restore::Restore;
use domain::restore::begun::{BegunValue, BegunValues};
use domain::restore::outcome::{Clearing, PreImage};
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

impl RestoreWork {
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
