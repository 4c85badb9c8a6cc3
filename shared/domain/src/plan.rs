//! Plans: what an account may do. They are data; adding one is adding a row to [`PLANS`].

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// What the accounts of a plan may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Its name, as the API and the ledger spell it.
    pub name: &'static str,
    /// So long after the request for a backup that completed, the next one may be made.
    pub backup_interval: SignedDuration,
    /// Whether backups may start by themselves.
    pub may_schedule: bool,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Every plan there is, the most restricted one first. How often each may back up is what HubSpot offers by plan.
/// How many calls the CRM allows is not a matter of these plans: its answers say so.
pub static PLANS: [Plan; 4] = [
    Plan { name: "starter", backup_interval: WEEK, may_schedule: false },
    Plan { name: "professional", backup_interval: WEEK, may_schedule: false },
    Plan { name: "enterprise", backup_interval: DAY, may_schedule: true },
    // For those who run the deployment for themselves.
    Plan { name: "unlimited", backup_interval: SignedDuration::ZERO, may_schedule: true },
];

/// The name of a plan of [`PLANS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanName(&'static Plan);

/// There is no plan of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no plan of that name")]
pub struct UnknownPlan;

impl PlanName {
    /// # Errors
    /// [`UnknownPlan`].
    pub fn parse(name: &str) -> Result<Self, UnknownPlan> {
        PLANS.iter().find(|plan| plan.name == name).map(Self).ok_or(UnknownPlan)
    }

    /// What it allows.
    pub const fn plan(self) -> &'static Plan {
        self.0
    }

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }
}

impl Default for PlanName {
    /// The most restricted plan, until an operator says otherwise.
    fn default() -> Self {
        Self(&PLANS[0])
    }
}

impl TryFrom<String> for PlanName {
    type Error = UnknownPlan;
    fn try_from(name: String) -> Result<Self, UnknownPlan> {
        Self::parse(&name)
    }
}

impl From<PlanName> for String {
    fn from(name: PlanName) -> Self {
        name.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_is_found_by_its_name_and_no_other_name_is_one() {
        for plan in &PLANS {
            let name = PlanName::parse(plan.name).expect("a plan");
            assert_eq!((name.plan(), name.as_str()), (plan, plan.name));
            let stored = serde_json::to_string(&name).expect("JSON");
            assert_eq!(serde_json::from_str::<PlanName>(&stored).expect("a name"), name);
        }
        assert!(PlanName::parse("Enterprise").is_err() && serde_json::from_str::<PlanName>("\"free\"").is_err());
        assert_eq!(PlanName::default().as_str(), "starter");
    }
}
