//! A2, A3: values that the CRM does not show.

use domain::ids::RecordId;
use domain::ports::crm::{CrmErrorKind, Cursor};
use domain::ports::crm_batch::BatchRead;
use domain::rows::RowBuffer;
use serde_json::{Map, Value, json};

use super::server::{Reply, Seen, Server};
use super::{Client, connector, object};

/// The property names in a request, for a server that splits lists at commas.
fn names_asked(request: &Seen) -> Vec<String> {
    if let Ok(body) = serde_json::from_str::<Value>(&request.body) {
        let names = body["properties"].as_array().expect("names").iter();
        return names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    }
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let lists = query.split('&').filter_map(|pair| pair.strip_prefix("properties="));
    lists.flat_map(|list| list.split(',')).map(|name| name.replace("%2C", ",").replace("%20", " ")).collect()
}

/// Two records, with the requested properties that `shows` selects.
fn two_records(request: &Seen, shows: impl Fn(&str) -> bool) -> Reply {
    let names: Vec<String> = names_asked(request).into_iter().filter(|name| shows(name)).collect();
    let results = [1, 2].map(|id| {
        let values: Map<String, Value> =
            names.iter().map(|name| (name.clone(), format!("{name} {id}").into())).collect();
        json!({ "id": id.to_string(), "properties": values })
    });
    Reply::ok(json!({ "results": results }).to_string())
}

fn is_batch(request: &Seen) -> bool {
    request.path().ends_with("/batch/read")
}

/// A3: a comma cannot break a parameter with a single name, and no further call is necessary.
#[tokio::test]
async fn a_name_with_a_comma_has_its_own_parameter() {
    let server = Server::start(|request, _| two_records(request, |_| true)).await;
    let names = ["a", "size, in cm", "b"];
    let page = Client::to(&server).page("deals", &names, &Cursor::START).await.expect("a page");
    assert_eq!(page.records[0].1, ["a 1", "size, in cm 1", "b 1"]);
    assert_eq!(server.seen().len(), 1);
    assert!(server.seen()[0].target.contains("properties=a&properties=size%2C%20in%20cm&properties=b"));
}

/// A3: only the missing column is read by id.
#[tokio::test]
async fn a_column_that_a_list_does_not_show_is_read_by_id() {
    let server = Server::start(|request, _| two_records(request, |name| name != "x" || is_batch(request))).await;
    let client = Client::to(&server);
    let page = client.page("deals", &["a", "x"], &Cursor::START).await.expect("a page");
    assert_eq!(page.records, [1, 2].map(|id| (id, vec![format!("a {id}"), format!("x {id}")])));
    assert!(page.hidden.is_empty());
    let seen = server.seen();
    assert_eq!((seen.len(), names_asked(&seen[1])), (2, vec!["x".to_owned()]));
}

/// A3: such a column costs one additional call, not one for every page.
#[tokio::test]
async fn a_column_that_no_call_shows_stays_unknown_and_is_read_by_id_only_once() {
    let server = Server::start(|request, _| two_records(request, |name| name != "x")).await;
    let connector = connector();
    let client = Client::named(&server, &connector, "one");
    for calls in [2, 3, 4] {
        let page = client.page("deals", &["a", "x"], &Cursor::START).await.expect("a page");
        assert_eq!(page.hidden, [(0, 1), (1, 1)]);
        assert_eq!(server.seen().len(), calls);
    }
    let (deals, mut rows) = (object("deals"), RowBuffer::new(2));
    let request = BatchRead { object: &deals, properties: &["a", "x"], ids: &[1, 2].map(RecordId) };
    client.crm.read_batch(&request, &mut rows).await.expect("read");
    assert!(!rows.is_shown(0, 1) && rows.is_shown(0, 0));
    assert_eq!(server.seen().len(), 5);
    let other = Client::named(&server, &connector, "other");
    other.page("deals", &["a", "x"], &Cursor::START).await.expect("a page");
    assert_eq!(server.seen().len(), 7, "another account learns for itself");
}

/// A3: a batch read can leave values out.
#[tokio::test]
async fn values_that_a_batch_leaves_out_are_read_once_more() {
    let server = Server::start(|request, place| two_records(request, |name| name != "x" || place > 0)).await;
    let (deals, mut rows) = (object("deals"), RowBuffer::new(2));
    let request = BatchRead { object: &deals, properties: &["a", "x"], ids: &[1, 2].map(RecordId) };
    Client::to(&server).crm.read_batch(&request, &mut rows).await.expect("read");
    assert!(rows.is_complete() && rows.value(1, 1) == "x 2");
    assert_eq!(server.seen().len(), 2);
}

/// The way in which a CRM shows sensitive values in the result of a search.
#[derive(Clone, Copy)]
enum Treats {
    Shows,
    LeavesOut,
    ShowsNull,
    Refuses,
    HasNone,
    ShowsLater,
}

/// An account with twelve sensitive properties. Only the last one has values.
async fn account(treats: Treats) -> Server {
    Server::start(move |request, place| {
        if !request.path().ends_with("/search") {
            let names: Vec<String> = match request.parameter("dataSensitivity") {
                None => vec!["email".into()],
                Some("sensitive") => (0..12).map(|place| format!("secret_{place}")).collect(),
                Some(_) => vec![],
            };
            let results: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
            return Reply::ok(json!({ "results": results }).to_string());
        }
        assert!(request.body.len() <= 3_000 && request.body.contains("HAS_PROPERTY"));
        let nothing = json!({ "total": 0, "results": [] });
        if !request.body.contains("secret_11") && !matches!(treats, Treats::Refuses) {
            return Reply::ok(nothing.to_string());
        }
        let found = |properties: Value| {
            Reply::ok(json!({ "total": 1, "results": [{ "id": "1", "properties": properties }] }).to_string())
        };
        match treats {
            Treats::LeavesOut => found(json!({ "hs_object_id": "1" })),
            Treats::ShowsNull => found(json!({ "secret_11": null })),
            Treats::ShowsLater if place < 5 => found(json!({ "secret_11": null })),
            Treats::Shows | Treats::ShowsLater => found(json!({ "secret_11": "1" })),
            Treats::HasNone => Reply::ok(nothing.to_string()),
            Treats::Refuses => Reply::status(403, r#"{"category":"MISSING_SCOPES"}"#),
        }
    })
    .await
}

/// A2: a hidden value is left out, null or refused. The error names the scope for it.
#[tokio::test]
async fn hidden_values_are_reported_in_all_forms() {
    for treats in [Treats::LeavesOut, Treats::ShowsNull, Treats::Refuses] {
        let error = Client::to(&account(treats).await).crm.properties(&object("contacts")).await.expect_err("hidden");
        let scope = "crm.objects.contacts.sensitive.read";
        assert_eq!(error.kind, CrmErrorKind::HiddenValues(vec![scope.into()]));
        assert!(error.sentence.contains(scope) && error.sentence.contains("contacts"), "{error}");
    }
    let error = Client::to(&account(Treats::ShowsNull).await).crm.properties(&object("products")).await;
    assert_eq!(error.expect_err("hidden").kind, CrmErrorKind::HiddenValues(vec![]), "C5: there is no such scope");
}

/// A2: values may be shown at once or later, or no record may have one.
#[tokio::test]
async fn values_that_are_visible_or_do_not_exist_are_not_reported() {
    for treats in [Treats::Shows, Treats::HasNone, Treats::ShowsLater] {
        let listed = Client::to(&account(treats).await).crm.properties(&object("contacts")).await.expect("listed");
        assert_eq!((listed.properties.len(), listed.refused.len()), (13, 0));
    }
}

/// What the list of an account shows, in which no search shows any value.
async fn account_that_lists(first: &'static str) -> Server {
    Server::start(move |request, _| {
        if request.path().ends_with("/search") {
            return Reply::ok(r#"{"total":1,"results":[{"id":"1","properties":{}}]}"#);
        }
        if request.path().contains("/objects/") {
            assert_eq!(names_asked(request), ["s_1", "h_1", "s_2"]);
            return Reply::ok(first);
        }
        let names: &[&str] = match request.parameter("dataSensitivity") {
            None => &["email"],
            Some("sensitive") => &["s_1", "s_2"],
            Some(_) => &["h_1"],
        };
        let results: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        Reply::ok(json!({ "results": results }).to_string())
    })
    .await
}

/// HubSpot allows five searches a second, so they are left out if the first page answers the question.
#[tokio::test]
async fn no_search_is_sent_if_the_first_page_shows_values_or_no_records() {
    let shown =
        r#"{"results":[{"id":"1","properties":{"s_1":"","s_2":"x","h_1":"y"}}],"paging":{"next":{"after":"1"}}}"#;
    for first in [shown, r#"{"results":[]}"#] {
        let server = account_that_lists(first).await;
        let listed = Client::to(&server).crm.properties(&object("contacts")).await.expect("listed");
        assert_eq!((listed.properties.len(), server.seen().len()), (4, 4));
    }
}

/// A2: values that the first page does not show are searched for, each level by itself.
#[tokio::test]
async fn a_level_without_values_on_the_first_page_is_searched() {
    let only_one = r#"{"results":[{"id":"1","properties":{"s_1":"x","s_2":null}}]}"#;
    let error = Client::to(&account_that_lists(only_one).await).crm.properties(&object("contacts")).await;
    let scope = "crm.objects.contacts.highly_sensitive.read";
    assert_eq!(error.expect_err("hidden").kind, CrmErrorKind::HiddenValues(vec![scope.into()]));
    for unreadable in [r#"{"results":"none"}"#, r#"{"results":[],"paging":{"next":{"after":"1"}}}"#] {
        let error = Client::to(&account_that_lists(unreadable).await).crm.properties(&object("contacts")).await;
        assert!(matches!(error.expect_err("hidden").kind, CrmErrorKind::HiddenValues(scopes) if scopes.len() == 2));
    }
}
