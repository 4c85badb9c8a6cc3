//! The configuration that every function of the API has.

use std::sync::Arc;

use aws::LedgerTables;
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use jiff::SignedDuration;
use runtime::config::Environment;

use crate::audit::AuditLog;
use crate::second_factor::SecondFactorPolicy;
use crate::step_up::StepUp;

/// What all functions of the API read from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    pub tables: LedgerTables,
    /// The `aud` that callers' ID tokens must have.
    pub audience: String,
    /// How long the audit log keeps its entries.
    pub audit_kept_for: SignedDuration,
    /// Which sign-ins count as sign-ins with a second factor.
    pub second_factor: SecondFactorPolicy,
}

impl ApiConfig {
    /// Reads the ledger's tables, `TOKEN_AUDIENCE`, `AUDIT_RETENTION_DAYS`, `FEDERATED_PROVIDERS` and
    /// `ISSUER_ENFORCES_SECOND_FACTOR`.
    pub fn from_env(env: &mut Environment) -> Option<Self> {
        let (tables, audience, audit_kept_for) = (env.ledger_tables(), env.token_audience(), env.audit_retention());
        let second_factor = SecondFactorPolicy::from_env(env);
        Some(Self {
            tables: tables?,
            audience: audience?,
            audit_kept_for: audit_kept_for?,
            second_factor: second_factor?,
        })
    }

    /// The audit log of denied requests, stored in `ledger`.
    pub fn audit_log(&self, ledger: Arc<dyn Ledger>) -> AuditLog {
        AuditLog { ledger, kept_for: self.audit_kept_for, audience: self.audience.clone() }
    }

    /// Checks sign-ins by the settings of the accounts in `ledger`.
    pub fn step_up(&self, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> StepUp {
        StepUp { policy: self.second_factor.clone(), ledger, clock }
    }
}

impl SecondFactorPolicy {
    fn from_env(env: &mut Environment) -> Option<Self> {
        let (federated_providers, issuer_enforces) = (env.federated_providers(), env.issuer_enforces_second_factor());
        Some(Self { federated_providers: federated_providers?, issuer_enforces: issuer_enforces? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_factor_policy_has_no_default_but_an_empty_list_of_providers() {
        let read = |providers, enforces| {
            let variables = [("FEDERATED_PROVIDERS", providers), ("ISSUER_ENFORCES_SECOND_FACTOR", enforces)];
            SecondFactorPolicy::from_env(&mut Environment::of(variables))
        };
        let policy = |providers: &[&str], issuer_enforces| {
            let federated_providers = providers.iter().map(|&name| name.to_owned()).collect();
            Some(SecondFactorPolicy { federated_providers, issuer_enforces })
        };
        assert_eq!(read("", "true"), policy(&[], true));
        assert_eq!(read("Okta, Entra-ID", "false"), policy(&["Okta", "Entra-ID"], false));
        let mut unset = Environment::of([("ISSUER_ENFORCES_SECOND_FACTOR", "true")]);
        assert_eq!(SecondFactorPolicy::from_env(&mut unset), policy(&[], true));
        for (providers, enforces) in [("Okta,", "true"), (",", "true"), ("Okta", ""), ("Okta", "yes"), ("", "TRUE")] {
            assert_eq!(read(providers, enforces), None, "{providers} {enforces}");
        }
    }
}
