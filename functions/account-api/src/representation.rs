//! An account in the API's answers. No answer contains the CRM token. The secret of a webhook is only in the answer to
//! the request that created it.

use domain::Failure;
use domain::account::{Account, CrmConnection};
use domain::budget::CallLimits;
use domain::budget::CallShare;
use domain::ids::AccountId;
use domain::tier::Tier;
use http_api::representation::shown;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// An account as its super admins and operators see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountRepresentation<'a> {
    account_id: &'a AccountId,
    created_at: Timestamp,
    crm_connection: Option<ConnectionRepresentation<'a>>,
    call_share: CallShare,
    plan: TierRepresentation,
    notification_targets: TargetsRepresentation<'a>,
    fresh_second_factor: bool,
}

/// The account's plan and its limits.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TierRepresentation {
    name: &'static str,
    /// 0 means at any time.
    backup_interval_hours: i64,
    may_schedule: bool,
}

#[derive(Serialize)]
struct TargetsRepresentation<'a> {
    email: &'a [String],
    webhook: Option<WebhookRepresentation<'a>>,
}

#[derive(Serialize)]
struct WebhookRepresentation<'a> {
    url: &'a str,
    /// Only after it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionRepresentation<'a> {
    base_url: &'a str,
    api_version: &'static str,
    portal_id: u64,
    time_zone: &'a str,
    call_limits: CallLimitsRepresentation,
    connected_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallLimitsRepresentation {
    per_ten_seconds: u32,
    per_day: u32,
}

impl CallLimitsRepresentation {
    fn of(limits: CallLimits) -> Self {
        Self { per_ten_seconds: limits.per_ten_seconds(), per_day: limits.per_day }
    }
}

impl<'a> AccountRepresentation<'a> {
    /// `account`, and the `secret` of its webhook if this request created it.
    pub(crate) fn of(account: &'a Account, secret: Option<&'a SecretString>) -> Self {
        let targets = &account.notification_targets;
        let secret = secret.map(ExposeSecret::expose_secret);
        Self {
            account_id: &account.account_id,
            created_at: shown(account.created_at),
            crm_connection: account.crm_connection.as_ref().map(ConnectionRepresentation::of),
            call_share: account.call_share,
            plan: TierRepresentation::of(account.tier.allows()),
            notification_targets: TargetsRepresentation {
                email: &targets.email,
                webhook: targets.webhook.as_deref().map(|url| WebhookRepresentation { url, secret }),
            },
            fresh_second_factor: account.fresh_second_factor,
        }
    }
}

impl TierRepresentation {
    fn of(plan: &Tier) -> Self {
        Self {
            name: plan.name,
            backup_interval_hours: plan.backup_interval.as_hours(),
            may_schedule: plan.may_schedule,
        }
    }
}

impl<'a> ConnectionRepresentation<'a> {
    fn of(connection: &'a CrmConnection) -> Self {
        Self {
            base_url: &connection.base_url,
            api_version: connection.api_version.as_str(),
            portal_id: connection.portal_id,
            time_zone: &connection.time_zone,
            call_limits: CallLimitsRepresentation::of(connection.call_limits),
            connected_at: shown(connection.connected_at),
            fault: connection.fault.as_ref(),
        }
    }
}
