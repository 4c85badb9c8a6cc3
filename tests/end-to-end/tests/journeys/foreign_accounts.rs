//! Nobody gets at the account of somebody else, or learns whether it is there.

use dev_stack::api::{Answer, Api};
use dev_stack::failure::Result;
use end_to_end::journey::{Journey, expect, new_account_id};
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};
use ureq::http::Method;

/// An id that no backup or restore has.
const NOBODYS: &str = "0198a000-0000-7000-8000-000000000000";

/// Method, path, body; no body where it is null.
type Request = (Method, String, Value);

/// Every request there is about an account, the two that others than its super admins may send first.
fn requests(account_id: &str, backup_id: &str, restore_id: &str) -> Vec<Request> {
    let account = format!("/accounts/{account_id}");
    let backup = format!("{account}/backups/{backup_id}");
    let (restore, import) = (format!("{account}/restores/{restore_id}"), format!("{account}/imports/{restore_id}"));
    let wish = json!({ "backupId": backup_id, "objectType": "contacts", "properties": ["firstname"] });
    let acknowledged = json!({ "acknowledgements": { "dataChanges": true, "cannotBeUndoneInCrm": true } });
    vec![
        (Method::GET, account.clone(), Value::Null),
        (Method::PUT, account.clone(), json!({ "callShare": { "burstPercent": 1 } })),
        (Method::GET, format!("{account}/backups"), Value::Null),
        (Method::POST, format!("{account}/backups"), json!({})),
        (Method::GET, backup.clone(), Value::Null),
        (Method::GET, format!("{backup}/download"), Value::Null),
        (Method::POST, format!("{backup}/cancel"), json!({})),
        (Method::GET, format!("{account}/restores"), Value::Null),
        (Method::POST, format!("{account}/restores"), wish),
        (Method::GET, restore.clone(), Value::Null),
        (Method::GET, format!("{restore}/skipped.csv"), Value::Null),
        (Method::POST, format!("{restore}/confirm"), acknowledged),
        (Method::POST, format!("{restore}/cancel"), json!({})),
        (Method::POST, format!("{restore}/stop"), json!({})),
        (Method::POST, format!("{restore}/undo"), json!({})),
        (Method::GET, format!("{account}/imports"), Value::Null),
        (Method::GET, import.clone(), Value::Null),
        (Method::GET, format!("{import}/errors.csv"), Value::Null),
    ]
}

fn send(api: &Api, (method, path, body): &Request) -> Result<Answer> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    api.send(method, path, &[("content-type", "application/json")], body)
}

/// The answer if the account does not exist or has no such item.
fn unknown((_, path, _): &Request) -> &'static str {
    let kinds = [
        // An undo needs the CRM connection, and so the account, before anything else.
        ("/undo", "account-unknown"),
        ("/backups/", "backup-unknown"),
        ("/restores/", "restore-unknown"),
        ("/imports/", "import-unknown"),
    ];
    kinds.iter().find(|(part, _)| path.contains(part)).map_or("account-unknown", |(_, word)| word)
}

#[test]
fn whoever_is_not_the_accounts_super_admin_is_refused_alike() -> Result<()> {
    let portal = json!({ "seed": 20, "propertySet": "tiny", "records": { "contacts": 5 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let (stack, account_id) = (&journey.stack, &journey.account_id);
    let backup_id = journey.complete_backup()?.backup_id;
    let ids = journey.portal.truth("contacts")?.live();
    journey.portal.edit("contacts", &ids, &json!({ "firstname": "Overwritten" }))?;
    let restore_id = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    let before = everything(&journey)?;
    let nobodys = new_account_id();

    let similar = [
        format!("1{account_id}:super-admin"),
        format!("x{account_id}:super-admin"),
        format!("{account_id}:super-admins"),
        format!("[{account_id}:super-admin]"),
        format!("{}:super-admin,{account_id}:super-admin", &account_id[1..]),
    ];
    let similar: Vec<_> = similar.iter().map(String::as_str).collect();
    let strangers = [
        ("another account's super admin", stack.super_admin.clone()),
        ("a user without a group", stack.users.new_user(&format!("nobody-{account_id}"), &[])?),
        ("groups that merely contain the right text", stack.users.new_user(&format!("near-{account_id}"), &similar)?),
    ];
    for (who, user) in &strangers {
        let api = stack.api().with_token(&user.id_token);
        let theirs = requests(account_id, &backup_id, &restore_id).into_iter();
        for (request, like) in theirs.zip(requests(&nobodys, &backup_id, &restore_id)) {
            println!("{who}: {} {}", request.0, request.1);
            let refused = assert_problem(&send(&api, &request)?, 403, "forbidden");
            let alike = assert_problem(&send(&api, &like)?, 403, "forbidden");
            assert_eq!(refused["detail"], alike["detail"], "an account that is there and one that is not");
        }
    }
    let operator = stack.api().with_token(&stack.operator.id_token);
    for request in &requests(account_id, &backup_id, &restore_id)[2..] {
        assert_problem(&send(&operator, request)?, 403, "forbidden");
    }
    let access_token = stack.api().with_token(&journey.admin.access_token);
    for request in requests(account_id, &backup_id, &restore_id) {
        let answer = send(&access_token, &request)?;
        assert_problem(&answer, 401, "token-unsuitable");
        assert!(answer.headers.contains_key("www-authenticate"));
    }

    assert_eq!(everything(&journey)?, before, "something was changed");
    Ok(())
}

#[test]
fn accounts_are_created_by_operators_only() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 21 }))? else { return Ok(()) };
    let stack = &journey.stack;
    let nobodys = new_account_id();
    let operator = stack.api().with_token(&stack.operator.id_token);
    let path = format!("/accounts/{nobodys}");

    // A group is not an account: its super admin can do nothing before an operator has created it.
    let admin = stack.api().with_token(&stack.users.new_super_admin(&nobodys)?.id_token);
    for request in requests(&nobodys, NOBODYS, NOBODYS) {
        assert_problem(&send(&admin, &request)?, 404, unknown(&request));
    }
    assert_problem(&operator.get(&path)?, 404, "account-unknown");
    assert_problem(&operator.get("/accounts/abc")?, 400, "parameter-invalid");

    let created = expect(201, operator.put(&path, &json!({}))?)?.json();
    assert_eq!(created["accountId"], nobodys);
    assert_eq!(expect(200, operator.put(&path, &json!({}))?)?.json(), created, "it is there already");
    assert_eq!(expect(200, admin.get(&path)?)?.json(), created);
    Ok(())
}

/// All that the API shows of the account, and how often its CRM was called.
fn everything(journey: &Journey) -> Result<[Value; 4]> {
    let account = expect(200, journey.api().get(&journey.path(""))?)?.json();
    let backups = expect(200, journey.api().get(&journey.path("/backups"))?)?.json();
    let restores = expect(200, journey.api().get(&journey.path("/restores"))?)?.json();
    Ok([account, backups, restores, journey.portal.calls(0)?["total"].clone()])
}
