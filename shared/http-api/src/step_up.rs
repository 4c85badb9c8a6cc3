//! Requests that need a sign-in with a fresh second factor if the account's settings ask for it: those that hand out a
//! file, delete an archive, or change where notifications go.

use std::sync::Arc;

use domain::account::Account;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Ledger};

use crate::caller::Authorised;
use crate::problem::Problem;
use crate::second_factor::SecondFactorPolicy;

/// Checks sign-ins by the settings of accounts.
#[derive(Clone)]
pub struct StepUp {
    pub policy: SecondFactorPolicy,
    pub ledger: Arc<dyn Ledger>,
    pub clock: Arc<dyn Clock>,
}

impl StepUp {
    /// Checks the caller's sign-in in any case.
    ///
    /// # Errors
    /// A 401 problem with the challenge of RFC 9470.
    pub fn check(&self, caller: &Authorised) -> Result<(), Problem> {
        caller.check_second_factor(&self.policy, self.clock.now())
    }

    /// Checks the caller's sign-in if the settings of their account ask for it. An account that does not exist asks for
    /// nothing.
    ///
    /// # Errors
    /// A 401 problem with the challenge of RFC 9470; a 5xx problem if the ledger failed.
    pub async fn check_if_set(&self, caller: &Authorised) -> Result<(), Problem> {
        let account = ledger::load::<Account>(&*self.ledger, &Account::key_of(&caller.account_id)).await?;
        if account.is_some_and(|account| account.record.fresh_second_factor) { self.check(caller) } else { Ok(()) }
    }
}
