//! What must not be in any log, whatever happens: CRM tokens, property values, download links and sign-ins.

use std::fs;

use dev_stack::api::Api;
use dev_stack::failure::{OrFailure, Result};
use end_to_end::journey::{Journey, expect, stack_folder};
use end_to_end::portal::TOKEN_PREFIX;
use end_to_end::problem::assert_problem;
use serde_json::json;
use ureq::http::Method;

/// Part of property values, and of nothing else in the world.
const CANARY: &str = "canary-5f1d9c";

#[test]
fn logs_hold_no_token_no_value_and_no_link() -> Result<()> {
    let portal = json!({ "seed": 7, "records": { "contacts": 400, "conversations": 30 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    plant(&journey)?;

    let backup_id = journey.complete_backup()?.backup_id;
    let link = follow_links(&journey, &backup_id)?;
    go_wrong(&journey)?;

    let signature = link.split("X-Amz-Signature=").nth(1).and_then(|rest| rest.get(..64)).unwrap_or_default();
    assert_eq!(signature.len(), 64, "the link is signed");
    let claims = journey.admin.id_token.split('.').nth(1).unwrap_or_default();
    let needles =
        [CANARY, TOKEN_PREFIX, signature, "X-Amz-Signature", claims, &journey.portal.token].map(str::to_owned);
    let searched = journey.aws().search_logs(&needles)?;
    assert_eq!(searched["found"], json!([]), "secrets in logs");
    let control = journey.aws().search_logs(std::slice::from_ref(&backup_id))?;
    assert_ne!(control["found"], json!([]), "what may be in logs is found there");
    let counted = r#""message":"backup.failed""#.to_owned();
    let failed = journey.aws().search_logs(std::slice::from_ref(&counted))?;
    assert_ne!(failed["found"], json!([]), "the alarm counts an event that nobody logs");
    for function in ["create-backup", "read-api", "account-api", "discover-objects", "export-chunk", "assemble-archive"]
    {
        let group = format!("/aws/lambda/{}-{function}", journey.stack.name);
        assert!(searched["lines"][&group].as_u64() > Some(0), "{group} is empty: {}", searched["lines"]);
    }
    // What functions write also comes out of the emulator itself, beside its own lines about requests.
    let file = stack_folder().join("emulator.log");
    let written = fs::read(&file).or_failure(|| format!("cannot read {}", file.display()))?;
    let written = String::from_utf8_lossy(&written);
    for needle in [CANARY, TOKEN_PREFIX, claims] {
        let told = written.lines().find(|line| line.contains(needle));
        assert!(told.is_none(), "{needle} in the emulator's log: {told:?}");
    }
    let own = written.lines().find(|line| line.contains("\"target\"") && line.contains(signature));
    assert!(own.is_none(), "a download link in a function's log: {own:?}");
    Ok(())
}

/// Property values that can be recognised, one of them sensitive.
fn plant(journey: &Journey) -> Result<()> {
    let secret = json!({ "type": "string", "sensitivity": "highly_sensitive" });
    journey.portal.define_property("contacts", "passport_number", &secret)?;
    let values = json!({ "firstname": CANARY, "email": format!("{CANARY}@example.com"), "passport_number": CANARY });
    journey.portal.change_records("contacts", &json!({ "create": [{ "properties": values, "generated": true }] }))?;
    let ids = journey.portal.truth("contacts")?.live();
    let update = ids.iter().map(|id| (id.to_string(), json!({ "lastname": format!("{CANARY} {id}") })));
    journey.portal.change_records("contacts", &json!({ "update": update.collect::<serde_json::Map<_, _>>() })).map(drop)
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
fn go_wrong(journey: &Journey) -> Result<()> {
    let broken = json!({ "rates": { "truncatedJson": 0.2, "reset": 0.1, "internalError": 0.1 } });
    journey.portal.change(&json!({ "faults": broken }))?;
    let troubled = journey.backups().create()?;
    journey.await_end(&troubled)?;
    journey.portal.change(&json!({ "faults": {}, "tokenRevoked": true }))?;
    let refused = journey.backups().create()?;
    let refused = journey.await_end(&refused)?;
    let told = refused.failure.unwrap_or_default().to_string();
    assert!(told.contains("crm-token-refused") && !told.contains(TOKEN_PREFIX), "{told}");
    let connection = json!({ "baseUrl": journey.stack.sandbox_url, "token": format!("{TOKEN_PREFIX}of-nobody") });
    let body = json!({ "crmConnection": connection });
    journey.portal.change(&json!({ "tokenRevoked": false }))?;
    assert_problem(&journey.api().put(&journey.path(""), &body)?, 409, "portal-differs");
    let malformed = format!(r#"{{"crmConnection": {{"token": "{TOKEN_PREFIX}cut-off"#);
    let sent = journey.api().send(&Method::PUT, &journey.path(""), &[], malformed.into_bytes())?;
    assert_problem(&sent, 400, "json-malformed");
    Ok(())
}
