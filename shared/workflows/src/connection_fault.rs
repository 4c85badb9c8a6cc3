//! Records on the account that the CRM rejected its connection, and removes that after a success, so that no scheduled
//! backup starts that cannot succeed.

use domain::Failure;
use domain::account::Account;
use domain::ids::AccountId;
use domain::ports::ledger::{self, Change, Ledger, LedgerError};
use jiff::Timestamp;

/// The change that records on the account's connection the `failure` of a backup that began at `began`. None if the
/// failure does not concern the connection, or if the account was connected again after that.
///
/// # Errors
/// [`LedgerError`].
pub(crate) async fn noted(
    ledger: &dyn Ledger,
    account: &AccountId,
    failure: &Failure,
    began: Timestamp,
) -> Result<Option<Change>, LedgerError> {
    if !failure.kind.pauses_schedules() {
        return Ok(None);
    }
    set(ledger, account, Some((failure, began))).await
}

/// The change that removes a recorded failure. None if there is no recorded failure.
///
/// # Errors
/// [`LedgerError`].
pub(crate) async fn forgotten(ledger: &dyn Ledger, account: &AccountId) -> Result<Option<Change>, LedgerError> {
    set(ledger, account, None).await
}

async fn set(
    ledger: &dyn Ledger,
    account: &AccountId,
    noted: Option<(&Failure, Timestamp)>,
) -> Result<Option<Change>, LedgerError> {
    let Some(loaded) = ledger::load::<Account>(ledger, &Account::key_of(account)).await? else { return Ok(None) };
    let mut next = loaded.record.clone();
    let Some(connection) = &mut next.crm_connection else { return Ok(None) };
    // A backup that began with the previous token says nothing about the present one.
    let is_outdated = noted.is_some_and(|(_, began)| connection.connected_at > began);
    let fault = noted.map(|(failure, _)| failure.clone());
    if is_outdated || connection.fault == fault {
        return Ok(None);
    }
    connection.fault = fault;
    Ok(Some(Change::replace(&loaded, &next)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::FailureKind;
    use domain::backup::Backup;
    use in_memory::faults::{Fault, Faults, Sweep};
    use in_memory::{ManualClock, MemoryLedger, MemoryQueue};
    use jiff::SignedDuration;

    use super::*;
    use crate::backup::ending::{self, End};
    use crate::samples;

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    fn token_refused() -> Failure {
        Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token; connect the account again.")
    }

    /// A connected account with a running backup.
    async fn running() -> (Arc<MemoryLedger>, Backup) {
        let (ledger, backup) = (Arc::new(MemoryLedger::new()), samples::exporting(1));
        let changes = [Change::create(&samples::connected_account("42")), Change::create(&backup)];
        ledger.commit(&changes).await.expect("empty ledger");
        (ledger, backup)
    }

    async fn end(ledger: &dyn Ledger, backup: &Backup, how: End<'_>) {
        let clock = Arc::new(ManualClock::at(backup.created_at + SignedDuration::from_hours(1)));
        let queue = MemoryQueue::new(clock.clone());
        ending::end(ledger, &queue, &*clock, &backup.reference(), how).await.expect("it runs");
    }

    async fn fault(ledger: &dyn Ledger) -> Option<Failure> {
        let account = ledger::load::<Account>(ledger, &Account::key_of(&samples::account_id("42"))).await;
        account.expect("readable").expect("present").record.crm_connection.expect("connected").fault
    }

    /// Connects the account with another token.
    async fn connect_anew(ledger: &dyn Ledger, at: Timestamp) {
        samples::edit::<Account>(ledger, &Account::key_of(&samples::account_id("42")), |account| {
            let connection = account.crm_connection.as_mut().expect("connected");
            (connection.connected_at, connection.fault) = (at, None);
        })
        .await;
    }

    #[tokio::test]
    async fn a_lasting_failure_is_noted_on_the_connection() {
        for kind in FailureKind::ALL.iter().filter(|kind| kind.pauses_schedules()) {
            let (ledger, backup) = running().await;
            let failure = Failure::new(kind.clone(), "It cannot go on.");
            end(&*ledger, &backup, End::Failed(&failure)).await;
            assert_eq!(fault(&*ledger).await, Some(failure));
        }
    }

    #[tokio::test]
    async fn a_passing_failure_is_not_noted_on_the_connection() {
        let may_pass = FailureKind::ALL.iter().filter(|kind| !kind.pauses_schedules());
        for failure in may_pass.map(|kind| Failure::new(kind.clone(), "It cannot go on.")) {
            let (ledger, backup) = running().await;
            end(&*ledger, &backup, End::Failed(&failure)).await;
            assert_eq!(fault(&*ledger).await, None, "{}", failure.kind);
        }
        let (ledger, backup) = running().await;
        end(&*ledger, &backup, End::Cancelled(&samples::act("cancel-backup"))).await;
        assert_eq!(fault(&*ledger).await, None);
    }

    #[tokio::test]
    async fn a_token_that_is_replaced_during_a_backup_is_not_blamed() {
        let (ledger, backup) = running().await;
        connect_anew(&*ledger, backup.created_at + SECOND).await;
        end(&*ledger, &backup, End::Failed(&token_refused())).await;
        assert_eq!(fault(&*ledger).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_replaced_while_a_failure_is_noted_is_not_blamed() {
        let counted = Faults::none();
        let (ledger, backup) = running().await;
        end(&*counted.worker().wrap(ledger), &backup, End::Failed(&token_refused())).await;

        let sweep = Sweep::expecting(4).up_to(counted.calls());
        sweep
            .of(Fault::CallHeld, async |faults| {
                let (ledger, backup) = running().await;
                let failure = token_refused();
                let slow = faults.worker().wrap(ledger.clone());
                let connecting = async {
                    faults.until_struck().await;
                    connect_anew(&*ledger, backup.created_at + SECOND).await;
                    faults.release();
                };
                tokio::join!(end(&*slow, &backup, End::Failed(&failure)), connecting);
                assert_eq!(fault(&*ledger).await, None, "{:?}", faults.struck());
            })
            .await;
    }
}
