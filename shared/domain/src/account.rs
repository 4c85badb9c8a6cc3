//! An account and its connection to the CRM.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::budget::{CallLimits, CallShare};
use crate::ids::AccountId;
use crate::ports::ledger::{Key, Record};
use crate::tier::TierName;

/// A CRM account served by this deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The id in the group claim of its super admins.
    pub account_id: AccountId,
    /// When an operator created it.
    pub created_at: Timestamp,
    /// None until a super admin or an operator connects the CRM.
    pub crm_connection: Option<CrmConnection>,
    /// The share of the CRM's call limits that backups may use.
    pub call_share: CallShare,
    /// Stored as `plan`, as the API calls it.
    #[serde(rename = "plan", default)]
    pub tier: TierName,
    #[serde(default)]
    pub notification_targets: NotificationTargets,
    /// Whether downloads, deletions of archives, and changes of the targets and of this setting need a sign-in with a
    /// fresh second factor, as confirming a restore does in any case.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fresh_second_factor: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(setting: &bool) -> bool {
    !setting
}

/// A person who requested something, from the claims of their sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    pub subject: String,
    /// The `email` claim, if there is one.
    pub email: Option<String>,
}

/// Where an account's notifications go, besides the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationTargets {
    /// E-mail addresses, besides the requester's.
    pub email: Vec<String>,
    /// The URL of the account's server. The signing key is in the secret store.
    pub webhook: Option<String>,
}

/// How to reach the account's CRM. The token itself is in the secret store under a name derived from the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrmConnection {
    /// Scheme, host and port, from the deployment's allow-list; no path.
    pub base_url: String,
    pub api_version: ApiVersion,
    /// The CRM's id of the account, read when it was connected.
    pub portal_id: u64,
    /// The IANA name of the account's time zone, read when it was connected. The daily call limit resets at its
    /// midnight.
    pub time_zone: String,
    /// The CRM's call limits, read from response headers when the account was connected.
    pub call_limits: CallLimits,
    /// When the connection was made or changed.
    pub connected_at: Timestamp,
    /// Why the CRM rejected the latest backup, until the account is connected again or a backup completes.
    #[serde(default)]
    pub fault: Option<Failure>,
}

/// The versions of the CRM's API that the client supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ApiVersion {
    /// The dated version of September 2026.
    #[default]
    #[serde(rename = "2026-09")]
    V2026_09,
    /// The legacy paths, unsupported from September 2027.
    #[serde(rename = "v3")]
    V3,
}

impl ApiVersion {
    /// The name in URLs and in the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2026_09 => "2026-09",
            Self::V3 => "v3",
        }
    }
}

impl Account {
    /// The partition of an account and of everything that the ledger lists by account.
    pub fn partition(account_id: &AccountId) -> String {
        format!("ACCOUNT#{account_id}")
    }

    /// The ledger's key of an account.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(Self::partition(account_id), "ACCOUNT")
    }
}

impl Record for Account {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }
}
