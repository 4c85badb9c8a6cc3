//! Problem documents for the errors of the use cases.

use domain::backup::NoArchive;
use domain::ids::RestoreId;
use domain::restore::RestoreState;
use http_api::problem::{FieldFault, Problem, ProblemType, catalogue};
use http_api::representation::shown;
use jiff::Timestamp;
use workflows::restore::ask::AskError;
use workflows::restore::decide::DecideError;
use workflows::restore::review::ReviewError;

/// `properties` are those of the request.
pub(crate) fn of_ask(error: AskError, properties: &[String]) -> Problem {
    match error {
        AskError::AccountUnknown => Problem::account_unknown(),
        AskError::NotConnected => Problem::account_not_connected(),
        AskError::BackupUnknown => Problem::backup_unknown(),
        AskError::NoArchive(NoArchive::NotCompleted(state)) => Problem::backup_not_completed(state),
        AskError::NoArchive(NoArchive::Expired(at)) => Problem::archive_expired(at),
        AskError::NoArchive(NoArchive::Deleted(at)) => Problem::archive_deleted(at),
        AskError::OtherPortal { of, connected } => Problem::new(
            catalogue::PORTAL_DIFFERS,
            format!("The values belong to portal {of}, but the account is connected to portal {connected}."),
        ),
        AskError::NotRestorable => Problem::input_invalid(vec![FieldFault::new(
            "objectType",
            "Conversations cannot be restored, because the CRM does not allow apps to change them.",
        )]),
        AskError::ObjectUnknown(restorable) => Problem::input_invalid(vec![FieldFault::new(
            "objectType",
            format!("The backup does not contain this object. Objects that can be restored: {}.", listed(&restorable)),
        )]),
        AskError::PropertiesUnknown(unknown) => Problem::input_invalid(unknown_properties(&unknown, properties)),
        AskError::RestoreUnknown => Problem::restore_unknown(),
        AskError::NotEnded => Problem::new(
            catalogue::RESTORE_NOT_ENDED,
            "The restore has not ended, or its plan was not confirmed. Only values that an ended restore has written \
             can be undone.",
        ),
        AskError::NothingWritten => Problem::new(
            catalogue::NOTHING_TO_RESTORE,
            "The restore was never confirmed and has changed nothing, so there is nothing to undo.",
        ),
        AskError::IsUndo => Problem::new(
            catalogue::UNDO_OF_UNDO,
            "The restore is itself an undo and cannot be undone. Plan a new restore from a backup instead.",
        ),
        AskError::UndoExists(undo) => Problem::new(
            catalogue::UNDO_EXISTS,
            format!("Restore {undo}, which undoes this one, is under way. To plan another undo, cancel it first."),
        )
        .member("restoreId", undo.as_str()),
        AskError::Undone(undo) => {
            Problem::new(catalogue::UNDO_EXISTS, format!("Restore {undo} has already undone this one."))
                .member("restoreId", undo.as_str())
        }
        AskError::UndoExpired(at) => {
            let detail = "A restore can be undone for 88 days. After that, its overwritten values are deleted. Plan a \
                          new restore from a backup instead.";
            expired(catalogue::UNDO_EXPIRED, detail, at)
        }
        AskError::TooManyPlans(open) => too_many_plans(&open),
        AskError::KeyTaken => Problem::idempotency_key_taken(),
        AskError::Ledger(error) => error.into(),
        AskError::Storage(error) => error.into(),
    }
}

fn too_many_plans(open: &[RestoreId]) -> Problem {
    let ids: Vec<&str> = open.iter().map(RestoreId::as_str).collect();
    let detail = format!(
        "The account already has {} plans that are being made, of restores {}. Wait until one of them is planned, or \
         cancel one, then send the request again.",
        ids.len(),
        ids.join(", ")
    );
    Problem::new(catalogue::TOO_MANY_PLANS, detail).member("restoreIds", ids)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Internal names are not values of records, so the answer may repeat them.
fn unknown_properties(unknown: &[String], properties: &[String]) -> Vec<FieldFault> {
    let named = properties.iter().enumerate().filter(|(_, name)| unknown.contains(name));
    let fault = |(place, name): (usize, &String)| {
        FieldFault::new(
            format!("properties[{place}]"),
            format!("The backup contains no property '{name}' of this object."),
        )
    };
    named.map(fault).collect()
}

pub(crate) fn of_decide(error: DecideError) -> Problem {
    match error {
        DecideError::Unknown => Problem::restore_unknown(),
        DecideError::PlanNotReady => plan_not_ready(),
        DecideError::PlanExpired(at) => {
            let detail = "A plan can be confirmed for one hour. Plan a new restore, which compares the values again.";
            expired(catalogue::PLAN_EXPIRED, detail, at)
        }
        DecideError::NothingToRestore => Problem::new(
            catalogue::NOTHING_TO_RESTORE,
            "The plan changes no values: all values that can be restored already equal those of the backup.",
        ),
        DecideError::AlreadyConfirmed => Problem::new(
            catalogue::RESTORE_ALREADY_CONFIRMED,
            "The restore is already confirmed. It can be stopped while it runs, and undone after it has ended.",
        ),
        DecideError::Running(running) => Problem::new(
            catalogue::RESTORE_RUNNING,
            format!("Restore {running} of this account is running. Wait until it has ended, or stop it."),
        )
        .member("restoreId", running.as_str()),
        DecideError::OtherPortal => {
            Problem::new(catalogue::PORTAL_DIFFERS, "The account is no longer connected to the portal of the plan.")
        }
        DecideError::Ended(state) => Problem::new(catalogue::RESTORE_ENDED, ended(state)),
        DecideError::NotRunning => Problem::new(
            catalogue::RESTORE_NOT_RUNNING,
            "The restore is not confirmed, so it cannot be stopped. Cancel it instead.",
        ),
        DecideError::KeyTaken => Problem::idempotency_key_taken(),
        DecideError::Ledger(error) => error.into(),
    }
}

fn ended(state: RestoreState) -> &'static str {
    match state {
        RestoreState::Completed => "The restore is completed.",
        RestoreState::Stopped => "The restore was stopped.",
        RestoreState::Cancelled => "The restore was cancelled. Plan a new one.",
        _ => "The restore has failed. Its `failure` contains the reason.",
    }
}

fn plan_not_ready() -> Problem {
    let detail = "The restore is still being planned. Wait until its state is `planned`.";
    Problem::new(catalogue::PLAN_NOT_READY, detail)
}

fn expired(kind: ProblemType, detail: &str, at: Timestamp) -> Problem {
    Problem::new(kind, detail).member("expiredAt", shown(at).to_string())
}

pub(crate) fn of_review(error: ReviewError) -> Problem {
    match error {
        ReviewError::AccountUnknown => Problem::account_unknown(),
        ReviewError::RestoreUnknown => Problem::restore_unknown(),
        ReviewError::ImportUnknown => Problem::import_unknown(),
        ReviewError::PlanNotReady => plan_not_ready(),
        ReviewError::NoReport => {
            Problem::new(catalogue::NO_ERRORS_FILE, "The file does not exist, because it would be empty.")
        }
        ReviewError::ReportMissing(why) => Problem::new(catalogue::NO_ERRORS_FILE, why),
        ReviewError::Ledger(error) => error.into(),
        ReviewError::Storage(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use domain::backup::BackupState;
    use domain::ports::ledger::LedgerError;
    use expect_test::expect_file;
    use http_api::testing::shown as as_text;

    use super::*;

    /// The documents as people read them. After a wanted change: `UPDATE_EXPECT=1 cargo test -p restore-api problems`.
    #[test]
    fn problem_documents_read_as_in_the_snapshot() {
        let (at, properties) = (Timestamp::UNIX_EPOCH, ["phone".to_owned(), "fax".to_owned()]);
        let other = RestoreId::new(at, [7; 10]);
        let failed = || LedgerError::Unavailable("timed out".to_owned());
        let asked = [
            AskError::AccountUnknown,
            AskError::NotConnected,
            AskError::BackupUnknown,
            AskError::NoArchive(NoArchive::NotCompleted(BackupState::Exporting)),
            AskError::NoArchive(NoArchive::NotCompleted(BackupState::Failed)),
            AskError::NoArchive(NoArchive::NotCompleted(BackupState::Cancelled)),
            AskError::NoArchive(NoArchive::Expired(at)),
            AskError::NoArchive(NoArchive::Deleted(at)),
            AskError::OtherPortal { of: 7, connected: 8 },
            AskError::NotRestorable,
            AskError::ObjectUnknown(vec!["contacts".to_owned(), "deals".to_owned()]),
            AskError::ObjectUnknown(Vec::new()),
            AskError::PropertiesUnknown(vec!["fax".to_owned()]),
            AskError::RestoreUnknown,
            AskError::NotEnded,
            AskError::NothingWritten,
            AskError::IsUndo,
            AskError::UndoExists(other.clone()),
            AskError::Undone(other.clone()),
            AskError::UndoExpired(at),
            AskError::TooManyPlans(vec![other.clone(), RestoreId::new(at, [8; 10])]),
            AskError::KeyTaken,
            AskError::Ledger(failed()),
        ];
        let decided = [
            DecideError::Unknown,
            DecideError::PlanNotReady,
            DecideError::PlanExpired(at),
            DecideError::NothingToRestore,
            DecideError::AlreadyConfirmed,
            DecideError::Running(other),
            DecideError::OtherPortal,
            DecideError::Ended(RestoreState::Completed),
            DecideError::Ended(RestoreState::Stopped),
            DecideError::Ended(RestoreState::Cancelled),
            DecideError::Ended(RestoreState::Failed),
            DecideError::NotRunning,
            DecideError::KeyTaken,
            DecideError::Ledger(failed()),
        ];
        let reviewed = [
            ReviewError::AccountUnknown,
            ReviewError::RestoreUnknown,
            ReviewError::ImportUnknown,
            ReviewError::PlanNotReady,
            ReviewError::NoReport,
            ReviewError::ReportMissing("The reason why there is no report.".to_owned()),
            ReviewError::Ledger(failed()),
        ];
        let documents = asked.into_iter().map(|error| of_ask(error, &properties));
        let documents = documents.chain(decided.into_iter().map(of_decide)).chain(reviewed.into_iter().map(of_review));
        expect_file!["../tests/snapshots/problems.txt"].assert_eq(&as_text(documents));
    }
}
