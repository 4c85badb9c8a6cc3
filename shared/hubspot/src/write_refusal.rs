//! What HubSpot says about values that it does not take, in the shapes that have been seen.
//!
//! A document names its faults in `errors`, in JSON inside its message (`Property values were not valid: [{…}]`), or in
//! both, and sums them up in `category`. The errors of an answer with status 207 have the same shape.

use std::collections::BTreeSet;

use domain::ports::crm_batch::WriteRefusal;
use serde_json::{Deserializer, Value};

use crate::error_document::{identifier, one_line, text};

/// Characters of HubSpot's sentence that are kept.
const MESSAGE_CHARS: usize = 300;

/// Reads an error document, or one of the errors of a batch. `otherwise` is its code when it has none.
/// Whatever else the document names, only `names`, those of the properties that were sent, are properties.
pub(crate) fn read(document: &Value, otherwise: &str, names: &BTreeSet<&str>) -> WriteRefusal {
    let message = text(document, "message").unwrap_or_default();
    let told = json_in(message);
    let errors = document.get("errors").and_then(Value::as_array).into_iter().flatten();
    let faults: Vec<&Value> = errors.chain(told.iter().flatten()).collect();
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

/// The list of faults that a message ends with.
fn json_in(message: &str) -> Option<Vec<Value>> {
    let (_, faults) = message.split_at_checked(message.find("[{")?)?;
    Deserializer::from_str(faults).into_iter().next()?.ok()
}

/// The names that a fault, or a whole document, gives.
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

    fn told(document: &Value) -> (String, Vec<String>, String) {
        let names = ["lang", "last_name", "visits", "größe, in cm"].into();
        let refusal = read(document, "HTTP_400", &names);
        (refusal.code, refusal.properties, refusal.message)
    }

    fn expected(code: &str, properties: &[&str], message: &str) -> (String, Vec<String>, String) {
        (code.to_owned(), properties.iter().map(|&name| name.to_owned()).collect(), message.to_owned())
    }

    #[test]
    fn the_most_specific_word_and_all_properties_at_fault_are_found() {
        let faults = json!([
            { "isValid": false, "message": "tlh was not one of [de, en]", "error": "INVALID_OPTION", "name": "lang" },
            { "isValid": false, "message": "x is read only", "error": "READ_ONLY_VALUE", "name": "visits" },
        ]);
        let document = json!({
            "status": "error", "category": "VALIDATION_ERROR",
            "message": format!("Property values were not valid: {faults} for 2 records"),
        });
        let sentence = "tlh was not one of [de, en]";
        assert_eq!(told(&document), expected("INVALID_OPTION", &["lang", "visits"], sentence));

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
        assert_eq!(told(&listed), expected("PROPERTY_DOESNT_EXIST", &["lang", "last_name"], sentence));
    }

    /// B8: a property with any name is found, and nothing that was not sent is taken for one.
    #[test]
    fn names_are_those_that_were_sent() {
        let document = json!({
            "category": "VALIDATION_ERROR", "message": "no",
            "errors": [{ "code": "INVALID_INTEGER", "message": "no",
                         "context": { "propertyName": ["größe, in cm", "a_value"] } }],
        });
        assert_eq!(told(&document), expected("INVALID_INTEGER", &["größe, in cm"], "no"));
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        let conflict = json!({ "category": "CONFLICT", "message": "7 has\nthat [value]  already" });
        assert_eq!(told(&conflict), expected("CONFLICT", &[], "7 has that [value] already"));
        assert_eq!(told(&Value::Null), expected("HTTP_400", &[], ""));
        let broken = json!({ "message": "not valid: [{\"error\":", "errors": [7, { "context": 8, "code": "" }] });
        assert_eq!(told(&broken), expected("HTTP_400", &[], "not valid: [{\"error\":"));
    }

    #[test]
    fn long_messages_are_cut() {
        let long = json!({ "category": "VALIDATION_ERROR", "message": "ä".repeat(1_000) });
        assert_eq!(told(&long).2.chars().count(), 300);
    }
}
