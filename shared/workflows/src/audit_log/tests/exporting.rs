//! Exports.

use in_memory::MemoryStorage;
use in_memory::faults::{Fault, Sweep};
use secrecy::ExposeSecret;

use super::*;

const FIVE_MINUTES: Duration = Duration::from_mins(5);

fn exporting(world: &World, objects: &Arc<MemoryStorage>) -> ExportAuditLog {
    ExportAuditLog {
        ledger: world.ledger.clone(),
        clock: world.clock.clone(),
        reader: objects.clone(),
        writer: objects.clone(),
        uploads: objects.clone(),
        links: objects.clone(),
    }
}

fn act() -> Act {
    act_at(SignedDuration::from_hours(1), "export-audit-log")
}

/// After the latest possible end of an export.
fn ends(world: &World) -> Timestamp {
    world.clock.now() + SECOND
}

/// The lines of the only object in storage.
async fn lines(objects: &MemoryStorage) -> Vec<String> {
    let keys = objects.keys("");
    let [key] = keys.as_slice() else { panic!("one export: {keys:?}") };
    let bytes = objects.read(key, None).await.expect("present");
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    text.split_terminator("\r\n").map(str::to_owned).collect()
}

#[tokio::test]
async fn an_export_is_csv_for_spreadsheets_with_the_newest_first() {
    let by = Requester { subject: "=HYPERLINK(1)".to_owned(), email: Some("=cmd@example.com".to_owned()) };
    let reason = Reason { kind: "backup-unknown".to_owned(), sentence: "There is none, \"sorry\".".to_owned() };
    let harmful = Act { by, source_address: None, ..act_at(SECOND, "delete-backup") };
    let entries = [
        act_at(SignedDuration::ZERO, "create-backup").succeeded("b-1".to_owned()),
        harmful.ended(Some("=1+1".to_owned()), AuditOutcome::Refused, reason),
    ];
    let (world, objects) = (World::with(&entries).await, Arc::new(MemoryStorage::new()));

    let link = exporting(&world, &objects).export(&AuditFilter::default(), &act(), FIVE_MINUTES, ends(&world)).await;

    let link = link.expect("exported");
    assert_eq!(link.expires_at, world.clock.now() + FIVE_MINUTES);
    assert!(link.url.expose_secret().contains("crm-backup-42-audit-log.csv"));
    let ids = entries.map(|entry| entry.entry_id);
    let expected = [
        "time,subject,email,address,action,target,outcome,reason,detail,entryId,requests".to_owned(),
        format!(
            "2027-01-15T08:00:01Z,'=HYPERLINK(1),'=cmd@example.com,,delete-backup,'=1+1,refused,backup-unknown,\
             \"There is none, \"\"sorry\"\".\",{},",
            ids[1]
        ),
        format!("2027-01-15T08:00:00Z,user-1,ada@example.com,203.0.113.7,create-backup,b-1,succeeded,,,{},", ids[0]),
    ];
    assert_eq!(lines(&objects).await, expected);
    assert_eq!(objects.content_type(&objects.keys("")[0]).as_deref(), Some("text/csv"));
}

#[tokio::test]
async fn an_export_is_itself_audited() {
    let (world, objects) = (World::with(&entries(1)).await, Arc::new(MemoryStorage::new()));
    let act = act();
    exporting(&world, &objects)
        .export(&AuditFilter::default(), &act, FIVE_MINUTES, ends(&world))
        .await
        .expect("exported");
    assert_eq!(samples::audit_log(&*world.ledger).await.pop(), Some(act.succeeded(None)));
    assert_eq!(lines(&objects).await.len(), 2, "the header and what was there before");
}

#[tokio::test]
async fn an_export_contains_the_entries_that_its_filter_selects() {
    let entries = entries(1_200);
    let (world, objects) = (World::with(&entries).await, Arc::new(MemoryStorage::new()));
    let (from, until) = (Some(entries[100].at), Some(entries[1_100].at));
    let filter = AuditFilter { from, until, ..AuditFilter::default() };
    exporting(&world, &objects).export(&filter, &act(), FIVE_MINUTES, ends(&world)).await.expect("exported");
    let lines = lines(&objects).await;
    assert_eq!(lines.len(), 1_001);
    let ends = |line: &str, entry: &AuditEntry| line.ends_with(&format!("{},", entry.entry_id));
    assert!(ends(&lines[1], &entries[1_099]) && ends(&lines[1_000], &entries[100]));
}

#[tokio::test]
async fn an_export_that_takes_too_long_leaves_no_file() {
    let entries = entries(3);
    let (world, objects) = (World::with(&entries).await, Arc::new(MemoryStorage::new()));
    let given_up =
        exporting(&world, &objects).export(&AuditFilter::default(), &act(), FIVE_MINUTES, world.clock.now()).await;
    assert!(matches!(given_up, Err(AuditError::TooMuch)));
    assert!(objects.keys("").is_empty() && objects.open_uploads() == 0);
    assert_eq!(samples::audit_log(&*world.ledger).await, entries);
}

/// Every link that a person gets has an entry in the audit log.
#[tokio::test]
async fn a_fault_at_any_call_leaves_no_audit_link_without_an_entry() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let sweep = Sweep::expecting(4);
        sweep
            .of(fault, async |faults| {
                let (world, objects) = (World::with(&entries(1)).await, Arc::new(MemoryStorage::new()));
                let worker = faults.worker();
                let export = ExportAuditLog {
                    ledger: worker.wrap(world.ledger.clone()),
                    reader: worker.wrap(objects.clone()),
                    writer: worker.wrap(objects.clone()),
                    uploads: worker.wrap(objects.clone()),
                    links: worker.wrap(objects.clone()),
                    ..exporting(&world, &objects)
                };
                let (filter, act) = (AuditFilter::default(), act());

                let exported = worker.run(export.export(&filter, &act, FIVE_MINUTES, ends(&world))).await;

                let entry = act.succeeded(None);
                let is_recorded = samples::audit_log(&*world.ledger).await.contains(&entry);
                assert!(is_recorded || !matches!(exported, Some(Ok(_))), "{:?}", faults.struck());
                assert!(matches!(exported, Some(Ok(_))) || !faults.struck().is_empty());
            })
            .await;
    }
}
