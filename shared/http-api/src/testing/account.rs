//! Account 42, which the tests of all functions of the API use.

use std::sync::Arc;

use domain::account::{Account, ApiVersion, CrmConnection, NotificationTargets, Requester};
use domain::budget::{CallLimits, CallShare};
use domain::ids::AccountId;
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use domain::tier::TierName;
use jiff::Timestamp;

use crate::second_factor::SecondFactorPolicy;
use crate::step_up::StepUp;

/// The groups of a super admin of account 42.
pub const ADMIN: &[&str] = &["42:super-admin"];

/// The groups of an operator.
pub const OPERATOR: &[&str] = &["operators"];

/// The time at which tests begin.
///
/// # Panics
/// Never: the text is a time.
pub fn now() -> Timestamp {
    "2026-11-22T17:00:00Z".parse().expect("a time")
}

/// The id 42.
///
/// # Panics
/// Never: the text is an id.
pub fn account_id() -> AccountId {
    AccountId::parse("42").expect("digits")
}

/// The sender of requests by [`ApiCall::by`](super::ApiCall::by).
pub fn ada() -> Requester {
    Requester { subject: "user-1".to_owned(), email: Some("ada@example.com".to_owned()) }
}

/// Checks sign-ins at an issuer that asks its users for a second factor.
pub fn step_up(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> StepUp {
    StepUp { policy: SecondFactorPolicy { federated_providers: Vec::new(), issuer_enforces: true }, ledger, clock }
}

/// Account 42, connected, with the setting that downloads, deletions and changes of targets need a fresh second factor.
pub fn careful_account() -> Account {
    Account { fresh_second_factor: true, ..account(true) }
}

/// Account 42 with the plan `unlimited`, connected to portal 7 or not connected.
///
/// # Panics
/// Never: the plan exists.
pub fn account(connected: bool) -> Account {
    let connection = CrmConnection {
        base_url: "https://api.hubapi.com".to_owned(),
        api_version: ApiVersion::V2026_09,
        portal_id: 7,
        time_zone: "Europe/Berlin".to_owned(),
        call_limits: CallLimits::in_ten_seconds(100, 250_000),
        connected_at: now(),
        fault: None,
    };
    Account {
        account_id: account_id(),
        created_at: now(),
        crm_connection: connected.then_some(connection),
        call_share: CallShare::default(),
        tier: TierName::parse("unlimited").expect("a plan"),
        notification_targets: NotificationTargets::default(),
        fresh_second_factor: false,
    }
}
