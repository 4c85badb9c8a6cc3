//! The common start of the tests of the API's use cases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::account::Requester;
use domain::account::{Account, ApiVersion, CrmConnection, NotificationTargets};
use domain::audit::{Act, AuditEntry};
use domain::backup::{Archive, Backup, BackupEvent};
use domain::budget::CallLimits;
use domain::budget::CallShare;
use domain::ids::{AccountId, AuditEntryId, BackupId, ObjectType};
use domain::object::{CountBefore, ObjectExport};
use domain::ports::call_gate::CallGate;
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmError, CrmErrorKind, CrmTarget};
use domain::ports::ledger::{self, Change, Key, Ledger, Record};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::ETag;
use domain::property::{Columns, ObjectDefinition};
use domain::tier::TierName;
use domain::work::BackupRef;
use domain::{chunk::Chunk, ports::crm_model::ReadMode};
use in_memory::{MemoryTokens, MemoryWebhookSecrets, MemoryWebhooks};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::change_account::ChangeAccount;

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

pub(crate) fn tier(name: &str) -> TierName {
    TierName::parse(name).expect("a tier")
}

pub(crate) fn connected_account(id: &str) -> Account {
    let connection = CrmConnection {
        base_url: "https://api.hubapi.com".to_owned(),
        api_version: ApiVersion::V2026_09,
        portal_id: PORTAL,
        time_zone: "Europe/Berlin".to_owned(),
        call_limits: CallLimits::in_ten_seconds(100, 250_000),
        connected_at: NOW,
        fault: None,
    };
    Account {
        account_id: account_id(id),
        created_at: NOW,
        crm_connection: Some(connection),
        call_share: CallShare::default(),
        tier: tier("unlimited"),
        notification_targets: NotificationTargets::default(),
        fresh_second_factor: false,
    }
}

/// Makes ids unique. The last byte is always the same, so that no id derived from one of them equals another.
pub(crate) fn random() -> [u8; 10] {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut random = [0; 10];
    random[1..9].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    random
}

/// An act of [`requester`] for account 42, at [`NOW`]. Each has its own id.
pub(crate) fn act(action: &'static str) -> Act {
    Act {
        account_id: account_id("42"),
        entry_id: AuditEntryId::new(NOW, random()),
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
    queued(nth).lease("run", NOW, SignedDuration::from_mins(5)).expect("free")
}

/// The same with one object, `contacts`, to export.
pub(crate) fn exporting(nth: u8) -> Backup {
    let added = discovering(nth).apply(BackupEvent::ObjectAdded { lease: 1 }, NOW).expect("discovering");
    let finished = BackupEvent::DiscoveryFinished { lease: 1, contains_sensitive_data: false, gaps: Vec::new() };
    added.apply(finished, NOW).expect("discovering")
}

/// The same while one run assembles its archive, under lease 2.
pub(crate) fn assembling(nth: u8) -> Backup {
    let assembling = exporting(nth).apply(BackupEvent::ObjectExported, NOW).expect("exporting");
    assembling.lease("run", NOW, SignedDuration::from_mins(5)).expect("free")
}

/// The same with an archive that can be downloaded until `expires_at`.
pub(crate) fn completed(nth: u8, expires_at: Timestamp) -> Backup {
    let archive = archive(nth, expires_at);
    assembling(nth).apply(BackupEvent::Completed { lease: 2, archive }, NOW).expect("leased")
}

pub(crate) fn archive(nth: u8, expires_at: Timestamp) -> Archive {
    Archive {
        storage_key: format!("archives/42/{nth}.zip"),
        manifest_key: format!("archives/42/{nth}.manifest.json"),
        etag: ETag("\"e\"".to_owned()),
        bytes: 1_000,
        expires_at,
    }
}

/// An object of `backup` with its first chunk. The CRM counts `expected` records of it.
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
        ReadMode::Ranges,
        &columns,
        "columns.json".to_owned(),
        CountBefore { records: expected, listed_empty: false, counted_at: NOW },
        NOW,
    );
    (object, chunk)
}

/// Every record of account 42 whose sort key begins with `prefix`, in order.
pub(crate) async fn records<T: Record>(ledger: &dyn Ledger, prefix: &str) -> Vec<T> {
    let found = ledger::list(ledger, "ACCOUNT#42", prefix).await.expect("readable");
    found.into_iter().map(|loaded| loaded.record).collect()
}

/// The audit log of account 42, oldest first.
pub(crate) async fn audit_log(ledger: &dyn Ledger) -> Vec<AuditEntry> {
    let found = ledger::list(ledger, &AuditEntry::partition(&account_id("42")), "").await.expect("readable");
    found.into_iter().map(|loaded| loaded.record).collect()
}

/// Changes a record that is in the ledger.
pub(crate) async fn edit<T: Record + Clone>(ledger: &dyn Ledger, key: &Key, change: impl FnOnce(&mut T)) {
    let loaded = ledger::load::<T>(ledger, key).await.expect("readable").expect("present");
    let mut next = loaded.record.clone();
    change(&mut next);
    ledger.commit(&[Change::replace(&loaded, &next)]).await.expect("nobody else changes it");
}

/// Changes accounts without a CRM to connect them to. Each webhook secret that it makes is different.
pub(crate) fn change_account(
    ledger: Arc<dyn Ledger>,
    queue: Arc<dyn WorkQueue>,
    clock: Arc<dyn Clock>,
) -> ChangeAccount {
    ChangeAccount {
        ledger,
        tokens: Arc::new(MemoryTokens::new()),
        webhook_secrets: Arc::new(MemoryWebhookSecrets::new()),
        webhooks: Arc::new(MemoryWebhooks::new()),
        new_webhook_secret: || SecretString::from(format!("whsec_{:?}", random())),
        queue,
        connector: Arc::new(NoCrm),
        clock,
        base_urls: Vec::new(),
    }
}

struct NoCrm;

impl CrmConnector for NoCrm {
    fn connect(
        &self,
        _: &CrmTarget,
        _: SecretString,
        _: Arc<dyn CallGate>,
        _: Timestamp,
    ) -> Result<Arc<dyn Crm>, CrmError> {
        let kind = CrmErrorKind::Unavailable { retry_after: SignedDuration::ZERO };
        Err(CrmError::new(kind, "There is none.".to_owned()))
    }
}
