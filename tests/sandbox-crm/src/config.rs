//! What a portal is made of. The same structures serve the Rust API, the control API (as JSON in camel case) and the
//! command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::plan::{Limits, Plan};
use crate::property_set::PropertySet;
use crate::variants::{Profile, Variants};

/// Limits that differ from the plan's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitOverrides {
    pub per_ten_seconds: Option<u32>,
    pub per_day: Option<u32>,
    pub searches_per_second: Option<u32>,
    pub url_characters: Option<u32>,
    /// Calls that other apps have used today, in this simulation.
    pub used_today: Option<u32>,
}

impl LimitOverrides {
    /// `limits` with the differences applied.
    pub(crate) fn over(&self, limits: Limits) -> Limits {
        Limits {
            per_ten_seconds: self.per_ten_seconds.unwrap_or(limits.per_ten_seconds),
            per_day: self.per_day.unwrap_or(limits.per_day),
            searches_per_second: self.searches_per_second.unwrap_or(limits.searches_per_second),
            url_characters: self.url_characters.unwrap_or(limits.url_characters),
        }
    }
}

/// How record ids are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdSpacing {
    /// In clusters with big gaps, as in real accounts.
    #[default]
    Clumpy,
    Dense,
}

/// An object type that the account defined itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomObject {
    /// Internal name: lower-case letters, digits and underscores.
    pub name: String,
    /// How many records it has.
    #[serde(default)]
    pub records: u64,
}

/// A rule by which a write must set a property when another has a certain value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConditionalRequirement {
    pub object: String,
    pub property: String,
    pub value: String,
    /// …these must have one.
    pub requires: Vec<String>,
}

/// Names of properties per object.
pub type IgnoredWrites = BTreeMap<String, Vec<String>>;

/// A portal: one CRM account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PortalConfig {
    /// The CRM's id of the account; the next free one when absent.
    pub portal_id: Option<u64>,
    /// The Bearer token that belongs to it; one is made up when absent.
    pub token: Option<String>,
    /// Seed from which the records are computed.
    pub seed: u64,
    /// IANA name. The daily limit resets at its midnight.
    pub time_zone: String,
    pub plan: Plan,
    /// An account as HubSpot sells it; decides the plan, and what is not offered.
    pub profile: Option<Profile>,
    /// Paid increases of the limits: with one or more 250 calls per 10 s, and with each 1,000,000 more a day.
    pub limit_increases: u32,
    /// Limits that differ from the plan's.
    pub limits: LimitOverrides,
    /// Shortest time that an admitted call takes, in milliseconds.
    pub latency_ms: u64,
    /// Scopes that the token has; all when absent.
    pub scopes: Option<Vec<String>>,
    /// Records per standard object (not archived); objects that are not named have none.
    pub records: BTreeMap<String, u64>,
    pub custom_objects: Vec<CustomObject>,
    /// Archived records for every thousand, besides those counted in `records`.
    pub archived_per_mille: u32,
    /// Records merged into another for every thousand, besides those counted in `records`.
    pub merged_per_mille: u32,
    /// Which properties the objects have.
    pub property_set: PropertySet,
    /// How record ids are spread.
    pub ids: IdSpacing,
    /// A folder of CSV files to serve instead of generated records: one file per object, the record id in the first
    /// column, every other column a property. Files that are not named like standard objects become custom objects.
    pub load: Option<PathBuf>,
    pub faults: Faults,
    /// How it behaves where accounts differ or sources disagree.
    pub variants: Variants,
    /// Whether every call and answer is checked against what is known of HubSpot's API; see [`crate::conformance`].
    pub conformance: bool,
    /// Properties that writes must not leave empty, per object.
    pub required_properties: BTreeMap<String, Vec<String>>,
    /// Properties that writes must not leave empty under a condition.
    pub conditional_requirements: Vec<ConditionalRequirement>,
    /// Properties that writes leave unchanged without an error, per object.
    pub ignored_writes: IgnoredWrites,
}

impl Default for PortalConfig {
    fn default() -> Self {
        let records = [
            ("contacts", 1_000),
            ("companies", 400),
            ("deals", 300),
            ("tickets", 250),
            ("products", 60),
            ("calls", 300),
            ("tasks", 250),
            ("conversations", 150),
        ];
        let custom = [("machine", 120), ("rental_contract", 75), ("site_inspection", 0)];
        Self {
            records: records.map(|(object, count)| (object.to_owned(), count)).into(),
            custom_objects: custom.map(|(name, records)| CustomObject { name: name.to_owned(), records }).into(),
            archived_per_mille: 10,
            merged_per_mille: 5,
            ..Self::empty()
        }
    }
}

impl PortalConfig {
    /// A portal without any record or custom object, to build on.
    pub fn empty() -> Self {
        Self {
            portal_id: None,
            token: None,
            seed: 1,
            time_zone: "America/New_York".to_owned(),
            plan: Plan::default(),
            profile: None,
            limit_increases: 0,
            limits: LimitOverrides::default(),
            latency_ms: 0,
            scopes: None,
            records: BTreeMap::new(),
            custom_objects: Vec::new(),
            archived_per_mille: 0,
            merged_per_mille: 0,
            property_set: PropertySet::Standard,
            ids: IdSpacing::Clumpy,
            load: None,
            faults: Faults::default(),
            variants: Variants::default(),
            conformance: false,
            required_properties: BTreeMap::new(),
            conditional_requirements: Vec::new(),
            ignored_writes: IgnoredWrites::new(),
        }
    }

    /// What the call limits are.
    pub(crate) fn call_limits(&self) -> Limits {
        let plan = self.profile.map_or(self.plan, Profile::plan);
        self.limits.over(plan.limits().increased(self.limit_increases))
    }

    /// How the portal behaves.
    pub(crate) fn behaviour(&self) -> Variants {
        self.profile.map_or_else(|| self.variants.clone(), |profile| profile.within(&self.variants))
    }

    /// The same with `count` records of a standard object.
    #[must_use]
    pub fn with_records(mut self, object: &str, count: u64) -> Self {
        self.records.insert(object.to_owned(), count);
        self
    }
}

/// How a server starts.
#[derive(Debug, Clone, Default)]
pub struct SandboxConfig {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The portal that answers for tokens which belong to no other.
    pub default_portal: PortalConfig,
    /// Whether tokens that belong to no portal get 401 instead.
    pub known_tokens_only: bool,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog::STANDARD;

    /// Tests of other crates take the names of all standard objects from here.
    #[test]
    fn the_default_portal_has_records_of_every_standard_object() {
        let config = PortalConfig::default();
        let filled: BTreeSet<&str> =
            config.records.iter().filter(|(_, count)| **count > 0).map(|(name, _)| name.as_str()).collect();
        let standard: BTreeSet<&str> = STANDARD.iter().map(|object| object.name).collect();
        assert_eq!(filled, standard);
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_str::<PortalConfig>(r#"{"latency": 5}"#).is_err());
        let config: PortalConfig =
            serde_json::from_str(r#"{"records": {"contacts": 5}, "propertySet": "tiny"}"#).expect("valid");
        assert_eq!(config.records.get("companies"), None);
        assert_eq!(config.property_set, PropertySet::Tiny);
    }
}
