//! Delivering a notification by one channel: at least once, or until the channel gives up.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::KEPT_FOR;
use crate::Refused;
use crate::account::Account;
use crate::ids::{AccountId, NotificationId};
use crate::lease::QUEUE_GRACE;
use crate::notification::channel::Channel;
use crate::ports::ledger::{Key, Record};
use crate::work::{NotificationRef, Work};

/// An attempt that has not ended after this time has died. An attempt lasts 30 seconds at most.
pub const ATTEMPT_LASTS: SignedDuration = SignedDuration::from_mins(2);

/// Pauses between attempts, as multiples of the first one. With a first pause of a minute: 1, 5 and 30 minutes, 2, 8
/// and 24 hours.
const PAUSES: [u32; 6] = [1, 5, 30, 120, 480, 1_440];

/// Where a delivery is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// An attempt will follow.
    Pending,
    Delivered,
    /// It failed too often, or can never succeed.
    GivenUp,
    /// The channel has no recipient any more, or the account has got all e-mails that it may get in an hour.
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
    pub attempts: u32,
    /// Recipients that an attempt has reached. The next attempt skips them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reached: BTreeSet<String>,
    /// When the next attempt is due. During an attempt: when it counts as dead.
    pub next_at: Timestamp,
    /// Why the latest attempt failed. Contains no address.
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    /// When it reached its last state.
    pub ended_at: Option<Timestamp>,
}

/// The result of a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Why it failed. Contains no address.
    pub reason: String,
    /// Whether another attempt makes sense.
    pub may_retry: bool,
    /// Recipients that this attempt or an earlier one has reached.
    pub reached: BTreeSet<String>,
}

impl Delivery {
    /// A delivery that is due at once.
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

    /// The ids of its notification.
    pub fn notification(&self) -> NotificationRef {
        NotificationRef { account_id: self.account_id.clone(), notification_id: self.notification_id.clone() }
    }

    /// The message that starts an attempt.
    pub fn work(&self) -> Work {
        Work::Deliver { notification: self.notification(), channel: self.channel }
    }

    /// Begins an attempt. No other attempt begins before this one has ended or counts as dead.
    ///
    /// # Errors
    /// [`Refused`] if the delivery has ended, or if it is too early.
    pub fn begin(&self, now: Timestamp) -> Result<Self, Refused> {
        self.check_pending("beginning a delivery")?;
        if self.next_at > now {
            return Err(Refused::new("beginning a delivery", "it is under way, or it is too early"));
        }
        Ok(Self { attempts: self.attempts + 1, next_at: now + ATTEMPT_LASTS, ..self.clone() })
    }

    /// Records that the due attempt was queued again. It may begin at once, and recover-stalled looks at it after a
    /// while.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { next_at: self.next_at.max(now), ..self.clone() }
    }

    /// Whether attempts exceed the schedule, which means that workers crash on this delivery before they record the
    /// failure.
    pub fn was_begun_too_often(&self) -> bool {
        usize::try_from(self.attempts).unwrap_or(usize::MAX) > PAUSES.len() + 1
    }

    /// Records that the notification has arrived.
    ///
    /// # Errors
    /// [`Refused`] if the delivery has ended.
    pub fn delivered(&self, now: Timestamp) -> Result<Self, Refused> {
        self.ended("noting a delivery", DeliveryState::Delivered, now)
    }

    /// Ends a delivery whose channel has no recipient any more.
    ///
    /// # Errors
    /// [`Refused`] if the delivery has ended.
    pub fn dropped(&self, now: Timestamp) -> Result<Self, Refused> {
        self.ended("dropping a delivery", DeliveryState::Dropped, now)
    }

    /// Ends a delivery that is one too many, for the reason `why`.
    ///
    /// # Errors
    /// [`Refused`] if the delivery has ended.
    pub fn left_out(&self, why: String, now: Timestamp) -> Result<Self, Refused> {
        Self { last_error: Some(why), ..self.clone() }.dropped(now)
    }

    /// Records that attempt number `attempt` failed. Another one follows after a pause, which is `first_pause` at first
    /// and grows, unless a retry makes no sense or there were too many.
    ///
    /// # Errors
    /// [`Refused`] if the delivery has ended, or if another attempt has begun since.
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
        Key::new(Account::partition(account_id), format!("{}{}", Self::prefix(notification_id), channel.slug()))
    }
}

impl Record for Delivery {
    fn key(&self) -> Key {
        Self::key_of(&self.notification(), self.channel)
    }

    /// A little after the attempt is due, because after a short pause its message is already in the queue.
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
    fn a_failure_that_no_retry_can_change_ends_the_delivery_at_once() {
        let tried = new().begin(NOW).expect("due");
        let failed = tried.failed(1, &down(false), MINUTE, NOW).expect("under way");
        assert_eq!((failed.state, failed.ended_at), (DeliveryState::GivenUp, Some(NOW)));
    }

    #[test]
    fn one_attempt_runs_at_a_time_and_a_dead_one_is_repeated() {
        let first = new().begin(NOW).expect("due");
        assert!(first.begin(NOW + ATTEMPT_LASTS - SignedDuration::from_secs(1)).is_err());
        let second = first.begin(NOW + ATTEMPT_LASTS).expect("the first one is dead");
        assert_eq!(second.attempts, 2);
        assert!(second.failed(1, &down(true), MINUTE, NOW).is_err(), "a late result of the first one");
        assert_eq!(second.delivered(NOW).expect("pending").state, DeliveryState::Delivered);
    }

    #[test]
    fn attempts_that_always_die_come_to_an_end() {
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
    fn queueing_again_neither_shortens_the_pause_nor_makes_it_due_at_once() {
        let failed = new().begin(NOW).expect("due").failed(1, &down(true), MINUTE, NOW).expect("under way");
        assert_eq!(failed.requeued(NOW), failed, "the pause is not cut short");
        let due = failed.due_at().expect("pending");
        let requeued = failed.requeued(due);
        assert_eq!(requeued.due_at(), Some(due + QUEUE_GRACE));
        assert!(requeued.begin(due).is_ok());
    }

    proptest! {
        /// No order of events changes a delivery that has ended.
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
