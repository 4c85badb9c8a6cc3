//! Tiers: what an account may do. The API calls them plans. They are data: to add one, add a row to [`TIERS`].

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// What the accounts of a tier may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Its name, as the API and the ledger spell it.
    pub name: &'static str,
    /// So long after the request for a backup that completed, the next one may be made.
    pub backup_interval: SignedDuration,
    /// Whether backups may start by themselves.
    pub may_schedule: bool,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Every tier there is, the most restricted one first. How often each may back up is what HubSpot offers by plan.
/// How many calls the CRM allows is not a matter of tiers: its answers say so.
pub static TIERS: [Tier; 4] = [
    Tier { name: "starter", backup_interval: WEEK, may_schedule: false },
    Tier { name: "professional", backup_interval: WEEK, may_schedule: false },
    Tier { name: "enterprise", backup_interval: DAY, may_schedule: true },
    // For those who run the deployment for themselves.
    Tier { name: "unlimited", backup_interval: SignedDuration::ZERO, may_schedule: true },
];

/// The name of a tier of [`TIERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TierName(&'static Tier);

/// There is no tier of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no plan of that name")]
pub struct UnknownTier;

impl TierName {
    /// # Errors
    /// [`UnknownTier`].
    pub fn parse(name: &str) -> Result<Self, UnknownTier> {
        TIERS.iter().find(|tier| tier.name == name).map(Self).ok_or(UnknownTier)
    }

    /// What it allows.
    pub const fn allows(self) -> &'static Tier {
        self.0
    }

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }
}

impl Default for TierName {
    /// The most restricted tier, until an operator says otherwise.
    fn default() -> Self {
        Self(&TIERS[0])
    }
}

impl TryFrom<String> for TierName {
    type Error = UnknownTier;
    fn try_from(name: String) -> Result<Self, UnknownTier> {
        Self::parse(&name)
    }
}

impl From<TierName> for String {
    fn from(name: TierName) -> Self {
        name.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_is_found_by_its_name_and_no_other_name_is_one() {
        for tier in &TIERS {
            let name = TierName::parse(tier.name).expect("a tier");
            assert_eq!((name.allows(), name.as_str()), (tier, tier.name));
            let stored = serde_json::to_string(&name).expect("JSON");
            assert_eq!(serde_json::from_str::<TierName>(&stored).expect("a name"), name);
        }
        assert!(TierName::parse("Enterprise").is_err() && serde_json::from_str::<TierName>("\"free\"").is_err());
        assert_eq!(TierName::default().as_str(), "starter");
    }
}
