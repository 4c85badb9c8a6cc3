//! What earlier versions have stored is read, and means what it meant. See `tests/golden`.

use domain::account::Account;
use domain::allowance::{Allowance, IdempotentRequest};
use domain::audit::AuditEntry;
use domain::backup::Backup;
use domain::budget::CallBudget;
use domain::chunk::Chunk;
use domain::gap::Missing;
use domain::notification::delivery::Delivery;
use domain::notification::mail_hour::MailHour;
use domain::notification::{Event, Notification};
use domain::object::ObjectExport;
use domain::property::Columns;
use domain::restore::import::Import;
use domain::restore::lock::RestoreLock;
use domain::restore::open_plans::OpenPlans;
use domain::restore::outcome::{Clearing, PreImage, UncommittedBatch, ValueOutcome};
use domain::restore::plan::PlannedRecord;
use domain::restore::slice::RestoreSlice;
use domain::restore::{Restore, RestoreSource};
use domain::schedule::{LatestRun, Schedule};
use domain::segment::Segment;
use domain::work::Work;
use golden::{Tagged, check};

#[test]
fn records_of_accounts_are_read() {
    check::<Account>("account", &[]);
    check::<Allowance>("allowance", &[]);
    check::<IdempotentRequest>("idempotent-request", &[]);
    check::<AuditEntry>("audit-entry", &[]);
    check::<CallBudget>("call-budget", &[]);
    check::<Schedule>("schedule", &[Tagged::of::<LatestRun>("outcome")]);
    check::<Notification>("notification", &[Tagged::of::<Event>("event")]);
    check::<Delivery>("delivery", &[]);
    check::<MailHour>("mail-hour", &[]);
}

#[test]
fn records_of_backups_are_read() {
    check::<Backup>("backup", &[Tagged::of::<Missing>("missing")]);
    check::<ObjectExport>("object-export", &[]);
    check::<Chunk>("chunk", &[]);
    check::<Segment>("segment", &[]);
}

#[test]
fn records_of_restores_are_read() {
    check::<Restore>("restore", &[Tagged::of::<RestoreSource>("source")]);
    check::<RestoreLock>("restore-lock", &[]);
    check::<OpenPlans>("open-plans", &[]);
    check::<RestoreSlice>("restore-slice", &[]);
    check::<Import>("import", &[]);
}

#[test]
fn documents_and_lines_are_read() {
    check::<Columns>("columns", &[]);
    check::<PlannedRecord>("planned-record", &[]);
    check::<PreImage>("pre-image", &[]);
    check::<Clearing>("clearing", &[]);
    check::<ValueOutcome>("outcome", &[]);
    check::<UncommittedBatch>("uncommitted-batch", &[]);
}

#[test]
fn messages_are_read() {
    check::<Work>("work", &[Tagged::of::<Work>("work")]);
}
