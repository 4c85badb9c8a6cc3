//! A run's client of an account's CRM, behind its call gate.

use std::sync::Arc;

use domain::Failure;
use domain::account::{Account, CrmConnection};
use domain::budget::BudgetPolicy;
use domain::ids::AccountId;
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmTarget};
use domain::ports::ledger::{self, Ledger};
use domain::ports::secrets::CrmTokens;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::call_gate::LedgerCallGate;
use crate::run::StepError;

/// Opens sessions; lives as long as the process.
#[derive(Clone)]
pub struct CrmSessions {
    /// Knows the accounts' connections and call budgets.
    pub ledger: Arc<dyn Ledger>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Knows the accounts' tokens.
    pub tokens: Arc<dyn CrmTokens>,
    /// Makes clients.
    pub connector: Arc<dyn CrmConnector>,
}

/// A client and the gate that it passes.
pub struct CrmSession {
    /// The client.
    pub crm: Arc<dyn Crm>,
    /// The gate.
    pub gate: Arc<LedgerCallGate>,
}

impl CrmSessions {
    /// A session for `account` in which nothing begins after `ends`.
    ///
    /// # Errors
    /// [`StepError::Fatal`] when the account has no CRM connection or no token; others when a port failed.
    pub async fn open(&self, account: &AccountId, ends: Timestamp) -> Result<CrmSession, StepError> {
        let loaded = ledger::load::<Account>(&*self.ledger, &Account::key_of(account)).await?;
        let Some(account) = loaded.map(|loaded| loaded.record) else { return Err(not_connected()) };
        let Some(connection) = account.crm_connection.clone() else { return Err(not_connected()) };
        let Some(token) = self.tokens.token(&account.account_id).await? else { return Err(not_connected()) };
        let policy = policy_of(&account, &connection);
        let gate = Arc::new(LedgerCallGate::new(
            self.ledger.clone(),
            self.clock.clone(),
            account.account_id.clone(),
            policy,
            ends,
        ));
        let target = CrmTarget { base_url: connection.base_url, api_version: connection.api_version };
        let crm = self.connector.connect(&target, token, gate.clone(), ends)?;
        Ok(CrmSession { crm, gate })
    }
}

/// What an account may use of its CRM's call limits.
pub fn policy_of(account: &Account, connection: &CrmConnection) -> BudgetPolicy {
    BudgetPolicy {
        limits: connection.call_limits,
        share: account.call_share,
        // A zone that this version does not know costs at most a day's offset of the daily limit.
        time_zone: TimeZone::get(&connection.time_zone).unwrap_or(TimeZone::UTC),
    }
}

fn not_connected() -> StepError {
    StepError::Fatal(Failure::new(
        "crm-not-connected",
        "The account has no CRM connection any more; connect it again with PUT /accounts/{account} and make a new backup.",
    ))
}
