//! Removes the data that an ended backup no longer needs. Lifecycle rules would remove it too, days later.

use domain::backup::{Backup, BackupEvent, BackupState};
use domain::ports::ledger::{self, Change, LedgerError};
use domain::storage_keys;
use domain::work::BackupRef;

use super::Assemble;
use crate::run::StepError;

impl Assemble {
    /// Deletes the segments of an ended backup, and its archive if a user deleted it or the backup did not complete.
    /// Then records this in the ledger; until then recover-stalled queues the sweep again. A running backup is left
    /// alone. Repeating it is safe, and also removes what a run that was still working has written since.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn sweep(&self, backup: &BackupRef) -> Result<(), StepError> {
        let Some(loaded) = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(backup)).await? else { return Ok(()) };
        let state = loaded.record.state;
        if !state.is_terminal() {
            return Ok(());
        }
        let mut swept = self.sweeper.sweep(&storage_keys::working_prefix(backup)).await?;
        if state != BackupState::Completed || loaded.record.deletion.is_some() {
            swept += self.sweeper.sweep(&storage_keys::archive_prefix(backup)).await?;
        }
        tracing::info!(backup.id = %backup.backup_id, objects = swept, "backup.swept");
        let Ok(next) = loaded.record.apply(BackupEvent::Swept, self.clock.now()) else { return Ok(()) };
        match self.ledger.commit(&[Change::replace(&loaded, &next)]).await {
            // The sweep was queued again at the same time. That sweep records it.
            Ok(()) | Err(LedgerError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
