//! Delivering a notification by one channel, at least once, until it is there or given up.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::KEPT_FOR;
use crate::Refused;
use crate::ids::{AccountId, NotificationId};
use crate::lease::QUEUE_GRACE;
use crate::notification::channel::Channel;
use crate::ports::ledger::{Key, Record};
use crate::work::{NotificationRef, Work};

/// An attempt that has not been heard of for so long has died; it lasts 30 seconds at most.
pub const ATTEMPT_LASTS: SignedDuration = SignedDuration::from_mins(2);

/// Pauses between attempts, in first pauses: 1, 5 and 30 minutes, 2, 8 and 24 hours if the first one is a minute.
const PAUSES: [u32; 6] = [1, 5, 30, 120, 480, 1_440];

/// Where a delivery is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It will be tried, again perhaps.
    Pending,
    Delivered,
    /// It failed too often, or will fail always: a dead letter.
    GivenUp,
    /// There is nobody to deliver to any more.
    Dropped,
}

/// A notification on its way by one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    pub account_id: AccountId,
    pub notification_id: NotificationId,
    pub channel: Channel,
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Those of several recipients whom an attempt has reached, and who are left out of the next one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reached: BTreeSet<String>,
    /// The next attempt; while one is under way, when it is taken for dead.
    pub next_at: Timestamp,
    /// Why the latest attempt failed, in words that repeat no address.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it reached its last state.
    pub ended_at: Option<Timestamp>,
}

/// What an attempt that failed leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Why it failed, in words that repeat no address.
    pub reason: String,
    /// Whether another attempt makes sense.
    pub may_retry: bool,
    /// Those of several recipients whom it or an earlier one has reached.
    pub reached: BTreeSet<String>,
}

impl Delivery {
    /// A delivery that can be tried at once.
    pub fn new(notification: &NotificationRef, channel: Channel, now: Timestamp) -> Self {
        Self {
            account_id: notification.account_id.clone(),
            notification_id: notification.notification_id.clone(),
            channel,
            state: DeliveryState::Pending,
            attempts: 0,
            reached: BTreeSet::new(),
            next_at: now,
            last_error: None,
            created_at: now,
            ended_at: None,
        }
    }

    /// The notification's name.
    pub fn notification(&self) -> NotificationRef {
        NotificationRef { account_id: self.account_id.clone(), notification_id: self.notification_id.clone() }
    }

    /// The message to deliver-notifications.
    pub fn work(&self) -> Work {
        Work::Deliver { notification: self.notification(), channel: self.channel }
    }

    /// Begins an attempt. Nobody else begins one before it is over or taken for dead.
    ///
    /// # Errors
    /// [`Refused`] when it has ended, or it is too early.
    pub fn begin(&self, now: Timestamp) -> Result<Self, Refused> {
        self.check_pending("beginning a delivery")?;
        if self.next_at > now {
            return Err(Refused::new("beginning a delivery", "it is under way, or it is too early"));
        }
        Ok(Self { attempts: self.attempts + 1, next_at: now + ATTEMPT_LASTS, ..self.clone() })
    }

    /// The attempt that is due was queued again; it may be begun at once, and is looked for again only after a while.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { next_at: self.next_at.max(now), ..self.clone() }
    }

    /// Whether more attempts were begun than there are: runs keep dying of it, and nobody notes that they failed.
    pub fn was_begun_too_often(&self) -> bool {
        usize::try_from(self.attempts).unwrap_or(usize::MAX) > PAUSES.len() + 1
    }

    /// It has arrived.
    ///
    /// # Errors
    /// [`Refused`] when it has ended.
    pub fn delivered(&self, now: Timestamp) -> Result<Self, Refused> {
        self.ended("noting a delivery", DeliveryState::Delivered, now)
    }

    /// There is nobody to deliver it to any more.
    ///
    /// # Errors
    /// [`Refused`] when it has ended.
    pub fn dropped(&self, now: Timestamp) -> Result<Self, Refused> {
        self.ended("dropping a delivery", DeliveryState::Dropped, now)
    }

    /// Attempt number `attempt` failed. It is tried again after a pause that is `first_pause` at first and grows, unless that
    /// makes no sense or it failed too often.
    ///
    /// # Errors
    /// [`Refused`] when it has ended or another attempt was begun since.
    pub fn failed(
        &self,
        attempt: u32,
        why: &FailedAttempt,
        first_pause: Duration,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        self.check_pending("noting a failed delivery")?;
        if self.attempts != attempt {
            return Err(Refused::new("noting a failed delivery", "another attempt was begun"));
        }
        let done = usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let pause = PAUSES.get(done).filter(|_| why.may_retry).map(|times| first_pause * *times);
        let failed = Self { last_error: Some(why.reason.clone()), reached: why.reached.clone(), ..self.clone() };
        match pause.and_then(|pause| SignedDuration::try_from(pause).ok()) {
            Some(pause) => Ok(Self { next_at: now + pause, ..failed }),
            None => failed.ended("giving up a delivery", DeliveryState::GivenUp, now),
        }
    }

    fn ended(&self, what: &'static str, state: DeliveryState, now: Timestamp) -> Result<Self, Refused> {
        self.check_pending(what)?;
        Ok(Self { state, ended_at: Some(now), ..self.clone() })
    }

    fn check_pending(&self, what: &'static str) -> Result<(), Refused> {
        if self.state == DeliveryState::Pending { Ok(()) } else { Err(Refused::new(what, "it has ended")) }
    }

    /// Sort-key prefix of a notification's deliveries.
    pub fn prefix(notification_id: &NotificationId) -> String {
        format!("{}{notification_id}#", Self::PREFIX)
    }

    /// Sort-key prefix of all deliveries of an account; they list in order of the notifications.
    pub const PREFIX: &'static str = "DELIVERY#";

    /// The ledger's key of a delivery.
    pub fn key_of(notification: &NotificationRef, channel: Channel) -> Key {
        let NotificationRef { account_id, notification_id } = notification;
        Key::new(format!("ACCOUNT#{account_id}"), format!("{}{}", Self::prefix(notification_id), channel.slug()))
    }
}

impl Record for Delivery {
    fn key(&self) -> Key {
        Self::key_of(&self.notification(), self.channel)
    }

    /// A little after the attempt is due, since a message for it is under way where the pause is short.
    fn due_at(&self) -> Option<Timestamp> {
        (self.state == DeliveryState::Pending).then(|| self.next_at + QUEUE_GRACE)
    }

    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.created_at + KEPT_FOR)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const MINUTE: Duration = Duration::from_mins(1);

    fn down(may_retry: bool) -> FailedAttempt {
        FailedAttempt { reason: "down".into(), may_retry, reached: BTreeSet::new() }
    }

    fn new() -> Delivery {
        let account_id = AccountId::parse("42").expect("digits");
        let notification = NotificationRef { account_id, notification_id: NotificationId::new(NOW, [1; 10]) };
        Delivery::new(&notification, Channel::Webhook, NOW)
    }

    #[test]
    fn pauses_grow_until_a_delivery_is_given_up_after_seven_attempts() {
        let (mut delivery, mut now, mut pauses) = (new(), NOW, Vec::new());
        while delivery.state == DeliveryState::Pending {
            let tried = delivery.begin(now).expect("due");
            delivery = tried.failed(tried.attempts, &down(true), MINUTE, now).expect("under way");
            pauses.push(delivery.next_at.duration_since(now).as_mins());
            now = delivery.next_at;
        }
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::GivenUp, 7));
        assert_eq!(pauses[..6], [1, 5, 30, 120, 480, 1_440]);
        assert!(delivery.begin(now).is_err() && delivery.due_at().is_none());
    }

    #[test]
    fn what_makes_no_sense_to_repeat_is_given_up_at_once() {
        let tried = new().begin(NOW).expect("due");
        let failed = tried.failed(1, &down(false), MINUTE, NOW).expect("under way");
        assert_eq!((failed.state, failed.ended_at), (DeliveryState::GivenUp, Some(NOW)));
    }

    #[test]
    fn one_attempt_is_under_way_at_a_time_and_a_dead_one_is_made_again() {
        let first = new().begin(NOW).expect("due");
        assert!(first.begin(NOW + ATTEMPT_LASTS - SignedDuration::from_secs(1)).is_err());
        let second = first.begin(NOW + ATTEMPT_LASTS).expect("the first one is dead");
        assert_eq!(second.attempts, 2);
        assert!(second.failed(1, &down(true), MINUTE, NOW).is_err(), "a late word of the first one");
        assert_eq!(second.delivered(NOW).expect("pending").state, DeliveryState::Delivered);
    }

    #[test]
    fn an_attempt_that_always_dies_is_not_made_for_ever() {
        let (mut delivery, mut now) = (new(), NOW);
        for _ in 0..7 {
            delivery = delivery.begin(now).expect("the one before is dead");
            now += ATTEMPT_LASTS;
            assert!(!delivery.was_begun_too_often());
        }
        let eighth = delivery.begin(now).expect("due");
        assert!(eighth.was_begun_too_often());
        let given_up = eighth.failed(8, &down(true), MINUTE, now).expect("under way");
        assert_eq!(given_up.state, DeliveryState::GivenUp);
    }

    #[test]
    fn what_was_queued_again_is_neither_tried_early_nor_looked_for_at_once() {
        let failed = new().begin(NOW).expect("due").failed(1, &down(true), MINUTE, NOW).expect("under way");
        assert_eq!(failed.requeued(NOW), failed, "the pause is not cut short");
        let due = failed.due_at().expect("pending");
        let requeued = failed.requeued(due);
        assert_eq!(requeued.due_at(), Some(due + QUEUE_GRACE));
        assert!(requeued.begin(due).is_ok());
    }

    proptest! {
        /// Whatever happens in whatever order, what has ended stays as it is.
        #[test]
        fn ended_deliveries_never_change(events in prop::collection::vec(0_u8..5, 1..40)) {
            let (mut delivery, mut now) = (new(), NOW);
            for event in events {
                now += SignedDuration::from_hours(30);
                let next = match event {
                    0 | 1 => delivery.begin(now),
                    2 => delivery.failed(delivery.attempts, &down(true), MINUTE, now),
                    3 => delivery.delivered(now),
                    _ => delivery.dropped(now),
                };
                prop_assert!(delivery.state == DeliveryState::Pending || next.is_err());
                delivery = next.unwrap_or(delivery);
            }
        }
    }
}
