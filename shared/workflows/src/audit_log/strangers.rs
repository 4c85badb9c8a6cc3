//! Refused requests of people who have no right to an account.

use domain::account::Account;
use domain::audit::AuditEntry;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Record};

use crate::listing;

/// Tries to count a request while others of the same person are counted.
const TRIES: u32 = 5;

/// Records a refused request of a person who has no right to the account: in the entry about the person's first one in
/// this minute if there is one, otherwise as that entry. Nothing is recorded about an account that does not exist, and
/// about a request when its entry counts no further ones. Of requests at the same moment, some may not be counted.
///
/// # Errors
/// [`LedgerError`].
pub async fn record_stranger(ledger: &dyn Ledger, entry: AuditEntry) -> Result<(), LedgerError> {
    if ledger.get(&Account::key_of(&entry.account_id)).await?.is_none() {
        tracing::info!(account.id = %entry.account_id, user.subject = entry.subject, "audit.account-unknown");
        return Ok(());
    }
    let first = entry.of_stranger();
    for _ in 0..TRIES {
        let change = match ledger::load::<AuditEntry>(ledger, &first.key()).await {
            Ok(None) => Change::create(&first),
            Ok(Some(loaded)) => match loaded.record.with_one_more() {
                Some(next) => Change::replace(&loaded, &next),
                None => return Ok(()),
            },
            // A later version has written it, so the person is named.
            Err(error @ LedgerError::Unreadable(..)) => {
                listing::unreadable(&error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match ledger.commit(&[change]).await {
            Err(LedgerError::Conflict) => {}
            answer => return answer,
        }
    }
    // Each conflict was another request of the person, so the entry exists.
    Ok(())
}

#[cfg(test)]
mod tests;
