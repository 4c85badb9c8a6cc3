//! Shows and changes a portal's records directly, without limits, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::clock::{now, time_text};
use crate::data::overlay::Presence;
use crate::data::store::{Changes, Store};
use crate::data::view::RecordView;
use crate::portal::Portal;
use crate::property::{Choice, Kind, Property, Sensitivity, Source};
use crate::schema::Schema;

/// Whether a record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordState {
    Live,
    /// In the recycling bin.
    Archived,
    /// Became part of another record.
    Merged,
    Gone,
}

/// A record with everything that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TruthRecord {
    pub id: u64,
    /// Whether it is there.
    pub state: RecordState,
    pub created_at: String,
    pub updated_at: String,
    /// All set properties, sensitive ones included; unset ones are left out.
    pub properties: BTreeMap<String, String>,
}

/// A record to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewRecord {
    /// Its id; the next free one when absent. A record of that id is replaced.
    pub id: Option<u64>,
    pub properties: BTreeMap<String, String>,
    /// Fill all other properties as those of generated records are.
    pub generated: bool,
}

/// Changes to records, without any checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordChanges {
    /// Records to be made.
    pub create: Vec<NewRecord>,
    /// New values by record id and property; an empty one clears the property.
    pub update: BTreeMap<u64, BTreeMap<String, String>>,
    /// Records to be archived.
    pub archive: Vec<u64>,
    /// Records to be deleted for good.
    pub purge: Vec<u64>,
    /// Records to be merged, with the record that each becomes part of.
    pub merge: BTreeMap<u64, u64>,
}

/// A property to be defined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NewProperty {
    /// What people see; the name when absent.
    pub label: Option<String>,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How it is edited, such as `text`, `select` or `checkbox`.
    pub field_type: Option<String>,
    /// Its options, for enumerations.
    pub options: Vec<Choice>,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether the CRM computes it.
    pub calculated: bool,
    /// How its values must be handled.
    pub sensitivity: Sensitivity,
}

impl Portal {
    /// Names of all properties of an object, sorted; None when there is no such object.
    pub fn property_names(&self, object: &str) -> Option<Vec<String>> {
        let schema = self.store(object)?.schema();
        Some(schema.properties().iter().map(|property| property.name.clone()).collect())
    }

    /// How many records an object has that are not archived.
    pub fn live_records(&self, object: &str) -> Option<u64> {
        Some(self.store(object)?.read().live_count())
    }

    /// Up to `limit` records of an object with ids greater than `after`, ascending, in any state. None when there is no
    /// such object.
    pub fn truth(&self, object: &str, after: u64, limit: usize) -> Option<Vec<TruthRecord>> {
        let store = self.store(object)?;
        let schema = store.schema();
        let reading = store.read();
        let records = reading.all_after(after).take(limit).map(|view| describe(&schema, &view)).collect();
        Some(records)
    }

    /// Changes records without any checks. Returns the ids of the records made; None when there is no such object.
    pub fn change_records(&self, object: &str, changes: &RecordChanges) -> Option<Vec<u64>> {
        let store = self.store(object)?;
        let beyond = store.read().base().len() + 1;
        let mut writing = store.write();
        let values = |values: &BTreeMap<String, String>| values.clone().into_iter().collect::<Changes>();
        for (id, properties) in &changes.update {
            writing.update(*id, &values(properties));
        }
        for id in &changes.archive {
            writing.hide(*id, Presence::Archived(now()));
        }
        for id in &changes.purge {
            writing.hide(*id, Presence::Gone);
        }
        for (id, into) in &changes.merge {
            writing.merge(*into, *id);
        }
        let mut created = Vec::new();
        for record in &changes.create {
            let properties = values(&record.properties);
            let template = record.generated.then(|| beyond + record.id.unwrap_or(created.len() as u64));
            created.push(match record.id {
                Some(id) => {
                    writing.create_as(id, &properties, template);
                    id
                }
                None => writing.create(&properties, template),
            });
        }
        Some(created)
    }

    /// Defines a property, or redefines it, archived or not; its values stay. False when there is no such object.
    pub fn define_property(&self, object: &str, name: &str, definition: &NewProperty) -> bool {
        let Some(store) = self.store(object) else { return false };
        let mut schema = Schema::clone(&store.schema());
        let archived = || schema.archived_properties().iter().find(|property| property.name == name);
        let source = schema.property(name).or_else(archived).map_or(Source::Unset, |property| property.source);
        let label = definition.label.as_deref().unwrap_or(name);
        let plain = Property::custom_text(name, label, "custom", source);
        schema.define(Property {
            kind: definition.kind,
            field_type: definition.field_type.clone().unwrap_or_else(|| plain.field_type.clone()),
            options: definition.options.clone(),
            read_only: definition.read_only || definition.calculated,
            calculated: definition.calculated,
            sensitivity: definition.sensitivity,
            ..plain
        });
        store.set_schema(schema);
        true
    }

    /// Archives a property, as the CRM does with one that is deleted: it is listed as archived, and has no values until
    /// it is defined again. False when there is no such object or property.
    pub fn archive_property(&self, object: &str, name: &str) -> bool {
        let Some(store) = self.store(object) else { return false };
        let mut schema = Schema::clone(&store.schema());
        let archived = schema.archive(name);
        store.set_schema(schema);
        archived
    }

    /// Names of all objects, conversations included, with their live records.
    pub fn objects(&self) -> Vec<(String, u64)> {
        let count = |store: &Store| (store.schema().name.clone(), store.read().live_count());
        self.stores().iter().map(count).collect()
    }
}

fn describe(schema: &Schema, view: &RecordView<'_>) -> TruthRecord {
    let value = |property: &Arc<Property>| Some((property.name.clone(), view.value(property)?));
    TruthRecord {
        id: view.id,
        state: match view.presence() {
            Presence::Live => RecordState::Live,
            Presence::Archived(_) => RecordState::Archived,
            Presence::Merged(_) => RecordState::Merged,
            Presence::Gone => RecordState::Gone,
        },
        created_at: time_text(view.created_at()),
        updated_at: time_text(view.updated_at()),
        properties: schema.properties().iter().filter_map(value).collect(),
    }
}
