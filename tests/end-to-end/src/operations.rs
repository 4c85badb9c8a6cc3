//! Everything that the API can be asked for, as its own description lists it: a new route cannot be forgotten.

use dev_stack::api::Api;
use dev_stack::failure::Result;
use ureq::http::Method;

use crate::journey::expect;

/// An id that no backup, restore, import or notification has.
pub const NOBODYS: &str = "0198a000-0000-7000-8000-000000000000";

/// A request that is about an account.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    /// The path, of the account and of things that are not there.
    pub path: String,
    /// Its name in the audit log.
    pub action: String,
}

/// Every operation that is about an account, for `account_id`.
///
/// # Errors
/// When the API does not describe itself.
///
/// # Panics
/// When there is an operation that is about no account, besides the description.
pub fn operations(api: &Api, account_id: &str) -> Result<Vec<Operation>> {
    let description = expect(200, api.get("/openapi.json")?)?.json();
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten().filter(|(name, _)| *name != "parameters") {
            if !path.contains("{accountId}") {
                assert_eq!(path, "/openapi.json", "a path without an account needs a look");
                continue;
            }
            let mut place = path.replace("{accountId}", account_id);
            while let (Some(from), Some(to)) = (place.find('{'), place.find('}')) {
                place.replace_range(from..=to, NOBODYS);
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let action = dashed(operation["operationId"].as_str().unwrap_or_default());
            all.push(Operation { method, path: place, action });
        }
    }
    Ok(all)
}

/// `createBackup` as `create-backup`.
fn dashed(operation: &str) -> String {
    operation.chars().fold(String::new(), |mut dashed, letter| {
        if letter.is_ascii_uppercase() {
            dashed.push('-');
        }
        dashed.push(letter.to_ascii_lowercase());
        dashed
    })
}
