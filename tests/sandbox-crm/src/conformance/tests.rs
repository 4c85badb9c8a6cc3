use serde_json::{Value, json};

use super::*;

fn call(method: &str, path: &str, body: &Value) -> Exchange {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let has_body = !body.is_null();
    Exchange {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        content_type: has_body.then(|| "application/json".to_owned()),
        body: if has_body { body.to_string().into_bytes() } else { Vec::new() },
        answer: None,
    }
}

fn get(path: &str) -> Exchange {
    call("GET", path, &Value::Null)
}

fn answered(exchange: Exchange, status: u16, document: &Value) -> Exchange {
    let content_type = "application/json;charset=utf-8".to_owned();
    Exchange { answer: Some(Answered { status, content_type, body: document.to_string().into_bytes() }), ..exchange }
}

/// Each exchange has exactly the violation whose sentence ends so.
fn found(cases: &[(Exchange, &str)]) {
    for (exchange, sentence) in cases {
        let violations = violations(std::slice::from_ref(exchange));
        assert_eq!(violations.len(), 1, "{sentence}: {violations:?}");
        assert!(violations[0].contains(sentence), "{} instead of {sentence}", violations[0]);
    }
}

const CONTACTS: &str = "/crm/objects/2026-09/contacts";

fn batch(action: &str, body: &Value) -> Exchange {
    call("POST", &format!("{CONTACTS}/batch/{action}"), body)
}

fn search(body: &Value) -> Exchange {
    call("POST", &format!("{CONTACTS}/search"), body)
}

fn record() -> Value {
    json!({
        "id": "5", "properties": {"email": null}, "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z", "archived": false,
    })
}

/// `document` with a member changed.
fn with(mut document: Value, path: &str, value: Value) -> Value {
    *document.pointer_mut(path).expect("it is there") = value;
    document
}

/// `document` without a member.
fn without(mut document: Value, name: &str) -> Value {
    document.as_object_mut().expect("an object").remove(name);
    document
}

#[test]
fn calls_as_the_documents_show_them_are_right() {
    let page = json!({"results": [record()], "paging": {"next": {"after": "6", "link": "http://x"}}});
    let done = json!({
        "status": "COMPLETE", "results": [record()], "startedAt": "2026-01-01T00:00:00Z",
        "completedAt": "2026-01-01T00:00:00Z",
    });
    let read = json!({"inputs": [{"id": "5"}], "properties": ["a,b"], "propertiesWithHistory": []});
    let filter = json!({"propertyName": "hs_object_id", "operator": "GT", "value": "5"});
    let wanted = json!({
        "filterGroups": [{"filters": [filter]}], "sorts": ["hs_object_id"], "properties": [], "limit": 200,
        "after": "9800",
    });
    let error = json!({"status": "error", "message": "m", "correlationId": "c", "category": "VALIDATION_ERROR"});
    let limited = json!({"status": "error", "message": "m", "correlationId": "c", "errorType": "RATE_LIMIT"});
    let html = Answered { status: 502, content_type: "text/html".to_owned(), body: b"<html>".to_vec() };
    let right = [
        answered(get(&format!("{CONTACTS}?limit=100&after=5&properties=a,b&properties=c&archived=False")), 200, &page),
        answered(get("/crm/v3/objects/0-1?limit=1"), 400, &error),
        answered(get("/crm/v3/objects/0-1"), 429, &limited),
        Exchange { answer: Some(html), ..get(CONTACTS) },
        answered(batch("read", &read), 200, &done),
        answered(search(&wanted), 200, &with(json!({"total": 1, "results": null}), "/results", json!([record()]))),
        batch("update", &json!({"inputs": [{"id": "5", "properties": {"a": ""}}, {"id": "6", "properties": {}}]})),
        get("/crm/properties/2026-09/contacts?dataSensitivity=sensitive&archived=true"),
        get("/crm-object-schemas/2026-09/schemas?archived=false&includePropertyDefinitions=false"),
        get("/conversations/conversations/2026-09/threads?limit=500&sort=id"),
        call("GET", "/account-info/v3/details", &json!({})),
    ];
    assert_eq!(violations(&right), [""; 0]);
}

#[test]
fn unknown_paths_and_parameters_are_found() {
    found(&[
        (get("/crm/v4/objects/contacts"), "no such endpoint"),
        (call("PUT", CONTACTS, &Value::Null), "no such endpoint"),
        (get("/crm//objects"), "no such endpoint"),
        (get(&format!("{CONTACTS}?page=2")), "no query parameter page"),
        (get(&format!("{CONTACTS}?limit=101")), "limit is not a number from 1 to 100"),
        (get(&format!("{CONTACTS}?limit=0")), "limit is not a number from 1 to 100"),
        (get(&format!("{CONTACTS}?after=1&after=2")), "after appears twice"),
        (get(&format!("{CONTACTS}?archived=1")), "archived is neither true nor false"),
        (get(&format!("{CONTACTS}?properties={}", "x".repeat(6_000))), "path and query have 6041 characters"),
        (get("/crm/properties/2026-09/contacts?dataSensitivity=secret"), "not one of the three levels"),
        (get("/conversations/v3/conversations/threads?limit=501"), "limit is not a number from 1 to 500"),
        (get("/conversations/v3/conversations/threads?sort=name"), "no such order"),
        (call("GET", CONTACTS, &json!({"a": 1})), "a body, which it must not have"),
    ]);
}

#[test]
fn bodies_of_batches_are_held_to_their_form() {
    let read = json!({"inputs": [{"id": "5"}], "properties": [], "propertiesWithHistory": []});
    let many: Vec<Value> = (0..101).map(|id| json!({"id": id.to_string()})).collect();
    let update = |input: Value| batch("update", &json!({"inputs": [input]}));
    let untyped = Exchange { content_type: None, ..batch("read", &read) };
    found(&[
        (untyped, "not application/json"),
        (batch("read", &json!([])), "not a JSON object"),
        (batch("read", &without(read.clone(), "propertiesWithHistory")), "lacks propertiesWithHistory"),
        (batch("read", &with(read.clone(), "/properties", json!("email"))), "properties is not a list of texts"),
        (batch("read", &with(read.clone(), "/inputs", json!([]))), "0 entries"),
        (batch("read", &with(read.clone(), "/inputs", json!(many))), "101 entries"),
        (batch("read", &with(read.clone(), "/inputs/0", json!({"id": 5}))), "id is not a text"),
        (batch("read", &with(read, "/inputs/0", json!({"id": "5", "properties": {}}))), "unknown member properties"),
        (update(json!({"id": "5"})), "an input lacks properties"),
        (update(json!({"id": "5", "properties": {"a": 1}})), "not an object of texts"),
        (update(json!(5)), "an input is not an object"),
        (
            batch("update", &json!({"inputs": [{"id": "5", "properties": {}}, {"id": "5", "properties": {}}]})),
            "an id appears twice",
        ),
    ]);
    let archive = violations(&[batch("archive", &json!({"ids": ["5"]}))]);
    assert_eq!(archive.len(), 3, "inputs is missing, and ids is unknown: {archive:?}");
}

#[test]
fn bodies_of_searches_are_held_to_their_form() {
    let filter = |filter: Value| search(&json!({"filterGroups": [{"filters": [filter]}]}));
    found(&[
        (search(&json!({"limit": 201})), "limit is not a number up to 200"),
        (search(&json!({"limit": 100, "after": "9901"})), "past 10000 results"),
        (search(&json!({"sorts": ["a", "b"]})), "more than one property"),
        (search(&json!({"offset": 5})), "unknown member offset"),
        (search(&json!({"query": "x".repeat(2_990)})), "the body has 3002 characters"),
        (search(&json!({"filterGroups": [{}, {}, {}, {}, {}, {}]})), "more than 5 filterGroups"),
        (filter(json!({"propertyName": "a", "operator": "LIKE", "value": "1"})), "unknown operator"),
        (filter(json!({"propertyName": "a", "operator": "BETWEEN", "value": "1"})), "lacks highValue"),
        (filter(json!({"operator": "HAS_PROPERTY"})), "names no property"),
    ]);
}

#[test]
fn answers_are_held_to_their_form() {
    let page = |record: Value| answered(get(CONTACTS), 200, &json!({"results": [record]}));
    let html = |status| {
        let answer = Answered { status, content_type: "text/html".to_owned(), body: b"{}".to_vec() };
        Exchange { answer: Some(answer), ..get("/account-info/v3/details") }
    };
    let account = json!({
        "portalId": 5, "accountType": "STANDARD", "timeZone": "UTC", "companyCurrency": "EUR", "uiDomain": "x",
    });
    found(&[
        (page(with(record(), "/id", json!(5))), "id of a record is not"),
        (page(without(record(), "properties")), "a record lacks properties"),
        (page(with(record(), "/createdAt", json!("yesterday"))), "createdAt of a record is not"),
        (page(with(record(), "/properties/email", json!(5))), "neither a text nor null"),
        (answered(get(CONTACTS), 200, &json!({})), "lacks its results"),
        (answered(get(CONTACTS), 200, &json!([])), "not a JSON object"),
        (answered(get(CONTACTS), 206, &json!({"results": []})), "206 is no status"),
        (answered(get(CONTACTS), 200, &json!({"results": [], "paging": {}})), "paging leads nowhere"),
        (
            answered(get(&format!("{CONTACTS}?limit=1")), 200, &json!({"results": [record(), record()]})),
            "more results than were asked for",
        ),
        (answered(search(&json!({})), 200, &json!({"results": []})), "lacks its total"),
        (answered(get("/account-info/v3/details"), 200, &without(account, "timeZone")), "the account lacks timeZone"),
        (answered(get(CONTACTS), 404, &json!({"status": "error", "message": "m", "category": "C"})), "correlationId"),
        (answered(batch("archive", &json!({"inputs": [{"id": "5"}]})), 204, &json!({})), "has a body"),
    ]);
    assert!(violations(&[html(500)]).is_empty(), "what stands before the CRM answers in its own way");
    assert!(!violations(&[html(200)]).is_empty());
}

#[test]
fn answers_to_batches_are_held_to_their_form() {
    let read = json!({"inputs": [{"id": "5"}], "properties": [], "propertiesWithHistory": []});
    let done = json!({
        "status": "COMPLETE", "results": [record()], "startedAt": "2026-01-01T00:00:00Z",
        "completedAt": "2026-01-01T00:00:00Z", "numErrors": 1,
        "errors": [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": "m"}],
    });
    let case = |document: Value| answered(batch("read", &read), 207, &document);
    found(&[
        (case(with(done.clone(), "/status", json!("DONE"))), "unknown status"),
        (case(without(done.clone(), "startedAt")), "a batch lacks startedAt"),
        (case(with(done.clone(), "/numErrors", json!(2))), "not the number of errors"),
        (case(with(done.clone(), "/errors/0/category", Value::Null)), "lacks category"),
        (case(with(done.clone(), "/results/0/id", json!(7))), "id of a record"),
    ]);
    assert!(violations(&[case(done)]).is_empty());
}

#[test]
fn what_was_damaged_on_purpose_says_nothing_about_the_server() {
    assert!(violations(&[get(CONTACTS)]).is_empty());
    assert_eq!(violations(&[get(&format!("{CONTACTS}?page=2")), get("/nonsense")]).len(), 2);
}
