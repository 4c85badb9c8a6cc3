//! The event-bus port on EventBridge.

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::ports::outlets::{BusEvent, EventBus, OutletError};

use crate::failure;

/// The source of all events. Customers' rules select events by it.
pub const EVENT_SOURCE: &str = "crm-backup";

/// Publishes on one bus.
#[derive(Debug, Clone)]
pub struct EventBridgeBus {
    client: Client,
    name: String,
}

impl EventBridgeBus {
    /// The bus with this name or ARN.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }
}

#[async_trait]
impl EventBus for EventBridgeBus {
    async fn publish(&self, event: &BusEvent) -> Result<(), OutletError> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(EVENT_SOURCE)
            .detail_type(&event.detail_type)
            .time(DateTime::from_millis(event.at.as_millisecond()))
            .detail(&event.detail)
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(|e| failure::outlet("PutEvents", &e))?;
        if answer.failed_entry_count() == 0 {
            return Ok(());
        }
        let code = answer.entries().iter().find_map(|entry| entry.error_code());
        Err(failure::outlet_entry("PutEvents", code))
    }
}
