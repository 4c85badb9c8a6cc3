//! Backups, restores and imports in all states.

use domain::account::ApiVersion;
use domain::backup::{Archive, Backup, BackupState};
use domain::ids::{BackupId, ObjectType, RestoreId};
use domain::ports::crm_batch::SideEffect;
use domain::ports::storage::ETag;
use domain::restore::difference::Comparison;
use domain::restore::import::Import;
use domain::restore::outcome::OutcomeCounts;
use domain::restore::plan::{PlanCounts, PropertyCounts};
use domain::restore::property::{Obstacle, RestoredProperty};
use domain::restore::slice::{RestoreSlice, SliceState};
use domain::restore::{Decision, DroppedProperty, Plan, Restore, RestoreRequest, RestoreSource, RestoreState};
use domain::storage_keys;
use domain::work::{BackupRef, RestoreRef};
use http_api::testing::account::{account_id, ada, now};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// A completed backup of account 42 and portal 7.
pub(super) fn backup() -> Backup {
    let reference = BackupRef { account_id: account_id(), backup_id: BackupId::new(now(), [7; 10]) };
    let archive = Archive {
        storage_key: storage_keys::archive(&reference, 1),
        manifest_key: storage_keys::manifest(&reference, 1),
        etag: ETag("\"e\"".to_owned()),
        bytes: 1_234,
        expires_at: now() + SignedDuration::from_hours(24),
    };
    let accepted = Backup::accepted(reference, 7, ApiVersion::V2026_09, ada(), now());
    Backup { state: BackupState::Completed, archive: Some(archive), ended_at: Some(now()), ..accepted }
}

/// The manifest of `backup`, with contacts (properties `jobtitle` and `phone`) and conversations.
pub(super) fn manifest(backup: &Backup) -> Value {
    let column = |name: &str| json!({"name": name, "label": name, "type": "string", "sensitivity": "non_sensitive"});
    let file = |object: &str, label: &str, properties: &[&str]| {
        let columns: Vec<_> = std::iter::once(&"hs_object_id").chain(properties).map(|name| column(name)).collect();
        json!({
            "name": format!("{object}.csv"), "objectType": object, "label": label, "rows": 0, "bytes": 0, "crc32": 0,
            "columns": columns, "window": {"from": now(), "to": now()}, "crmTotal": 0, "verdict": "exact", "parts": [],
            "sha256Tree": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        })
    };
    json!({
        "backupId": backup.backup_id, "accountId": "42", "portalId": 7, "createdAt": now(), "completedAt": now(),
        "apiVersion": "2026-09", "containsSensitiveData": false, "notIncluded": "", "spreadsheets": "",
        "files": [file("contacts", "Contact", &["jobtitle", "phone"]), file("conversations", "Conversation", &["x"])],
        "withoutFile": [],
    })
}

/// The `nth` restore of account 42, queued, from [`backup`].
pub(super) fn queued(nth: u8) -> Restore {
    let created_at = now() + SignedDuration::from_secs(nth.into());
    let request = RestoreRequest {
        restore: RestoreRef { account_id: account_id(), restore_id: RestoreId::new(created_at, [nth; 10]) },
        portal_id: 7,
        api_version: ApiVersion::V2026_09,
        source: RestoreSource::Backup { backup_id: backup().backup_id },
        object_type: ObjectType::parse("contacts").expect("a name"),
        label: "Contact".to_owned(),
        properties: ["jobtitle", "phone", "score"].map(str::to_owned).into(),
        by: ada(),
    };
    Restore::accepted(request, created_at)
}

/// A restore that is being planned, in one slice.
pub(super) fn planning(nth: u8) -> Restore {
    Restore { state: RestoreState::Planning, slices: 1, open_slices: 1, defined_by: Some(1), ..queued(nth) }
}

/// A restore whose plan was made at [`now`], sets 8 values and clears 3.
pub(super) fn planned(nth: u8) -> Restore {
    let restore = planning(nth);
    let jobtitle = PropertyCounts { present: 90, set: 8, cannot_be_set: 2, ..PropertyCounts::default() };
    let phone = PropertyCounts { present: 10, cleared: 3, ..PropertyCounts::default() };
    let counts = PlanCounts {
        read: 100,
        changed: 11,
        unchanged: 86,
        not_found: 2,
        merged: 1,
        unreadable: 0,
        properties: vec![jobtitle, phone, PropertyCounts::default()],
    };
    let plan = Plan {
        counts,
        slices_to_apply: 1,
        calls: 12,
        samples_key: storage_keys::plan_samples(&restore.reference(), 2),
        skipped_key: Some(storage_keys::plan_skipped(&restore.reference(), 2)),
        made_at: now(),
    };
    Restore { state: RestoreState::Planned, open_slices: 0, plan: Some(plan), ..restore }
}

/// A restore whose plan changes no values.
pub(super) fn nothing_planned(nth: u8) -> Restore {
    let planned = planned(nth);
    let plan = planned.plan.clone().map(|plan| Plan {
        counts: PlanCounts { read: 100, unchanged: 100, ..PlanCounts::of(3) },
        slices_to_apply: 0,
        calls: 0,
        skipped_key: None,
        ..plan
    });
    Restore { plan, ..planned }
}

/// A confirmed restore that writes.
pub(super) fn applying(nth: u8) -> Restore {
    let confirmation = Some(Decision { by: ada(), at: now() });
    Restore { state: RestoreState::Applying, open_slices: 1, confirmation, ..planned(nth) }
}

/// A restore that has ended at [`now`] in `state`.
pub(super) fn ended(nth: u8, state: RestoreState) -> Restore {
    let before = if state == RestoreState::Cancelled { planned(nth) } else { applying(nth) };
    Restore { state, open_slices: 0, ended_at: Some(now()), ..before }
}

/// The definition that the first step of [`planned`] has stored.
pub(super) fn definition() -> Value {
    let property = |name: &str, label: &str| RestoredProperty {
        name: name.to_owned(),
        label: label.to_owned(),
        kind: "string".to_owned(),
        obstacle: None,
        values_unknown: false,
        comparison: Comparison::Exact,
        options: Vec::new(),
        forward_only: false,
        side_effect: None,
    };
    let properties = [
        property("jobtitle", "Job title"),
        RestoredProperty { side_effect: Some(SideEffect::Unique), ..property("phone", "Phone") },
        RestoredProperty { obstacle: Some(Obstacle::Calculated), ..property("score", "Score") },
    ];
    let values =
        json!({"from": "archive", "storageKey": "k", "etag": "e", "columns": 3, "columnOf": [1, 2, 3], "parts": []});
    json!({"properties": properties, "values": values})
}

/// A slice of 100 rows; the plan changes 11 of them.
pub(super) fn slice(restore: &Restore, state: SliceState) -> RestoreSlice {
    let waiting = RestoreSlice::waiting(&restore.reference(), 0, 0, 100, now());
    RestoreSlice { state, plan: PlanCounts { changed: 11, ..PlanCounts::of(3) }, ..waiting }
}

/// The outcome of some values.
pub(super) fn outcome() -> OutcomeCounts {
    OutcomeCounts {
        records_done: 8,
        records_restored: 5,
        records_failed: 1,
        values_restored: 6,
        values_failed: 2,
        values_unclear: 1,
        already_right: 3,
        drifted_values: 4,
        ..OutcomeCounts::default()
    }
}

/// The import of [`ended`].
pub(super) fn import(nth: u8, state: RestoreState, errors_key: Option<&str>) -> Import {
    let dropped = vec![DroppedProperty { property: "phone".to_owned(), code: "READ_ONLY".to_owned() }];
    Import::of(&Restore { dropped, ..ended(nth, state) }, &outcome(), errors_key.map(str::to_owned), now())
}
