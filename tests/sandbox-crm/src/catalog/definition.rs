//! A compact way to write property definitions down.

use crate::data::meaning::Meaning;
use crate::data::random::hash_of;
use crate::property::{Choice, Kind, Property, Sensitivity, Source};

/// Value and label of an option.
pub(super) type Choices = &'static [(&'static str, &'static str)];

/// A property definition as it stands in the tables.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the CRM describes a property by these flags")]
pub(super) struct Definition {
    name: &'static str,
    label: &'static str,
    kind: Kind,
    field_type: &'static str,
    choices: Choices,
    external_options: bool,
    referenced_object: Option<&'static str>,
    calculated: bool,
    read_only: bool,
    hidden: bool,
    unique: bool,
    custom: bool,
    sensitivity: Sensitivity,
    source: Source,
}

const YES_NO: Choices = &[("true", "Yes"), ("false", "No")];

const fn define(name: &'static str, label: &'static str, kind: Kind, field_type: &'static str) -> Definition {
    Definition {
        name,
        label,
        kind,
        field_type,
        choices: &[],
        external_options: false,
        referenced_object: None,
        calculated: false,
        read_only: false,
        hidden: false,
        unique: false,
        custom: false,
        sensitivity: Sensitivity::NonSensitive,
        source: Source::Unset,
    }
}

/// One line of text, set in `fill` of a thousand records.
pub(super) const fn text(name: &'static str, label: &'static str, meaning: Meaning, fill: u16) -> Definition {
    define(name, label, Kind::String, "text").filled(meaning, fill)
}

/// Several lines of text.
pub(super) const fn area(name: &'static str, label: &'static str, fill: u16) -> Definition {
    define(name, label, Kind::String, "textarea").filled(Meaning::Note, fill)
}

/// Formatted text, as HTML.
pub(super) const fn html(name: &'static str, label: &'static str, fill: u16) -> Definition {
    define(name, label, Kind::String, "html").filled(Meaning::Note, fill)
}

pub(super) const fn phone(name: &'static str, label: &'static str, fill: u16) -> Definition {
    define(name, label, Kind::String, "phonenumber").filled(Meaning::Phone, fill)
}

pub(super) const fn number(name: &'static str, label: &'static str, meaning: Meaning, fill: u16) -> Definition {
    define(name, label, Kind::Number, "number").filled(meaning, fill)
}

pub(super) const fn date(name: &'static str, label: &'static str, fill: u16) -> Definition {
    define(name, label, Kind::Date, "date").filled(Meaning::Day, fill)
}

/// A point in time.
pub(super) const fn time(name: &'static str, label: &'static str, fill: u16) -> Definition {
    define(name, label, Kind::DateTime, "date").filled(Meaning::Time, fill)
}

/// One of some options.
pub(super) const fn select(name: &'static str, label: &'static str, choices: Choices, fill: u16) -> Definition {
    let mut definition = define(name, label, Kind::Enumeration, "select").filled(Meaning::Choice, fill);
    definition.choices = choices;
    definition
}

/// One of some options, as radio buttons.
pub(super) const fn radio(name: &'static str, label: &'static str, choices: Choices, fill: u16) -> Definition {
    let mut definition = select(name, label, choices, fill);
    definition.field_type = "radio";
    definition
}

/// Any number of some options.
pub(super) const fn checkbox(name: &'static str, label: &'static str, choices: Choices, fill: u16) -> Definition {
    let mut definition = define(name, label, Kind::Enumeration, "checkbox").filled(Meaning::Choices, fill);
    definition.choices = choices;
    definition
}

/// A boolean property, which HubSpot shows as a checkbox.
pub(super) const fn flag(name: &'static str, label: &'static str, fill: u16) -> Definition {
    let mut definition = define(name, label, Kind::Bool, "booleancheckbox").filled(Meaning::Flag, fill);
    definition.choices = YES_NO;
    definition
}

/// One of some options that are defined elsewhere.
pub(super) const fn external(name: &'static str, label: &'static str, meaning: Meaning, fill: u16) -> Definition {
    let mut definition = define(name, label, Kind::Enumeration, "select").filled(meaning, fill);
    definition.external_options = true;
    if matches!(meaning, Meaning::Owner) {
        definition.referenced_object = Some("OWNER");
    }
    definition
}

impl Definition {
    const fn filled(mut self, meaning: Meaning, fill: u16) -> Self {
        self.source = Source::Generated(meaning, fill);
        self
    }

    /// A flag that is set and false in every record.
    pub(super) const fn never(self) -> Self {
        self.filled(Meaning::No, 1_000)
    }

    /// Takes one of `choices` that the CRM lists, though they are defined elsewhere (pipelines and their stages).
    pub(super) const fn with(mut self, choices: Choices, fill: u16) -> Self {
        self.choices = choices;
        self.filled(Meaning::Choice, fill)
    }

    /// The CRM sets it and refuses writes.
    pub(super) const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The CRM computes it from other values and refuses writes.
    pub(super) const fn calculated(mut self) -> Self {
        self.calculated = true;
        self.field_type = match self.kind {
            Kind::Number => "calculation_equation",
            _ => self.field_type,
        };
        self.read_only()
    }

    /// Not shown in the CRM's own pages.
    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// No two records have the same value.
    pub(super) const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// The account defined it itself.
    pub(super) const fn custom(mut self) -> Self {
        self.custom = true;
        self
    }

    /// Sensitive, and defined by the account itself.
    pub(super) const fn sensitive(mut self) -> Self {
        self.sensitivity = Sensitivity::Sensitive;
        self.custom()
    }

    /// Highly sensitive, and defined by the account itself.
    pub(super) const fn highly_sensitive(mut self) -> Self {
        self.sensitivity = Sensitivity::HighlySensitive;
        self.custom()
    }

    /// Its value is not made up but part of the record.
    pub(super) const fn from(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// The property in an account.
    pub(super) fn build(&self, group: &str) -> Property {
        let choice = |(value, label): &(&str, &str)| Choice { value: (*value).into(), label: (*label).into() };
        Property {
            name: self.name.to_owned(),
            label: self.label.to_owned(),
            kind: self.kind,
            field_type: self.field_type.to_owned(),
            group: group.to_owned(),
            options: self.choices.iter().map(choice).collect(),
            external_options: self.external_options,
            referenced_object: self.referenced_object,
            calculated: self.calculated,
            hubspot_defined: !self.custom,
            hidden: self.hidden,
            unique: self.unique,
            read_only: self.read_only,
            sensitivity: self.sensitivity,
            source: self.source,
            salt: hash_of(self.name),
        }
    }
}
