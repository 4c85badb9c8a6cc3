//! A run's client of an account's CRM, behind its call gate.

use std::sync::Arc;

use domain::account::{Account, ApiVersion, CrmConnection};
use domain::budget::{BudgetPolicy, CallLimits};
use domain::ids::AccountId;
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmTarget};
use domain::ports::ledger::{self, Change, Ledger, LedgerError};
use domain::ports::secrets::{CrmTokens, SecretsError};
use domain::{Failure, FailureKind};
use jiff::tz::TimeZone;

use crate::call_gate::LedgerCallGate;
use crate::held_lease::LeaseEnd;
use crate::run::{Run, StepError};

/// Opens sessions. Lives as long as the process.
#[derive(Clone)]
pub struct CrmSessions {
    pub ledger: Arc<dyn Ledger>,
    pub clock: Arc<dyn Clock>,
    pub tokens: Arc<dyn CrmTokens>,
    pub connector: Arc<dyn CrmConnector>,
    /// The base URLs that a CRM may have. A connection to a URL that was later removed from this list is no longer
    /// used.
    pub base_urls: Arc<[String]>,
}

/// A client and the call gate in front of it.
pub struct CrmSession {
    pub crm: Arc<dyn Crm>,
    pub gate: Arc<LedgerCallGate>,
}

impl CrmSessions {
    /// A session of `run` for `account`, in the API version that its backup began with.
    ///
    /// # Errors
    /// [`StepError::Fatal`] if the account has no CRM connection or no token, or its base URL is no longer allowed;
    /// [`SecretsError::ConnectionChanging`] if its token belongs to another base URL; others if a port failed.
    pub async fn open(&self, account: &AccountId, version: ApiVersion, run: &Run) -> Result<CrmSession, StepError> {
        self.open_if(account, version, run, None).await
    }

    /// Like [`CrmSessions::open`], but nothing is sent once the lease that ends at `lease` is too short for an answer.
    pub(crate) async fn open_fenced(
        &self,
        account: &AccountId,
        version: ApiVersion,
        run: &Run,
        lease: Arc<LeaseEnd>,
    ) -> Result<CrmSession, StepError> {
        self.open_if(account, version, run, Some(lease)).await
    }

    async fn open_if(
        &self,
        account: &AccountId,
        version: ApiVersion,
        run: &Run,
        lease: Option<Arc<LeaseEnd>>,
    ) -> Result<CrmSession, StepError> {
        let loaded = ledger::load::<Account>(&*self.ledger, &Account::key_of(account)).await?;
        let Some(account) = loaded.map(|loaded| loaded.record) else { return Err(not_connected()) };
        let Some(connection) = account.crm_connection.clone() else { return Err(not_connected()) };
        if !self.base_urls.contains(&connection.base_url) {
            return Err(not_allowed());
        }
        let Some(stored) = self.tokens.token(&account.account_id).await? else { return Err(not_connected()) };
        // A new token is stored before the new base URL is in the ledger. In between, nothing may be sent anywhere.
        let token = stored.for_base_url(&connection.base_url).ok_or(SecretsError::ConnectionChanging)?.clone();
        let policy = policy_of(&account, &connection);
        let gate =
            LedgerCallGate::new(self.ledger.clone(), self.clock.clone(), account.account_id.clone(), policy, run.ends);
        let gate = Arc::new(match lease {
            Some(lease) => gate.fenced(lease),
            None => gate,
        });
        let target = CrmTarget { base_url: connection.base_url, api_version: version };
        let crm = self.connector.connect(&target, token, gate.clone(), run.calls_end())?;
        Ok(CrmSession { crm, gate })
    }
}

impl CrmSessions {
    /// Stores the limits that the CRM reports now: an account can get higher ones at any time. They apply from the next
    /// session on.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn note_limits(&self, account: &AccountId, limits: CallLimits) -> Result<(), LedgerError> {
        let Some(loaded) = ledger::load::<Account>(&*self.ledger, &Account::key_of(account)).await? else {
            return Ok(());
        };
        let mut next = loaded.record.clone();
        match &mut next.crm_connection {
            Some(connection) if connection.call_limits != limits => connection.call_limits = limits,
            _ => return Ok(()),
        }
        match self.ledger.commit(&[Change::replace(&loaded, &next)]).await {
            // The account is being changed; the next backup stores the limits.
            Err(LedgerError::Conflict) => Ok(()),
            other => other,
        }
    }
}

/// The share of its CRM's call limits that an account may use.
pub fn policy_of(account: &Account, connection: &CrmConnection) -> BudgetPolicy {
    BudgetPolicy {
        limits: connection.call_limits,
        share: account.call_share,
        // If this version does not know the zone, the day is taken as UTC's. The CRM's own information has priority.
        time_zone: TimeZone::get(&connection.time_zone).unwrap_or(TimeZone::UTC),
    }
}

fn not_allowed() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::CrmBaseUrlNotAllowed,
        "The deployment no longer allows the CRM address that the account is connected to. Connect the account again.",
    ))
}

fn not_connected() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::CrmNotConnected,
        "The account no longer has a CRM connection. Connect it again with PUT /accounts/{account} and try again.",
    ))
}

#[cfg(test)]
mod tests {
    use domain::budget::CallLimits;
    use domain::tier::TierName;

    use super::*;
    use crate::samples;

    /// C3: an account whose calls were raised to 250 per ten seconds may use them, with any name of its plan here.
    #[test]
    fn the_crms_limit_applies_to_every_plan() {
        let crm = CallLimits::in_ten_seconds(250, 2_000_000);
        for plan in ["starter", "professional", "enterprise", "unlimited"] {
            let account = Account { tier: TierName::parse(plan).expect("a plan"), ..samples::connected_account("42") };
            let connection = account.crm_connection.clone().expect("connected");
            let policy = policy_of(&account, &CrmConnection { call_limits: crm, ..connection });
            assert_eq!(policy.limits, crm, "{plan}");
        }
    }
}
