//! What the tests of the API's use cases begin with.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::account::{Account, ApiVersion, CrmConnection, NotificationTargets};
use domain::audit::Act;
use domain::backup::{Archive, Backup, BackupEvent, Requester};
use domain::budget::CallLimits;
use domain::budget::CallShare;
use domain::ids::{AccountId, AuditEntryId, BackupId, ObjectType};
use domain::object::ObjectExport;
use domain::plan::PlanName;
use domain::ports::objects::ETag;
use domain::property::{Columns, ObjectDefinition};
use domain::work::BackupRef;
use domain::{chunk::Chunk, object::ReadMode};
use jiff::{SignedDuration, Timestamp};

/// The portal of [`connected_account`].
pub(crate) const PORTAL: u64 = 7_000_001;

/// When the tests begin: 2027-01-15, 08:00 UTC.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

pub(crate) fn account_id(text: &str) -> AccountId {
    AccountId::parse(text).expect("digits")
}

pub(crate) fn requester() -> Requester {
    Requester { subject: "user-1".to_owned(), email: Some("ada@example.com".to_owned()) }
}

pub(crate) fn connected_account(id: &str) -> Account {
    let connection = CrmConnection {
        base_url: "https://api.hubapi.com".to_owned(),
        api_version: ApiVersion::V2026_09,
        portal_id: PORTAL,
        time_zone: "Europe/Berlin".to_owned(),
        call_limits: CallLimits::LOWEST,
        connected_at: NOW,
        fault: None,
    };
    Account {
        account_id: account_id(id),
        created_at: NOW,
        crm_connection: Some(connection),
        call_share: CallShare::default(),
        plan: PlanName::parse("unlimited").expect("a plan"),
        notification_targets: NotificationTargets::default(),
    }
}

/// Something that [`requester`] does for account 42, at [`NOW`]; each with an id of its own.
pub(crate) fn act(action: &'static str) -> Act {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Act {
        account_id: account_id("42"),
        entry_id: AuditEntryId::new(NOW, random),
        at: NOW,
        by: requester(),
        source_address: Some("203.0.113.7".to_owned()),
        action,
        kept_for: SignedDuration::from_hours(400 * 24),
    }
}

/// A queued backup of account 42, the `nth` of its account.
pub(crate) fn queued(nth: u8) -> Backup {
    let created_at = NOW + SignedDuration::from_mins(nth.into());
    let backup = BackupRef { account_id: account_id("42"), backup_id: BackupId::new(created_at, [nth; 10]) };
    Backup::accepted(backup, PORTAL, ApiVersion::V2026_09, requester(), created_at)
}

/// The same while one run discovers its objects, under lease 1.
pub(crate) fn discovering(nth: u8) -> Backup {
    queued(nth).lease("run", NOW, SignedDuration::from_mins(5)).expect("at that step").expect("free")
}

/// The same with one object, `contacts`, to export.
pub(crate) fn exporting(nth: u8) -> Backup {
    let added = discovering(nth).apply(BackupEvent::ObjectAdded { lease: 1 }, NOW).expect("discovering");
    let finished = BackupEvent::DiscoveryFinished { lease: 1, contains_sensitive_data: false };
    added.apply(finished, NOW).expect("discovering")
}

/// The same with an archive that can be downloaded until `expires_at`.
pub(crate) fn completed(nth: u8, expires_at: Timestamp) -> Backup {
    let assembling = exporting(nth).apply(BackupEvent::ObjectExported, NOW).expect("exporting");
    let leased = assembling.lease("run", NOW, SignedDuration::from_mins(5)).expect("at that step").expect("free");
    let archive = Archive {
        storage_key: format!("archives/42/{nth}.zip"),
        manifest_key: format!("archives/42/{nth}.manifest.json"),
        etag: ETag("\"e\"".to_owned()),
        bytes: 1_000,
        expires_at,
    };
    let lease = leased.leasing.last_number;
    leased.apply(BackupEvent::Completed { lease, archive }, NOW).expect("leased")
}

/// An object of `backup` of which the CRM counts `expected` records, with its first chunk.
pub(crate) fn discovered(backup: &Backup, name: &str, expected: Option<u64>) -> (ObjectExport, Chunk) {
    let definition = ObjectDefinition {
        object_type: ObjectType::parse(name).expect("a name"),
        type_id: Some("0-1".to_owned()),
        label: name.to_owned(),
        custom: false,
    };
    let columns = Columns { properties: Vec::new() };
    let (object, chunk) = ObjectExport::discovered(
        &backup.reference(),
        definition,
        &columns,
        "columns.json".to_owned(),
        (expected, NOW),
        NOW,
    );
    assert_eq!(object.mode, ReadMode::Ranges);
    (object, chunk)
}
