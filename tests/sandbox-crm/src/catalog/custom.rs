//! Properties of custom objects.

use super::definition::{Choices, Definition, area, checkbox, date, external, flag, number, select, text};
use super::system;
use crate::data::meaning::Meaning::{City, Decimal, NationalId, Owner, ProductName, Text, Whole};
use crate::property::Property;

const STATES: Choices = &[("active", "Aktiv"), ("paused", "Pausiert"), ("ended", "Beendet")];
const TAGS: Choices = &[("rent", "Rent"), ("lease", "Lease"), ("owned", "Owned"), ("on loan", "On loan")];

const DEFINITIONS: &[Definition] = &[
    text("name", "Name", ProductName, 1_000).custom(),
    text("serial_no", "Seriennummer", NationalId, 800).custom().unique(),
    select("state", "Zustand", STATES, 900).custom(),
    checkbox("tags", "Tags", TAGS, 400).custom(),
    date("valid_from", "Gültig ab", 700).custom(),
    date("valid_to", "Gültig bis", 300).custom(),
    number("monthly_price", "Preis pro Monat", Decimal(0, 2_000), 700).custom(),
    number("quantity", "Stückzahl", Whole(1, 500), 600).custom(),
    text("location", "Standort", City, 500).custom(),
    text("remark", "Bemerkung", Text, 400).custom(),
    area("history", "Verlauf", 300).custom(),
    flag("insured", "Versichert", 600).custom(),
    text("access_code", "Access code", NationalId, 300).sensitive(),
    external("hubspot_owner_id", "Owner", Owner, 500),
    text("hs_merged_object_ids", "Merged record IDs", Text, 0).read_only(),
    number("hs_created_by_user_id", "Created by user ID", Whole(1_000_000, 9_999_999), 500).read_only(),
];

/// The properties of every custom object, except for the id and the two times.
pub(crate) fn properties(group: &str) -> Vec<Property> {
    let mut properties: Vec<Property> = DEFINITIONS.iter().map(|definition| definition.build(group)).collect();
    properties.extend(system::record_properties(group, "hs_createdate", "hs_lastmodifieddate"));
    properties
}
