//! What the CRM checks before it writes. One bad value refuses a whole batch.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::errors::{ApiError, Detail};
use super::scopes;
use crate::data::clock::{parse_time, time_text, write_date};
use crate::data::store::Changes;
use crate::data::view::RecordView;
use crate::portal::Portal;
use crate::property::{Kind, Property};
use crate::route::Version;
use crate::schema::Schema;

/// Properties as they stand in a request.
pub(super) type PropertiesInput = HashMap<String, Value>;

/// Checks writes to one object.
pub(super) struct Validator<'a> {
    portal: &'a Portal,
    schema: &'a Schema,
    version: Version,
    faults: Vec<Detail>,
}

impl<'a> Validator<'a> {
    pub(super) fn new(portal: &'a Portal, schema: &'a Schema, version: Version) -> Self {
        Self { portal, schema, version, faults: Vec::new() }
    }

    /// The changes that a request makes to `current` (None for a new record), in the form in which they are kept.
    /// What is wrong with them is kept for [`Validator::finish`].
    ///
    /// # Errors
    /// 403 when a sensitive value needs a scope that the token lacks.
    pub(super) fn changes(
        &mut self,
        input: &PropertiesInput,
        current: Option<&RecordView<'_>>,
    ) -> Result<Changes, ApiError> {
        let mut changes = Changes::new();
        for (name, value) in input {
            let text = match value {
                // A property that is missing stays as it is; an empty text clears it.
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let Some(property) = self.schema.property(name) else {
                self.fault("PROPERTY_DOESNT_EXIST", name, format!("Property \"{name}\" does not exist"));
                continue;
            };
            scopes::may(self.portal, self.schema, property.sensitivity, "write")
                .map_err(|scope| scopes::missing(self.portal, vec![scope]))?;
            if property.read_only || property.is_of_record() {
                self.fault(
                    "READ_ONLY_VALUE",
                    name,
                    format!("\"{name}\" is a read only property; its value cannot be set"),
                );
                continue;
            }
            match normalised(property, &text) {
                Ok(text) => {
                    changes.insert(name.clone(), text);
                }
                Err((code, message)) => self.fault(code, name, message),
            }
        }
        if self.version == Version::Dated {
            self.check_required(&changes, current);
        }
        keep_stage_from_going_back(self.schema, &mut changes, current);
        self.keep_ignored(&mut changes, current);
        Ok(changes)
    }

    /// In some portals, writes to some properties change nothing. The answer shows the values that they still have.
    fn keep_ignored(&self, changes: &mut Changes, current: Option<&RecordView<'_>>) {
        let settings = self.portal.settings();
        let of_object = settings.ignored_writes.iter().filter(|(object, _)| self.schema.answers_to(object));
        for name in of_object.flat_map(|(_, names)| names) {
            let held = self.schema.property(name).zip(current).and_then(|(property, current)| current.value(property));
            if let Some(change) = changes.get_mut(name) {
                *change = held.unwrap_or_default();
            }
        }
    }

    /// # Errors
    /// 400 naming everything that was wrong.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let Some(first) = self.faults.first() else { return Ok(()) };
        let required = first.code.is_some_and(|code| code.ends_with("REQUIRED_PROPERTY"));
        let results: Vec<Value> = self
            .faults
            .iter()
            .map(|fault| {
                let name = fault.context.1.first();
                json!({"isValid": false, "message": fault.message, "error": fault.code, "name": name})
            })
            .collect();
        let message = if required {
            first.message.clone()
        } else {
            format!("Property values were not valid: {}", Value::Array(results))
        };
        let category = match first.code {
            Some(code) if required => code,
            _ => "VALIDATION_ERROR",
        };
        Err(ApiError { details: self.faults, ..ApiError::new(400, category, message) })
    }

    fn fault(&mut self, code: &'static str, property: &str, message: String) {
        let context = ("propertyName", vec![property.to_owned()]);
        self.faults.push(Detail { code: Some(code), message, context });
    }

    fn check_required(&mut self, changes: &Changes, current: Option<&RecordView<'_>>) {
        let value = |name: &str| match (changes.get(name), current) {
            (Some(new), _) => new.clone(),
            (None, Some(current)) => {
                self.schema.property(name).and_then(|property| current.value(property)).unwrap_or_default()
            }
            (None, None) => String::new(),
        };
        let touched = |name: &str| current.is_none() || changes.contains_key(name);
        let mut missing = Vec::new();
        for name in &self.schema.required {
            if touched(name) && value(name).is_empty() {
                missing.push(("MISSING_REQUIRED_PROPERTY", name.clone()));
            }
        }
        let settings = self.portal.settings();
        for rule in &settings.conditional_requirements {
            if !self.schema.answers_to(&rule.object) || value(&rule.property) != rule.value {
                continue;
            }
            let lacking = rule
                .requires
                .iter()
                .filter(|name| (touched(&rule.property) || touched(name)) && value(name).is_empty());
            missing.extend(lacking.map(|name| ("MISSING_CONDITIONAL_REQUIRED_PROPERTY", name.clone())));
        }
        for (code, name) in missing {
            self.fault(code, &name, format!("Property \"{name}\" is required and must not be empty"));
        }
    }
}

/// A lifecycle stage cannot go back: the CRM ignores such a change without an error, and the answer shows the old
/// stage. It can be cleared.
fn keep_stage_from_going_back(schema: &Schema, changes: &mut Changes, current: Option<&RecordView<'_>>) {
    const STAGE: &str = "lifecyclestage";
    let (Some(property), Some(current)) = (schema.property(STAGE), current) else { return };
    let place = |stage: &str| property.options.iter().position(|option| option.value == stage);
    let Some(before) = current.value(property) else { return };
    let after = changes.get(STAGE).and_then(|stage| place(stage));
    if matches!((place(&before), after), (Some(before), Some(after)) if after < before) {
        changes.insert(STAGE.to_owned(), before);
    }
}

type Refusal = (&'static str, String);

/// The form in which the CRM keeps a value.
fn normalised(property: &Property, text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let refuse = |code, what: &str| Err((code, format!("{text} was not {what}.")));
    match property.kind {
        Kind::Number => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(text.trim().to_owned()),
            _ => refuse("INVALID_LONG", "a valid number"),
        },
        Kind::DateTime => match parse_time(text) {
            Some(millis) => Ok(time_text(millis)),
            None => refuse("INVALID_DATE", "a valid date and time"),
        },
        Kind::Date => match parse_time(text) {
            Some(millis) => {
                let mut date = String::new();
                write_date(millis, &mut date);
                Ok(date)
            }
            None => refuse("INVALID_DATE", "a valid date"),
        },
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            flag @ ("true" | "false") => Ok(flag.to_owned()),
            _ => refuse("INVALID_BOOLEAN", "a valid boolean"),
        },
        Kind::Enumeration => choice(property, text),
        Kind::String | Kind::PhoneNumber if property.name == "email" => {
            let is_address = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
            if is_address && !text.contains(char::is_whitespace) {
                Ok(text.to_lowercase())
            } else {
                Err(("INVALID_EMAIL", format!("Email address {text} is invalid")))
            }
        }
        Kind::String | Kind::PhoneNumber => Ok(text.to_owned()),
    }
}

fn choice(property: &Property, text: &str) -> Result<String, Refusal> {
    if property.options.is_empty() {
        return Ok(text.to_owned());
    }
    let chosen: Vec<&str> = if property.is_multiple_choice() {
        text.split(';').filter(|part| !part.is_empty()).collect()
    } else {
        vec![text]
    };
    let allowed = |value: &str| property.options.iter().any(|option| option.value == value);
    if let Some(unknown) = chosen.iter().find(|value| !allowed(value)) {
        let options: Vec<&str> = property.options.iter().map(|option| option.value.as_str()).collect();
        let message = format!("{unknown} was not one of the allowed options: [{}]", options.join(", "));
        return Err(("INVALID_OPTION", message));
    }
    let in_order = property.options.iter().map(|option| option.value.as_str()).filter(|value| chosen.contains(value));
    Ok(in_order.collect::<Vec<_>>().join(";"))
}
