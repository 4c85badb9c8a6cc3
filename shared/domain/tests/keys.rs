//! Where records and blobs are stored never changes: under another key, what earlier versions stored would be lost.

use std::fmt::Write as _;

use domain::account::Account;
use domain::allowance::{Allowance, IdempotentRequest};
use domain::audit::AuditEntry;
use domain::backup::Backup;
use domain::budget::CallBudget;
use domain::chunk::Chunk;
use domain::ids::{AccountId, AuditEntryId, BackupId, ObjectType, RecordId, RestoreId};
use domain::notification::Notification;
use domain::notification::delivery::Delivery;
use domain::notification::mail_hour::MailHour;
use domain::object::ObjectExport;
use domain::ports::ledger::Record;
use domain::restore::Restore;
use domain::restore::import::Import;
use domain::restore::lock::RestoreLock;
use domain::restore::open_plans::OpenPlans;
use domain::restore::slice::RestoreSlice;
use domain::schedule::Schedule;
use domain::segment::Segment;
use domain::storage_keys as keys;
use domain::work::{BackupRef, RestoreRef};
use expect_test::expect_file;
use jiff::Timestamp;

/// The key of the first record in a golden file.
macro_rules! key {
    ($text:ident, $kind:ty, $file:literal) => {
        let records: Vec<$kind> =
            serde_json::from_str(include_str!(concat!("../../../tests/golden/v1/", $file, ".json"))).expect("records");
        let key = records[0].key();
        writeln!($text, "{:<20} {} / {}", $file, key.partition, key.sort).expect("a text");
    };
}

#[test]
fn records_are_stored_where_they_have_always_been() {
    let mut text = String::new();
    key!(text, Account, "account");
    key!(text, Allowance, "allowance");
    key!(text, IdempotentRequest, "idempotent-request");
    key!(text, AuditEntry, "audit-entry");
    key!(text, CallBudget, "call-budget");
    key!(text, Schedule, "schedule");
    key!(text, Notification, "notification");
    key!(text, Delivery, "delivery");
    key!(text, MailHour, "mail-hour");
    key!(text, Backup, "backup");
    key!(text, ObjectExport, "object-export");
    key!(text, Chunk, "chunk");
    key!(text, Segment, "segment");
    key!(text, Restore, "restore");
    key!(text, RestoreLock, "restore-lock");
    key!(text, OpenPlans, "open-plans");
    key!(text, RestoreSlice, "restore-slice");
    key!(text, Import, "import");
    let entries: Vec<AuditEntry> =
        serde_json::from_str(include_str!("../../../tests/golden/v1/audit-entry.json")).expect("records");
    let key = entries.iter().find(|entry| entry.requests.is_some()).expect("about a stranger").key();
    writeln!(text, "{:<20} {} / {}", "about a stranger", key.partition, key.sort).expect("a text");
    expect_file!["snapshots/ledger-keys.txt"].assert_eq(&text);
}

#[test]
fn blobs_are_stored_where_they_have_always_been() {
    let at = Timestamp::UNIX_EPOCH;
    let account_id = AccountId::parse("42").expect("digits");
    let backup = BackupRef { account_id: account_id.clone(), backup_id: BackupId::new(at, [1; 10]) };
    let restore = RestoreRef { account_id: account_id.clone(), restore_id: RestoreId::new(at, [2; 10]) };
    let object = ObjectType::parse("contacts").expect("a name");
    let all = [
        keys::archive(&backup, 3),
        keys::manifest(&backup, 3),
        keys::columns(&backup, &object, 3),
        keys::segment(&backup, &object, 2, RecordId(77), 5, 3),
        keys::plan_samples(&restore, 3),
        keys::plan_skipped(&restore, 3),
        keys::plan_segment(&restore, 4, 5, 3),
        keys::report_rest(&restore, 3, 9),
        keys::restore_definition(&restore, 3),
        keys::pre_image(&restore, 4, 6, 3),
        keys::clearings(&restore, 4, 6, 3, 1),
        keys::outcome(&restore, 4, 7, 3),
        keys::uncommitted(&restore, 4, 3),
        keys::restore_errors(&restore, 3),
        keys::audit_export(&account_id, &AuditEntryId::new(at, [5; 10])),
    ];
    expect_file!["snapshots/blob-keys.txt"].assert_eq(&format!("{}\n", all.join("\n")));
}
