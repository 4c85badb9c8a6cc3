//! What every run of a worker function has in common: who it is, how long it may last, and how it can fail.

use std::time::Duration;

use domain::lease::WaitReason;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::ledger::LedgerError;
use domain::ports::queue::QueueError;
use domain::ports::secrets::SecretsError;
use domain::ports::storage::StorageError;
use domain::{Failure, FailureKind, Refused, lease::CrmTrouble, lease::MAX_ATTEMPTS, lease::Wait};
use jiff::{SignedDuration, Timestamp};

use crate::listing;

/// One invocation of a worker function for one message.
#[derive(Debug, Clone)]
pub struct Run {
    /// A name that no other run has; the owner of its leases.
    pub owner: String,
    /// When to begin nothing new, and to finish what was begun: a segment's last part and its commit.
    pub ends: Timestamp,
    /// When the function is stopped, whatever it is doing.
    pub stopped_at: Timestamp,
}

impl Run {
    /// Until when an answer of the CRM is waited for that was asked for before the run's end: half of the time that is
    /// kept for finishing.
    pub fn calls_end(&self) -> Timestamp {
        self.ends + self.stopped_at.duration_since(self.ends) / 2
    }
}

/// How patient workers are with the CRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// First pause while it is down; it doubles with every run in vain.
    pub first_pause: Duration,
    /// How long it may be down.
    pub outage: SignedDuration,
}

/// The longest pause between two tries while the CRM is down, unless it asks for a longer one.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// How long a version is waited for that can read what is stored. A deployment takes minutes; going back to an earlier
/// version, and forward again, may take a day.
const UNREADABLE_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What an item has met since its last progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Met {
    /// Runs that ended in vain, the present one included.
    pub attempts: u32,
    /// How the CRM was in the way.
    pub trouble: CrmTrouble,
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The secret store failed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The CRM failed, after all retries that made sense.
    #[error(transparent)]
    Crm(#[from] CrmError),
    /// Nothing will help; the backup or the restore must fail.
    #[error("{}", .0.sentence)]
    Fatal(Failure),
    /// Another run has taken over, or the whole has ended: stop and touch nothing.
    #[error("{0}")]
    TakenOver(Refused),
}

impl StepError {
    /// The item is not in the ledger any more.
    pub const GONE: Self = Self::TakenOver(Refused::new("going on", "the item is gone"));

    /// The backup or the restore does not want this work any more.
    pub const UNWANTED: Self = Self::TakenOver(Refused::new("going on", "the work has been ended"));
}

/// The log keeps why: a refusal that only a fault can bring about is a warning.
impl From<Refused> for StepError {
    fn from(refused: Refused) -> Self {
        if refused.is_fault {
            tracing::warn!(%refused, "step.refused");
        } else {
            tracing::debug!(%refused, "step.taken-over");
        }
        Self::TakenOver(refused)
    }
}

/// What to do about a step that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    Stop,
    /// The backup, or the restore, fails.
    Fail(Failure),
    /// Wait, then try again; the CRM has been in the way like this.
    Wait(Wait, CrmTrouble),
    /// Try again after a pause; something of our own did not answer.
    Retry(Duration),
}

impl StepError {
    /// Whether it ended a write to the CRM that may have been made, or may still be.
    pub const fn may_have_landed(&self) -> bool {
        matches!(self, Self::Crm(crm) if crm.may_have_landed)
    }

    /// Whether something stored could not be read that a later version can read.
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Ledger(LedgerError::Unreadable(..)) | Self::Storage(StorageError::Unreadable(..)))
    }

    /// What to do about it after what was `met` before. An outage of the CRM is waited out, and so is the time until the
    /// version is deployed everywhere that can read what is stored. A refusal is believed when it was repeated.
    pub fn remedy(&self, now: Timestamp, met: Met, patience: &Patience) -> Remedy {
        let attempts = met.attempts;
        match self {
            Self::TakenOver(_) => Remedy::Stop,
            Self::Fatal(failure) => Remedy::Fail(failure.clone()),
            Self::Crm(error) => match &error.kind {
                // Nothing is asked meanwhile, so an outage before it is no part of one after it.
                CrmErrorKind::NoBudget { until, reason } => {
                    let trouble = CrmTrouble { outage: None, ..met.trouble };
                    Remedy::Wait(Wait { until: *until, reason: *reason }, trouble)
                }
                CrmErrorKind::Unavailable { .. } | CrmErrorKind::Malformed => outage(error, now, met.trouble, patience),
                kind if kind.is_refusal() => refusal(error, now, met.trouble),
                kind => Remedy::Fail(Failure::new(kind.failure_kind(), error.sentence.clone())),
            },
            error if error.is_unreadable() => unreadable(error, now, met.trouble, patience),
            Self::Storage(error) if !error.is_retryable() => Remedy::Fail(Failure::new(
                FailureKind::StorageRefused,
                "Object storage refused a write or a read that is needed; see the function's log.",
            )),
            Self::Ledger(LedgerError::Refused(_)) => Remedy::Fail(Failure::new(
                FailureKind::LedgerRefused,
                "The ledger refused a record; see the function's log.",
            )),
            Self::Secrets(SecretsError::ConnectionChanging) if attempts >= MAX_ATTEMPTS => Remedy::Fail(Failure::new(
                FailureKind::CrmConnectionUnfinished,
                "A change of the account's CRM connection was not finished; connect the account again with \
                     PUT /accounts/{account} and try again.",
            )),
            Self::Ledger(_) | Self::Storage(_) | Self::Queue(_) | Self::Secrets(_) => {
                Remedy::Retry(doubled(patience.first_pause, attempts))
            }
        }
    }
}

/// The pause after so many runs in vain.
fn doubled(first: Duration, runs: u32) -> Duration {
    first * 2_u32.pow(runs.saturating_sub(1).min(10))
}

/// The CRM gives no usable answer: it is waited for, and given up in the end.
fn outage(error: &CrmError, now: Timestamp, trouble: CrmTrouble, patience: &Patience) -> Remedy {
    let (trouble, outage) = trouble.unanswered(now);
    let gives_up_at = outage.since.saturating_add(patience.outage).unwrap_or(Timestamp::MAX);
    if now >= gives_up_at {
        let since = outage.since.strftime("%Y-%m-%d %H:%M UTC");
        let what = match error.kind {
            CrmErrorKind::Malformed => "The CRM has given no usable answer",
            _ => "The CRM has not answered",
        };
        let sentence = format!("{what} since {since}, and was given up after that. Begin again when it answers.");
        return Remedy::Fail(Failure::new(error.kind.failure_kind(), sentence));
    }
    let asked = match error.kind {
        CrmErrorKind::Unavailable { retry_after } => retry_after,
        _ => SignedDuration::ZERO,
    };
    // The last try is at the end of the patience, whatever the CRM asks for.
    let pause = growing_pause(patience, outage.runs).max(asked);
    let until = now.saturating_add(pause).unwrap_or(gives_up_at).min(gives_up_at);
    Remedy::Wait(Wait { until, reason: WaitReason::CrmUnavailable }, trouble)
}

fn growing_pause(patience: &Patience, runs: u32) -> SignedDuration {
    SignedDuration::try_from(doubled(patience.first_pause, runs)).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

/// Something stored cannot be read: the version that wrote it is waited for, and given up in the end.
fn unreadable(error: &StepError, now: Timestamp, trouble: CrmTrouble, patience: &Patience) -> Remedy {
    listing::unreadable(error);
    let (trouble, spell) = trouble.unread(now);
    let gives_up_at = spell.since.saturating_add(UNREADABLE_FOR).unwrap_or(Timestamp::MAX);
    if now >= gives_up_at {
        let since = spell.since.strftime("%Y-%m-%d %H:%M UTC");
        let sentence = format!(
            "Since {since} something that is stored could not be read: a later version of the service wrote it, or it is \
             damaged. Deploy the latest version that was in use, then begin again; the function's log names what it is."
        );
        return Remedy::Fail(Failure::new(FailureKind::StoredUnreadable, sentence));
    }
    let until = now.saturating_add(growing_pause(patience, spell.runs)).unwrap_or(gives_up_at).min(gives_up_at);
    // A reason of its own could not be read by the version before this one.
    Remedy::Wait(Wait { until, reason: WaitReason::ServiceUnavailable }, trouble)
}

/// The CRM refuses the token, or what was asked for. It may have been a mistake, and the token may just have been replaced.
fn refusal(error: &CrmError, now: Timestamp, trouble: CrmTrouble) -> Remedy {
    match trouble.refused(now) {
        (trouble, Some(pause)) => {
            Remedy::Wait(Wait { until: now + pause, reason: WaitReason::CrmUnavailable }, trouble)
        }
        (_, None) => Remedy::Fail(Failure::new(error.kind.failure_kind(), error.sentence.clone())),
    }
}

/// How long a message about work that must wait until `until` is delayed; recover-stalled wakes what waits longer than
/// a queue can hold.
pub fn delay_until(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const PATIENCE: Patience =
        Patience { first_pause: Duration::from_secs(30), outage: SignedDuration::from_hours(24) };

    fn crm(kind: CrmErrorKind) -> StepError {
        CrmError::new(kind, "The CRM is in the way.".to_owned()).into()
    }

    /// Meets `error` until it is given up. Returns the pauses in seconds, and the failure.
    fn pauses(error: &StepError) -> (Vec<i64>, Failure) {
        let (mut now, mut met, mut pauses) = (NOON, Met::default(), Vec::new());
        loop {
            match error.remedy(now, met, &PATIENCE) {
                Remedy::Wait(wait, trouble) => {
                    pauses.push(wait.until.duration_since(now).as_secs());
                    (now, met.trouble) = (wait.until, trouble);
                }
                Remedy::Fail(failure) => return (pauses, failure),
                other => panic!("{other:?}"),
            }
        }
    }

    /// B6: an outage is waited out with growing pauses, for a day.
    #[test]
    fn an_outage_is_waited_out_for_as_long_as_the_patience_lasts() {
        let (waited, failure) = pauses(&crm(CrmErrorKind::Unavailable { retry_after: SignedDuration::ZERO }));
        assert_eq!(waited[..6], [30, 60, 120, 240, 300, 300]);
        assert_eq!(waited.iter().sum::<i64>(), 24 * 3_600);
        assert_eq!(failure.kind, "crm-unavailable");
        assert!(failure.sentence.contains("not answered since 2027-01-15 08:00 UTC"), "{}", failure.sentence);

        let asked = SignedDuration::from_mins(40);
        let (waited, _) = pauses(&crm(CrmErrorKind::Unavailable { retry_after: asked }));
        assert_eq!((waited[0], waited.iter().sum::<i64>()), (2_400, 24 * 3_600));
    }

    /// What a later version has written is waited for, for a day, and no attempt is used up.
    #[test]
    fn what_cannot_be_read_is_waited_for_and_told_in_the_end() {
        let record = || LedgerError::Unreadable("p/s".to_owned(), "unknown variant".to_owned());
        let object = || StorageError::Unreadable("segments/1".to_owned(), "it has format 2".to_owned());
        for error in [StepError::from(record()), StepError::from(object())] {
            let (waited, failure) = pauses(&error);
            assert_eq!(waited[..6], [30, 60, 120, 240, 300, 300]);
            assert_eq!(waited.iter().sum::<i64>(), 24 * 3_600);
            assert_eq!(failure.kind, "stored-unreadable");
            let (since, what_to_do) = ("Since 2027-01-15 08:00 UTC", "Deploy the latest version");
            assert!(failure.sentence.contains(since) && failure.sentence.contains(what_to_do), "{}", failure.sentence);
        }
    }

    /// B4: a refusal is believed after 5, 15 and 45 seconds.
    #[test]
    fn a_refusal_is_believed_when_it_was_repeated() {
        for kind in [CrmErrorKind::TokenRefused, CrmErrorKind::Forbidden, CrmErrorKind::NotFound] {
            let (waited, failure) = pauses(&crm(kind.clone()));
            assert_eq!((waited, failure.kind), (vec![5, 15, 45], kind.failure_kind()));
        }
        assert_eq!(pauses(&crm(CrmErrorKind::Refused)).0, [0; 0], "a wrong request does not get right");
    }
}
