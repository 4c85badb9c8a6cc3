//! Bodies of requests: every field that is taken equals the document's, every other field is a fault, and no fault
//! repeats a value.

use fuzz::{Form, Target};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::fields::Fields;
use crate::problem::{FieldFault, catalogue};

const WORDS: &[&str] =
    &["text", "secret", "choice", "number", "flag", "texts", "object", "none", "canary", "v3", "canary canary"];

#[test]
fn fuzz_fields() {
    Target::new("fields", Form::Json, WORDS).fuzz(|input| {
        let document =
            if input.is_empty() { Ok(Value::Object(serde_json::Map::new())) } else { serde_json::from_slice(input) };
        let body = match Fields::parse(input) {
            Ok(body) => body,
            Err(problem) => {
                assert!(problem.kind() == catalogue::JSON_MALFORMED, "{}", problem.detail());
                assert!(!problem.detail().contains("canary"), "a value is repeated: {}", problem.detail());
                assert!(!document.is_ok_and(|document| document.is_object()), "an object is refused");
                return Vec::new();
            }
        };
        let document = document.expect("a body that is not JSON is accepted");
        let (taken, faults) = read(body, &document);
        let known = ["text", "secret", "choice", "number", "flag", "texts", "object", "none"];
        let members = document.as_object().expect("a body that is not an object is accepted");
        for (name, _) in members.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let name: String = name.chars().take(64).collect();
            assert!(faults.iter().any(|fault| fault.field == name), "'{name}' is ignored");
        }
        for fault in &faults {
            assert!(!fault.detail.contains("canary"), "a value is repeated: {}", fault.detail);
        }
        // Every field that is present is taken or a fault.
        for (name, taken) in known.iter().zip(&taken).filter(|(name, _)| members.contains_key(**name)) {
            let is_fault = faults.iter().any(|fault| fault.field.starts_with(name));
            assert!(*taken || is_fault, "'{name}' is neither taken nor at fault");
        }
        taken
    });
}

/// Whether each field was taken, in a fixed order, and the faults.
fn read(mut body: Fields, document: &Value) -> (Vec<bool>, Vec<FieldFault>) {
    let mut faults = Vec::new();
    let text = body.text("text", 8, &mut faults);
    assert!(text.as_deref().is_none_or(|text| document["text"] == text && (1..=8).contains(&text.chars().count())));
    let secret = body.secret("secret", 40, &mut faults);
    let secret = secret.as_ref().map(ExposeSecret::expose_secret);
    assert!(
        secret.is_none_or(|secret| document["secret"] == secret && secret.bytes().all(|byte| byte.is_ascii_graphic()))
    );
    let choice = body.choice("choice", &[("v3", "v3"), ("2026-09", "2026-09")], &mut faults);
    assert!(choice.is_none_or(|choice| document["choice"] == choice));
    let number = body.whole_number("number", 1..=100, &mut faults);
    assert!(number.is_none_or(|number| document["number"] == number && (1..=100).contains(&number)));
    let flag = body.flag("flag", &mut faults);
    assert!(flag.is_none_or(|flag| document["flag"] == flag));
    let texts = body.texts("texts", 1..=3, 4, &mut faults);
    assert!(texts.as_ref().is_none_or(|texts| document["texts"] == Value::from(texts.clone()) && texts.len() <= 3));
    let object = body.object("object", &mut faults).map(|inner| inner.finish(&mut faults));
    assert!(object.is_none() || document["object"].is_object());
    let none = body.object_or_null("none", &mut faults).map(|inner| inner.map(|inner| inner.finish(&mut faults)));
    assert!(none != Some(None) || document["none"].is_null());
    body.finish(&mut faults);
    let taken = [text.is_some(), secret.is_some(), choice.is_some(), number.is_some(), flag.is_some(), texts.is_some()];
    (taken.into_iter().chain([object.is_some(), none.is_some()]).collect(), faults)
}
