//! Whether the CRM lets an account in: noted when it did not, forgotten when it did again. A schedule does not try in vain.

use domain::Failure;
use domain::account::Account;
use domain::ids::AccountId;
use domain::ports::ledger::{self, Change, Ledger, LedgerError};
use jiff::Timestamp;

/// Failures that the next backup would meet again, whenever it begins, until somebody connects the account anew.
const LASTING: [&str; 5] = [
    "crm-token-refused",
    "crm-scopes-missing",
    "crm-not-connected",
    "crm-base-url-not-allowed",
    "crm-connection-unfinished",
];

/// The change that notes the `failure` of a backup that was begun at `began` with the account's connection; None for one
/// that says nothing about it as it is now.
///
/// # Errors
/// [`LedgerError`].
pub(crate) async fn noted(
    ledger: &dyn Ledger,
    account: &AccountId,
    failure: &Failure,
    began: Timestamp,
) -> Result<Option<Change>, LedgerError> {
    if !LASTING.contains(&failure.kind.as_str()) {
        return Ok(None);
    }
    set(ledger, account, Some((failure, began))).await
}

/// The change that forgets a failure that was noted; None when there is none.
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
    // A backup that began with the token before this one says nothing about this one.
    let is_outdated = noted.is_some_and(|(_, began)| connection.connected_at > began);
    let fault = noted.map(|(failure, _)| failure.clone());
    if is_outdated || connection.fault == fault {
        return Ok(None);
    }
    connection.fault = fault;
    Ok(Some(Change::replace(&loaded, &next)))
}
