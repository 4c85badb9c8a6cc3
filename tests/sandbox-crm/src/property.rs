//! Properties: the columns of an object, as the CRM describes them.

use serde::{Deserialize, Serialize};

use crate::data::meaning::Meaning;
use crate::data::random::hash_of;

/// How carefully a property's values must be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    #[default]
    NonSensitive,
    Sensitive,
    HighlySensitive,
}

impl Sensitivity {
    /// As it stands in URLs and answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NonSensitive => "non_sensitive",
            Self::Sensitive => "sensitive",
            Self::HighlySensitive => "highly_sensitive",
        }
    }
}

/// The CRM's property types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text of any kind.
    #[default]
    String,
    Number,
    Date,
    /// A point in time.
    DateTime,
    /// One or several of some options.
    Enumeration,
    Bool,
    #[serde(rename = "phone_number")]
    PhoneNumber,
}

impl Kind {
    /// As it stands in answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Enumeration => "enumeration",
            Self::Bool => "bool",
            Self::PhoneNumber => "phone_number",
        }
    }
}

/// One option of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    pub value: String,
    #[serde(default)]
    pub label: String,
}

/// Where the values of a property in untouched records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    RecordId,
    /// The time of its creation.
    CreatedAt,
    /// The time of its last change.
    UpdatedAt,
    /// Made up, in so many of a thousand records.
    Generated(Meaning, u16),
    /// A column of a loaded file.
    Column(usize),
    /// A column of a loaded file that holds the time of the record's creation.
    CreatedColumn(usize),
    /// A column of a loaded file that holds the time of the record's last change, until there is a later one.
    UpdatedColumn(usize),
    /// Unset until written to.
    Unset,
}

/// A property of an object.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the CRM describes a property by these flags")]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) field_type: String,
    pub(crate) group: String,
    pub(crate) options: Vec<Choice>,
    /// The options are defined elsewhere (owners, pipelines), so any value is taken.
    pub(crate) external_options: bool,
    /// What its values are ids of, such as `OWNER`.
    pub(crate) referenced_object: Option<&'static str>,
    pub(crate) calculated: bool,
    pub(crate) hubspot_defined: bool,
    pub(crate) hidden: bool,
    pub(crate) unique: bool,
    pub(crate) read_only: bool,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) source: Source,
    /// Makes the property's values differ from those of other properties.
    pub(crate) salt: u64,
}

impl Property {
    /// A plain single-line text property that the account defined itself.
    pub(crate) fn custom_text(name: &str, label: &str, group: &str, source: Source) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            kind: Kind::String,
            field_type: "text".to_owned(),
            group: group.to_owned(),
            options: Vec::new(),
            external_options: false,
            referenced_object: None,
            calculated: false,
            hubspot_defined: false,
            hidden: false,
            unique: false,
            read_only: false,
            sensitivity: Sensitivity::NonSensitive,
            source,
            salt: hash_of(name),
        }
    }

    /// Whether every answer has it, asked for or not.
    pub(crate) fn is_of_record(&self) -> bool {
        !matches!(self.source, Source::Generated(..) | Source::Column(_) | Source::Unset)
    }

    /// Whether several options may be chosen.
    pub(crate) fn is_multiple_choice(&self) -> bool {
        self.field_type == "checkbox"
    }
}
