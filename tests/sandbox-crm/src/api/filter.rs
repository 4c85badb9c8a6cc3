//! Conditions of a search.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::Deserialize;

use super::errors::{ApiError, Detail};
use crate::data::clock::parse_time;
use crate::data::view::RecordView;
use crate::property::{Kind, Property, Source};
use crate::schema::Schema;

/// A condition as it stands in the request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterInput {
    property_name: String,
    operator: Operator,
    #[serde(default)]
    value: Option<Scalar>,
    #[serde(default)]
    high_value: Option<Scalar>,
    #[serde(default)]
    values: Vec<Scalar>,
}

/// A value, which the CRM takes as a text but also as a bare number or flag.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Operator {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    In,
    NotIn,
    HasProperty,
    NotHasProperty,
    ContainsToken,
    NotContainsToken,
}

/// A value in the form in which its property's values compare.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Comparable {
    Whole(i64),
    Number(f64),
    Text(String),
}

/// A condition on one property.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) property: Arc<Property>,
    pub(super) operator: Operator,
    /// One value, the two ends of a range, or a set.
    pub(super) operands: Vec<Comparable>,
}

impl Filter {
    /// Understands a condition of the request.
    ///
    /// # Errors
    /// 400 when the property does not exist or a value is missing or not of its type.
    pub(super) fn new(input: FilterInput, schema: &Schema) -> Result<Self, ApiError> {
        let property = known_property(schema, &input.property_name)?;
        let given: Vec<Scalar> = match input.operator {
            Operator::HasProperty | Operator::NotHasProperty => Vec::new(),
            Operator::Between => input.value.into_iter().chain(input.high_value).collect(),
            Operator::In | Operator::NotIn => input.values,
            _ => input.value.into_iter().collect(),
        };
        let texts: Vec<String> = given.into_iter().map(Scalar::into_text).collect();
        let complete = match input.operator {
            Operator::HasProperty | Operator::NotHasProperty => true,
            Operator::Between => texts.len() == 2,
            _ => !texts.is_empty(),
        };
        if !complete {
            return Err(ApiError::invalid(format!("operator of filter on {} lacks a value", property.name)));
        }
        let operand = |text: &String| {
            comparable(&property, text)
                .ok_or_else(|| ApiError::invalid(format!("'{text}' is not a value of {}", property.name)))
        };
        let operands = texts.iter().map(operand).collect::<Result<_, _>>()?;
        Ok(Self { property, operator: input.operator, operands })
    }

    /// Whether a record meets the condition.
    pub(super) fn matches(&self, view: &RecordView<'_>) -> bool {
        let value = value_of(view, &self.property);
        match self.operator {
            Operator::HasProperty => value.is_some(),
            Operator::NotHasProperty => value.is_none(),
            Operator::Neq => value.is_none_or(|value| value != self.operands[0]),
            Operator::NotIn => value.is_none_or(|value| !self.operands.contains(&value)),
            Operator::NotContainsToken => value.is_none_or(|value| !contains(&value, &self.operands[0])),
            _ => value.is_some_and(|value| self.accepts(&value)),
        }
    }

    fn accepts(&self, value: &Comparable) -> bool {
        let against = |operand: &Comparable| value.partial_cmp(operand);
        let first = self.operands.first().and_then(against);
        match self.operator {
            Operator::Eq => first == Some(Ordering::Equal),
            Operator::Lt => first == Some(Ordering::Less),
            Operator::Lte => matches!(first, Some(Ordering::Less | Ordering::Equal)),
            Operator::Gt => first == Some(Ordering::Greater),
            Operator::Gte => matches!(first, Some(Ordering::Greater | Ordering::Equal)),
            Operator::Between => {
                matches!(first, Some(Ordering::Greater | Ordering::Equal))
                    && matches!(self.operands.get(1).and_then(against), Some(Ordering::Less | Ordering::Equal))
            }
            Operator::In => self.operands.contains(value),
            Operator::ContainsToken => contains(value, &self.operands[0]),
            _ => false,
        }
    }
}

/// The property of that name.
///
/// # Errors
/// 400 if it does not exist.
pub(super) fn known_property(schema: &Schema, name: &str) -> Result<Arc<Property>, ApiError> {
    schema.property(name).cloned().ok_or_else(|| {
        let mut error =
            ApiError::invalid(format!("There was a problem with the request. Property {name} does not exist"));
        error.details.push(Detail {
            code: Some("PROPERTY_DOESNT_EXIST"),
            message: format!("Property \"{name}\" does not exist"),
            context: ("propertyName", vec![name.to_owned()]),
        });
        error
    })
}

/// What a record's value compares as; None where it is unset.
pub(super) fn value_of(view: &RecordView<'_>, property: &Property) -> Option<Comparable> {
    match property.source {
        Source::RecordId => i64::try_from(view.id).ok().map(Comparable::Whole),
        Source::CreatedAt => Some(Comparable::Whole(view.created_at())),
        Source::UpdatedAt => Some(Comparable::Whole(view.updated_at())),
        _ => comparable(property, &view.value(property)?),
    }
}

fn comparable(property: &Property, text: &str) -> Option<Comparable> {
    match (property.source, property.kind) {
        (Source::RecordId, _) => text.parse().ok().map(Comparable::Whole),
        (_, Kind::Number) => text.parse().ok().map(Comparable::Number),
        (_, Kind::Date | Kind::DateTime) => parse_time(text).map(Comparable::Whole),
        _ => Some(Comparable::Text(text.to_lowercase())),
    }
}

fn contains(value: &Comparable, token: &Comparable) -> bool {
    match (value, token) {
        (Comparable::Text(value), Comparable::Text(token)) => value.contains(token.trim_matches('*')),
        _ => value == token,
    }
}
