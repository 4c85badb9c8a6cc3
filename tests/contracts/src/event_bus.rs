//! The contract of every event bus. See [`domain::ports::outlets`]. It promises no order.

use domain::ports::outlets::{BusEvent, EventBus, OutletError};
use serde_json::{Value, json};

/// A customer's own automation, for tests.
pub trait Subscriber {
    /// The detail types and details of the events that have arrived.
    fn events(&self) -> impl Future<Output = Vec<(String, Value)>>;
}

fn event(detail_type: &str, detail: &Value) -> BusEvent {
    let at = "2026-11-23T02:48:25.125Z".parse().expect("a time");
    BusEvent { detail_type: detail_type.to_owned(), at, detail: detail.to_string() }
}

/// Events arrive unchanged.
///
/// # Panics
/// If the bus breaks its contract.
pub async fn events_arrive_as_they_were(bus: &dyn EventBus, subscriber: &impl Subscriber) {
    let completed = json!({ "accountId": "77", "rows": 1_u64 << 53, "label": "größer “als” je" });
    let failed = json!({ "accountId": "7", "nested": { "list": [1, null, {}] } });

    assert_eq!(bus.publish(&event("Backup Completed", &completed)).await, Ok(()));
    assert_eq!(bus.publish(&event("Backup Failed", &failed)).await, Ok(()));

    let mut events = subscriber.events().await;
    events.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(events, [("Backup Completed".to_owned(), completed), ("Backup Failed".to_owned(), failed)]);
}

/// An event without a detail type, or with a detail that is not a JSON object, is refused and not delivered.
///
/// # Panics
/// If the bus breaks its contract.
pub async fn a_malformed_event_is_refused(bus: &dyn EventBus, subscriber: &impl Subscriber) {
    let unfinished = BusEvent { detail: r#"{"value":"#.to_owned(), ..event("Backup Completed", &Value::Null) };
    for malformed in [event("", &json!({})), event("Backup Completed", &json!(["value"])), unfinished] {
        let outcome = bus.publish(&malformed).await;
        let Err(OutletError::Refused(why)) = &outcome else { panic!("{outcome:?}") };
        assert!(!why.contains("value"), "{why}");
    }
    assert_eq!(subscriber.events().await, []);
}
