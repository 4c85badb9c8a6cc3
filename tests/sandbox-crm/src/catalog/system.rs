//! Properties that the CRM keeps itself, on every object.

use super::definition::{Choices, Definition, checkbox, external, flag, number, select, text, time};
use crate::data::meaning::Meaning::{OtherRecord, Owner, Text, Uuid, Whole};
use crate::property::{Property, Source};

/// The property that holds the record's id.
pub(super) const RECORD_ID: &str = "hs_object_id";

const SOURCES: Choices = &[
    ("CRM_UI", "CRM UI"),
    ("IMPORT", "Import"),
    ("FORM", "Form"),
    ("INTEGRATION", "Integration"),
    ("API", "API"),
    ("EMAIL", "Email"),
    ("CONVERSATIONS", "Conversations"),
    ("MIGRATION", "Migration"),
];

/// On objects without an owner.
pub(super) const UNOWNED: &[Definition] = &[
    select("hs_object_source", "Record source", SOURCES, 980).read_only(),
    text("hs_object_source_id", "Record source ID", Uuid, 700).read_only().hidden(),
    select("hs_object_source_label", "Record source label", SOURCES, 980).read_only(),
    text("hs_object_source_detail_1", "Record source detail 1", Text, 300).read_only(),
    number("hs_created_by_user_id", "Created by user ID", Whole(1_000_000, 9_999_999), 500).read_only(),
    number("hs_updated_by_user_id", "Updated by user ID", Whole(1_000_000, 9_999_999), 500).read_only(),
    text("hs_merged_object_ids", "Merged record IDs", OtherRecord, 0).read_only(),
    text("hs_unique_creation_key", "Unique creation key", Uuid, 0).read_only().hidden().unique(),
    flag("hs_read_only", "Read only", 0).read_only().hidden(),
    flag("hs_was_imported", "Was imported", 120).read_only().hidden(),
];

/// On objects that a user can own.
pub(super) const OWNED: &[Definition] = &[
    external("hubspot_owner_id", "Owner", Owner, 800),
    time("hubspot_owner_assigneddate", "Owner assigned date", 800).read_only(),
    external("hubspot_team_id", "Team", Whole(100_000, 100_020), 300).read_only(),
    external("hs_all_owner_ids", "All owner IDs", Owner, 750).read_only().hidden(),
    external("hs_all_team_ids", "All team IDs", Whole(100_000, 100_020), 250).read_only().hidden(),
    external("hs_all_accessible_team_ids", "All accessible team IDs", Whole(100_000, 100_020), 250)
        .read_only()
        .hidden(),
    external("hs_user_ids_of_all_owners", "User IDs of all owners", Owner, 750).read_only().hidden(),
    checkbox("hs_all_assigned_business_unit_ids", "Brands", &[("0", "Main"), ("1", "Outlet"), ("2", "B2B")], 200),
    select("hs_object_source", "Record source", SOURCES, 980).read_only(),
    text("hs_object_source_id", "Record source ID", Uuid, 700).read_only().hidden(),
    select("hs_object_source_label", "Record source label", SOURCES, 980).read_only(),
    number("hs_created_by_user_id", "Created by user ID", Whole(1_000_000, 9_999_999), 500).read_only(),
    number("hs_updated_by_user_id", "Updated by user ID", Whole(1_000_000, 9_999_999), 500).read_only(),
    text("hs_merged_object_ids", "Merged record IDs", OtherRecord, 0).read_only(),
    text("hs_unique_creation_key", "Unique creation key", Uuid, 0).read_only().hidden().unique(),
];

/// The id and the two times, under the names that they have on this object.
pub(super) fn record_properties(group: &str, created: &'static str, updated: &'static str) -> Vec<Property> {
    let definitions = [
        number(RECORD_ID, "Record ID", Whole(0, 0), 0).read_only().unique().from(Source::RecordId),
        time(created, "Create Date", 0).read_only().from(Source::CreatedAt),
        time(updated, "Last Modified Date", 0).read_only().from(Source::UpdatedAt),
    ];
    definitions.iter().map(|definition| definition.build(group)).collect()
}
