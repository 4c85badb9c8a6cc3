//! The common parts of every run of a worker function: its name, its time limits, and its errors.

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
    /// A name that no other run has. It is the owner of the run's leases.
    pub owner: String,
    /// From then on the run begins nothing new, and finishes its work: a segment's last part and its commit.
    pub ends: Timestamp,
    /// When the function is stopped in any case.
    pub stopped_at: Timestamp,
}

impl Run {
    /// How long to wait for an answer of the CRM to a call made before the run's end: half of the time reserved for
    /// finishing.
    pub fn calls_end(&self) -> Timestamp {
        self.ends + self.stopped_at.duration_since(self.ends) / 2
    }
}

/// How long workers wait for the CRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first pause while the CRM is down. It doubles with every fruitless run.
    pub first_pause: Duration,
    /// The longest outage before the work fails.
    pub outage: SignedDuration,
}

/// The longest pause between two tries while the CRM is down, unless the CRM asks for a longer one.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// How long to wait for a version that can read the stored data. A deployment takes minutes. Going back to an earlier
/// version, and forward again, may take a day.
const UNREADABLE_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The failures of an item since its last progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Met {
    /// Fruitless runs, including the present one.
    pub attempts: u32,
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
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The CRM failed, after all useful retries.
    #[error(transparent)]
    Crm(#[from] CrmError),
    /// A retry cannot help; the backup or the restore must fail.
    #[error("{}", .0.sentence)]
    Fatal(Failure),
    /// Another run has taken over, or the backup or restore has ended: stop and change nothing.
    #[error("{0}")]
    TakenOver(Refused),
}

impl StepError {
    /// The item is no longer in the ledger.
    pub const GONE: Self = Self::TakenOver(Refused::new("going on", "the item is gone"));

    /// The backup or the restore no longer needs this work.
    pub const UNWANTED: Self = Self::TakenOver(Refused::new("going on", "the work has been ended"));
}

/// Logs the reason. A refusal that only a fault of the code can bring about is a warning.
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

/// The reaction to a step that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    Stop,
    Fail(Failure),
    /// Wait, then try again. The second field describes how the CRM failed.
    Wait(Wait, CrmTrouble),
    /// Try again after a pause. One of our own services did not answer.
    Retry(Duration),
}

impl StepError {
    /// Whether the error ended a write to the CRM that may have been made, or may still be.
    pub const fn may_have_landed(&self) -> bool {
        matches!(self, Self::Crm(crm) if crm.may_have_landed)
    }

    /// Whether stored data could not be read that a later version can read.
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Ledger(LedgerError::Unreadable(..)) | Self::Storage(StorageError::Unreadable(..)))
    }

    /// The reaction to this error, given what the item has already `met`. An outage of the CRM is waited out, and so is
    /// the time until the version that can read the stored data is deployed everywhere. A refusal is believed when it
    /// was repeated.
    pub fn remedy(&self, now: Timestamp, met: Met, patience: &Patience) -> Remedy {
        let attempts = met.attempts;
        match self {
            Self::TakenOver(_) => Remedy::Stop,
            Self::Fatal(failure) => Remedy::Fail(failure.clone()),
            Self::Crm(error) => match &error.kind {
                // No call is sent meanwhile, so an outage before this wait is not part of one after it.
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
                "Object storage refused a read or a write. Ask the operator to look at the function's log.",
            )),
            Self::Ledger(LedgerError::Refused(_)) => Remedy::Fail(Failure::new(
                FailureKind::LedgerRefused,
                "The ledger refused a record. Ask the operator to look at the function's log.",
            )),
            Self::Secrets(SecretsError::ConnectionChanging) if attempts >= MAX_ATTEMPTS => Remedy::Fail(Failure::new(
                FailureKind::CrmConnectionUnfinished,
                "A change of the account's CRM connection was not finished. Connect the account again with PUT \
                 /accounts/{account} and try again.",
            )),
            Self::Ledger(_) | Self::Storage(_) | Self::Queue(_) | Self::Secrets(_) => {
                Remedy::Retry(doubled(patience.first_pause, attempts))
            }
        }
    }
}

/// The pause after this many fruitless runs.
fn doubled(first: Duration, runs: u32) -> Duration {
    first * 2_u32.pow(runs.saturating_sub(1).min(10))
}

/// The CRM gives no usable answer: wait for it, and give up in the end.
fn outage(error: &CrmError, now: Timestamp, trouble: CrmTrouble, patience: &Patience) -> Remedy {
    let (trouble, outage) = trouble.unanswered(now);
    let gives_up_at = outage.since.saturating_add(patience.outage).unwrap_or(Timestamp::MAX);
    if now >= gives_up_at {
        let since = outage.since.strftime("%Y-%m-%d %H:%M UTC");
        let what = match error.kind {
            CrmErrorKind::Malformed => "The CRM has given no usable answer",
            _ => "The CRM has not answered",
        };
        let sentence =
            format!("{what} since {since}, so the service stopped trying. Start again when the CRM answers.");
        return Remedy::Fail(Failure::new(error.kind.failure_kind(), sentence));
    }
    let asked = match error.kind {
        CrmErrorKind::Unavailable { retry_after } => retry_after,
        _ => SignedDuration::ZERO,
    };
    // The last try is at the end of the patience, even if the CRM asks for a longer pause.
    let pause = growing_pause(patience, outage.runs).max(asked);
    let until = now.saturating_add(pause).unwrap_or(gives_up_at).min(gives_up_at);
    Remedy::Wait(Wait { until, reason: WaitReason::CrmUnavailable }, trouble)
}

fn growing_pause(patience: &Patience, runs: u32) -> SignedDuration {
    SignedDuration::try_from(doubled(patience.first_pause, runs)).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

/// Stored data is unreadable: wait for the version that wrote it, and give up in the end.
fn unreadable(error: &StepError, now: Timestamp, trouble: CrmTrouble, patience: &Patience) -> Remedy {
    listing::unreadable(error);
    let (trouble, spell) = trouble.unread(now);
    let gives_up_at = spell.since.saturating_add(UNREADABLE_FOR).unwrap_or(Timestamp::MAX);
    if now >= gives_up_at {
        let since = spell.since.strftime("%Y-%m-%d %H:%M UTC");
        let sentence = format!(
            "Stored data could not be read since {since}: a later version of the service wrote it, or it is damaged. \
             Ask the operator to deploy the latest version that was in use. The function's log names the data. Then \
             start again."
        );
        return Remedy::Fail(Failure::new(FailureKind::StoredUnreadable, sentence));
    }
    let until = now.saturating_add(growing_pause(patience, spell.runs)).unwrap_or(gives_up_at).min(gives_up_at);
    // The version before this one could not read a separate reason.
    Remedy::Wait(Wait { until, reason: WaitReason::ServiceUnavailable }, trouble)
}

/// The CRM refuses the token or the call. That may be an error of the CRM, or the token may just have been replaced.
fn refusal(error: &CrmError, now: Timestamp, trouble: CrmTrouble) -> Remedy {
    match trouble.refused(now) {
        (trouble, Some(pause)) => {
            Remedy::Wait(Wait { until: now + pause, reason: WaitReason::CrmUnavailable }, trouble)
        }
        (_, None) => Remedy::Fail(Failure::new(error.kind.failure_kind(), error.sentence.clone())),
    }
}

/// The delay of a message about work that must wait until `until`. recover-stalled queues work that waits longer than a
/// queue can keep a message.
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

    /// Repeats `error` until it is given up. Returns the pauses in seconds, and the failure.
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

    /// Data of a later version is waited for, for a day, without using up attempts.
    #[test]
    fn unreadable_data_is_waited_for_and_fails_in_the_end() {
        let record = || LedgerError::Unreadable("p/s".to_owned(), "unknown variant".to_owned());
        let object = || StorageError::Unreadable("segments/1".to_owned(), "it has format 2".to_owned());
        for error in [StepError::from(record()), StepError::from(object())] {
            let (waited, failure) = pauses(&error);
            assert_eq!(waited[..6], [30, 60, 120, 240, 300, 300]);
            assert_eq!(waited.iter().sum::<i64>(), 24 * 3_600);
            assert_eq!(failure.kind, "stored-unreadable");
            let (since, what_to_do) = ("since 2027-01-15 08:00 UTC", "deploy the latest version");
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
