//! What programs are told: the same JSON on the event bus and in webhooks.

use domain::ids::{AccountId, NotificationId};
use domain::notification::{Event, Notification};
use jiff::Timestamp;
use serde::Serialize;

/// Goes up when a member changes its meaning or goes away; members may be added without that.
const SCHEMA_VERSION: u32 = 1;

/// The envelope; the event's own members stand beside its.
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
