//! Which scopes a call needs.

use super::ApiRequest;
use super::errors::ApiError;
use crate::data::store::Store;
use crate::portal::Portal;
use crate::property::Sensitivity;
use crate::route::Endpoint;
use crate::schema::Schema;

/// Refuses a call whose token lacks a scope.
///
/// # Errors
/// 403 naming the scopes that are missing.
pub(super) fn check(
    portal: &Portal,
    endpoint: Endpoint,
    store: Option<&Store>,
    request: &ApiRequest,
) -> Result<(), ApiError> {
    let settings = portal.settings();
    let Some(granted) = &settings.scopes else { return Ok(()) };
    let schema = store.map(Store::schema);
    let mut missing = needed(endpoint, schema.as_deref(), request);
    missing.retain(|scope| !granted.contains(scope));
    if missing.is_empty() { Ok(()) } else { Err(ApiError::missing_scopes(missing)) }
}

fn needed(endpoint: Endpoint, schema: Option<&Schema>, request: &ApiRequest) -> Vec<String> {
    let object = schema.map_or("custom", Schema::scope_name);
    match endpoint {
        Endpoint::AccountDetails | Endpoint::RecordLimits | Endpoint::Unknown => Vec::new(),
        Endpoint::Threads | Endpoint::Thread => vec!["conversations.read".to_owned()],
        Endpoint::Schemas | Endpoint::Schema => vec!["crm.schemas.custom.read".to_owned()],
        Endpoint::Properties | Endpoint::Property | Endpoint::LegacyProperties => {
            let mut scopes = vec![definitions(object)];
            match request.parameter("dataSensitivity") {
                Some("sensitive") => scopes.push(values(object, Sensitivity::Sensitive, "read")),
                Some("highly_sensitive") => scopes.push(values(object, Sensitivity::HighlySensitive, "read")),
                _ => {}
            }
            scopes
        }
        Endpoint::List | Endpoint::Get | Endpoint::BatchRead | Endpoint::Search => {
            vec![values(object, Sensitivity::NonSensitive, "read")]
        }
        Endpoint::Create
        | Endpoint::Update
        | Endpoint::Archive
        | Endpoint::BatchCreate
        | Endpoint::BatchUpdate
        | Endpoint::BatchArchive
        | Endpoint::Merge => vec![values(object, Sensitivity::NonSensitive, "write")],
    }
}

fn definitions(object: &str) -> String {
    // Tickets have one scope for everything.
    if object == "tickets" { object.to_owned() } else { format!("crm.schemas.{object}.read") }
}

/// The scope that reading or writing values of that sensitivity needs.
fn values(object: &str, sensitivity: Sensitivity, action: &str) -> String {
    match sensitivity {
        Sensitivity::NonSensitive if object == "tickets" => object.to_owned(),
        Sensitivity::NonSensitive => format!("crm.objects.{object}.{action}"),
        Sensitivity::Sensitive => format!("crm.objects.{object}.sensitive.{action}"),
        Sensitivity::HighlySensitive => format!("crm.objects.{object}.highly_sensitive.{action}"),
    }
}

/// Whether the token may `read` or `write` values of that sensitivity; for those that are not sensitive [`check`] has
/// seen to it.
///
/// # Errors
/// The scope that is missing.
pub(super) fn may(portal: &Portal, schema: &Schema, sensitivity: Sensitivity, action: &str) -> Result<(), String> {
    let settings = portal.settings();
    let Some(granted) = &settings.scopes else { return Ok(()) };
    let scope = values(schema.scope_name(), sensitivity, action);
    if sensitivity == Sensitivity::NonSensitive || granted.contains(&scope) { Ok(()) } else { Err(scope) }
}
