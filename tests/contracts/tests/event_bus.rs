//! The contract of event buses on every bus, and the meaning of EventBridge's answers.

use contracts::backends::{MINISTACK, TestBus, connect, with_event_bus};
use contracts::event_bus::{self, Subscriber};
use contracts::scripted_server::{Answer, ScriptedServer};
use domain::ports::outlets::{BusEvent, EventBus, OutletError};
use futures_util::future::join_all;
use in_memory::MemoryEventBus;
use serde_json::{Value, json};

struct Memory<'a>(&'a MemoryEventBus);

impl Subscriber for Memory<'_> {
    async fn events(&self) -> Vec<(String, Value)> {
        let detail = |event: &BusEvent| serde_json::from_str(&event.detail).expect("JSON");
        self.0.published().iter().map(|event| (event.detail_type.clone(), detail(event))).collect()
    }
}

struct Rule<'a>(&'a TestBus);

impl Subscriber for Rule<'_> {
    async fn events(&self) -> Vec<(String, Value)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let received = self.0.receive().await;
        received.into_iter().map(|event| (text(&event["detail-type"]), event["detail"].clone())).collect()
    }
}

#[tokio::test]
async fn events_arrive_as_they_were_in_memory() {
    let bus = MemoryEventBus::new();
    event_bus::events_arrive_as_they_were(&bus, &Memory(&bus)).await;
}

#[tokio::test]
async fn events_arrive_as_they_were_on_ministack() {
    with_event_bus(MINISTACK, async |bus, test| event_bus::events_arrive_as_they_were(&bus, &Rule(test)).await).await;
}

#[tokio::test]
async fn a_malformed_event_is_refused_in_memory() {
    let bus = MemoryEventBus::new();
    event_bus::a_malformed_event_is_refused(&bus, &Memory(&bus)).await;
}

fn entry_failed(code: &str) -> Answer {
    let entry = json!({ "ErrorCode": code, "ErrorMessage": "Detail {\"label\":\"private\"} was not taken." });
    Answer { status: 200, body: json!({ "FailedEntryCount": 1, "Entries": [entry] }).to_string() }
}

fn call_failed(status: u16, code: &str) -> Answer {
    Answer { status, body: json!({ "__type": code, "message": "private" }).to_string() }
}

async fn publish(server: &ScriptedServer) -> Result<(), OutletError> {
    let at = "2026-11-23T02:48:25.125Z".parse().expect("a time");
    let (detail_type, detail) = ("Backup Completed".to_owned(), r#"{"label":"private"}"#.to_owned());
    let bus = connect(&server.url()).await.event_bus("crm-backup-bus");
    let outcome = bus.publish(&BusEvent { detail_type, at, detail }).await;
    assert!(!format!("{outcome:?}").contains("private"), "{outcome:?}");
    outcome
}

#[tokio::test]
async fn an_event_names_its_bus_source_and_time() {
    let body = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] }).to_string();
    let server = ScriptedServer::answering([Answer { status: 200, body }]).await;

    assert_eq!(publish(&server).await, Ok(()));

    let entry = json!({
        "EventBusName": "crm-backup-bus",
        "Source": "crm-backup",
        "DetailType": "Backup Completed",
        "Time": 1_795_402_105.125,
        "Detail": r#"{"label":"private"}"#,
    });
    assert_eq!(server.requests(), [json!({ "Entries": [entry] })]);
}

#[tokio::test]
async fn an_event_that_would_be_refused_again_is_refused() {
    let answers = [
        (entry_failed("MalformedDetail"), "MalformedDetail"),
        (entry_failed("NotAuthorizedForSourceException"), "NotAuthorizedForSourceException"),
    ];
    for (answer, why) in answers {
        let server = ScriptedServer::answering([answer]).await;
        assert_eq!(publish(&server).await, Err(OutletError::Refused(format!("PutEvents: {why}"))));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_event_bus_that_may_recover_is_unavailable() {
    let answers = [
        (entry_failed("ThrottlingException"), "ThrottlingException"),
        (entry_failed("InternalFailure"), "InternalFailure"),
        (entry_failed("InternalException"), "InternalException"),
        (call_failed(400, "ThrottlingException"), "ThrottlingException (HTTP 400)"),
        // An operator may still grant the missing permission.
        (call_failed(400, "AccessDeniedException"), "AccessDeniedException (HTTP 400)"),
        (call_failed(500, "InternalException"), "InternalException (HTTP 500)"),
    ];
    join_all(answers.map(async |(answer, why)| {
        let server = ScriptedServer::answering([answer]).await;
        assert_eq!(publish(&server).await, Err(OutletError::Unavailable(format!("PutEvents: {why}"))));
    }))
    .await;
}
