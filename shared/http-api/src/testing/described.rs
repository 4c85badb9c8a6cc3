//! Checks answers against the API's description, which is the promise to clients.

use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use crate::response::Response;
use crate::routes::{self, ROUTES};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(routes::DESCRIPTION).expect("JSON"));

/// Checks that the description contains this answer to `method` and `path`: its status, its type of problem, its
/// `Location`, and its body member by member.
///
/// # Panics
/// If the answer differs from the description.
pub fn check(method: &str, path: &str, response: &Response) {
    let answers = operation(method, path)["responses"].as_object().expect("responses");
    let status = response.status().as_str().to_owned();
    let answer = followed(answers.get(&status).unwrap_or_else(|| panic!("{method} {path}: {status} is not described")));
    let location = response.headers().contains_key("location");
    assert_eq!(answer["headers"].get("Location").is_some(), location, "{method} {path}: {status}");
    let Some(content_type) = response.headers().get("content-type") else {
        assert!(answer.get("content").is_none(), "{method} {path}: {status} has no body");
        return;
    };
    let schema = &answer["content"][content_type.to_str().expect("ASCII")]["schema"];
    assert!(schema.is_object(), "{method} {path}: {status} is not described as {content_type:?}");
    let body: Value = serde_json::from_str(response.body()).expect("the body is JSON");
    let mut faults = Vec::new();
    compare(schema, &body, "", &mut faults);
    assert!(faults.is_empty(), "{method} {path}: {faults:#?}\nin {body:#}");
    if let Some(kind) = body["type"].as_str().and_then(|kind| kind.rsplit(':').next()) {
        let described = answer["description"].as_str().expect("a description").contains(&format!("`{kind}`"));
        assert!(described, "{method} {path}: the description of {status} does not name {kind}");
    }
}

fn operation(method: &str, path: &str) -> &'static Value {
    let found = routes::find(&Method::from_bytes(method.as_bytes()).expect("a method"), path).expect("a route");
    let route = ROUTES.iter().find(|route| route.operation == found.operation).expect("listed");
    &DESCRIPTION["paths"][route.path][method.to_lowercase()]
}

fn followed(part: &'static Value) -> &'static Value {
    match part["$ref"].as_str() {
        Some(reference) => DESCRIPTION.pointer(reference.trim_start_matches('#')).expect("inside the document"),
        None => part,
    }
}

/// Adds a fault for each difference between `value`, found at `place`, and `schema`. Members that the schema does not
/// contain are faults too.
fn compare(schema: &'static Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    let schema = followed(schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |choice| {
            let mut faults = Vec::new();
            compare(choice, value, place, &mut faults);
            faults.is_empty()
        };
        if choices.iter().filter(|choice| fits(choice)).count() != 1 {
            faults.push(format!("{place} fits no choice, or more than one"));
        }
        return;
    }
    if let Some(all) = schema["allOf"].as_array() {
        let parts: Vec<_> = all.iter().map(followed).collect();
        if value.is_object() && parts.iter().all(|part| part["properties"].is_object()) {
            compare_members(&parts, value, place, faults);
        } else {
            for part in parts {
                compare(part, value, place, faults);
            }
        }
        return;
    }
    if !types(schema).any(|kind| has_type(value, kind)) {
        faults.push(format!("{place} is not {}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        faults.push(format!("{place} is not one of {allowed:?}"));
    }
    if let (Some(most), Some(number)) = (schema["maximum"].as_f64(), value.as_f64())
        && number > most
    {
        faults.push(format!("{place} is more than {most}"));
    }
    if schema["format"] == "date-time"
        && let Some(time) = value.as_str()
        && time.rsplit('.').next().is_some_and(|fraction| fraction.len() > "123Z".len() && time.contains('.'))
    {
        faults.push(format!("{place} is finer than milliseconds"));
    }
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            compare(&schema["items"], item, &format!("{place}[{index}]"), faults);
        }
    }
    if value.is_object() {
        compare_members(&[schema], value, place, faults);
    }
}

/// At least one of `schemas` must contain each member, and the member must fit all that do.
fn compare_members(schemas: &[&'static Value], value: &Value, place: &str, faults: &mut Vec<String>) {
    let required = schemas.iter().flat_map(|schema| schema["required"].as_array().into_iter().flatten());
    for name in required.filter_map(Value::as_str) {
        if value.get(name).is_none() {
            faults.push(format!("{place}.{name} is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let mut described = schemas.iter().filter_map(|schema| schema["properties"].get(name)).peekable();
        if described.peek().is_none() {
            faults.push(format!("{place}.{name} is not described"));
        }
        described.for_each(|schema| compare(schema, member, &format!("{place}.{name}"), faults));
    }
}

fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str();
    let several = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several)
}

fn has_type(value: &Value, kind: &str) -> bool {
    match kind {
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_from_the_description_are_found() {
        let schema = &DESCRIPTION["components"]["schemas"]["RestoreProgress"];
        let faults = |value: &Value| {
            let mut faults = Vec::new();
            compare(schema, value, "", &mut faults);
            faults.len()
        };
        assert_eq!(faults(&json!({"recordsDone": 1, "recordsTotal": 2, "shareDone": 0.5})), 0);
        assert_eq!(faults(&json!({"recordsDone": "1", "recordsTotal": -2, "shareDone": 1.5})), 3);
        assert_eq!(faults(&json!({"recordsDone": null, "done": 1})), 4);
    }
}
