//! Object types and their properties in one portal.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{self, StandardObject};
use crate::property::{Property, Source};
use crate::property_set::PropertySet;

/// What only object types that the account defined itself have.
#[derive(Debug, Clone)]
pub(crate) struct CustomType {
    /// The number in the type id.
    pub(crate) number: u64,
    pub(crate) fully_qualified_name: String,
    /// The property by which people know a record.
    pub(crate) primary_display_property: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) type_id: String,
    pub(crate) singular: String,
    pub(crate) plural: String,
    pub(crate) custom: Option<CustomType>,
    /// Writes must not leave these empty.
    pub(crate) required: Vec<String>,
    properties: Vec<Arc<Property>>,
    /// Those that were deleted, which people could bring back.
    archived: Vec<Arc<Property>>,
    by_name: HashMap<String, usize>,
    /// Returned when no properties are asked for.
    defaults: Vec<String>,
}

impl Schema {
    /// A standard object with the properties of `set`.
    pub(crate) fn standard(object: &StandardObject, set: PropertySet) -> Self {
        let properties = match set {
            PropertySet::Tiny => object.tiny(),
            PropertySet::Columns { total, set } if object.name != catalog::CONVERSATIONS => {
                let mut properties = of_record(&object.properties());
                properties.extend(catalog::columns(total as usize, set as usize, "benchmark"));
                properties
            }
            PropertySet::Wide(total) if object.name == "contacts" => {
                let mut properties = object.properties();
                let more = (total as usize).saturating_sub(properties.len());
                properties.extend(catalog::wide(more, "contactinformation"));
                properties
            }
            PropertySet::Odd(total) if object.name != catalog::CONVERSATIONS => {
                let mut properties = object.properties();
                properties.extend(catalog::odd(object.group));
                if object.name == "contacts" {
                    let more = (total as usize).saturating_sub(properties.len());
                    properties.extend(catalog::odd_and_long(more, object.group));
                }
                properties
            }
            _ => object.properties(),
        };
        Self::build(object.name, object.type_id, (object.singular, object.plural), object.defaults, properties)
    }

    /// A standard object whose properties are the columns of a file.
    pub(crate) fn standard_loaded(object: &StandardObject, columns: &[String]) -> Self {
        let known = object.properties();
        let properties = loaded_properties(&known, columns);
        Self::build(object.name, object.type_id, (object.singular, object.plural), object.defaults, properties)
    }

    /// An object type that the account defined itself.
    pub(crate) fn custom(
        portal_id: u64,
        number: u64,
        name: &str,
        set: PropertySet,
        columns: Option<&[String]>,
    ) -> Self {
        let group = format!("{name}_information");
        let mut known = catalog::custom_properties(&group);
        if matches!(set, PropertySet::Odd(_)) {
            known.extend(catalog::odd(&group));
        }
        let properties = match columns {
            Some(columns) => loaded_properties(&of_record(&known), columns),
            None => known,
        };
        let primary = columns.and_then(|columns| columns.first()).map_or("name", String::as_str).to_owned();
        let singular = capitalised(&name.replace('_', " "));
        let plural = format!("{singular}s");
        let type_id = format!("2-{number}");
        let mut schema = Self::build(name, &type_id, (&singular, &plural), &[], properties);
        if columns.is_none() {
            schema.required.push(primary.clone());
        }
        schema.custom = Some(CustomType {
            number,
            fully_qualified_name: format!("p{portal_id}_{name}"),
            primary_display_property: primary,
        });
        schema
    }

    fn build(
        name: &str,
        type_id: &str,
        (singular, plural): (&str, &str),
        defaults: &[&str],
        properties: Vec<Property>,
    ) -> Self {
        let mut schema = Self {
            name: name.to_owned(),
            type_id: type_id.to_owned(),
            singular: singular.to_owned(),
            plural: plural.to_owned(),
            custom: None,
            required: Vec::new(),
            properties: properties.into_iter().map(Arc::new).collect(),
            archived: Vec::new(),
            by_name: HashMap::new(),
            defaults: defaults.iter().map(|name| (*name).to_owned()).collect(),
        };
        schema.index();
        schema
    }

    fn index(&mut self) {
        self.properties.sort_by(|a, b| a.name.cmp(&b.name));
        self.by_name = self.properties.iter().enumerate().map(|(at, property)| (property.name.clone(), at)).collect();
    }

    /// All properties, sorted by name.
    pub(crate) fn properties(&self) -> &[Arc<Property>] {
        &self.properties
    }

    pub(crate) fn property(&self, name: &str) -> Option<&Arc<Property>> {
        self.by_name.get(name).map(|at| &self.properties[*at])
    }

    /// The properties that were archived.
    pub(crate) fn archived_properties(&self) -> &[Arc<Property>] {
        &self.archived
    }

    /// Adds a property, or replaces the one of that name, archived or not.
    pub(crate) fn define(&mut self, property: Property) {
        let others = |known: &Arc<Property>| known.name != property.name;
        self.properties.retain(others);
        self.archived.retain(others);
        self.properties.push(Arc::new(property));
        self.index();
    }

    /// Archives a property. False if there is no property of that name.
    pub(crate) fn archive(&mut self, name: &str) -> bool {
        let Some(place) = self.by_name.get(name) else { return false };
        let archived = self.properties.remove(*place);
        self.archived.push(archived);
        self.index();
        true
    }

    /// The properties that an answer has when `wanted` are asked for (a few usual ones when none is): the known ones
    /// of them and those that every answer has, each once, sorted by name.
    pub(crate) fn selection<S: AsRef<str>>(&self, wanted: &[S]) -> Vec<Arc<Property>> {
        let place = |name: &str| self.by_name.get(name).copied();
        let mut places: Vec<usize> = wanted.iter().filter_map(|name| place(name.as_ref())).collect();
        let of_record = |at: &usize| self.properties[*at].is_of_record();
        places.extend((0..self.properties.len()).filter(of_record));
        if wanted.is_empty() {
            places.extend(self.defaults.iter().filter_map(|name| place(name)));
        }
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|at| self.properties[at].clone()).collect()
    }

    /// Whether `text` names this object type, in any of the ways that the CRM accepts.
    pub(crate) fn answers_to(&self, text: &str) -> bool {
        let is = |name: &str| name.eq_ignore_ascii_case(text);
        let custom = self.custom.as_ref();
        is(&self.name)
            || is(&self.type_id)
            || (custom.is_none() && is(&self.singular))
            || custom.is_some_and(|custom| is(&custom.fully_qualified_name) || is(&format!("p_{}", self.name)))
    }

    /// Whether `text` is the name of this custom object without what makes it unique among accounts.
    pub(crate) fn is_bare_name(&self, text: &str) -> bool {
        self.custom.is_some() && self.name.eq_ignore_ascii_case(text)
    }

    /// The object's part in the names of scopes.
    pub(crate) fn scope_name(&self) -> &str {
        match (self.custom.is_some(), self.name.as_str()) {
            (true, _) => "custom",
            // Calls and tasks have no scopes of their own.
            (false, "calls" | "tasks") => "contacts",
            (false, name) => name,
        }
    }
}

/// The properties that every record has: its id and the two times.
fn of_record(properties: &[Property]) -> Vec<Property> {
    properties.iter().filter(|property| property.is_of_record()).cloned().collect()
}

/// Every column a property: as the CRM knows it, or else a text. The id and the two times exist in any case.
fn loaded_properties(known: &[Property], columns: &[String]) -> Vec<Property> {
    let mut properties = of_record(known);
    for (at, column) in columns.iter().enumerate() {
        let is_own = |property: &&mut Property| property.name == *column;
        if let Some(own) = properties.iter_mut().find(is_own) {
            own.source = match own.source {
                Source::CreatedAt => Source::CreatedColumn(at),
                Source::UpdatedAt => Source::UpdatedColumn(at),
                source => source,
            };
            continue;
        }
        let source = Source::Column(at);
        let property = match known.iter().find(|property| property.name == *column) {
            Some(property) => Property { source, ..property.clone() },
            None => Property::custom_text(column, column, "imported", source),
        };
        properties.push(property);
    }
    properties
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
