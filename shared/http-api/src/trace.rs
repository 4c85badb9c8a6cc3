//! What the audit log records of a request before it is handled.

use domain::account::Requester;
use domain::audit::Act;
use domain::ids::{AccountId, AuditEntryId};
use jiff::{SignedDuration, Timestamp};
use runtime::random;

use crate::representation::shown;

/// When and from where a request came, and how long its audit entry is kept.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    at: Timestamp,
    /// Makes the entry's id unique.
    random: [u8; 10],
    source_address: Option<String>,
    kept_for: SignedDuration,
}

impl Trace {
    pub(crate) fn new(source_address: Option<String>, kept_for: SignedDuration) -> Self {
        Self { at: shown(Timestamp::now()), random: random::bytes(), source_address, kept_for }
    }

    /// The `action` of `by` on an account with this request. The same entry id every time, so a request has one entry
    /// at most.
    pub(crate) fn act(&self, account_id: AccountId, by: Requester, action: &'static str) -> Act {
        Act {
            account_id,
            entry_id: AuditEntryId::new(self.at, self.random),
            at: self.at,
            by,
            source_address: self.source_address.clone(),
            action,
            kept_for: self.kept_for,
        }
    }
}
