//! A restore: property values of one object become again what a backup holds, or what they were before another restore.
//!
//! ```text
//! queued ─▶ planning ─▶ summarising ─▶ planned ─ confirmed ─▶ applying ─▶ concluding ─▶ completed | stopped | failed
//!    any before applying ─▶ cancelled | failed                   └ stop, failure ─┘
//! ```
//! Planning changes nothing and locks nothing. From the confirmation to the end the restore holds the account's
//! [`lock`]. The last states never change again. That a plan has expired is not a state but a matter of the time.

pub mod begun;
pub mod difference;
pub mod import;
pub mod lock;
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

/// Properties that one restore may have.
pub const MOST_PROPERTIES: usize = 1_000;

/// Bytes that their names may have together. A restore's record in the ledger holds them, and more for each.
pub const MOST_NAME_BYTES: usize = 100_000;

/// How long a plan can be confirmed.
pub const PLAN_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// A restore that has not ended so long after its request fails. Plan segments are kept for 48 hours, and without them it
/// cannot go on.
pub const LONGEST_RESTORE: SignedDuration = SignedDuration::from_hours(46);

/// So long after its request a restore that ends waits no longer for calls with which to set what it has cleared. Until then
/// it holds the restore lock.
pub const LONGEST_FINISHING: SignedDuration = SignedDuration::from_hours(46 + 24);

/// How long a restore can be undone, counted from its end: as long as its outcomes are kept, less two days for those that
/// were written first.
pub const UNDO_LIFETIME: SignedDuration = SignedDuration::from_hours(88 * 24);

/// How long the ledger keeps a restore's slices, counted from its request: longer than it can be undone.
pub const RESTORE_KEPT_FOR: SignedDuration = SignedDuration::from_hours(100 * 24);

/// How often recover-stalled looks at a restore whose slices are being planned or applied: in each of its rounds.
const SLICES_CHECK_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// Where a restore is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreState {
    /// Accepted; nobody has started.
    Queued,
    /// Present values are compared with those to restore.
    Planning,
    /// The comparisons are summed up.
    Summarising,
    /// The plan can be reviewed, and confirmed until it expires.
    Planned,
    /// Values are being written.
    Applying,
    /// Nothing is written any more; what became of it is put together.
    Concluding,
    /// Everything that could be written was.
    Completed,
    /// Somebody stopped it half-way.
    Stopped,
    /// It ended for a reason that it names; what was written before stays written.
    Failed,
    /// Somebody did not want it, and nothing was written.
    Cancelled,
}

impl RestoreState {
    /// Whether it never changes again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::Failed | Self::Cancelled)
    }
}

/// Where the values to restore come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum RestoreSource {
    /// From a backup's archive.
    Backup { backup_id: BackupId },
    /// From what another restore has overwritten.
    Undo {
        restore_id: RestoreId,
        /// Also where somebody has edited the value since.
        include_edited: bool,
    },
}

/// A plan in numbers; the rest of it is in object storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub counts: PlanCounts,
    /// Slices of which any value is to be written.
    pub slices_to_apply: u32,
    /// Calls to the CRM that carrying it out takes, if nothing is refused.
    pub calls: u64,
    /// The document with the samples.
    pub samples_key: String,
    /// The CSV of what is left as it is, where there is anything to tell.
    pub skipped_key: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
}

/// Who has confirmed a plan, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub by: Requester,
    pub at: Timestamp,
}

/// A property that is not written any more, as the CRM kept refusing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedProperty {
    pub property: String,
    /// The CRM's word for why.
    pub code: String,
}

/// One restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    pub account_id: AccountId,
    pub restore_id: RestoreId,
    /// The CRM's own id of the account.
    pub portal_id: u64,
    /// The version of the CRM's API that it speaks.
    pub api_version: ApiVersion,
    /// Where the values come from.
    pub source: RestoreSource,
    pub object_type: ObjectType,
    /// The object's singular label.
    pub label: String,
    /// Internal names, in the order in which they were asked for.
    pub properties: Vec<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    pub created_by: Requester,
    pub state: RestoreState,
    /// Who does the step that only one run may do (defining slices, summing up, concluding).
    pub leasing: Leasing,
    /// When such a step was last queued, or the slices last checked.
    pub queued_at: Timestamp,
    /// How many slices there are.
    pub slices: u32,
    /// Slices that are not finished with the present step.
    pub open_slices: u32,
    /// The lease under which slices and properties were defined; part of the definition's key.
    pub defined_by: Option<u32>,
    /// The plan, once made.
    pub plan: Option<Plan>,
    pub confirmation: Option<Decision>,
    /// Who stopped or cancelled it.
    pub stopped: Option<Decision>,
    /// Properties that were given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<DroppedProperty>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// How far the report of the present step is, once a run has ended before it was finished. After a restore that failed
    /// or was cancelled meanwhile, what is left of it is to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportProgress>,
    /// When it reached its last state.
    pub ended_at: Option<Timestamp>,
    /// The latest restore that undoes this one.
    pub undone_by: Option<RestoreId>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    pub restore: RestoreRef,
    /// The CRM's own id of the account.
    pub portal_id: u64,
    /// The version of the CRM's API.
    pub api_version: ApiVersion,
    /// Where the values come from.
    pub source: RestoreSource,
    pub object_type: ObjectType,
    /// The object's singular label.
    pub label: String,
    pub properties: Vec<String>,
    pub by: Requester,
}

impl Restore {
    /// A restore that was just accepted.
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

    /// Its name.
    pub fn reference(&self) -> RestoreRef {
        RestoreRef { account_id: self.account_id.clone(), restore_id: self.restore_id.clone() }
    }

    /// The message for its next step that is not a slice's, if it is at one.
    pub fn work(&self) -> Option<Work> {
        matches!(self.state, RestoreState::Queued | RestoreState::Summarising | RestoreState::Concluding)
            .then(|| Work::Restore { restore: self.reference() })
    }

    /// Since when its next step should have been worked on; None when nobody should.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.work().map(|_| self.leasing.overdue_since(self.queued_at, QUEUE_GRACE))
    }

    /// When its plan cannot be confirmed any more; None when it has none.
    pub fn plan_expires_at(&self) -> Option<Timestamp> {
        self.plan.as_ref().map(|plan| plan.made_at + PLAN_LIFETIME)
    }

    /// Whether it has a plan that nobody confirmed in time.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.state == RestoreState::Planned && self.plan_expires_at().is_some_and(|at| at <= now)
    }

    /// Until when it can be undone; None when it has not ended, has written nothing, or is an undo itself.
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

    /// Whether it may still come to something: it is not over, and its plan has not expired.
    pub fn is_open(&self, now: Timestamp) -> bool {
        !self.state.is_terminal() && !self.is_expired(now)
    }

    /// Whether nobody writes `property` any more.
    pub fn has_dropped(&self, property: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped.property == property)
    }

    /// Sort-key prefix of all restores of an account; they list in order of creation.
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
