//! Object types and properties, and the scopes for them.

use domain::ports::crm::CrmErrorKind;
use domain::property::Sensitivity;
use serde_json::{Value, json};

use super::server::{Reply, Seen, Server};
use super::{Client, object};

fn listed(results: &Value) -> Reply {
    Reply::ok(json!({ "results": results }).to_string())
}

fn scopes_missing(scope: &str) -> Reply {
    let context = json!({ "requiredGranularScopes": [scope] });
    Reply::status(403, json!({ "category": "MISSING_SCOPES", "errors": [{ "context": context }] }).to_string())
}

#[tokio::test]
async fn custom_object_types_are_found_and_standard_ones_are_known() {
    let server = Server::script([listed(&json!([
        { "id": "1", "objectTypeId": "2-100", "name": "car", "fullyQualifiedName": "p9_car",
          "labels": { "singular": "Car", "plural": "Cars" }, "properties": [{ "name": "x" }] },
        { "id": "2", "objectTypeId": "2-101", "name": "boat", "fullyQualifiedName": "p9_boat", "labels": {} },
        { "id": "3", "objectTypeId": "2-102", "name": "old", "fullyQualifiedName": "p9_old", "archived": true },
    ]))])
    .await;
    let crm = Client::to(&server).crm;
    let types = crm.custom_object_types().await.expect("object types");
    let found: Vec<_> = types.iter().map(|found| (found.object_type.as_str(), found.custom)).collect();
    assert_eq!(found, [("p9_car", true), ("p9_boat", true)]);
    assert_eq!((types[0].type_id.as_deref(), types[0].label.as_str()), (Some("2-100"), "Car"));
    assert_eq!(types[1].label, "boat");
    // B7: definitions can take tens of megabytes.
    for left_out in ["includePropertyDefinitions", "includeAssociationDefinitions", "includeAuditMetadata"] {
        assert_eq!(server.seen()[0].parameter(left_out), Some("false"));
    }

    let types = crm.model().standard_object_types();
    let standard = ["contacts", "companies", "deals", "tickets", "products", "calls", "tasks", "conversations"];
    assert_eq!(types.iter().map(|found| found.object_type.as_str()).collect::<Vec<_>>(), standard);
    assert_eq!((types[0].type_id.as_deref(), types[0].label.as_str()), (Some("0-1"), "Contact"));
    let last = types.last().expect("an object type");
    assert_eq!((last.type_id.as_deref(), last.label.as_str()), (None, "Conversation"));
}

#[tokio::test]
async fn a_missing_schema_scope_is_named() {
    let server = Server::script([Reply::status(403, r#"{"category":"MISSING_SCOPES"}"#)]).await;
    let crm = Client::to(&server).crm;
    let error = crm.custom_object_types().await.expect_err("no scope");
    assert_eq!(error.kind, CrmErrorKind::MissingScopes(vec!["crm.schemas.custom.read".into()]));
    let known = crm.model().standard_object_types();
    assert!(!known.is_empty() && known.iter().all(|object| !object.custom), "standard objects need no call");
}

/// An account with one property of each level. It answers a list of `level` with `reply`.
fn answering(level: &'static str, reply: Reply) -> impl Fn(&Seen, usize) -> Reply {
    move |request, _| match request.parameter("dataSensitivity") {
        _ if request.path().ends_with("/search") => Reply::ok(json!({ "total": 0, "results": [] }).to_string()),
        Some(asked) if asked == level => reply.clone(),
        Some(asked) => listed(&json!([{ "name": format!("a_{asked}_one"), "label": "S", "type": "string" }])),
        None => listed(&json!([
            { "name": "email", "label": "E-mail", "type": "string", "dataSensitivity": "non_sensitive" },
            { "name": "score", "label": "Score", "type": "number", "calculated": true,
              "modificationMetadata": { "readOnlyValue": true, "archivable": true } },
            { "name": "old", "label": "Old", "type": "string", "archived": true },
        ])),
    }
}

#[tokio::test]
async fn properties_of_every_level_are_listed_and_flagged() {
    let server = Server::start(answering("", Reply::ok(""))).await;
    let listed = Client::to(&server).crm.properties(&object("contacts")).await.expect("properties");
    assert!(listed.refused.is_empty());
    let properties = listed.properties;
    let found: Vec<_> = properties.iter().map(|property| (property.name.as_str(), property.sensitivity)).collect();
    let expected = [
        ("email", Sensitivity::NonSensitive),
        ("score", Sensitivity::NonSensitive),
        ("a_sensitive_one", Sensitivity::Sensitive),
        ("a_highly_sensitive_one", Sensitivity::HighlySensitive),
    ];
    assert_eq!(found, expected);
    assert!(properties[1].calculated && properties[1].read_only && properties[1].kind == "number");
    assert_eq!(properties[0].label, "E-mail");
}

/// A2: the result names a level that the CRM refuses to list, and the scopes that may help.
#[tokio::test]
async fn a_refused_level_is_reported_and_the_others_are_listed() {
    let scope = "crm.objects.contacts.sensitive.read.v2";
    let not_in_plan = r#"{"category":"FEATURE_UNAVAILABLE","message":"not part of the subscription"}"#;
    for (reply, scopes) in [
        (scopes_missing(scope), vec![scope.to_owned()]),
        (Reply::status(400, r#"{"message":"no"}"#), vec![]),
        (Reply::status(404, ""), vec![]),
        (Reply::status(403, not_in_plan), vec![]),
    ] {
        let server = Server::start(answering("sensitive", reply)).await;
        let listed = Client::to(&server).crm.properties(&object("contacts")).await.expect("the others");
        let [refused] = listed.refused.as_slice() else { panic!("{:?}", listed.refused) };
        assert_eq!((refused.sensitivity, &refused.scopes), (Sensitivity::Sensitive, &scopes));
        assert!(refused.sentence.contains("the sensitive properties of contacts"), "{}", refused.sentence);
        let names: Vec<_> = listed.properties.iter().map(|property| property.name.as_str()).collect();
        assert_eq!(names, ["email", "score", "a_highly_sensitive_one"]);
    }
}

#[tokio::test]
async fn all_scopes_that_an_objects_properties_lack_are_named_at_once() {
    let definitions = "crm.schemas.contacts.read";
    let sensitive = "crm.objects.contacts.sensitive.read";
    let highly_sensitive = "crm.objects.contacts.highly_sensitive.read";
    let whole = answering("", Reply::ok(""));
    // The first list is refused, the values of the second are refused, and the third list is refused.
    let server = Server::start(move |request, place| match request.parameter("dataSensitivity") {
        None if request.body.contains("a_sensitive_one") => scopes_missing(sensitive),
        None if !request.path().ends_with("/search") => scopes_missing(definitions),
        Some("highly_sensitive") => scopes_missing(highly_sensitive),
        _ => whole(request, place),
    })
    .await;
    let error = Client::to(&server).crm.properties(&object("contacts")).await.expect_err("no scopes");
    let all = [highly_sensitive, sensitive, definitions];
    assert_eq!(error.kind, CrmErrorKind::MissingScopes(all.map(str::to_owned).into()));
    assert!(all.iter().all(|scope| error.sentence.contains(scope)), "{error}");
}

#[tokio::test]
async fn missing_scopes_are_not_reported_if_another_call_has_failed() {
    let refused = scopes_missing("crm.objects.contacts.sensitive.read");
    let account = answering("sensitive", refused);
    let server = Server::start(move |request, place| match request.parameter("dataSensitivity") {
        Some("highly_sensitive") => Reply::status(503, ""),
        _ => account(request, place),
    })
    .await;
    let error = Client::to(&server).crm.properties(&object("contacts")).await.expect_err("the last call fails");
    assert!(error.kind.is_unavailable(), "{error:?}");
}

#[tokio::test]
async fn a_server_that_ignores_levels_makes_nothing_sensitive() {
    let server = Server::script([listed(&json!([{ "name": "email" }]))]).await;
    let properties = Client::to(&server).crm.properties(&object("contacts")).await.expect("properties").properties;
    assert_eq!(properties.len(), 1);
    assert_eq!(properties[0].sensitivity, Sensitivity::NonSensitive);
}
