//! What must not be in any log, whatever happens: CRM tokens, property values, download links and sign-ins.

use std::fs;

use dev_stack::api::Api;
use dev_stack::failure::{OrFailure, Result};
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::portal::TOKEN_PREFIX;
use end_to_end::problem::assert_problem;
use end_to_end::stack_folder::stack_folder;
use serde_json::json;
use ureq::http::Method;

/// Part of property values, and of nothing else in the world.
const CANARY: &str = "canary-5f1d9c";

/// All functions; each has written something.
const FUNCTIONS: [&str; 11] = [
    "create-backup",
    "read-api",
    "account-api",
    "restore-api",
    "discover-objects",
    "export-chunk",
    "assemble-archive",
    "restore-chunk",
    "deliver-notifications",
    "start-scheduled-backups",
    "recover-stalled",
];

/// Part of the webhook's path, which may be a secret of its receiver, and of an e-mail address.
const TARGET: &str = "canary-7a04be";

#[test]
fn logs_hold_no_token_no_value_and_no_link() -> Result<()> {
    let portal = json!({ "seed": 7, "records": { "contacts": 400, "conversations": 30 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    plant(&journey)?;
    let webhook_secret = be_told(&journey)?;

    let backup_id = journey.complete_backup()?.backup_id;
    let link = follow_links(&journey, &backup_id)?;
    let report = restore(&journey, &backup_id)?;
    go_wrong(&journey, &backup_id)?;
    skip_a_run(&journey)?;

    let exported = export_audit_log(&journey)?;
    let (signature, of_report, of_export) = (signature(&link), signature(&report), signature(&exported));
    let claims = journey.admin.id_token.split('.').nth(1).unwrap_or_default();
    let needles = [
        CANARY,
        TARGET,
        TOKEN_PREFIX,
        signature,
        of_report,
        of_export,
        "X-Amz-Signature",
        claims,
        &journey.portal.token,
        &webhook_secret,
    ];
    let needles = needles.map(str::to_owned);
    let searched = journey.aws().search_logs(&needles)?;
    assert_eq!(searched["found"], json!([]), "secrets in logs");
    let control = journey.aws().search_logs(std::slice::from_ref(&backup_id))?;
    assert_ne!(control["found"], json!([]), "what may be in logs is found there");
    for event in ["backup.failed", "restore.failed"] {
        let counted = format!(r#""message":"{event}""#);
        let failed = journey.aws().search_logs(std::slice::from_ref(&counted))?;
        assert_ne!(failed["found"], json!([]), "the alarm counts {event}, which nobody logs");
    }
    for function in FUNCTIONS {
        let group = format!("/aws/lambda/{}-{function}", journey.stack.name);
        assert!(searched["lines"][&group].as_u64() > Some(0), "{group} is empty: {}", searched["lines"]);
    }
    // What functions write also comes out of the emulator itself, beside its own lines about requests.
    let file = stack_folder().join("emulator.log");
    let written = fs::read(&file).or_failure(|| format!("cannot read {}", file.display()))?;
    let written = String::from_utf8_lossy(&written);
    for needle in [CANARY, TOKEN_PREFIX, claims, &webhook_secret] {
        let found = written.lines().find(|line| line.contains(needle));
        assert!(found.is_none(), "{needle} in the emulator's log: {found:?}");
    }
    // The emulator logs links and addresses itself, so only the functions' lines count.
    for needle in [signature, of_report, of_export, TARGET] {
        let own = written.lines().find(|line| line.contains("\"target\"") && line.contains(needle));
        assert!(own.is_none(), "{needle} in a function's log: {own:?}");
    }
    Ok(())
}

/// What makes a link one that only its owner can have.
fn signature(link: &str) -> &str {
    let signature = link.split("X-Amz-Signature=").nth(1).and_then(|rest| rest.get(..64)).unwrap_or_default();
    assert_eq!(signature.len(), 64, "the link is signed");
    signature
}

/// Sends all notifications to a webhook where nothing listens, and by e-mail. Returns the webhook's secret.
fn be_told(journey: &Journey) -> Result<String> {
    let url = format!("http://{}/{TARGET}", journey.stack.webhook_target);
    let targets = json!({ "email": [format!("{TARGET}@example.com")], "webhook": { "url": url } });
    let set = expect(200, journey.api().put(&journey.path(""), &json!({ "notificationTargets": targets }))?)?.json();
    Ok(set["notificationTargets"]["webhook"]["secret"].as_str().unwrap_or_default().to_owned())
}

/// Lets a backup be due that cannot start, as the latest one has failed of the token.
fn skip_a_run(journey: &Journey) -> Result<()> {
    let path = journey.path("/backup-schedule");
    expect(200, journey.api().put(&path, &json!({ "enabled": true }))?)?;
    journey.aws().let_schedule_be_due(&journey.account_id)?;
    eventually("run of the schedule", PATIENCE, || {
        let shown = expect(200, journey.api().get(&path)?)?.json();
        Ok((shown["latestRun"]["outcome"] == "skipped").then_some(()))
    })
}

/// A link to the audit log.
fn export_audit_log(journey: &Journey) -> Result<String> {
    let redirect = expect(302, journey.api().get(&journey.path("/audit-log.csv"))?)?;
    Ok(redirect.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned())
}

/// Property values that can be recognised, one of them sensitive, and one that no CRM takes.
fn plant(journey: &Journey) -> Result<()> {
    let secret = json!({ "type": "string", "sensitivity": "highly_sensitive" });
    journey.portal.define_property("contacts", "passport_number", &secret)?;
    let values = json!({ "firstname": CANARY, "email": format!("{CANARY}@example.com"), "passport_number": CANARY });
    journey.portal.change_records("contacts", &json!({ "create": [{ "properties": values, "generated": true }] }))?;
    let ids = journey.portal.truth("contacts")?.live();
    let update = ids.iter().map(|id| (id.to_string(), json!({ "lastname": format!("{CANARY} {id}") })));
    let update = update.collect::<serde_json::Map<_, _>>();
    journey.portal.change_records("contacts", &json!({ "update": update }))?;
    journey.portal.edit("contacts", &ids[..1], &json!({ "email": format!("{CANARY} is no address") }))
}

/// Restores values of which the CRM refuses one, quoting it, and ignores others; undoes that; returns a link to a report.
fn restore(journey: &Journey, backup_id: &str) -> Result<String> {
    let portal = &journey.portal;
    let ids = portal.truth("contacts")?.live();
    let overwritten = json!({
        "lastname": format!("{CANARY} overwritten"), "email": format!("{CANARY}-overwritten@example.com"),
        "passport_number": "",
    });
    portal.edit("contacts", &ids[..150], &overwritten)?;
    portal.edit("contacts", &ids[150..160], &json!({ "firstname": format!("{CANARY} overwritten") }))?;
    portal.change_records("contacts", &json!({ "archive": [ids[399]] }))?;
    portal.change(&json!({ "ignoredWrites": { "contacts": ["firstname"] } }))?;
    let chosen = ["email", "firstname", "lastname", "passport_number"];
    let planned = journey.plan(backup_id, "contacts", &chosen)?.restore_id;
    assert!(journey.skipped_of(&planned)?.iter().any(|line| line.code() == "RECORD_GONE"));
    let import = journey.carry_out(&planned)?;
    let errors = journey.errors_of(&import.import_id)?;
    for code in ["INVALID_EMAIL", "WRITE_IGNORED"] {
        assert!(errors.iter().any(|line| line.code() == code && line.old_value.contains(CANARY)), "no {code}");
    }
    let undo = journey.plan_undo(&planned, false)?.restore_id;
    assert_eq!(journey.carry_out(&undo)?.state, "completed");
    let path = journey.path(&format!("/imports/{planned}/errors.csv"));
    let redirect = expect(302, journey.api().get(&path)?)?;
    Ok(redirect.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned())
}

/// Downloads by both kinds of answer, and once by a link that was tampered with; returns a link.
fn follow_links(journey: &Journey, backup_id: &str) -> Result<String> {
    let path = journey.path(&format!("/backups/{backup_id}/download"));
    expect(302, journey.api().get(&path)?)?;
    let answer = journey.api().send(&Method::GET, &path, &[("accept", "application/json")], Vec::new())?;
    let link = expect(200, answer)?.json()["url"].as_str().unwrap_or_default().to_owned();
    expect(200, Api::new("").get(&link)?)?;
    let tampered = link.replace("X-Amz-Signature=", "X-Amz-Signature=0");
    expect(403, Api::new("").get(&tampered)?)?;
    Ok(link)
}

/// Errors are where secrets slip out: pages full of values that break off, refused tokens, a CRM that fails.
fn go_wrong(journey: &Journey, backup_id: &str) -> Result<()> {
    let broken = json!({ "rates": { "truncatedJson": 0.2, "reset": 0.1, "internalError": 0.1 } });
    journey.portal.change(&json!({ "faults": broken }))?;
    let troubled = journey.backups().create()?;
    journey.await_end(&troubled)?;
    let path = journey.path("/restores");
    let wish = json!({ "backupId": CANARY, "objectType": CANARY, "properties": [CANARY], CANARY: CANARY });
    assert_problem(&journey.api().post(&path, &wish)?, 422, "input-invalid");
    journey.portal.change(&json!({ "faults": {}, "tokenRevoked": true }))?;
    let unplanned = journey.restores().plan(backup_id, "contacts", &["lastname"])?;
    assert_eq!(journey.await_rest(&unplanned)?.state, "failed");
    let refused = journey.backups().create()?;
    let refused = journey.await_end(&refused)?;
    let failure = refused.failure.unwrap_or_default().to_string();
    assert!(failure.contains("crm-token-refused") && !failure.contains(TOKEN_PREFIX), "{failure}");
    let connection = json!({ "baseUrl": journey.stack.sandbox_url, "token": format!("{TOKEN_PREFIX}of-nobody") });
    let body = json!({ "crmConnection": connection });
    journey.portal.change(&json!({ "tokenRevoked": false }))?;
    assert_problem(&journey.api().put(&journey.path(""), &body)?, 409, "portal-differs");
    let malformed = format!(r#"{{"crmConnection": {{"token": "{TOKEN_PREFIX}cut-off"#);
    let sent = journey.api().send(&Method::PUT, &journey.path(""), &[], malformed.into_bytes())?;
    assert_problem(&sent, 400, "json-malformed");
    Ok(())
}
