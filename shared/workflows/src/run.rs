//! What every run of a worker function has in common: who it is, how long it may last, and how it can fail.

use std::time::Duration;

use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::ledger::LedgerError;
use domain::ports::objects::StorageError;
use domain::ports::queue::QueueError;
use domain::ports::secrets::SecretsError;
use domain::{Failure, budget::WaitReason, lease::Wait};
use jiff::{SignedDuration, Timestamp};

use crate::ending::EndError;

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

/// A lease lasts longer than the run can, so that nobody takes over from a run that still lives.
const LEASE_BEYOND_RUN: SignedDuration = SignedDuration::from_secs(10);

impl Run {
    /// Until when an answer of the CRM is waited for that was asked for before the run's end: half of the time that is
    /// kept for finishing.
    pub fn calls_end(&self) -> Timestamp {
        self.ends + self.stopped_at.duration_since(self.ends) / 2
    }

    /// How long a lease taken now must last.
    pub fn lease_length(&self, now: Timestamp) -> SignedDuration {
        self.stopped_at.duration_since(now) + LEASE_BEYOND_RUN
    }
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Object storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The queue failed.
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
    #[error("another run has taken over")]
    TakenOver,
}

impl From<EndError> for StepError {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Absent => Self::TakenOver,
            EndError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// What to do about a step that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing.
    Stop,
    /// The backup, or the restore, fails.
    Fail(Failure),
    /// Wait, then try again.
    Wait(Wait),
    /// Try again after a pause; something of our own did not answer.
    Retry(Duration),
}

impl StepError {
    /// What to do about it, in a run that is the `attempts`-th without progress; `retry_base` is the first pause, and
    /// doubles with every attempt.
    pub fn remedy(&self, now: Timestamp, attempts: u32, retry_base: Duration) -> Remedy {
        let pause = retry_base * 2_u32.pow(attempts.saturating_sub(1).min(10));
        match self {
            Self::TakenOver => Remedy::Stop,
            Self::Fatal(failure) => Remedy::Fail(failure.clone()),
            Self::Crm(error) => match &error.kind {
                CrmErrorKind::NoBudget { until, reason } => Remedy::Wait(Wait { until: *until, reason: *reason }),
                CrmErrorKind::Unavailable { .. } | CrmErrorKind::Malformed => {
                    if attempts >= domain::lease::MAX_ATTEMPTS {
                        return Remedy::Fail(Failure::new(error.kind.word(), error.sentence.clone()));
                    }
                    let asked = match error.kind {
                        CrmErrorKind::Unavailable { retry_after } => retry_after,
                        _ => SignedDuration::ZERO,
                    };
                    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_mins(5)).max(asked);
                    Remedy::Wait(Wait { until: now + pause, reason: WaitReason::CrmUnavailable })
                }
                kind => Remedy::Fail(Failure::new(kind.word(), error.sentence.clone())),
            },
            Self::Storage(error) if !error.is_retryable() => Remedy::Fail(Failure::new(
                "storage-refused",
                "Object storage refused a write or a read that is needed; see the function's log.",
            )),
            Self::Ledger(LedgerError::Unreadable(..) | LedgerError::Refused(_)) => Remedy::Fail(Failure::new(
                "ledger-refused",
                "The ledger refused a record, or holds one that this version cannot read; see the function's log.",
            )),
            Self::Secrets(SecretsError::ConnectionChanging) if attempts >= domain::lease::MAX_ATTEMPTS => {
                Remedy::Fail(Failure::new(
                    "crm-connection-unfinished",
                    "A change of the account's CRM connection was not finished; connect the account again with \
                     PUT /accounts/{account} and try again.",
                ))
            }
            Self::Ledger(_) | Self::Storage(_) | Self::Queue(_) | Self::Secrets(_) => Remedy::Retry(pause),
        }
    }
}

/// How long a message about work that must wait until `until` is delayed; recover-stalled wakes what waits longer than
/// a queue can hold.
pub fn delay_until(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
}
