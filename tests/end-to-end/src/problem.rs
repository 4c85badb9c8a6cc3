//! What a refusal must look like.

use dev_stack::api::Answer;
use serde_json::Value;

/// Asserts that `answer` is the problem document of the type `word` with `status`, and returns it.
///
/// # Panics
/// When it is something else, or says too little for a person to act on.
#[track_caller]
pub fn assert_problem(answer: &Answer, status: u16, word: &str) -> Value {
    let body = answer.text();
    assert_eq!(answer.status.as_u16(), status, "{body}");
    let content_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
    assert_eq!(content_type, Some("application/problem+json"), "{body}");
    let document = answer.json();
    assert_eq!(document["type"], format!("urn:crm-backup:problem:{word}"), "{body}");
    assert_eq!(document["status"], status, "{body}");
    for sentence in ["title", "detail"] {
        assert!(document[sentence].as_str().is_some_and(|text| text.ends_with('.')), "{sentence}: {body}");
    }
    let instance = document["instance"].as_str().unwrap_or_default();
    assert!(instance.starts_with("urn:crm-backup:request:"), "{body}");
    document
}

/// The fields that a problem document names as being at fault.
pub fn fields(document: &Value) -> Vec<&str> {
    let errors = document["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(|error| error["field"].as_str()).collect()
}
