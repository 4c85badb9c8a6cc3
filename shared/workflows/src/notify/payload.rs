//! The JSON for programs, the same on the event bus and in webhooks.

use domain::ids::{AccountId, NotificationId};
use domain::notification::{Event, Notification};
use jiff::Timestamp;
use serde::Serialize;

/// Goes up when a member is removed or changes its meaning. Adding a member does not change it.
const SCHEMA_VERSION: u32 = 1;

/// The envelope. The event's own members stand beside its members.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    schema_version: u32,
    notification_id: &'a NotificationId,
    account_id: &'a AccountId,
    at: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// The payload of `notification`. Its schema is documented in `docs/events.md`.
///
/// # Panics
/// Never: events are plain data.
pub(super) fn of(notification: &Notification) -> String {
    let payload = Payload {
        schema_version: SCHEMA_VERSION,
        notification_id: &notification.notification_id,
        account_id: &notification.account_id,
        at: notification.at,
        event: &notification.event,
        message: notification.event.sentence(),
        path: notification.path(),
    };
    serde_json::to_string(&payload).expect("events are plain data")
}

#[cfg(test)]
mod tests {
    use domain::notification::channel::Channel;

    use super::*;
    use crate::samples;

    #[test]
    fn a_payload_has_the_envelope_and_the_events_own_members_each_once() {
        let undelivered_id = NotificationId::new(samples::NOW, [1; 10]);
        let event = Event::DeliveryGivenUp {
            undelivered_id: undelivered_id.clone(),
            channel: Channel::Email,
            reason: "refused".to_owned(),
        };
        let notification = Notification::new(samples::account_id("42"), [2; 10], event, None, samples::NOW);
        let text = of(&notification);
        let payload: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(payload["notificationId"], notification.notification_id.as_str());
        assert_eq!(payload["undeliveredId"], undelivered_id.as_str());
        assert_eq!((&payload["schemaVersion"], &payload["channel"]), (&1.into(), &"email".into()));
        for name in payload.as_object().expect("an object").keys() {
            assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name} in {text}");
        }
    }
}
