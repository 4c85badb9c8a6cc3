//! The API's description agrees with the routes, the problems, the answers and the template.

use std::collections::BTreeSet;

use domain::FailureKind;
use http::Method;
use http_api::problem::{ProblemType, catalogue};
use http_api::routes::{DESCRIPTION, ROUTES};
use http_api::testing::{ApiCall, described, document};
use serde_json::{Value, json};

use super::{World, completed, deleted, failed, path};

pub(super) fn description() -> Value {
    serde_json::from_str(DESCRIPTION).expect("the description is JSON")
}

#[tokio::test]
async fn everyone_may_read_the_description() {
    let response = World::empty().answer(ApiCall::get("/openapi.json")).await;
    assert_eq!((response.status().as_u16(), document(&response)), (200, description()));
}

/// D10: a client with the current description gets 304.
#[tokio::test]
async fn an_unchanged_description_is_not_sent_again() {
    let world = World::empty();
    let first = world.answer(ApiCall::get("/openapi.json")).await;
    let etag = first.headers()["etag"].to_str().expect("ASCII").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && first.headers()["cache-control"] == "no-cache");
    for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let call = ApiCall::get("/openapi.json").header("if-none-match", &known);
        let again = world.answer(call).await;
        described::check("GET", "/openapi.json", &again);
        assert_eq!(
            (again.status().as_u16(), again.body(), &again.headers()["etag"]),
            (304, "", &first.headers()["etag"])
        );
    }
    let other = world.answer(ApiCall::get("/openapi.json").header("if-none-match", "\"x\"")).await;
    assert_eq!((other.status().as_u16(), other.body()), (200, first.body()));
}

/// D8: routes and description list the same parameters.
#[test]
fn every_route_takes_exactly_the_described_parameters() {
    let description = description();
    for route in &ROUTES {
        let operation = &description["paths"][route.path][route.method.as_str().to_lowercase()];
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
            let reference = parameter["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
            reference.map_or(parameter, |pointer| description.pointer(pointer).expect("inside the document"))
        });
        let described: Vec<_> = parameters.filter(|parameter| parameter["in"] == "query").collect();
        let names: Vec<_> = described.iter().map(|parameter| parameter["name"].as_str().expect("a name")).collect();
        assert_eq!(names, route.operation.parameters(), "{}", route.path);
        assert!(operation["responses"].get("400").is_some(), "{} {}", route.method, route.path);
        for parameter in described
            .iter()
            .filter(|parameter| ["cursor", "person"].contains(&parameter["name"].as_str().expect("a name")))
        {
            assert_eq!(parameter["schema"]["minLength"], 1, "{parameter}");
        }
    }
}

#[test]
fn the_description_lists_every_kind_of_failure_and_no_other() {
    let description = description();
    let kind = &description["components"]["schemas"]["Failure"]["properties"]["kind"];
    let known: Vec<_> = FailureKind::ALL.iter().map(FailureKind::as_str).collect();
    assert_eq!(kind["examples"], json!(known));
    assert!(kind.get("enum").is_none(), "answers may hold kinds of later versions");
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let description = description();
    let mut described = BTreeSet::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys().filter(|key| *key != "parameters") {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routes: BTreeSet<_> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(described, routes);
}

#[test]
fn the_description_has_every_kind_of_problem_and_no_other() {
    let description = description();
    let described = description["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].clone();
    let kinds: Vec<_> = catalogue::ALL.iter().map(ProblemType::uri).collect();
    assert_eq!(described, json!(kinds));
    for kind in catalogue::ALL {
        assert!(DESCRIPTION.contains(&format!("`{}`", kind.slug)), "{} is missing from all routes", kind.slug);
    }
}

#[test]
fn all_references_in_the_description_can_be_resolved() {
    fn check(part: &Value, whole: &Value) {
        match part {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').expect("inside the document");
                    assert!(whole.pointer(pointer).is_some(), "{reference}");
                }
                members.values().for_each(|member| check(member, whole));
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, whole)),
            _ => {}
        }
    }
    let description = description();
    check(&description, &description);
}

#[tokio::test]
async fn answers_have_exactly_the_described_members() {
    fn names(object: &Value) -> BTreeSet<String> {
        object.as_object().expect("an object").keys().cloned().collect()
    }
    let description = description();
    let properties = |schema: &str| names(&description["components"]["schemas"][schema]["properties"]);
    let mut possible = BTreeSet::new();
    for backup in [completed(1), failed(1), deleted(1)] {
        let world = World::with([&backup]).await;
        possible.extend(names(&document(&world.get("/accounts/42/backups").await)["backups"][0]));
        let required = &description["components"]["schemas"]["Backup"]["required"];
        for name in required.as_array().expect("names") {
            let shown = document(&world.get(&path(&backup)).await);
            assert!(shown.get(name.as_str().expect("a name")).is_some(), "{name}");
        }
    }
    assert_eq!(possible, properties("Backup"));
}

/// The template's routes, as `(RouteKey, AuthorizationType)`.
fn deployed_routes() -> BTreeSet<(String, String)> {
    let template = include_str!("../../../../infra/template.yaml");
    let value = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
        line.expect("a route has both").to_owned()
    };
    let blocks = template.split("\n\n").filter(|block| block.contains("Type: AWS::ApiGatewayV2::Route\n"));
    blocks.map(|block| (value(block, "RouteKey"), value(block, "AuthorizationType"))).collect()
}

#[test]
fn every_route_is_deployed_and_all_but_the_description_need_a_token() {
    let mut expected = BTreeSet::from([("$default".to_owned(), "NONE".to_owned())]);
    for route in &ROUTES {
        let authorization = if route.path == "/openapi.json" { "NONE" } else { "JWT" };
        expected.insert((format!("{} {}", route.method, route.path), authorization.to_owned()));
        // D10: without its own route a HEAD request would take `$default`, which checks no token.
        if route.method == Method::GET {
            expected.insert((format!("HEAD {}", route.path), authorization.to_owned()));
        }
    }
    assert_eq!(deployed_routes(), expected);
}

/// Alarms refer to headings of the runbook.
#[test]
fn every_heading_that_an_alarm_quotes_is_in_the_runbook() {
    let template = include_str!("../../../../infra/template.yaml");
    let runbook = include_str!("../../../../docs/operator.md");
    let quoted = template.split("See \"").skip(1).filter_map(|rest| rest.split_once("\" in docs/operator.md."));
    let headings: Vec<_> = quoted.map(|(heading, _)| heading).collect();
    assert!(headings.len() > 10 && headings.contains(&"Dead letters"), "{headings:?}");
    for heading in headings {
        assert!(runbook.contains(&format!("\n### {heading}\n")), "{heading}");
    }
}
