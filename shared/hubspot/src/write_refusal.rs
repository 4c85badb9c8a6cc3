//! HubSpot's refusals of values, in all forms that were observed.
//!
//! A document lists its faults in `errors`, in JSON inside its message (`Property values were not valid: [{…}]`), or in
//! both. Its `category` sums them up. The errors in an answer with status 207 have the same form.

use std::collections::BTreeSet;

use domain::ports::crm_batch::WriteRefusal;
use serde_json::{Deserializer, Value};

use crate::error_document::{identifier, one_line, text};

/// The most characters of HubSpot's message that are kept.
const MESSAGE_CHARS: usize = 300;

/// Reads an error document, or one of the errors of a batch. Without a code it gets the code `otherwise`. `names` are
/// the properties that were sent; other names in the document are not properties.
pub(crate) fn read(document: &Value, otherwise: &str, names: &BTreeSet<&str>) -> WriteRefusal {
    let message = text(document, "message").unwrap_or_default();
    let in_message = json_in(message);
    let errors = document.get("errors").and_then(Value::as_array).into_iter().flatten();
    let faults: Vec<&Value> = errors.chain(in_message.iter().flatten()).collect();
    let code_of = |fault: &Value| identifier(fault, "code").or_else(|| identifier(fault, "error"));
    let first = faults.iter().find_map(|fault| Some((code_of(fault)?, text(fault, "message"))));
    let (code, own_message) = first.unwrap_or_else(|| {
        let code = identifier(document, "category").unwrap_or_else(|| otherwise.to_owned());
        (code, faults.iter().find_map(|fault| text(fault, "message")))
    });
    let mut properties = Vec::new();
    for name in faults.into_iter().chain([document]).flat_map(properties_of) {
        if names.contains(name) && !properties.iter().any(|known| known == name) {
            properties.push(name.to_owned());
        }
    }
    WriteRefusal { code, properties, message: one_line(own_message.unwrap_or(message), MESSAGE_CHARS) }
}

/// The list of faults at the end of a message.
fn json_in(message: &str) -> Option<Vec<Value>> {
    let (_, faults) = message.split_at_checked(message.find("[{")?)?;
    Deserializer::from_str(faults).into_iter().next()?.ok()
}

/// The names in a fault or in a whole document.
fn properties_of(fault: &Value) -> impl Iterator<Item = &str> {
    let context = fault.get("context");
    let lists = ["propertyName", "propertyNames", "properties"].into_iter().filter_map(move |name| context?.get(name));
    let named = lists.flat_map(|list| match list {
        Value::Array(names) => names.as_slice(),
        name => std::slice::from_ref(name),
    });
    named.filter_map(Value::as_str).chain(text(fault, "name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal_of(document: &Value) -> (String, Vec<String>, String) {
        let names = ["lang", "last_name", "visits", "größe, in cm"].into();
        let refusal = read(document, "HTTP_400", &names);
        (refusal.code, refusal.properties, refusal.message)
    }

    fn expected(code: &str, properties: &[&str], message: &str) -> (String, Vec<String>, String) {
        (code.to_owned(), properties.iter().map(|&name| name.to_owned()).collect(), message.to_owned())
    }

    #[test]
    fn the_most_specific_code_and_all_faulty_properties_are_found() {
        let faults = json!([
            { "isValid": false, "message": "tlh was not one of [de, en]", "error": "INVALID_OPTION", "name": "lang" },
            { "isValid": false, "message": "x is read only", "error": "READ_ONLY_VALUE", "name": "visits" },
        ]);
        let document = json!({
            "status": "error", "category": "VALIDATION_ERROR",
            "message": format!("Property values were not valid: {faults} for 2 records"),
        });
        let sentence = "tlh was not one of [de, en]";
        assert_eq!(refusal_of(&document), expected("INVALID_OPTION", &["lang", "visits"], sentence));

        let listed = json!({
            "category": "VALIDATION_ERROR", "message": "Property values were not valid",
            "errors": [
                { "message": "there is no such property", "code": "PROPERTY_DOESNT_EXIST",
                  "context": { "propertyName": ["lang"] } },
                { "message": "again", "code": "PROPERTY_DOESNT_EXIST", "context": { "propertyName": "lang" } },
                { "message": "missing", "context": { "properties": ["last_name", "not a name"] } },
            ],
        });
        let sentence = "there is no such property";
        assert_eq!(refusal_of(&listed), expected("PROPERTY_DOESNT_EXIST", &["lang", "last_name"], sentence));
    }

    /// B8: a property may have any characters in its name, and a name that was not sent is not a property.
    #[test]
    fn only_names_that_were_sent_are_properties() {
        let document = json!({
            "category": "VALIDATION_ERROR", "message": "no",
            "errors": [{ "code": "INVALID_INTEGER", "message": "no",
                         "context": { "propertyName": ["größe, in cm", "a_value"] } }],
        });
        assert_eq!(refusal_of(&document), expected("INVALID_INTEGER", &["größe, in cm"], "no"));
    }

    #[test]
    fn missing_members_stay_missing() {
        let conflict = json!({ "category": "CONFLICT", "message": "7 has\nthat [value]  already" });
        assert_eq!(refusal_of(&conflict), expected("CONFLICT", &[], "7 has that [value] already"));
        assert_eq!(refusal_of(&Value::Null), expected("HTTP_400", &[], ""));
        let broken = json!({ "message": "not valid: [{\"error\":", "errors": [7, { "context": 8, "code": "" }] });
        assert_eq!(refusal_of(&broken), expected("HTTP_400", &[], "not valid: [{\"error\":"));
    }

    #[test]
    fn long_messages_are_cut() {
        let long = json!({ "category": "VALIDATION_ERROR", "message": "ä".repeat(1_000) });
        assert_eq!(refusal_of(&long).2.chars().count(), 300);
    }
}
