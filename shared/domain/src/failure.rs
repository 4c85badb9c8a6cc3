//! Why backups, restores and scheduled runs fail: the catalogue of failure kinds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a backup, a restore or a scheduled run failed, in words that a user can act on. Never holds a token, a property
/// value or a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub kind: FailureKind,
    /// One sentence that names what happened and what to do.
    pub sentence: String,
}

impl Failure {
    /// A failure of this kind, with a `sentence` for people.
    pub fn new(kind: FailureKind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into() }
    }

    /// The failure of a token that lacks `scopes`: what `happened`, in a sentence, and how to add them.
    pub fn scopes_missing<'a>(happened: &str, scopes: impl IntoIterator<Item = &'a str>) -> Self {
        let names = scopes.into_iter().collect::<Vec<_>>().join(", ");
        let remedy = format!("Add these scopes to the app in the CRM and try again: {names}.");
        Self::new(FailureKind::CrmScopesMissing, format!("{happened} {remedy}"))
    }
}

macro_rules! failure_kinds {
    ($($kind:ident = $slug:literal,)*) => {
        /// The kind of a [`Failure`]: a stable slug for programs, stored as text.
        ///
        /// Stored failures outlive this list, and a later version may store kinds that this one does not know. Both are
        /// read as [`FailureKind::Other`] and written back unchanged.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum FailureKind {
            $($kind,)*
            /// A kind that this version does not know.
            Other(String),
        }

        impl FailureKind {
            /// All kinds that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The slug for programs.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$kind => $slug,)*
                    Self::Other(slug) => slug,
                }
            }
        }

        impl From<String> for FailureKind {
            fn from(slug: String) -> Self {
                match slug.as_str() {
                    $($slug => Self::$kind,)*
                    _ => Self::Other(slug),
                }
            }
        }
    };
}

failure_kinds! {
    ArchiveBroken = "archive-broken",
    ArchiveExpired = "archive-expired",
    ArchiveInconsistent = "archive-inconsistent",
    ArchiveLacksValues = "archive-lacks-values",
    ArchiveTooFragmented = "archive-too-fragmented",
    AssemblyFailed = "assembly-failed",
    BackupTookTooLong = "backup-took-too-long",
    CrmAnswerMalformed = "crm-answer-malformed",
    CrmBaseUrlNotAllowed = "crm-base-url-not-allowed",
    CrmCallBudgetUsedUp = "crm-call-budget-used-up",
    CrmConnectionUnfinished = "crm-connection-unfinished",
    CrmForbidden = "crm-forbidden",
    CrmListUnreadable = "crm-list-unreadable",
    CrmNotConnected = "crm-not-connected",
    CrmObjectNotFound = "crm-object-not-found",
    CrmOtherPortal = "crm-other-portal",
    CrmRecordsUnreadable = "crm-records-unreadable",
    CrmRefused = "crm-refused",
    CrmScopesMissing = "crm-scopes-missing",
    CrmTokenRefused = "crm-token-refused",
    CrmUnavailable = "crm-unavailable",
    DiscoveryFailed = "discovery-failed",
    ExportFailed = "export-failed",
    LedgerRefused = "ledger-refused",
    RestoreAttemptsUsedUp = "restore-attempts-used-up",
    RestoreTookTooLong = "restore-took-too-long",
    ScheduleNotInPlan = "schedule-not-in-plan",
    ScheduleNotStarted = "schedule-not-started",
    SegmentDamaged = "segment-damaged",
    StorageRefused = "storage-refused",
    StoredUnreadable = "stored-unreadable",
    UndoExpired = "undo-expired",
}

impl FailureKind {
    /// Whether every further backup fails in the same way until a super admin connects the account again. Until then
    /// each run of a schedule is skipped, with a notification; the schedule stays on. A kind that this version does
    /// not know pauses nothing.
    pub const fn pauses_schedules(&self) -> bool {
        matches!(
            self,
            Self::CrmTokenRefused
                | Self::CrmScopesMissing
                | Self::CrmNotConnected
                | Self::CrmBaseUrlNotAllowed
                | Self::CrmConnectionUnfinished
                | Self::CrmOtherPortal
        )
    }
}

impl From<FailureKind> for String {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Other(slug) => slug,
            known => known.as_str().to_owned(),
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for FailureKind {
    fn eq(&self, slug: &&str) -> bool {
        self.as_str() == *slug
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_is_stored_as_its_slug() {
        for kind in FailureKind::ALL {
            let stored = serde_json::to_value(kind).expect("JSON");
            assert_eq!(stored, kind.as_str());
            assert_eq!(&serde_json::from_value::<FailureKind>(stored).expect("readable"), kind);
            assert!(!matches!(kind, FailureKind::Other(_)), "{kind}");
        }
        let slugs: HashSet<_> = FailureKind::ALL.iter().map(FailureKind::as_str).collect();
        assert_eq!(slugs.len(), FailureKind::ALL.len(), "each slug belongs to one kind");
    }

    #[test]
    fn a_kind_of_another_version_is_read_and_written_back_unchanged() {
        let stored = r#"{"kind":"crm-on-strike","sentence":"Wait for the end of the strike."}"#;
        let failure: Failure = serde_json::from_str(stored).expect("readable");
        assert_eq!(failure.kind, FailureKind::Other("crm-on-strike".to_owned()));
        assert!(!failure.kind.pauses_schedules());
        assert_eq!(serde_json::to_string(&failure).expect("JSON"), stored);
    }

    #[test]
    fn missing_scopes_are_named_with_what_to_do() {
        let failure = Failure::scopes_missing("The CRM token cannot read any object.", ["a.read", "b.read"]);
        assert_eq!(failure.kind, FailureKind::CrmScopesMissing);
        let sentence = "The CRM token cannot read any object. Add these scopes to the app in the CRM and try again: \
                        a.read, b.read.";
        assert_eq!(failure.sentence, sentence);
    }
}
