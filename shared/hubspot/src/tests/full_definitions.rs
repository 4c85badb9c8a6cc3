//! Property definitions for writing.

use domain::ports::crm::CrmErrorKind;
use domain::ports::crm_batch::{PropertyDefinition, SideEffect};
use domain::property::Sensitivity;
use domain::restore::difference::Comparison;
use serde_json::{Value, json};

use super::server::{Reply, Seen, Server};
use super::{Client, object};

fn listed(results: &Value) -> Reply {
    Reply::ok(json!({ "results": results }).to_string())
}

fn options(values: &[&str]) -> Value {
    values.iter().map(|value| json!({ "value": value, "label": "L", "hidden": false, "displayOrder": 1 })).collect()
}

/// A server that lists these properties, these archived ones, and a sensitive one.
async fn listing(present: Value, archived: Value) -> Server {
    Server::start(move |request: &Seen, _| match request.parameter("dataSensitivity") {
        Some("sensitive") => listed(&json!([{ "name": "diet", "type": "string", "dataSensitivity": "sensitive" }])),
        Some(_) => Reply::status(400, "{}"),
        None if request.parameter("archived") == Some("true") => listed(&archived),
        None => listed(&present),
    })
    .await
}

async fn definitions(server: &Server) -> Vec<PropertyDefinition> {
    Client::to(server).crm.definitions(&object("contacts")).await.expect("definitions")
}

fn names(definitions: &[PropertyDefinition]) -> Vec<&str> {
    definitions.iter().map(|definition| definition.property.name.as_str()).collect()
}

#[tokio::test]
async fn only_options_that_the_property_defines_itself_are_returned() {
    let present = json!([
        { "name": "tags", "type": "enumeration", "fieldType": "checkbox", "options": options(&["b", "a"]) },
        { "name": "tier", "type": "enumeration", "fieldType": "select", "options": options(&["gold"]),
          "modificationMetadata": { "readOnlyValue": true } },
        { "name": "pipe", "type": "enumeration", "options": options(&["x"]), "externalOptions": true },
        { "name": "seller", "type": "enumeration", "options": options(&["1"]), "referencedObjectType": "OWNER" },
        { "name": "vip", "type": "bool", "fieldType": "booleancheckbox", "options": options(&["true", "false"]) },
        { "name": "open", "type": "enumeration", "options": null },
    ]);
    let found = definitions(&listing(present, json!([])).await).await;
    assert_eq!(names(&found), ["diet", "open", "pipe", "seller", "tags", "tier", "vip"]);
    let summary: Vec<_> =
        found.iter().map(|one| (one.options.join(","), one.comparison == Comparison::Options)).collect();
    let expected = [("", false), ("", false), ("", false), ("", false), ("b,a", true), ("gold", false), ("", false)];
    assert_eq!(summary, expected.map(|(options, multiple)| (options.to_owned(), multiple)));
    assert!(found[5].property.read_only && found.iter().all(|one| !one.archived && !one.forward_only));
    assert_eq!(found[0].property.sensitivity, Sensitivity::Sensitive);
}

#[tokio::test]
async fn side_effects_of_writes_are_known() {
    let named =
        |name: &str| json!({ "name": name, "type": "string", "hasUniqueValue": name == "serial" || name == "email" });
    let all = ["email", "work_email", "hs_email_domain", "hubspot_owner_id", "serial", "lifecyclestage", "dealstage"];
    let mut present: Vec<Value> = all.iter().map(|name| named(name)).collect();
    present.push(json!({ "name": "keeper", "type": "enumeration", "referencedObjectType": "OWNER" }));
    present.push(json!({ "name": "wants_email", "type": "bool" }));
    let found = definitions(&listing(Value::Array(present), json!([])).await).await;
    let effect = |name: &str| found.iter().find(|one| one.property.name == name).expect("listed").side_effect;
    assert_eq!(["email", "work_email"].map(effect), [Some(SideEffect::Email); 2]);
    assert_eq!(["hubspot_owner_id", "keeper"].map(effect), [Some(SideEffect::Owner); 2]);
    assert_eq!(["lifecyclestage", "dealstage"].map(effect), [Some(SideEffect::Stage); 2]);
    assert_eq!(effect("serial"), Some(SideEffect::Unique));
    assert_eq!(["hs_email_domain", "wants_email", "diet"].map(effect), [None; 3]);
    let forward: Vec<&str> =
        found.iter().filter(|one| one.forward_only).map(|one| one.property.name.as_str()).collect();
    assert_eq!(forward, ["lifecyclestage"]);
}

#[tokio::test]
async fn archived_properties_are_flagged_and_hidden_by_present_ones_of_the_same_name() {
    let present = json!([{ "name": "a", "type": "number" }, { "name": "b", "type": "string", "archived": false }]);
    let archived = json!([
        { "name": "a", "type": "string", "archived": true }, { "name": "b", "type": "string" },
        { "name": "c", "type": "date", "archived": true }, { "name": "d" },
    ]);
    let server = listing(present, archived).await;
    let found = definitions(&server).await;
    let summary: Vec<_> = found.iter().map(|one| (one.property.name.as_str(), one.archived)).collect();
    assert_eq!(summary, [("a", false), ("b", false), ("c", true), ("d", true), ("diet", false)]);
    assert_eq!(found[0].property.kind, "number");
    assert_eq!(server.seen().len(), 4, "no search is spent on scopes");
}

#[tokio::test]
async fn all_missing_scopes_are_named_at_once() {
    let refusal = |scope: &str| {
        let context = json!({ "requiredGranularScopes": [scope] });
        Reply::status(403, json!({ "category": "MISSING_SCOPES", "errors": [{ "context": context }] }).to_string())
    };
    let server = Server::start(move |request, _| match request.parameter("dataSensitivity") {
        None => refusal("crm.schemas.contacts.read"),
        Some(level) => refusal(&format!("crm.objects.contacts.{level}.read")),
    })
    .await;
    let error = Client::to(&server).crm.definitions(&object("contacts")).await.expect_err("no scopes");
    let scopes = ["crm.objects.contacts.highly_sensitive.read", "crm.objects.contacts.sensitive.read"];
    let scopes = scopes.into_iter().chain(["crm.schemas.contacts.read"]).map(str::to_owned).collect();
    assert_eq!(error.kind, CrmErrorKind::MissingScopes(scopes));
}

#[tokio::test]
async fn conversations_are_defined_without_a_call_and_cannot_be_written() {
    let server = Server::script([Reply::status(404, "")]).await;
    let found = Client::to(&server).crm.definitions(&object("conversations")).await.expect("no call");
    assert!(found.len() == 13 && found.iter().all(|one| one.property.read_only && one.options.is_empty()));
    assert!(server.seen().is_empty());
}
