//! Requests about an account's notifications.

use domain::ids::NotificationId;
use domain::notification::channel::Channel;
use domain::notification::delivery::{Delivery, DeliveryState};
use domain::notification::{Event, Notification};
use domain::work::NotificationRef;
use http::StatusCode;
use http_api::caller::{Authorised, Right};
use http_api::pages::{self, PageQuery};
use http_api::problem::Problem;
use http_api::representation::shown;
use http_api::request::Request;
use http_api::response::Response;
use http_api::routes::MatchedRoute;
use jiff::Timestamp;
use serde::Serialize;
use workflows::notify::inbox;

use crate::handler::Handler;
use crate::problems;

/// A notification with the read mark of one reader.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationRepresentation<'a> {
    notification_id: &'a NotificationId,
    at: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
    message: String,
    /// The route with more information.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    read: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<DeliveryRepresentation<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryRepresentation<'a> {
    channel: Channel,
    state: DeliveryState,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationsPage<'a> {
    notifications: Vec<NotificationRepresentation<'a>>,
    unread: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "pages::is_zero")]
    left_out: usize,
}

impl<'a> NotificationRepresentation<'a> {
    fn of(notification: &'a Notification, reader: &str, deliveries: Option<&'a [Delivery]>) -> Self {
        Self {
            notification_id: &notification.notification_id,
            at: shown(notification.at),
            event: &notification.event,
            message: notification.event.sentence(),
            path: notification.path(),
            read: notification.is_read_by(reader),
            deliveries: deliveries.map(|all| all.iter().map(DeliveryRepresentation::of).collect()),
        }
    }
}

impl<'a> DeliveryRepresentation<'a> {
    fn of(delivery: &'a Delivery) -> Self {
        let pending = delivery.state == DeliveryState::Pending;
        Self {
            channel: delivery.channel,
            state: delivery.state,
            attempts: delivery.attempts,
            next_attempt_at: pending.then_some(shown(delivery.next_at)),
            ended_at: delivery.ended_at.map(shown),
            last_error: delivery.last_error.as_ref(),
        }
    }
}

impl Handler {
    pub(crate) async fn list_notifications(
        &self,
        request: &Request,
        route: &MatchedRoute<'_>,
    ) -> Result<Response, Problem> {
        let caller = self.authorised(request, route, Right::Backups)?;
        let PageQuery { limit, after } = PageQuery::of(request, NotificationId::parse)?;
        let (ledger, clock, reader) = (&*self.ledger, &*self.clock, &caller.requester.subject);
        let page = inbox::list(ledger, clock, &caller.account_id, reader, after.as_ref(), limit).await;
        let page = page.map_err(problems::of_inbox)?;
        let shown = page.notifications.iter().map(|one| NotificationRepresentation::of(one, reader, None));
        let id = |place: usize| page.notifications[place].notification_id.to_string();
        let next = page.next.as_ref().map(NotificationId::as_str);
        let (notifications, next) = pages::within_bounds(shown.collect(), id, next);
        let page = NotificationsPage { notifications, unread: page.unread, next, left_out: page.left_out };
        Ok(Response::json(StatusCode::OK, &page))
    }

    pub(crate) async fn read_notification(
        &self,
        request: &Request,
        route: &MatchedRoute<'_>,
    ) -> Result<Response, Problem> {
        let caller = self.authorised(request, route, Right::Backups)?;
        let reference = notification(&caller, route)?;
        let read = inbox::read(&*self.ledger, &*self.clock, &reference).await;
        let read = read.map_err(problems::of_inbox)?;
        let reader = &caller.requester.subject;
        let shown = NotificationRepresentation::of(&read.notification, reader, Some(&read.deliveries));
        Ok(Response::json(StatusCode::OK, &shown))
    }

    pub(crate) async fn mark_notification(
        &self,
        request: &Request,
        route: &MatchedRoute<'_>,
    ) -> Result<Response, Problem> {
        let caller = self.authorised(request, route, Right::Backups)?;
        let reference = notification(&caller, route)?;
        let read = read_mark(request)?;
        let (ledger, clock, reader) = (&*self.ledger, &*self.clock, &caller.requester.subject);
        let marked = inbox::mark(ledger, clock, &reference, reader, read).await.map_err(problems::of_inbox)?;
        Ok(Response::json(StatusCode::OK, &NotificationRepresentation::of(&marked, reader, None)))
    }
}

fn notification(caller: &Authorised, route: &MatchedRoute<'_>) -> Result<NotificationRef, Problem> {
    Ok(NotificationRef { account_id: caller.account_id.clone(), notification_id: route.notification_id()? })
}

fn read_mark(request: &Request) -> Result<bool, Problem> {
    let (mut body, mut faults) = (request.fields()?, Vec::new());
    body.require(&["read"], &mut faults);
    let read = body.flag("read", &mut faults);
    body.finish(&mut faults);
    read.filter(|_| faults.is_empty()).ok_or_else(|| Problem::input_invalid(faults))
}
