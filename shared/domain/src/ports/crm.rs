//! The CRM as a port: the calls about one account. What needs no call is in [`crm_model`](crate::ports::crm_model).

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::FailureKind;
use crate::account::ApiVersion;
use crate::budget::CallLimits;
use crate::ids::{ObjectType, RecordId};
use crate::lease::WaitReason;
use crate::ports::call_gate::{CallGate, GateClosed};
use crate::ports::crm_batch::{BatchRead, BatchUpdate, PropertyDefinition, RecordUpdate};
use crate::ports::crm_model::CrmModel;
pub use crate::ports::crm_model::PageSource;
use crate::property::{ObjectDefinition, Property, Sensitivity};
use crate::rows::RowBuffer;

/// Reads and writes one account of a CRM. Every call passes the account's call gate first. Failures that a retry can
/// cure (5xx, 429, resets) are retried inside with jitter, until the run's deadline.
#[async_trait]
pub trait Crm: Send + Sync {
    /// The account that the token belongs to.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn account(&self) -> Result<CrmAccount, CrmError>;

    /// What is the same in all accounts of this CRM.
    fn model(&self) -> &dyn CrmModel;

    /// The object types that the account defined itself.
    ///
    /// # Errors
    /// [`CrmError`], with the scope's name if one is missing. The CRM may refuse an account whose subscription has no
    /// such object types.
    async fn custom_object_types(&self) -> Result<Vec<ObjectDefinition>, CrmError>;

    /// All properties of an object type, including sensitive and highly sensitive ones, without archived ones.
    ///
    /// # Errors
    /// [`CrmError`]. [`CrmErrorKind::HiddenValues`] if records have sensitive values that the token may not see.
    async fn properties(&self, object: &ObjectType) -> Result<ListedProperties, CrmError>;

    /// All present properties of an object type, including archived ones. If two have one name, the one that is not
    /// archived.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn definitions(&self, object: &ObjectType) -> Result<Vec<PropertyDefinition>, CrmError>;

    /// Reads one page of records into `rows`, which is cleared first. The columns are in the order of
    /// `request.properties`. Values that the CRM does not show, even when asked in another way, stay not shown. Each
    /// record comes once, in the order of the list.
    ///
    /// # Errors
    /// [`CrmError`]. Then the content of `rows` is undefined.
    async fn page(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError>;

    /// Those of `ids` (at most 100) that exist now, with the time of their creation. Ids that do not exist are omitted,
    /// and so are merged records, which the CRM returns under another id.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn existing(&self, object: &ObjectType, ids: &[RecordId]) -> Result<Vec<(RecordId, Timestamp)>, CrmError>;

    /// Reads present values of up to [`BATCH`](crate::ports::crm_batch::BATCH) records into `rows`, which is cleared
    /// first. Records that provably do not exist are omitted. A merged record comes under the id of the record that it
    /// was merged into. The order is the CRM's. Returns the records that exist but cannot be read, after all retries.
    ///
    /// # Errors
    /// [`CrmError`]. Then the content of `rows` is undefined.
    async fn read_batch(&self, request: &BatchRead<'_>, rows: &mut RowBuffer) -> Result<Vec<RecordId>, CrmError>;

    /// Writes new values to up to [`BATCH`](crate::ports::crm_batch::BATCH) different records in one call. The call is
    /// sent again if its answer was lost: writing the same values twice does no harm. An answer is returned only when
    /// no earlier sending can land any more. The CRM may accept a write and not make it: compare the returned values.
    ///
    /// # Errors
    /// [`CrmError`], whose sentence quotes no value. It has a flag for values that may have been written.
    async fn update_batch(&self, object: &ObjectType, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError>;

    /// The object's number of records and its highest id. None for object types that the CRM cannot count. The CRM's
    /// index lags by moments.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn census(&self, object: &ObjectType) -> Result<Option<Census>, CrmError>;

    /// How many records have an id above `after` and, if given, up to and including `up_to`. None if the CRM cannot
    /// count. The CRM's index lags by moments.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn count_in(
        &self,
        object: &ObjectType,
        after: RecordId,
        up_to: Option<RecordId>,
    ) -> Result<Option<u64>, CrmError>;

    /// The id of the `n`-th record (from 1 to [`CallSizes::farthest`](crate::ports::crm_model::CallSizes::farthest)) with an id above `after`. None if there are fewer,
    /// or if the CRM does not know. The CRM's index lags by moments.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn nth_after(&self, object: &ObjectType, after: RecordId, n: u16) -> Result<Option<RecordId>, CrmError>;

    /// How many records of the object were created at or after `since`. None if the CRM cannot count.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn created_since(&self, object: &ObjectType, since: Timestamp) -> Result<Option<u64>, CrmError>;
}

/// The address of a CRM and the version of its API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmTarget {
    /// Scheme, host and port, without a path.
    pub base_url: String,
    pub api_version: ApiVersion,
}

/// Makes clients of the CRM. It lives as long as the process, so that connections are reused.
pub trait CrmConnector: Send + Sync {
    /// A client for the account that `token` belongs to. It asks `gate` before every call and makes no retry after
    /// `deadline`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`CrmError`] if the target or the token is unusable.
    fn connect(
        &self,
        target: &CrmTarget,
        token: SecretString,
        gate: Arc<dyn CallGate>,
        deadline: Timestamp,
    ) -> Result<Arc<dyn Crm>, CrmError>;
}

/// The CRM's account that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmAccount {
    /// The CRM's id of the account.
    pub portal_id: u64,
    /// IANA time zone name.
    pub time_zone: String,
    /// The limits that the CRM named in its answer. The lowest ones that it has if it named none.
    pub call_limits: CallLimits,
}

/// A count of an object's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Records that are not archived.
    pub records: u64,
    /// None if there is no record.
    pub highest_id: Option<RecordId>,
}

/// A request for one page of an object's records.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    pub object: &'a ObjectType,
    /// Internal names, in column order.
    pub properties: &'a [&'a str],
    pub cursor: &'a Cursor,
    pub source: PageSource,
    /// The most records: from 1 to what the CRM's [`CallSizes`](crate::ports::crm_model::CallSizes) allow.
    pub limit: u16,
}

/// The properties of an object type, as far as the CRM lists them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedProperties {
    pub properties: Vec<Property>,
    /// Properties that the CRM refused to list.
    pub refused: Vec<RefusedProperties>,
}

/// Properties of one sensitivity that the CRM refused to list, if it has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedProperties {
    pub sensitivity: Sensitivity,
    /// Scopes that may help.
    pub scopes: Vec<String>,
    /// The refusal, for people.
    pub sentence: String,
}

/// A position in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cursor {
    /// After the record with this id, if the CRM's cursors are record ids. 0 is the beginning.
    AfterId(RecordId),
    /// A text from the CRM that only the CRM can read.
    Opaque(String),
}

impl Cursor {
    /// The beginning of a list.
    pub const START: Self = Self::AfterId(RecordId(0));
}

/// The end of a page that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageEnd {
    /// The CRM's cursor of the next page. None on the last page.
    pub next: Option<String>,
    /// The last id in the list, even if its record was deleted before its values were read. None if the list was empty.
    pub last_listed: Option<RecordId>,
    /// Records of this page that exist but cannot be read, after all retries.
    pub unreadable: Vec<RecordId>,
    /// How many values were not valid Unicode. They hold U+FFFD in those places.
    pub mended_values: u64,
    /// Bytes of all response bodies.
    pub response_bytes: u64,
}

/// A call to the CRM that failed after all retries.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{sentence}")]
pub struct CrmError {
    pub kind: CrmErrorKind,
    /// One sentence for people, with a remedy. Never holds a token, a value or a link.
    pub sentence: String,
    /// A sending of a write got no usable answer, so the values may be written, or may still be written within
    /// [`WRITE_MARGIN`](crate::lease::WRITE_MARGIN), whatever ended the call. Always false for calls that only read.
    pub may_have_landed: bool,
}

impl CrmError {
    /// An error of a call that cannot have written anything.
    pub const fn new(kind: CrmErrorKind, sentence: String) -> Self {
        Self { kind, sentence, may_have_landed: false }
    }

    /// The same error. If `may_have_landed`, of a call that may have written values.
    #[must_use]
    pub fn or_landed(self, may_have_landed: bool) -> Self {
        Self { may_have_landed: self.may_have_landed || may_have_landed, ..self }
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrmErrorKind {
    /// 401: the token is wrong, expired or revoked.
    TokenRefused,
    /// 403: the token lacks these scopes.
    MissingScopes(Vec<String>),
    /// 403 for another reason, such as a missing permission of the app's user, or a limit of the account's
    /// subscription.
    Forbidden,
    /// Records have values that the token may not see, because it lacks these scopes.
    HiddenValues(Vec<String>),
    /// 404: the object type does not exist.
    NotFound,
    /// 400 and other refusals that no retry can cure.
    Refused,
    /// The answer did not have the API's form, even after retries.
    Malformed,
    /// 429, 5xx, resets or time-outs, even after retries.
    Unavailable {
        /// The pause that the CRM asked for. Zero if it named none.
        retry_after: SignedDuration,
    },
    /// The call budget has no slot before the run ends.
    NoBudget { until: Timestamp, reason: WaitReason },
}

impl CrmErrorKind {
    /// Whether the CRM gave no usable answer even after retries.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the CRM denied this token or account the access. Such an answer is not final: some pass within minutes.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::TokenRefused | Self::MissingScopes(_) | Self::Forbidden | Self::NotFound)
    }

    /// The failure kind of a backup or restore that this error ends.
    pub const fn failure_kind(&self) -> FailureKind {
        match self {
            Self::TokenRefused => FailureKind::CrmTokenRefused,
            Self::MissingScopes(_) | Self::HiddenValues(_) => FailureKind::CrmScopesMissing,
            Self::Forbidden => FailureKind::CrmForbidden,
            Self::NotFound => FailureKind::CrmObjectNotFound,
            Self::Refused => FailureKind::CrmRefused,
            Self::Malformed => FailureKind::CrmAnswerMalformed,
            Self::Unavailable { .. } => FailureKind::CrmUnavailable,
            Self::NoBudget { .. } => FailureKind::CrmCallBudgetUsedUp,
        }
    }
}

/// The missing scopes of several refused calls, collected so that people see all of them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingScopes(BTreeSet<String>);

impl MissingScopes {
    /// The answer of a call. None if scopes were missing, which are collected.
    ///
    /// # Errors
    /// Every other error of the call. Then its missing scopes are unknown.
    pub fn note<T>(&mut self, answer: Result<T, CrmError>) -> Result<Option<T>, CrmError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(CrmError { kind: CrmErrorKind::MissingScopes(scopes), .. }) => {
                self.0.extend(scopes);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds the missing scopes of other calls.
    pub fn merge(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether no call lacked scopes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names, each once, in alphabetical order.
    pub fn into_names(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

impl From<GateClosed> for CrmError {
    fn from(closed: GateClosed) -> Self {
        let sentence = closed.to_string();
        Self::new(CrmErrorKind::NoBudget { until: closed.until, reason: closed.reason }, sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_for(scopes: &[&str]) -> Result<(), CrmError> {
        let kind = CrmErrorKind::MissingScopes(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        Err(CrmError::new(kind, "no".to_owned()))
    }

    #[test]
    fn missing_scopes_of_all_calls_are_collected_and_other_errors_are_returned() {
        let mut missing = MissingScopes::default();
        assert_eq!(missing.note(Ok(7)).expect("an answer"), Some(7));
        assert!(missing.is_empty());
        assert_eq!(missing.note(refused_for(&["tickets", "a.read"])).expect("noted"), None);
        let down = CrmErrorKind::Unavailable { retry_after: SignedDuration::ZERO };
        let error = missing.note::<()>(Err(CrmError::new(down.clone(), String::new())));
        assert_eq!(error.expect_err("not about scopes").kind, down);

        let mut others = MissingScopes::default();
        assert_eq!(others.note(refused_for(&["b.read", "tickets"])).expect("noted"), None);
        missing.merge(others);

        assert_eq!(missing.into_names(), ["a.read", "b.read", "tickets"]);
    }
}
