//! Notifications by all channels: inbox, e-mail, event bus, webhook.

use dev_stack::failure::Result;
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::problem::{assert_problem, fields};
use end_to_end::receiver::Receiver;
use serde_json::{Value, json};
use ureq::http::Method;

fn set_targets(journey: &Journey, targets: &Value) -> Result<Value> {
    let answer = journey.api().put(&journey.path(""), &json!({ "notificationTargets": targets }))?;
    Ok(expect(200, answer)?.json()["notificationTargets"].clone())
}

fn inbox(journey: &Journey) -> Result<Value> {
    Ok(expect(200, journey.api().get(&journey.path("/notifications"))?)?.json())
}

/// The newest notification of `event`, once all of its deliveries have ended.
fn delivered(journey: &Journey, event: &str) -> Result<Value> {
    eventually("notification that was delivered", PATIENCE, || {
        let all = inbox(journey)?["notifications"].as_array().cloned().unwrap_or_default();
        let Some(found) = all.into_iter().find(|one| one["event"] == event) else { return Ok(None) };
        let id = found["notificationId"].as_str().unwrap_or_default();
        let shown = expect(200, journey.api().get(&journey.path(&format!("/notifications/{id}")))?)?.json();
        let deliveries = shown["deliveries"].as_array().cloned().unwrap_or_default();
        let ended = !deliveries.is_empty() && deliveries.iter().all(|delivery| delivery["state"] != "pending");
        Ok(Some(shown).filter(|_| ended))
    })
}

fn delivery<'a>(shown: &'a Value, channel: &str) -> &'a Value {
    let deliveries = shown["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
    deliveries.iter().find(|delivery| delivery["channel"] == channel).unwrap_or(&Value::Null)
}

/// One test, since there is one place at which receivers may listen.
#[test]
fn a_webhook_is_signed_repeated_under_one_id_and_never_redirected() -> Result<()> {
    let portal = json!({ "seed": 67, "propertySet": "tiny", "records": { "contacts": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let elsewhere = "/elsewhere";
    let receiver = Receiver::listen(&journey.stack, move |received, before| match received.path.as_str() {
        "/twice-down" if before < 2 => (503, None),
        "/moved" => (302, Some(elsewhere.to_owned())),
        _ => (204, None),
    })?;
    let url = format!("{}/twice-down", receiver.url());
    let targets = set_targets(&journey, &json!({ "webhook": { "url": url } }))?;
    let secret = targets["webhook"]["secret"].as_str().unwrap_or_default();
    let again = set_targets(&journey, &json!({ "webhook": { "url": url } }))?;
    assert!(again["webhook"]["secret"].is_null(), "it is shown once: {again}");

    let backup_id = journey.complete_backup()?.backup_id;
    let shown = delivered(&journey, "backup-completed")?;

    let webhook = delivery(&shown, "webhook");
    assert_eq!((&webhook["state"], &webhook["attempts"]), (&json!("delivered"), &json!(3)), "{shown}");
    let attempts = receiver.at("/twice-down");
    assert_eq!(attempts.len(), 3, "two failures, then success");
    for one in &attempts {
        assert_eq!(one.headers["webhook-id"], shown["notificationId"], "one id for one event");
        assert!(journey.aws().is_signed(secret, &one.headers, &one.body)?, "{one:?}");
        assert!(!journey.aws().is_signed(secret, &one.headers, &format!("{} ", one.body))?, "another body");
        let event = one.json();
        assert_eq!((&event["event"], &event["backupId"]), (&json!("backup-completed"), &json!(backup_id)));
        assert_eq!(event["path"], json!(journey.path(&format!("/backups/{backup_id}/download"))));
        assert!(!one.body.contains("X-Amz"), "no presigned link: {}", one.body);
    }

    set_targets(&journey, &json!({ "webhook": { "url": format!("{}/moved", receiver.url()) } }))?;
    journey.complete_backup()?;
    eventually("attempt that was redirected", PATIENCE, || Ok((receiver.at("/moved").len() > 1).then_some(())))?;
    assert!(receiver.at(elsewhere).is_empty(), "redirects are not followed");
    set_targets(&journey, &json!({ "webhook": null }))?;
    let shown = delivered(&journey, "backup-completed")?;
    assert_eq!(delivery(&shown, "webhook")["state"], "dropped", "nobody is there any more: {shown}");
    let error = delivery(&shown, "webhook")["lastError"].as_str().unwrap_or_default();
    assert!(error.contains("302") && !error.contains("moved"), "{error}");

    // The addresses of a name can change after it was set, so they are looked at again when something is sent.
    set_targets(&journey, &json!({ "webhook": { "url": url } }))?;
    let port = receiver.url().rsplit(':').next().unwrap_or_default().to_owned();
    for private in [format!("https://localhost:{port}/private"), format!("https://[::1]:{port}/private")] {
        journey.aws().move_webhook(&journey.account_id, &private)?;
        journey.complete_backup()?;
        let shown = delivered(&journey, "backup-completed")?;
        let webhook = delivery(&shown, "webhook");
        assert_eq!((&webhook["state"], &webhook["attempts"]), (&json!("given-up"), &json!(1)), "{shown}");
        assert!(webhook["lastError"].as_str().is_some_and(|error| error.contains("public internet")), "{shown}");
    }
    assert!(receiver.at("/private").is_empty());
    let notification = delivered(&journey, "delivery-given-up")?;
    assert_eq!(
        (&notification["channel"], delivery(&notification, "webhook")),
        (&json!("webhook"), &Value::Null),
        "{notification}"
    );
    Ok(())
}

#[test]
fn a_webhook_must_lead_to_the_public_internet() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 68 }))? else { return Ok(()) };
    let emulator = journey.stack.emulator_url.replace("http://", "https://");
    for url in [
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://2130706433/hook",
        "https://0x7f.1/hook",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/hook",
        "https://192.168.1.1:8443/hook",
        "https://[fd00::1]/hook",
        "http://example.com/hook",
        "https://user:secret@example.com/hook",
        "ftp://example.com/hook",
        "/hook",
        &emulator,
    ] {
        let body = json!({ "notificationTargets": { "webhook": { "url": url } } });
        let refused = assert_problem(&journey.api().put(&journey.path(""), &body)?, 422, "webhook-not-allowed");
        assert_eq!(fields(&refused), ["notificationTargets.webhook.url"], "{url}");
    }
    let account = expect(200, journey.api().get(&journey.path(""))?)?.json();
    assert_eq!(account["notificationTargets"]["webhook"], Value::Null);
    Ok(())
}

#[test]
fn a_backup_is_told_to_inbox_mail_and_bus_with_a_link_that_needs_a_sign_in() -> Result<()> {
    let portal = json!({ "seed": 69, "propertySet": "tiny", "records": { "contacts": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let address = format!("ops-{}@example.com", journey.account_id);
    set_targets(&journey, &json!({ "email": [address] }))?;
    let aws = journey.aws();
    let events = aws.watch_events(&journey.account_id)?;

    let backup_id = journey.complete_backup()?.backup_id;
    let shown = delivered(&journey, "backup-completed")?;

    let path = journey.path(&format!("/backups/{backup_id}/download"));
    assert_eq!((&shown["path"], &shown["read"]), (&json!(path), &json!(false)));
    for channel in ["email", "event-bus"] {
        assert_eq!(delivery(&shown, channel)["state"], "delivered", "{shown}");
    }
    for to in [&address, &journey.admin.email] {
        let mails = journey.aws().mails_to(to)?;
        let [mail] = &mails[..] else { panic!("{} mails to {to}", mails.len()) };
        let mail = mail.to_string();
        assert!(mail.contains(&path) && !mail.contains("X-Amz"), "{mail}");
    }
    let seen = eventually("event on the bus", PATIENCE, || Ok(events.received()?.into_iter().next()))?;
    assert_eq!((&seen["source"], &seen["detail-type"]), (&json!("crm-backup"), &json!("Backup Completed")));
    assert_eq!(seen["detail"]["notificationId"], shown["notificationId"]);
    // Whoever follows the link without a sign-in gets nothing.
    expect(401, journey.stack.api().get(&path)?)?;

    assert_eq!(inbox(&journey)?["unread"], 1);
    let id = shown["notificationId"].as_str().unwrap_or_default();
    let mark = journey.path(&format!("/notifications/{id}"));
    let body = json!({ "read": true }).to_string().into_bytes();
    let marked = expect(200, journey.api().send(&Method::PATCH, &mark, &[], body)?)?.json();
    assert_eq!((&marked["read"], &inbox(&journey)?["unread"]), (&json!(true), &json!(0)));
    Ok(())
}

#[test]
fn what_was_set_aside_and_what_is_about_to_expire_is_told_once() -> Result<()> {
    let portal = json!({ "seed": 70, "propertySet": "tiny", "records": { "contacts": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let backup_id = journey.complete_backup()?.backup_id;
    delivered(&journey, "backup-completed")?;

    journey.aws().let_archive_expire_soon(&journey.account_id, &backup_id)?;
    let backup = json!({ "accountId": journey.account_id, "backupId": backup_id });
    journey.aws().put_message(&journey.stack.dead_letters, &json!({ "work": "assemble", "backup": backup }))?;

    let expiring = delivered(&journey, "backup-expiring")?;
    assert_eq!(expiring["backupId"], json!(backup_id));
    let letter = delivered(&journey, "dead-letters")?;
    assert_eq!((&letter["step"], &letter["runId"]), (&json!("assemble"), &json!(backup_id)));
    let all = inbox(&journey)?["notifications"].as_array().map(Vec::len);
    assert_eq!(all, Some(3), "each once");
    Ok(())
}
