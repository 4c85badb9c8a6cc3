//! The right to work on one item for a while. Only the ledger grants leases. A lease is short, and its holder renews
//! it. When a lease has run out and another run takes the item over, the old lease is void, even if its holder still
//! works.

mod trouble;
mod wait;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::trouble::{CrmTrouble, Spell};
pub use self::wait::{Wait, WaitReason};
use crate::Refused;

/// How long a lease lasts after it was taken or renewed. If a run is killed, its item lies idle for this time. A run
/// that renews in time always has enough left for a write to the CRM and its answer.
pub const LEASE_LENGTH: SignedDuration = SignedDuration::from_secs(60);

/// How often a run renews its lease.
pub const RENEW_EVERY: SignedDuration = SignedDuration::from_secs(15);

/// The longest pause between two messages about an item that no run takes. It is shorter than the five minutes that the
/// alarm about stalled work looks at, so each of them has a message.
pub const LONGEST_REQUEUE_PAUSE: SignedDuration = SignedDuration::from_mins(4);

/// Runs in a row that may end without progress before the item fails for good.
pub const MAX_ATTEMPTS: u32 = 6;

/// How long a queued item may wait before recover-stalled queues it again.
pub const QUEUE_GRACE: SignedDuration = SignedDuration::from_mins(1);

/// The longest wait for the CRM's answer to a write, plus the differences of clocks. A run sends no write if the lease
/// that the ledger has confirmed ends sooner. So when another run takes over, no write of the run before is under way.
pub const WRITE_MARGIN: SignedDuration = SignedDuration::from_secs(25);

/// What a run leaves behind when it gives its lease back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// All that it began is committed.
    Nothing,
    /// It stored pre-images of batches, and perhaps wrote the batches, without a commit.
    Untold,
    /// The same, and the CRM has not answered a write, which may still land.
    Unanswered,
}

/// A run's right to work on an item until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Counts the item's leases, so that no two runs share a number. Part of storage keys.
    pub number: u32,
    /// The random name of the run that holds it.
    pub owner: String,
    /// When another run may take over.
    pub expires_at: Timestamp,
}

impl Lease {
    /// The same lease, which ends at `time` at the latest.
    #[must_use]
    pub fn ending_by(self, time: Timestamp) -> Self {
        Self { expires_at: self.expires_at.min(time), ..self }
    }
}

/// The leases of an item that one run at a time works on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leasing {
    /// The current lease, live or run out. None if the last run gave it back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease: Option<Lease>,
    /// The number of the latest lease.
    pub last_number: u32,
    /// Runs since the last progress, including the present one.
    pub attempts: u32,
    /// No run takes the item before this is over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wait: Option<Wait>,
    /// When recover-stalled queued it again since the latest lease.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub requeued_at: Option<Timestamp>,
    /// Troubles since the last progress.
    #[serde(skip_serializing_if = "CrmTrouble::is_none", default)]
    pub trouble: CrmTrouble,
}

/// Why an item could not be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLeased {
    /// It is at no step that runs work on.
    NoStep,
    /// Another run holds it until then.
    Held(Timestamp),
    /// It waits until then.
    Waiting(Timestamp),
    /// [`MAX_ATTEMPTS`] runs in a row made no progress.
    OutOfAttempts,
}

impl Leasing {
    /// Takes the lease for the run `owner`, from `now` for `length`.
    ///
    /// # Errors
    /// [`NotLeased`], and nothing is changed.
    pub fn take(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        if let Some(lease) = self.lease.as_ref().filter(|lease| lease.expires_at > now) {
            return Err(NotLeased::Held(lease.expires_at));
        }
        if let Some(wait) = self.wait.filter(|wait| wait.until > now) {
            return Err(NotLeased::Waiting(wait.until));
        }
        if self.attempts >= MAX_ATTEMPTS {
            return Err(NotLeased::OutOfAttempts);
        }
        let number = self.last_number + 1;
        let lease = Lease { number, owner: owner.to_owned(), expires_at: now + length };
        Ok(Self {
            lease: Some(lease),
            last_number: number,
            attempts: self.attempts + 1,
            wait: None,
            requeued_at: None,
            trouble: self.trouble,
        })
    }

    /// Makes lease `number` last for [`LEASE_LENGTH`] from `now`, but never shorter than before. A lease that has run
    /// out can be renewed as long as no other run has taken over.
    ///
    /// # Errors
    /// [`Refused`] when it is not the current one.
    pub fn renewed(&self, number: u32, now: Timestamp) -> Result<Self, Refused> {
        let held = self.lease.as_ref().filter(|lease| lease.number == number);
        let held = held.ok_or(Refused::new("renewing a lease", "another run has taken it over"))?;
        let lease = Lease { expires_at: held.expires_at.max(now + LEASE_LENGTH), ..held.clone() };
        Ok(Self { lease: Some(lease), requeued_at: None, ..self.clone() })
    }

    /// When the run that holds the lease last renewed it, if it has missed a renewal. None otherwise.
    pub fn silent_since(&self, now: Timestamp) -> Option<Timestamp> {
        let renewed_at = self.lease.as_ref()?.expires_at - LEASE_LENGTH;
        (now.duration_since(renewed_at) > RENEW_EVERY * 2).then_some(renewed_at)
    }

    /// Whether lease `number` is the current one. A lease that has run out still counts until another run takes over:
    /// its holder's work is valid until then.
    pub fn is_held_by(&self, number: u32) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.number == number)
    }

    /// The owner of the lease, if it is not over at `now`.
    pub fn holder(&self, now: Timestamp) -> Option<&str> {
        self.lease.as_ref().filter(|lease| lease.expires_at > now).map(|lease| lease.owner.as_str())
    }

    /// Records progress: attempts are counted from zero again, and the CRM's troubles are over.
    #[must_use]
    pub fn progressed(&self) -> Self {
        Self { attempts: 0, trouble: CrmTrouble::default(), ..self.clone() }
    }

    /// The leasing with other troubles, after a run has met some.
    #[must_use]
    pub fn troubled(&self, trouble: CrmTrouble) -> Self {
        Self { trouble, ..self.clone() }
    }

    /// Gives the lease back, to be taken again after `wait`. A run uses up no attempt if it waits for the CRM, for call
    /// budget, or for the version that can read a stored record. A run that ends because its time is over has made
    /// progress.
    #[must_use]
    pub fn released(&self, wait: Option<Wait>) -> Self {
        let (attempts, trouble) = match wait.map(|wait| wait.reason) {
            Some(WaitReason::RunOver) => (0, CrmTrouble::default()),
            Some(reason) if !reason.is_fruitless() || self.trouble.unreadable.is_some() => {
                (self.attempts.saturating_sub(1), self.trouble)
            }
            _ => (self.attempts, self.trouble),
        };
        Self { lease: None, attempts, wait, last_number: self.last_number, requeued_at: None, trouble }
    }

    /// The same, but no run can take the lease before `landed_at`: until then a write of its holder may still land.
    #[must_use]
    pub fn released_while_landing(&self, wait: Option<Wait>, landed_at: Timestamp) -> Self {
        let lease = self.lease.clone().map(|held| held.ending_by(landed_at));
        Self { lease, ..self.released(wait) }
    }

    /// Records that recover-stalled queued the item again.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { requeued_at: Some(now), ..self.clone() }
    }

    /// When recover-stalled should look at the item: once it is overdue, and then after every `grace`.
    pub fn due_at(&self, queued_at: Timestamp, grace: SignedDuration) -> Timestamp {
        let overdue = self.overdue_since(queued_at, grace);
        self.requeued_at.map_or(overdue, |at| overdue.max(at + grace))
    }

    /// The same for an item that may wait for a free worker. Its message is still in the queue, so the pauses between
    /// further messages double, up to [`LONGEST_REQUEUE_PAUSE`].
    pub fn due_at_in_a_full_queue(&self, queued_at: Timestamp, grace: SignedDuration) -> Timestamp {
        let overdue = self.overdue_since(queued_at, grace);
        self.requeued_at.map_or(overdue, |at| {
            let pause = at.duration_since(overdue).max(grace).min(LONGEST_REQUEUE_PAUSE);
            overdue.max(at + pause)
        })
    }

    /// Since when the item has been overdue: its lease ran out, its wait ended, or `grace` passed after `queued_at`.
    /// Queueing it again does not change this.
    pub fn overdue_since(&self, queued_at: Timestamp, grace: SignedDuration) -> Timestamp {
        let after_queueing = queued_at + grace;
        match (&self.lease, self.wait) {
            (Some(lease), _) => lease.expires_at,
            (None, Some(wait)) => wait.until.max(after_queueing),
            (None, None) => after_queueing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }
    const MINUTE: SignedDuration = SignedDuration::from_secs(60);

    #[test]
    fn a_live_lease_keeps_others_out_until_it_runs_out() {
        let held = Leasing::default().take("a", at(0), MINUTE).expect("free");
        assert_eq!(held.take("b", at(59), MINUTE), Err(NotLeased::Held(at(60))));
        let taken_over = held.take("b", at(60), MINUTE).expect("ran out");
        assert!(taken_over.is_held_by(2) && !taken_over.is_held_by(1));
    }

    proptest! {
        /// A lease that is renewed in time keeps other runs out, and is free [`LEASE_LENGTH`] after the last renewal.
        #[test]
        fn a_lease_is_free_soon_after_its_last_renewal(pauses in prop::collection::vec(0_i64..60, 0..20)) {
            let mut held = Leasing::default().take("a", at(0), LEASE_LENGTH).expect("free");
            let mut now = 0;
            for pause in pauses {
                now += pause;
                prop_assert!(held.take("b", at(now), LEASE_LENGTH).is_err());
                let renewed = held.renewed(1, at(now)).expect("held");
                prop_assert_eq!((renewed.attempts, renewed.last_number), (held.attempts, held.last_number));
                held = renewed;
                prop_assert_eq!(held.overdue_since(at(0), MINUTE * 2), at(now) + LEASE_LENGTH);
            }
            prop_assert!(held.take("b", at(now) + LEASE_LENGTH - SignedDuration::from_nanos(1), LEASE_LENGTH).is_err());
            let taken_over = held.take("b", at(now) + LEASE_LENGTH, LEASE_LENGTH).expect("ran out");
            prop_assert!(taken_over.renewed(1, at(now)).is_err() && taken_over.released(None).renewed(2, at(now)).is_err());
        }

        /// Renewing never shortens a lease, and restores one that no other run has taken over.
        #[test]
        fn renewing_never_shortens_a_lease(length in 1_i64..1_000, now in 0_i64..2_000) {
            let held = Leasing::default().take("a", at(0), SignedDuration::from_secs(length)).expect("free");
            let ends = held.renewed(1, at(now)).expect("held").lease.expect("a lease").expires_at;
            prop_assert_eq!(ends, at(length).max(at(now) + LEASE_LENGTH));
        }
    }

    #[test]
    fn a_run_that_misses_a_renewal_is_silent() {
        let held = Leasing::default().take("a", at(0), LEASE_LENGTH).expect("free");
        assert_eq!((held.silent_since(at(30)), held.silent_since(at(31))), (None, Some(at(0))));
        assert_eq!(held.renewed(1, at(31)).expect("held").silent_since(at(40)), None);
        assert_eq!(held.released(None).silent_since(at(99)), None);
    }

    #[test]
    fn only_runs_without_progress_are_counted_not_waits() {
        let mut leasing = Leasing::default();
        for second in 0..20 {
            let wait = Wait { until: at(second), reason: WaitReason::DailyLimit };
            leasing = leasing.take("a", at(second), MINUTE).expect("free").released(Some(wait));
        }
        assert_eq!(leasing.attempts, 0);
        for second in 100..100 + i64::from(MAX_ATTEMPTS) {
            leasing = leasing.take("a", at(second), MINUTE).expect("free").released(None);
        }
        assert_eq!(leasing.take("a", at(200), MINUTE), Err(NotLeased::OutOfAttempts));
        assert!(leasing.progressed().take("a", at(200), MINUTE).is_ok());
    }

    #[test]
    fn outages_of_the_crm_use_up_no_attempts_and_end_with_progress() {
        let mut leasing = Leasing::default();
        let wait = Wait { until: at(0), reason: WaitReason::CrmUnavailable };
        for second in 0..100 {
            let (trouble, outage) = leasing.trouble.unanswered(at(second));
            assert_eq!((outage.since, i64::from(outage.runs)), (at(0), second + 1));
            leasing = leasing.take("a", at(second), MINUTE).expect("free").troubled(trouble).released(Some(wait));
        }
        assert_eq!(leasing.attempts, 0);
        assert_eq!(leasing.progressed().trouble, CrmTrouble::default());
    }

    #[test]
    fn waiting_for_an_unreadable_record_uses_up_no_attempts() {
        let mut leasing = Leasing::default();
        let wait = Wait { until: at(0), reason: WaitReason::ServiceUnavailable };
        for second in 0..100 {
            let (trouble, unreadable) = leasing.trouble.unread(at(second));
            assert_eq!(unreadable.since, at(0));
            leasing = leasing.take("a", at(second), MINUTE).expect("free").troubled(trouble).released(Some(wait));
        }
        assert_eq!((leasing.attempts, leasing.progressed().trouble), (0, CrmTrouble::default()));
    }

    #[test]
    fn a_refused_call_is_repeated_three_times() {
        let mut trouble = CrmTrouble::default();
        for pause in [5, 15, 45] {
            assert!(!trouble.is_last_try());
            let asked = trouble.refused(at(7));
            assert_eq!(asked.1, Some(SignedDuration::from_secs(pause)));
            // An outage in between does not count.
            trouble = asked.0.unanswered(at(8)).0;
        }
        assert!(trouble.is_last_try());
        assert_eq!(trouble.refused(at(9)).1, None);
        assert_eq!(trouble.since(), Some(at(7)));
    }

    #[test]
    fn pauses_between_messages_of_an_item_in_a_full_queue_double_up_to_four_minutes() {
        let (mut queued, mut due) = (Leasing::default(), Vec::new());
        for _ in 0..6 {
            let next = queued.due_at_in_a_full_queue(at(0), MINUTE);
            due.push(next.as_second() / 60);
            queued = queued.requeued(next);
        }
        assert_eq!(due, [1, 2, 3, 5, 9, 13]);
        let taken = queued.take("a", at(2_000), LEASE_LENGTH).expect("free");
        assert_eq!(taken.due_at_in_a_full_queue(at(2_000), MINUTE), at(2_060), "a run that dies is noticed at once");
    }

    /// The version before this one stored no troubles.
    #[test]
    fn a_record_without_trouble_can_be_read() {
        let stored = r#"{"lastNumber": 3, "attempts": 1}"#;
        let leasing: Leasing = serde_json::from_str(stored).expect("readable");
        assert!(leasing.trouble.is_none());
    }
}
