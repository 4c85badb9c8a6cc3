//! Troubles that an item waits out without using up its attempts.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Seconds until a call that the CRM refused is repeated. A refusal after the last pause is final.
const REFUSAL_PAUSES: [i64; 3] = [5, 15, 45];

/// Troubles that runs have met since the item's last progress, mostly the CRM's. Waiting for their end uses up no
/// attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrmTrouble {
    /// The CRM gave no usable answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outage: Option<Spell>,
    /// The CRM refused the token or the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refusal: Option<Spell>,
    /// A stored record could not be read, as if a later version had written it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unreadable: Option<Spell>,
}

/// How long a trouble has lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spell {
    /// When a run first met it.
    pub since: Timestamp,
    /// How many runs have met it.
    pub runs: u32,
}

impl Spell {
    fn met(spell: Option<Self>, now: Timestamp) -> Self {
        Self { since: spell.map_or(now, |spell| spell.since), runs: spell.map_or(0, |spell| spell.runs) + 1 }
    }
}

impl CrmTrouble {
    /// Whether there is no trouble.
    pub const fn is_none(&self) -> bool {
        self.outage.is_none() && self.refusal.is_none() && self.unreadable.is_none()
    }

    /// Counts a run that could not read a stored record. Returns the spell so far.
    #[must_use]
    pub fn unread(self, now: Timestamp) -> (Self, Spell) {
        let unreadable = Spell::met(self.unreadable, now);
        (Self { unreadable: Some(unreadable), ..self }, unreadable)
    }

    /// Counts a run that got no usable answer. Returns the outage so far.
    #[must_use]
    pub fn unanswered(self, now: Timestamp) -> (Self, Spell) {
        let outage = Spell::met(self.outage, now);
        (Self { outage: Some(outage), ..self }, outage)
    }

    /// Counts a run that was refused. Returns the pause before the next try; None if this was the last one.
    #[must_use]
    pub fn refused(self, now: Timestamp) -> (Self, Option<SignedDuration>) {
        let refusal = Spell::met(self.refusal, now);
        let pause = REFUSAL_PAUSES.get(refusal.runs as usize - 1).copied();
        (Self { refusal: Some(refusal), ..self }, pause.map(SignedDuration::from_secs))
    }

    /// Whether the next refusal is final.
    pub fn is_last_try(&self) -> bool {
        self.refusal.is_some_and(|refusal| refusal.runs as usize >= REFUSAL_PAUSES.len())
    }

    /// When the CRM's present troubles began.
    pub fn since(&self) -> Option<Timestamp> {
        [self.outage, self.refusal].into_iter().flatten().map(|spell| spell.since).min()
    }
}
