//! A restore: it sets property values of one object back to those in a backup, or to those before another restore.
//!
//! ```text
//! queued ─▶ planning ─▶ summarising ─▶ planned ─ confirmed ─▶ applying ─▶ concluding ─▶ completed | stopped | failed
//!    any before applying ─▶ cancelled | failed                   └ stop, failure ─┘
//! ```
//! Planning changes nothing and locks nothing. From the confirmation to the end the restore holds the account's
//! [`lock`]. The last states are final. An expired plan is not a state: it follows from the time.

pub mod begun;
pub mod difference;
pub mod import;
pub mod lock;
pub mod open_plans;
pub mod outcome;
pub mod plan;
pub mod property;
pub mod report;
pub mod slice;
mod transitions;
pub mod unique;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::transitions::RestoreEvent;

use self::plan::PlanCounts;
use self::report::ReportProgress;
use crate::Failure;
use crate::account::{Account, ApiVersion, Requester};
use crate::ids::{AccountId, BackupId, ObjectType, RestoreId};
use crate::lease::Leasing;
use crate::lease::QUEUE_GRACE;
use crate::ports::ledger::{Key, Record};
use crate::work::{RestoreRef, Work};

/// The most properties of one restore.
pub const MOST_PROPERTIES: usize = 1_000;

/// The most bytes of their names together. A restore's record in the ledger holds the names, and more for each.
pub const MOST_NAME_BYTES: usize = 100_000;

/// How long a plan can be confirmed.
pub const PLAN_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// A restore that takes longer fails. Plan segments are kept for 48 hours, and without them it cannot continue.
pub const LONGEST_RESTORE: SignedDuration = SignedDuration::from_hours(46);

/// How long after its request a restore that ends may wait for calls to set the values that it has cleared. It holds
/// the restore lock while it waits.
pub const LONGEST_FINISHING: SignedDuration = SignedDuration::from_hours(46 + 24);

/// How long after its end a restore can be undone: as long as its outcomes are kept, less two days because the first
/// ones were written earlier.
pub const UNDO_LIFETIME: SignedDuration = SignedDuration::from_hours(88 * 24);

/// How long after the request the ledger keeps a restore's slices: longer than the restore can be undone.
pub const RESTORE_KEPT_FOR: SignedDuration = SignedDuration::from_hours(100 * 24);

/// How often recover-stalled looks at a restore that plans or applies slices: in each of its rounds.
const SLICES_CHECK_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// The state of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreState {
    /// The request is accepted, and no run has started the restore.
    Queued,
    /// Present values are being compared with the target values.
    Planning,
    /// The comparisons are being summed up.
    Summarising,
    /// The plan can be reviewed, and confirmed until it expires.
    Planned,
    /// Values are being written.
    Applying,
    /// Nothing is written any more. The import and its report are being made.
    Concluding,
    /// All values that could be written were written.
    Completed,
    /// A user stopped it while it was writing.
    Stopped,
    /// It ended because of its failure. Values written before stay.
    Failed,
    /// A user cancelled it before anything was written.
    Cancelled,
}

impl RestoreState {
    /// Whether the state is final.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::Failed | Self::Cancelled)
    }

    /// Whether its plan is being made.
    pub const fn is_being_planned(self) -> bool {
        matches!(self, Self::Queued | Self::Planning | Self::Summarising)
    }
}

/// The source of the values to restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum RestoreSource {
    Backup {
        backup_id: BackupId,
    },
    /// The values that another restore has overwritten.
    Undo {
        restore_id: RestoreId,
        /// Whether to restore values that a user has edited since, too.
        include_edited: bool,
    },
}

/// A plan in numbers. The rest of it is in object storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub counts: PlanCounts,
    /// Slices with values to write.
    pub slices_to_apply: u32,
    /// Calls to the CRM for its execution, if nothing is refused.
    pub calls: u64,
    pub samples_key: String,
    /// The CSV of the values and records that the plan leaves unchanged, if there are any.
    pub skipped_key: Option<String>,
    pub made_at: Timestamp,
}

/// Who confirmed, stopped or cancelled a restore, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub by: Requester,
    pub at: Timestamp,
}

/// A property that was given up because the CRM kept refusing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedProperty {
    pub property: String,
    /// The CRM's error code.
    pub code: String,
}

/// A restore of one object's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    pub account_id: AccountId,
    pub restore_id: RestoreId,
    /// The CRM's id of the account.
    pub portal_id: u64,
    pub api_version: ApiVersion,
    pub source: RestoreSource,
    pub object_type: ObjectType,
    pub label: String,
    /// Internal names, in the requested order.
    pub properties: Vec<String>,
    pub created_at: Timestamp,
    pub created_by: Requester,
    pub state: RestoreState,
    /// The leases of the steps that a single run does (defining slices, summing up, concluding).
    pub leasing: Leasing,
    /// When such a step was last queued, or the slices last checked.
    pub queued_at: Timestamp,
    pub slices: u32,
    /// Slices that have not finished the present step.
    pub open_slices: u32,
    /// The lease of the run that defined slices and properties. Part of the definition's key.
    pub defined_by: Option<u32>,
    pub plan: Option<Plan>,
    pub confirmation: Option<Decision>,
    /// Set when it was stopped or cancelled.
    pub stopped: Option<Decision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<DroppedProperty>,
    pub failure: Option<Failure>,
    /// The progress of the present step's report, if a run ended before it was finished. If the restore failed or was
    /// cancelled meanwhile, the report's pieces are to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportProgress>,
    pub ended_at: Option<Timestamp>,
    /// The latest restore that undoes this one.
    pub undone_by: Option<RestoreId>,
}

/// A request for a restore, with all checks passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    pub restore: RestoreRef,
    /// The CRM's id of the account.
    pub portal_id: u64,
    pub api_version: ApiVersion,
    pub source: RestoreSource,
    pub object_type: ObjectType,
    pub label: String,
    pub properties: Vec<String>,
    pub by: Requester,
}

impl Restore {
    /// A newly accepted restore.
    pub fn accepted(request: RestoreRequest, now: Timestamp) -> Self {
        Self {
            account_id: request.restore.account_id,
            restore_id: request.restore.restore_id,
            portal_id: request.portal_id,
            api_version: request.api_version,
            source: request.source,
            object_type: request.object_type,
            label: request.label,
            properties: request.properties,
            created_at: now,
            created_by: request.by,
            state: RestoreState::Queued,
            leasing: Leasing::default(),
            queued_at: now,
            slices: 0,
            open_slices: 0,
            defined_by: None,
            plan: None,
            confirmation: None,
            stopped: None,
            dropped: Vec::new(),
            failure: None,
            report: None,
            ended_at: None,
            undone_by: None,
        }
    }

    /// The ids that name it.
    pub fn reference(&self) -> RestoreRef {
        RestoreRef { account_id: self.account_id.clone(), restore_id: self.restore_id.clone() }
    }

    /// The message for its next step. None while its slices are planned or applied, and after the end.
    pub fn work(&self) -> Option<Work> {
        matches!(self.state, RestoreState::Queued | RestoreState::Summarising | RestoreState::Concluding)
            .then(|| Work::Restore { restore: self.reference() })
    }

    /// Since when its next step has been overdue. None if it has no such step.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.work().map(|_| self.leasing.overdue_since(self.queued_at, QUEUE_GRACE))
    }

    /// When its plan expires. None if it has no plan.
    pub fn plan_expires_at(&self) -> Option<Timestamp> {
        self.plan.as_ref().map(|plan| plan.made_at + PLAN_LIFETIME)
    }

    /// Whether its plan was not confirmed in time.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.state == RestoreState::Planned && self.plan_expires_at().is_some_and(|at| at <= now)
    }

    /// Until when it can be undone. None if it has not ended, has written nothing, or is an undo itself.
    pub fn undo_until(&self) -> Option<Timestamp> {
        let ended_at = self.ended_at.filter(|_| self.has_written() && !self.is_undo())?;
        Some(ended_at + UNDO_LIFETIME)
    }

    /// Whether it undoes another restore.
    pub const fn is_undo(&self) -> bool {
        matches!(self.source, RestoreSource::Undo { .. })
    }

    /// Whether it has written, or may have written, to the CRM.
    pub const fn has_written(&self) -> bool {
        self.confirmation.is_some()
    }

    /// Whether it can still write: it has not ended, and its plan has not expired.
    pub fn is_open(&self, now: Timestamp) -> bool {
        !self.state.is_terminal() && !self.is_expired(now)
    }

    /// Whether `property` was given up.
    pub fn has_dropped(&self, property: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped.property == property)
    }

    /// Sort-key prefix of all restores of an account. They list in order of creation.
    pub const PREFIX: &'static str = "RESTORE#";

    /// The ledger's key of a restore.
    pub fn key_of(restore: &RestoreRef) -> Key {
        Key::new(Account::partition(&restore.account_id), format!("{}{}", Self::PREFIX, restore.restore_id))
    }
}

impl Record for Restore {
    fn key(&self) -> Key {
        Self::key_of(&self.reference())
    }

    fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            RestoreState::Queued | RestoreState::Summarising | RestoreState::Concluding => {
                Some(self.leasing.due_at(self.queued_at, QUEUE_GRACE))
            }
            RestoreState::Planning | RestoreState::Applying => Some(self.queued_at + SLICES_CHECK_EVERY),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
