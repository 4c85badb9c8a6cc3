//! Who did and tried what: everything that is refused is remembered, and nothing that is remembered is changed.

use dev_stack::api::{Answer, Api};
use dev_stack::failure::Result;
use dev_stack::places::Places;
use end_to_end::aws::Aws;
use end_to_end::journey::{Journey, expect, stack};
use end_to_end::operations::{NOBODYS, Operation, operations};
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};
use ureq::http::Method;

fn send(api: &Api, method: &Method, path: &str) -> Result<Answer> {
    let body = if *method == Method::GET { Vec::new() } else { b"{}".to_vec() };
    api.send(method, path, &[("content-type", "application/json")], body)
}

fn entries(journey: &Journey, query: &str) -> Result<Vec<Value>> {
    let page = expect(200, journey.api().get(&journey.path(&format!("/audit-log?limit=100{query}")))?)?.json();
    Ok(page["entries"].as_array().cloned().unwrap_or_default())
}

#[test]
fn whoever_lacks_the_group_gets_403_at_every_route_and_is_counted_apart() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 71 }))? else { return Ok(()) };
    let before = entries(&journey, "")?;
    let stranger = journey.stack.users.new_user(&format!("stranger-{}", journey.account_id), &[])?;
    let api = journey.stack.api().with_token(&stranger.id_token);
    let operations = operations(&journey.stack.api(), &journey.account_id)?;
    assert!(operations.len() >= 26, "{operations:?}");

    for Operation { method, path, .. } in &operations {
        assert_problem(&send(&api, method, path)?, 403, "forbidden");
    }

    let left = entries(&journey, "&strangers=true")?;
    assert!(left.len() < operations.len(), "one for each minute: {left:?}");
    let counted: u64 = left.iter().filter_map(|entry| entry["requests"].as_u64()).sum();
    assert_eq!(counted, operations.len() as u64, "{left:?}");
    for entry in &left {
        assert_eq!((&entry["email"], &entry["outcome"]), (&json!(stranger.email), &json!("refused")), "{entry}");
        assert_eq!(entry["reason"]["kind"], "forbidden", "{entry}");
        assert!(entry["sourceAddress"].as_str().is_some_and(|address| !address.is_empty()), "{entry}");
    }
    let csv = journey.api().follow_link(&journey.path("/audit-log.csv?strangers=true"))?;
    assert_eq!(csv::Reader::from_reader(&csv[..]).records().count(), left.len());
    let own = entries(&journey, "")?;
    assert_eq!(own.len(), before.len() + 1, "the export, and nothing of the stranger: {own:?}");
    Ok(())
}

#[test]
fn an_operator_who_lacks_the_right_leaves_an_entry_each_time() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 74 }))? else { return Ok(()) };
    let operator = &journey.stack.operator;
    let api = journey.stack.api().with_token(&operator.id_token);
    let operations = operations(&journey.stack.api(), &journey.account_id)?;
    let refused = operations.iter().filter(|operation| !operation.action.ends_with("-account"));

    for Operation { method, path, action } in refused {
        assert_problem(&send(&api, method, path)?, 403, "forbidden");
        let left = entries(&journey, &format!("&action={action}&outcome=refused"))?;
        let entry = left.iter().find(|entry| entry["email"] == json!(operator.email));
        let entry = entry.unwrap_or_else(|| panic!("{method} {path} left no entry: {left:?}"));
        assert_eq!(entry["reason"]["kind"], "forbidden", "{entry}");
        assert!(entry["sourceAddress"].as_str().is_some_and(|address| !address.is_empty()), "{entry}");
        let named = path.contains(NOBODYS).then_some(NOBODYS);
        assert_eq!(entry["target"].as_str(), named, "{method} {path}");
    }
    Ok(())
}

#[test]
fn what_only_operators_may_a_super_admin_may_not_and_that_is_remembered() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 72 }))? else { return Ok(()) };
    let description = expect(200, journey.stack.api().get("/openapi.json")?)?.json();
    let mut tried = 0;
    for (path, item) in description["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            for field in operation["x-operators-only"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let schema = &description["components"]["schemas"]["PlanName"]["enum"][0];
                assert_eq!((path.as_str(), method.as_str(), field), ("/accounts/{accountId}", "put", "plan"));
                let refused = journey.api().put(&journey.path(""), &json!({ field: schema }))?;
                assert_problem(&refused, 403, "forbidden");
                tried += 1;
            }
        }
    }
    assert!(tried > 0, "the description names what only operators may");
    let left = entries(&journey, "&action=change-account&outcome=refused")?;
    assert_eq!(left.len(), tried, "{left:?}");
    assert_eq!(left[0]["email"], json!(journey.admin.email));
    // Backups, restores and the log itself are not the operators'.
    let operator = journey.stack.api().with_token(&journey.stack.operator.id_token);
    for Operation { method, path, action } in operations(&journey.stack.api(), &journey.account_id)? {
        if !action.ends_with("-account") {
            assert_problem(&send(&operator, &method, &path)?, 403, "forbidden");
        }
    }
    Ok(())
}

#[test]
fn what_was_done_is_listed_filtered_and_exported() -> Result<()> {
    let portal = json!({ "seed": 73, "propertySet": "tiny", "records": { "contacts": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let backup_id = journey.complete_backup()?.backup_id;
    expect(302, journey.api().get(&journey.path(&format!("/backups/{backup_id}/download")))?)?;
    let path = journey.path(&format!("/backups/{backup_id}"));
    let deleted = expect(200, journey.api().send(&Method::DELETE, &path, &[], Vec::new())?)?.json();
    assert_eq!(deleted["state"], "deleted");
    assert_problem(&journey.api().get(&format!("{path}/download"))?, 410, "archive-deleted");

    let all = end_to_end::patience::eventually("entry of the end", end_to_end::journey::PATIENCE, || {
        let all = entries(&journey, "")?;
        Ok(Some(all.clone()).filter(|_| all.iter().any(|entry| entry["action"] == "backup-completed")))
    })?;
    let shown: Vec<_> =
        all.iter().filter_map(|entry| Some((entry["action"].as_str()?, entry["outcome"].as_str()?))).collect();
    assert_eq!(
        shown,
        [
            ("download-backup", "refused"),
            ("delete-backup", "succeeded"),
            ("download-backup", "succeeded"),
            ("backup-completed", "succeeded"),
            ("create-backup", "succeeded"),
            ("change-account", "succeeded"),
            ("secret-change-begun", "succeeded"),
            ("change-account", "succeeded"),
        ],
        "newest first"
    );
    let of_account = |entry: &Value| entry["action"] == "change-account" || entry["action"] == "secret-change-begun";
    assert!(all.iter().all(|entry| of_account(entry) || entry["target"] == json!(backup_id)));
    assert_eq!(entries(&journey, &format!("&person={}", journey.stack.operator.email))?.len(), 1, "by person");
    let until = all[3]["at"].as_str().unwrap_or_default();
    assert_eq!(entries(&journey, &format!("&until={until}"))?.len(), 4, "by time");

    let exported = journey.api().follow_link(&journey.path("/audit-log.csv"))?;
    let mut rows = csv::Reader::from_reader(&exported[..]);
    let actions: Vec<_> = rows.records().map(|row| row.expect("CSV")[4].to_owned()).collect();
    assert_eq!(actions.len(), shown.len());
    assert!(actions.iter().map(String::as_str).eq(shown.iter().map(|(action, _)| *action)), "{actions:?}");
    assert_eq!(entries(&journey, "&action=export-audit-log")?.len(), 1, "the export is remembered too");
    Ok(())
}

/// What a role may do to the audit log's table.
fn actions_on_the_log(role: &Value) -> Vec<String> {
    let mut actions = Vec::new();
    let policies = role["Properties"]["Policies"].as_array().into_iter().flatten();
    for statement in policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().into_iter().flatten())
    {
        let resource = statement["Resource"].to_string();
        if resource.contains("AuditLog\"") || resource.contains("AuditLog.") || statement["Resource"] == "*" {
            match &statement["Action"] {
                Value::String(one) => actions.push(one.clone()),
                many => {
                    actions.extend(many.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
                }
            }
        }
    }
    actions
}

#[test]
fn no_function_may_update_or_delete_what_the_log_has() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let template = Aws::of(&stack).template(&Places::find()?.root().join("infra/template.yaml"))?;
    let roles = template["Resources"].as_object().into_iter().flatten();
    let mut writers = 0;
    for (name, role) in roles.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role") {
        let actions = actions_on_the_log(role);
        let allowed = ["dynamodb:PutItem", "dynamodb:Query", "dynamodb:GetItem"];
        assert!(actions.iter().all(|action| allowed.contains(&action.as_str())), "{name}: {actions:?}");
        writers += usize::from(actions.iter().any(|action| action == "dynamodb:PutItem"));
    }
    assert_eq!(writers, 6, "the four functions of the API, and those that start and tell");
    let table = &template["Resources"]["AuditLog"];
    assert_eq!(
        (&table["DeletionPolicy"], &table["Properties"]["DeletionProtectionEnabled"]),
        (&json!("Retain"), &json!(true))
    );
    assert_eq!(template["Parameters"]["AuditRetentionDays"]["Default"], 400);
    Ok(())
}
