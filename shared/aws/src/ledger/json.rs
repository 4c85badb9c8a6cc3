//! JSON to and from attribute values. Integers of `u64` and `i64` keep all their digits. `DynamoDB` does not
//! distinguish `5.0` and `5`, so a float without a fraction comes back as an integer.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Number, Value};

/// Why an attribute is not JSON.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotJson {
    #[error("it has an attribute that is not JSON")]
    Type,
    #[error("it has a number out of range")]
    Number,
}

pub(super) fn to_attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(value) => AttributeValue::N(value.to_string()),
        Value::String(value) => AttributeValue::S(value.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(to_attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.iter().map(|(name, value)| (name.clone(), to_attribute(value))).collect())
        }
    }
}

pub(super) fn from_attribute(attribute: AttributeValue) -> Result<Value, NotJson> {
    Ok(match attribute {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(text) => Value::Number(number(&text)?),
        AttributeValue::S(value) => Value::String(value),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(from_attribute).collect::<Result<_, _>>()?),
        AttributeValue::M(fields) => {
            let field = |(name, value)| from_attribute(value).map(|value| (name, value));
            Value::Object(fields.into_iter().map(field).collect::<Result<_, _>>()?)
        }
        _ => return Err(NotJson::Type),
    })
}

fn number(text: &str) -> Result<Number, NotJson> {
    let integer = text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
    let float = || text.parse::<f64>().ok().and_then(Number::from_f64);
    integer.ok().or_else(float).ok_or(NotJson::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(".*", inner, 0..6).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn records_come_back_unchanged(value in json()) {
            prop_assert_eq!(from_attribute(to_attribute(&value)), Ok(value));
        }
    }

    #[test]
    fn attributes_that_are_not_json_are_errors() {
        assert_eq!(from_attribute(AttributeValue::Ss(vec!["a".into()])), Err(NotJson::Type));
        assert_eq!(from_attribute(AttributeValue::N("many".into())), Err(NotJson::Number));
    }
}
