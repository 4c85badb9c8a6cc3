//! Forged tokens, made by a Python script that has what the standard library of Rust lacks.

use std::collections::BTreeMap;

use dev_stack::failure::Result;
use dev_stack::places::Places;
use dev_stack::python;
use dev_stack::stack::Stack;
use serde_json::json;

/// Forged tokens by what was done to them, made out of a valid one. `keys` is the URL of its issuer's keys.
///
/// # Errors
/// When the keys cannot be read.
pub fn forged(stack: &Stack, token: &str, keys: &str) -> Result<BTreeMap<String, String>> {
    let script = Places::find()?.root().join("tests/end-to-end/python/forge.py");
    python::ask(&stack.users.python, &script, &json!({ "token": token, "keys": keys }))
}
