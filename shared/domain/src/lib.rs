//! The words, states, transitions, rules and ports of crm-backup.
//!
//! Everything here is pure: no clock is read, nothing is sent, nothing sleeps. A state change is a function from a
//! state and an event to the next state or a refusal ([`Refused`]). The ledger stores the result only if no other run
//! has changed the item in between (see [`ports::ledger`]). `docs/architecture.md` explains the words.

pub mod account;
pub mod allowance;
pub mod audit;
pub mod backup;
pub mod budget;
pub mod chunk;
pub mod due;
pub mod failed_in_a_row;
pub mod failure;
pub mod format;
pub mod gap;
pub mod ids;
pub mod lease;
pub mod notification;
pub mod object;
pub mod ports;
pub mod property;
pub mod restore;
pub mod rows;
pub mod schedule;
pub mod segment;
pub mod storage_keys;
pub mod tier;
pub mod trail;
pub mod unknown;
pub mod work;

pub use self::failure::{Failure, FailureKind};

/// A state change that the present state does not allow. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is refused: {why}")]
pub struct Refused {
    /// What was refused, such as `renewing a lease`.
    pub what: &'static str,
    /// Why, as a clause: `another run has taken it over`.
    pub why: &'static str,
    /// No run and no user can bring this about: the code that asked is wrong.
    pub is_fault: bool,
}

impl Refused {
    /// Refuses `what` because of `why`.
    pub const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why, is_fault: false }
    }

    /// A refusal of `what` that only a fault of the code can bring about.
    pub const fn fault(what: &'static str, why: &'static str) -> Self {
        Self { what, why, is_fault: true }
    }
}
