//! Tiers: the rights of an account. The API calls them plans. To add a tier, add a row to [`TIERS`].

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The rights of the accounts of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// The name in the API and the ledger.
    pub name: &'static str,
    /// The time from the request for a completed backup until the next backup may start.
    pub backup_interval: SignedDuration,
    /// Whether the account may have a schedule.
    pub may_schedule: bool,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// All tiers, the most restricted one first. Their intervals are those of HubSpot's plans. The CRM's call limits do not
/// depend on tiers: they come from its answers.
pub static TIERS: [Tier; 4] = [
    Tier { name: "starter", backup_interval: WEEK, may_schedule: false },
    Tier { name: "professional", backup_interval: WEEK, may_schedule: false },
    Tier { name: "enterprise", backup_interval: DAY, may_schedule: true },
    // For accounts of the deployment's own operator.
    Tier { name: "unlimited", backup_interval: SignedDuration::ZERO, may_schedule: true },
];

/// The name of a tier of [`TIERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TierName(&'static Tier);

/// No tier has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no plan has this name")]
pub struct UnknownTier;

impl TierName {
    /// # Errors
    /// [`UnknownTier`].
    pub fn parse(name: &str) -> Result<Self, UnknownTier> {
        TIERS.iter().find(|tier| tier.name == name).map(Self).ok_or(UnknownTier)
    }

    /// The rights that the tier gives.
    pub const fn allows(self) -> &'static Tier {
        self.0
    }

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }
}

impl Default for TierName {
    /// The most restricted tier. An operator can set another one.
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
    fn each_plan_is_found_by_its_name_and_other_names_are_refused() {
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
