//! An event bus in memory.

use std::sync::Mutex;

use async_trait::async_trait;
use domain::ports::outlets::{BusEvent, EventBus, OutletError};
use serde_json::{Map, Value};

use crate::lock;

/// Keeps events. Refuses those that EventBridge refuses: without a detail type, or with a detail that is no JSON
/// object.
#[derive(Debug, Default)]
pub struct MemoryEventBus(Mutex<Vec<BusEvent>>);

impl MemoryEventBus {
    /// A bus without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// The events in the order of publication.
    pub fn published(&self) -> Vec<BusEvent> {
        lock(&self.0).clone()
    }
}

#[async_trait]
impl EventBus for MemoryEventBus {
    async fn publish(&self, event: &BusEvent) -> Result<(), OutletError> {
        if event.detail_type.is_empty() {
            return Err(OutletError::Refused("the event has no detail type".to_owned()));
        }
        if serde_json::from_str::<Map<String, Value>>(&event.detail).is_err() {
            return Err(OutletError::Refused("the event's detail is no JSON object".to_owned()));
        }
        lock(&self.0).push(event.clone());
        Ok(())
    }
}
