//! The CRM, as the workflows see it. HubSpot's API is its first implementation; nothing but that crate knows URLs.

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
use crate::property::{ObjectDefinition, Property, Sensitivity};
use crate::rows::RowBuffer;

/// Reads and writes one account of a CRM. Every call passes the account's call gate first; answers that a retry can mend (5xx,
/// 429, resets) have been retried with jitter inside, as long as the run's deadline allows.
#[async_trait]
pub trait Crm: Send + Sync {
    /// Who the token belongs to.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn account(&self) -> Result<CrmAccount, CrmError>;

    /// The object types that every account has. Nothing is asked, so they are known whatever
    /// the token may read.
    fn standard_object_types(&self) -> Vec<ObjectDefinition>;

    /// The object types that the account has defined itself.
    ///
    /// # Errors
    /// [`CrmError`], with the scope's name when one is missing. An account whose subscription has no such object types may
    /// be refused.
    async fn custom_object_types(&self) -> Result<Vec<ObjectDefinition>, CrmError>;

    /// All properties of an object type, sensitive and highly sensitive ones included, archived ones not.
    ///
    /// # Errors
    /// [`CrmError`]; [`CrmErrorKind::HiddenValues`] when records have sensitive values that the token may not see.
    async fn properties(&self, object: &ObjectType) -> Result<ListedProperties, CrmError>;

    /// All properties of an object type as they are defined now, archived ones included. Of two with one name, the one
    /// that is not archived.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn definitions(&self, object: &ObjectType) -> Result<Vec<PropertyDefinition>, CrmError>;

    /// Reads one page of records into `rows`, which is cleared first. Values land in the column of their property's
    /// place in `request.properties`. What the CRM has not shown, also when asked another way, stays not shown. Each
    /// record comes once, in the order of the list.
    ///
    /// # Errors
    /// [`CrmError`]; `rows` is then in no particular state.
    async fn page(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError>;

    /// Which of `ids` (at most 100) exist now, with the time of their creation. Ids that do not exist are left out,
    /// and so is a merged record, which the CRM answers under another id.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn existing(&self, object: &ObjectType, ids: &[RecordId]) -> Result<Vec<(RecordId, Timestamp)>, CrmError>;

    /// Reads present values of up to [`BATCH`](crate::ports::crm_batch::BATCH) records into `rows`, which is cleared
    /// first. Records that provably do not exist are left out. A merged record comes under the id of the one that it
    /// became. The order is the CRM's. Returns the records that exist and cannot be read, after all that was tried.
    ///
    /// # Errors
    /// [`CrmError`]; `rows` is then in no particular state.
    async fn read_batch(&self, request: &BatchRead<'_>, rows: &mut RowBuffer) -> Result<Vec<RecordId>, CrmError>;

    /// Writes new values to up to [`BATCH`](crate::ports::crm_batch::BATCH) records, each named once, in one call. It is
    /// sent again where an answer was lost: writing the same values twice does no harm. An answer is only given when no
    /// sending before it can land any more. That the CRM accepted a write does not mean that it made it: compare what it
    /// returns.
    ///
    /// # Errors
    /// [`CrmError`], whose sentence quotes no value; it says whether the values may have been written.
    async fn update_batch(&self, object: &ObjectType, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError>;

    /// How many records the object has, and its highest id; None for object types that the CRM cannot count
    /// (conversations). The index behind it lags by moments.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn census(&self, object: &ObjectType) -> Result<Option<Census>, CrmError>;

    /// How many records have an id above `after` and, if given, up to and including `up_to`; None where the CRM cannot
    /// count. The index behind it lags by moments.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn count_in(
        &self,
        object: &ObjectType,
        after: RecordId,
        up_to: Option<RecordId>,
    ) -> Result<Option<u64>, CrmError>;

    /// The id of the `n`-th record (from 1 to [`FARTHEST`]) whose id is above `after`; None when there are fewer, or
    /// where the CRM cannot tell. The index behind it lags by moments.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn nth_after(&self, object: &ObjectType, after: RecordId, n: u16) -> Result<Option<RecordId>, CrmError>;

    /// How many records of the object were created at or after `since`; None where the CRM cannot count.
    ///
    /// # Errors
    /// [`CrmError`].
    async fn created_since(&self, object: &ObjectType, since: Timestamp) -> Result<Option<u64>, CrmError>;
}

/// How far [`Crm::nth_after`] can look: HubSpot's search ends at 10,000 results.
pub const FARTHEST: u16 = 9_900;

/// Where a CRM is and which version of its API to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmTarget {
    /// Scheme, host and port; no path.
    pub base_url: String,
    pub api_version: ApiVersion,
}

/// Makes clients of the CRM. One lives as long as the process, so that connections are used again.
pub trait CrmConnector: Send + Sync {
    /// A client for the account that `token` belongs to. It asks `gate` before every call and retries nothing after
    /// `deadline`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`CrmError`] when the target or the token cannot be used at all.
    fn connect(
        &self,
        target: &CrmTarget,
        token: SecretString,
        gate: Arc<dyn CallGate>,
        deadline: Timestamp,
    ) -> Result<Arc<dyn Crm>, CrmError>;
}

/// What the CRM says about the account that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmAccount {
    /// The CRM's own id of the account.
    pub portal_id: u64,
    /// IANA time zone name.
    pub time_zone: String,
    /// The limits named in the response's headers; the lowest plan's where it named none.
    pub call_limits: CallLimits,
}

/// A count of an object's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Records that are not archived.
    pub records: u64,
    /// The highest record id, or None when there is no record.
    pub highest_id: Option<RecordId>,
}

/// Which page of which object.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    pub object: &'a ObjectType,
    /// Internal names, in column order.
    pub properties: &'a [&'a str],
    pub cursor: &'a Cursor,
    /// Where the ids come from.
    pub source: PageSource,
    /// Records at most, 1 to 100 of a list and 1 to 200 of a search.
    pub limit: u8,
}

/// Where the ids of a page come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageSource {
    /// The CRM's list of records.
    #[default]
    List,
    /// A search for the ids above one, for CRMs whose lists cannot be started in the middle. It only takes
    /// [`Cursor::AfterId`], and its index lags by moments.
    Search,
}

/// The properties of an object type, as far as the CRM lists them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedProperties {
    /// All that were listed.
    pub properties: Vec<Property>,
    /// Kinds of properties that the CRM refused to list.
    pub refused: Vec<RefusedProperties>,
}

/// Properties that the CRM refused to list, if there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedProperties {
    pub sensitivity: Sensitivity,
    /// Scopes that may help.
    pub scopes: Vec<String>,
    /// What the CRM said, for people.
    pub sentence: String,
}

/// Where in a list to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cursor {
    /// After the record with this id, where the CRM's cursors are record ids. 0 is the beginning.
    AfterId(RecordId),
    /// A text that the CRM gave and only the CRM can read.
    Opaque(String),
}

impl Cursor {
    /// The beginning of a list.
    pub const START: Self = Self::AfterId(RecordId(0));
}

/// What stood at the end of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageEnd {
    /// The cursor of the next page as the CRM gave it, or None on the last page.
    pub next: Option<String>,
    /// The last id that the list showed, also when the record was gone before its values could be read; None when the
    /// list showed none.
    pub last_listed: Option<RecordId>,
    /// Records of this page that exist and cannot be read, after all that was tried.
    pub unreadable: Vec<RecordId>,
    /// Values that were not valid Unicode, and hold U+FFFD in those places.
    pub mended_values: u64,
    /// Bytes of the response's body, or bodies.
    pub response_bytes: u64,
}

/// A call to the CRM that did not succeed, after all retries that made sense.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{sentence}")]
pub struct CrmError {
    pub kind: CrmErrorKind,
    /// One sentence for people, naming what to do. Never a token, a value or a link.
    pub sentence: String,
    /// The call was to write, and one of its sendings got no usable answer: it may be written, or may still be for as long
    /// as [`WRITE_MARGIN`](crate::lease::WRITE_MARGIN). What ended the call does not matter. Always false of a call that
    /// only reads.
    pub may_have_landed: bool,
}

impl CrmError {
    /// An error of a call of which nothing can have been written.
    pub const fn new(kind: CrmErrorKind, sentence: String) -> Self {
        Self { kind, sentence, may_have_landed: false }
    }

    /// The same of a call of which something may have been written, if `may_have_landed`.
    #[must_use]
    pub fn or_landed(self, may_have_landed: bool) -> Self {
        Self { may_have_landed: self.may_have_landed || may_have_landed, ..self }
    }
}

/// What kind of trouble a call met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrmErrorKind {
    /// 401: the token is wrong, expired or revoked.
    TokenRefused,
    /// 403: the token lacks these scopes.
    MissingScopes(Vec<String>),
    /// 403 for another reason, such as a permission of the user behind the app, or what the account's subscription lacks.
    Forbidden,
    /// Records have values that the token may not see; it lacks these scopes.
    HiddenValues(Vec<String>),
    /// 404: no such object type.
    NotFound,
    /// 400 and other refusals that a retry cannot mend.
    Refused,
    /// The answer was not what the API promises, also after retries.
    Malformed,
    /// 429, 5xx, resets, time-outs, for longer than the retries.
    Unavailable {
        /// How long the CRM asked to be left alone; zero where it named nothing.
        retry_after: SignedDuration,
    },
    /// The call budget admits nothing in the time that this run has.
    NoBudget {
        /// When to look again.
        until: Timestamp,
        /// Which limit is used up.
        reason: WaitReason,
    },
}

impl CrmErrorKind {
    /// Whether the CRM did not answer, or not usefully, for longer than the retries.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the CRM says that this token, or this account, may not read what was asked for. One such answer is not yet
    /// the truth: some pass within minutes.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::TokenRefused | Self::MissingScopes(_) | Self::Forbidden | Self::NotFound)
    }

    /// How a backup or a restore fails that ends because of it.
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

/// Scopes that several calls were refused for, gathered so that people learn of all of them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingScopes(BTreeSet<String>);

impl MissingScopes {
    /// What a call answered; None when it was refused for scopes, which are noted.
    ///
    /// # Errors
    /// Every other error of the call: then nobody knows what it would have been refused for.
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

    /// Adds what others were refused for.
    pub fn merge(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether no call was refused for scopes.
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
    fn missing_scopes_of_all_calls_are_gathered_and_other_errors_are_not_taken_for_any() {
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
