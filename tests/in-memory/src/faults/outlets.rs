//! Webhooks, e-mail and the event bus behind faults.

use async_trait::async_trait;
use domain::ports::outlets::{BusEvent, EventBus, Mail, Mailer, OutletError};
use domain::ports::webhook::{WebhookError, WebhookMessage, WebhookRefused, Webhooks};

use super::Faulty;

#[async_trait]
impl<T: Mailer + ?Sized> Mailer for Faulty<T> {
    async fn send(&self, mail: &Mail) -> Result<(), OutletError> {
        self.call("Mailer::send", self.port.send(mail), OutletError::Unavailable).await
    }
}

#[async_trait]
impl<T: EventBus + ?Sized> EventBus for Faulty<T> {
    async fn publish(&self, event: &BusEvent) -> Result<(), OutletError> {
        self.call("EventBus::publish", self.port.publish(event), OutletError::Unavailable).await
    }
}

#[async_trait]
impl<T: Webhooks + ?Sized> Webhooks for Faulty<T> {
    async fn check(&self, url: &str) -> Result<(), WebhookRefused> {
        // Of what a check can answer, this is what a failing name server leads to.
        self.call("Webhooks::check", self.port.check(url), |_| WebhookRefused::Unresolved).await
    }

    async fn send(&self, url: &str, message: WebhookMessage<'_>) -> Result<(), WebhookError> {
        let failed = |_| WebhookError::NoAnswer("injected");
        self.call("Webhooks::send", self.port.send(url, message), failed).await
    }
}
