//! How an account looks in the API's answers. The token is not part of it.

use domain::account::{Account, CrmConnection};
use domain::budget::CallLimits;
use domain::budget::CallShare;
use domain::ids::AccountId;
use jiff::Timestamp;
use serde::Serialize;

/// An account as its super admins and operators see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountRepresentation<'a> {
    account_id: &'a AccountId,
    created_at: Timestamp,
    crm_connection: Option<ConnectionRepresentation<'a>>,
    call_share: CallShare,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionRepresentation<'a> {
    base_url: &'a str,
    api_version: &'static str,
    portal_id: u64,
    time_zone: &'a str,
    call_limits: CallLimits,
    connected_at: Timestamp,
}

impl<'a> AccountRepresentation<'a> {
    /// `account` as it is.
    pub(crate) fn of(account: &'a Account) -> Self {
        Self {
            account_id: &account.account_id,
            created_at: account.created_at,
            crm_connection: account.crm_connection.as_ref().map(ConnectionRepresentation::of),
            call_share: account.call_share,
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
            call_limits: connection.call_limits,
            connected_at: connection.connected_at,
        }
    }
}
