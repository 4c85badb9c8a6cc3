//! C3, C4, A6, A7: the encodings of answers, and their headers.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Method;
use sandbox_crm::{Fault, Faults, NewProperty, Plan, PortalConfig, RecordChanges, ScriptedFault, Variants};
use serde_json::{Value, json};

use crate::client::Fixture;

const LIST: &str = "/crm/objects/2026-09/contacts?limit=100";

/// The answer to a client that takes gzip: its coding and its bytes.
async fn compressed(fixture: &Fixture, path: &str) -> (Option<String>, Vec<u8>) {
    let request = fixture.http.request(Method::GET, format!("{}{path}", fixture.sandbox.base_url()));
    let request = request.bearer_auth(fixture.portal.token()).header("accept-encoding", "gzip");
    let response = request.send().await.expect("an answer");
    let coding = response.headers().get("content-encoding").map(|value| value.to_str().expect("text").to_owned());
    (coding, response.bytes().await.expect("a body").to_vec())
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

/// C4.
#[tokio::test]
async fn answers_are_compressed_when_that_is_asked_for() {
    let fixture = Fixture::contacts(100).await;
    let plain = fixture.get(LIST).await;
    assert_eq!(plain.header("content-encoding"), None);
    let (coding, bytes) = compressed(&fixture, LIST).await;
    assert_eq!(coding.as_deref(), Some("gzip"));
    assert!(bytes.len() * 3 < plain.text.len());
    assert_eq!(unpacked(&bytes), plain.text);
    let report = fixture.portal.calls();
    assert_eq!(report.recent[1].bytes as usize, bytes.len());

    fixture.portal.set_variants(Variants { gzip: false, ..Variants::default() });
    assert_eq!(compressed(&fixture, LIST).await, (None, plain.text.into_bytes()));
}

#[tokio::test]
async fn a_truncated_document_is_whole_gzip() {
    let fixture = Fixture::contacts(20).await;
    let script = vec![ScriptedFault::once(Fault::TruncatedJson)];
    fixture.portal.set_faults(Faults { script, ..Faults::default() });
    let (_, bytes) = compressed(&fixture, LIST).await;
    assert!(serde_json::from_str::<Value>(&unpacked(&bytes)).is_err());
}

/// A6, A7: in values, labels and names of properties, labels of objects and the answers to writes.
#[tokio::test]
async fn half_surrogates_are_sent_as_they_are_stored() {
    let half = '\u{10D83D}';
    let labels = [("machine".to_owned(), format!("Boat {half}"))].into();
    let variants = Variants { labels, ..Variants::default() };
    let fixture = Fixture::with(PortalConfig { variants, ..PortalConfig::default() }).await;
    let id = fixture.live_ids("contacts")[0];
    fixture.portal.define_property(
        "contacts",
        &format!("odd{half}"),
        &NewProperty { label: Some(format!("Label {half}")), ..NewProperty::default() },
    );
    let values = [("city".to_owned(), format!("x{half}y"))].into();
    let update = [(id, values)].into();
    fixture.portal.change_records("contacts", &RecordChanges { update, ..RecordChanges::default() });

    let page = fixture.get(&format!("{LIST}&properties=city")).await.text;
    assert!(page.contains(r#""city":"x\ud83dy""#), "{page}");
    let definitions = fixture.get("/crm/properties/2026-09/contacts").await.text;
    assert!(definitions.contains(r#""label":"Label \ud83d""#) && definitions.contains(r#""name":"odd\ud83d""#));
    let schemas = fixture.get("/crm/v3/schemas").await.text;
    assert!(schemas.contains(r#""singular":"Boat \ud83d""#));
    let body = json!({"inputs": [{"id": id.to_string(), "properties": {"city": format!("z{half}")}}]});
    let written = fixture.post("/crm/objects/2026-09/contacts/batch/update", body).await.text;
    assert!(written.contains(r#""city":"z\ud83d""#), "{written}");
}

/// C3.
#[tokio::test]
async fn an_account_with_an_increase_has_more_calls() {
    let config = PortalConfig { plan: Plan::Enterprise, limit_increases: 1, ..PortalConfig::empty() };
    let fixture = Fixture::with(config).await;
    let answer = fixture.get(LIST).await;
    assert_eq!(answer.header("x-hubspot-ratelimit-max"), Some("250"));
    assert_eq!(answer.header("x-hubspot-ratelimit-daily"), Some("2000000"));
}

#[tokio::test]
async fn answers_to_an_oauth_token_do_not_tell_the_daily_limit() {
    let fixture = Fixture::contacts(1).await;
    fixture.portal.set_variants(Variants { daily_headers: false, ..Variants::default() });
    let answer = fixture.get(LIST).await;
    assert_eq!(answer.header("x-hubspot-ratelimit-max"), Some("190"));
    assert_eq!(answer.header("x-hubspot-ratelimit-daily"), None);
    assert_eq!(answer.header("x-hubspot-ratelimit-daily-remaining"), None);
}
