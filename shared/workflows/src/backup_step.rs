//! Applies one event to a backup, whoever else changes it at the same time.

use domain::backup::{Backup, BackupEvent};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger};
use domain::work::BackupRef;

use crate::contention;
use crate::run::StepError;

/// Loads the backup, applies the event that `event` makes of it, and commits; again on a conflict. Returns the backup
/// as it is now.
///
/// # Errors
/// [`StepError::TakenOver`] when the event is refused or the backup is gone; others when the ledger failed.
pub(crate) async fn apply(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    backup: &BackupRef,
    event: impl Fn(&Backup) -> BackupEvent,
) -> Result<Backup, StepError> {
    contention::retry(|| async {
        let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
        let Some(loaded) = loaded else { return Err(StepError::TakenOver) };
        let applied = loaded.record.apply(event(&loaded.record), clock.now());
        let next = applied.map_err(|refused| {
            tracing::debug!(%refused, backup.id = %backup.backup_id, "backup.event-refused");
            StepError::TakenOver
        })?;
        Ok(contention::settle(ledger.commit(&[Change::replace(&loaded, &next)]).await, next)?)
    })
    .await
}
