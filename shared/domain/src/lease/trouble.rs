//! What has been in the way of an item that waits without using up its attempts.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// After how many seconds a call is made again that the CRM refused. What it refuses after all of them is refused.
const REFUSAL_PAUSES: [i64; 3] = [5, 15, 45];

/// What has been in the way of an item that is waited for without using up its attempts, in runs since its last progress: the
/// CRM, most of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrmTrouble {
    /// It has not answered, or not usably.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outage: Option<Spell>,
    /// It has refused the token, or what was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refusal: Option<Spell>,
    /// Something stored could not be read, as if a later version had written it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unreadable: Option<Spell>,
}

/// A time of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spell {
    /// When the first run met it.
    pub since: Timestamp,
    /// How many runs have.
    pub runs: u32,
}

impl Spell {
    fn met(spell: Option<Self>, now: Timestamp) -> Self {
        Self { since: spell.map_or(now, |spell| spell.since), runs: spell.map_or(0, |spell| spell.runs) + 1 }
    }
}

impl CrmTrouble {
    /// Whether nothing has been in the way.
    pub const fn is_none(&self) -> bool {
        self.outage.is_none() && self.refusal.is_none() && self.unreadable.is_none()
    }

    /// Notes that another run met something stored that it could not read, and returns since when that has been so.
    #[must_use]
    pub fn unread(self, now: Timestamp) -> (Self, Spell) {
        let unreadable = Spell::met(self.unreadable, now);
        (Self { unreadable: Some(unreadable), ..self }, unreadable)
    }

    /// Notes that another run got no usable answer, and returns the outage.
    #[must_use]
    pub fn unanswered(self, now: Timestamp) -> (Self, Spell) {
        let outage = Spell::met(self.outage, now);
        (Self { outage: Some(outage), ..self }, outage)
    }

    /// Notes that another run was refused, and returns the pause before the next try; None when this was the last.
    #[must_use]
    pub fn refused(self, now: Timestamp) -> (Self, Option<SignedDuration>) {
        let refusal = Spell::met(self.refusal, now);
        let pause = REFUSAL_PAUSES.get(refusal.runs as usize - 1).copied();
        (Self { refusal: Some(refusal), ..self }, pause.map(SignedDuration::from_secs))
    }

    /// Whether the next refusal is the last: it is taken for the truth.
    pub fn is_last_try(&self) -> bool {
        self.refusal.is_some_and(|refusal| refusal.runs as usize >= REFUSAL_PAUSES.len())
    }

    /// Since when the CRM has been in the way.
    pub fn since(&self) -> Option<Timestamp> {
        [self.outage, self.refusal].into_iter().flatten().map(|spell| spell.since).min()
    }
}
