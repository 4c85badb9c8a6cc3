//! Restores and imports in the API's answers.

use domain::Failure;
use domain::account::Requester;
use domain::ids::{AccountId, BackupId, ObjectType, RestoreId};
use domain::restore::import::Import;
use domain::restore::outcome::OutcomeCounts;
use domain::restore::{DroppedProperty, Restore, RestoreSource, RestoreState};
use http_api::representation::{WaitRepresentation, shown};
use jiff::Timestamp;
use serde::Serialize;
use workflows::restore::review::{Progress, Review};

use crate::plan::PlanRepresentation;

/// A restore as the account's super admins see it. Lists leave out plan, progress and outcome.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestoreRepresentation<'a> {
    account_id: &'a AccountId,
    restore_id: &'a RestoreId,
    state: &'static str,
    object_type: &'a ObjectType,
    label: &'a str,
    source: SourceRepresentation<'a>,
    properties: &'a [String],
    created_at: Timestamp,
    created_by: &'a Requester,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_by: Option<&'a Requester>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<RestoreProgressRepresentation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OutcomeRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<UndoRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<WaitRepresentation>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum SourceRepresentation<'a> {
    Backup { backup_id: &'a BackupId },
    Undo { undo_of: &'a RestoreId, include_edited: bool },
}

impl<'a> SourceRepresentation<'a> {
    fn of(source: &'a RestoreSource) -> Self {
        match source {
            RestoreSource::Backup { backup_id } => Self::Backup { backup_id },
            RestoreSource::Undo { restore_id, include_edited } => {
                Self::Undo { undo_of: restore_id, include_edited: *include_edited }
            }
        }
    }
}

impl<'a> RestoreRepresentation<'a> {
    /// `restore` at the time `now`, for lists and short answers.
    pub(crate) fn of(restore: &'a Restore, now: Timestamp) -> Self {
        let confirmation = restore.confirmation.as_ref();
        Self {
            account_id: &restore.account_id,
            restore_id: &restore.restore_id,
            state: state(restore, now),
            object_type: &restore.object_type,
            label: &restore.label,
            source: SourceRepresentation::of(&restore.source),
            properties: &restore.properties,
            created_at: shown(restore.created_at),
            created_by: &restore.created_by,
            plan_expires_at: restore.plan_expires_at().filter(|_| restore.state == RestoreState::Planned).map(shown),
            confirmed_at: confirmation.map(|confirmation| shown(confirmation.at)),
            confirmed_by: confirmation.map(|confirmation| &confirmation.by),
            ended_at: restore.ended_at.map(shown),
            failure: restore.failure.as_ref(),
            plan: None,
            progress: None,
            outcome: None,
            undo: None,
            waiting: None,
        }
    }

    /// The restore at the time `now`, with all details.
    pub(crate) fn of_review(review: &'a Review, undo: Option<UndoRepresentation<'a>>, now: Timestamp) -> Self {
        let Review { restore, plan, progress, outcome, waiting } = review;
        Self {
            plan: plan.as_ref().map(PlanRepresentation::of),
            progress: progress.map(|progress| RestoreProgressRepresentation::of(progress, restore.has_written())),
            outcome: outcome.as_ref().map(|counts| OutcomeRepresentation::of(counts, &restore.dropped)),
            undo,
            waiting: waiting.map(WaitRepresentation::of),
            ..Self::of(restore, now)
        }
    }
}

/// The state as users see it. It hides the steps that sum up a plan and conclude a restore, but shows an early end.
fn state(restore: &Restore, now: Timestamp) -> &'static str {
    match restore.state {
        RestoreState::Queued => "queued",
        RestoreState::Planning | RestoreState::Summarising => "planning",
        RestoreState::Planned if restore.is_expired(now) => "expired",
        RestoreState::Planned => "planned",
        RestoreState::Concluding if restore.stopped.is_some() || restore.failure.is_some() => "stopping",
        RestoreState::Applying | RestoreState::Concluding => "applying",
        RestoreState::Completed => "completed",
        RestoreState::Stopped => "stopped",
        RestoreState::Failed => "failed",
        RestoreState::Cancelled => "cancelled",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoreProgressRepresentation {
    #[serde(skip_serializing_if = "Option::is_none")]
    records_planned: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records_done: Option<u64>,
    records_total: u64,
    share_done: f64,
}

impl RestoreProgressRepresentation {
    fn of(progress: Progress, confirmed: bool) -> Self {
        Self {
            records_planned: (!confirmed).then_some(progress.records_done),
            records_done: confirmed.then_some(progress.records_done),
            records_total: progress.records_total,
            // Four digits are enough for a progress bar.
            share_done: (progress.share_done() * 10_000.0).round() / 10_000.0,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeRepresentation<'a> {
    records_restored: u64,
    values_restored: u64,
    records_failed: u64,
    values_failed: u64,
    values_unclear: u64,
    drifted_values: u64,
    already_right: u64,
    dropped_properties: &'a [DroppedProperty],
}

impl<'a> OutcomeRepresentation<'a> {
    fn of(counts: &OutcomeCounts, dropped: &'a [DroppedProperty]) -> Self {
        Self {
            records_restored: counts.records_restored,
            values_restored: counts.values_restored,
            records_failed: counts.records_failed,
            values_failed: counts.values_failed,
            values_unclear: counts.values_unclear,
            drifted_values: counts.drifted_values,
            already_right: counts.already_right,
            dropped_properties: dropped,
        }
    }
}

/// An import as the account's super admins see it. Lists leave out whether it can be undone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportRepresentation<'a> {
    import_id: &'a RestoreId,
    name: &'a str,
    restore_id: &'a RestoreId,
    object_type: &'a ObjectType,
    state: RestoreState,
    created_at: Timestamp,
    created_by: &'a Requester,
    started_at: Timestamp,
    ended_at: Timestamp,
    records_gone: u64,
    records_unreadable: u64,
    values_skipped: u64,
    values_not_tried: u64,
    counts: OutcomeRepresentation<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    has_errors: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors_missing: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<UndoRepresentation<'a>>,
}

/// Whether a restore can be undone, until when, and why not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UndoRepresentation<'a> {
    possible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_id: Option<&'a RestoreId>,
}

impl<'a> UndoRepresentation<'a> {
    /// For a confirmed restore; `reason` is why it cannot be undone, if it cannot.
    pub(crate) fn of(restore: &'a Restore, reason: Option<String>) -> Self {
        let (until, restore_id) = (restore.undo_until(), restore.undone_by.as_ref());
        Self { possible: reason.is_none(), until, reason, restore_id }
    }
}

impl<'a> ImportRepresentation<'a> {
    /// `import`, with `undo` if it is read alone.
    pub(crate) fn of(import: &'a Import, undo: Option<UndoRepresentation<'a>>) -> Self {
        Self {
            import_id: &import.restore_id,
            name: &import.name,
            restore_id: &import.restore_id,
            object_type: &import.object_type,
            state: import.state,
            created_at: shown(import.created_at),
            created_by: &import.created_by,
            // Only a confirmed restore becomes an import.
            started_at: shown(import.confirmed_at.unwrap_or(import.created_at)),
            ended_at: shown(import.ended_at),
            records_gone: import.records_gone,
            records_unreadable: import.records_unreadable,
            values_skipped: import.values_skipped,
            values_not_tried: import.values_not_tried,
            counts: OutcomeRepresentation::of(&import.outcome, &import.dropped),
            failure: import.failure.as_ref(),
            has_errors: import.not_restored().is_any(),
            errors_missing: import.errors_missing.as_deref(),
            undo,
        }
    }
}
