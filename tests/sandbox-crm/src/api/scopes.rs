//! Which scopes a call needs.

use super::ApiRequest;
use super::errors::ApiError;
use super::reply::Reply;
use crate::data::store::Store;
use crate::portal::Portal;
use crate::property::Sensitivity;
use crate::route::Endpoint;
use crate::schema::Schema;
use crate::variants::{CustomObjects, Refusal, ScopeNames, SensitiveDefinitions, Tickets, Variants};

/// What HubSpot answers about scopes that an app of that kind cannot have.
const NOT_PUBLIC: &str = "The scope needed for this API call isn't available for public use.";

/// The 403 of a call for something that the account does not offer, or whose token lacks a scope.
pub(super) fn refused(
    portal: &Portal,
    endpoint: Endpoint,
    store: Option<&Store>,
    request: &ApiRequest,
) -> Option<Reply> {
    let settings = portal.settings();
    let schema = store.map(Store::schema);
    let needed = || needed(&settings.variants, endpoint, schema.as_deref(), request);
    if let Some(shape) = not_offered(&settings.variants, endpoint, schema.as_deref()) {
        return Some(shaped(portal, shape, needed()));
    }
    let granted = settings.scopes.as_ref()?;
    let mut missing = needed();
    missing.retain(|scope| !granted.contains(scope));
    (!missing.is_empty()).then(|| shaped(portal, Refusal::Scopes, missing))
}

/// A 403 of that shape for a call, even if the token has the scope.
pub(super) fn refusal(
    portal: &Portal,
    shape: Refusal,
    endpoint: Endpoint,
    store: Option<&Store>,
    request: &ApiRequest,
) -> Reply {
    let schema = store.map(Store::schema);
    shaped(portal, shape, needed(&portal.settings().variants, endpoint, schema.as_deref(), request))
}

fn not_offered(variants: &Variants, endpoint: Endpoint, schema: Option<&Schema>) -> Option<Refusal> {
    let is_schemas = matches!(endpoint, Endpoint::Schemas | Endpoint::Schema);
    let is_refused = |name: &str| {
        if is_schemas { name == "schemas" } else { schema.is_some_and(|schema| schema.answers_to(name)) }
    };
    if let Some((_, shape)) = variants.refused.iter().find(|(name, _)| is_refused(name)) {
        return Some(*shape);
    }
    let is_custom = schema.is_some_and(|schema| schema.custom.is_some());
    match variants.custom_objects {
        CustomObjects::Refused if is_custom || is_schemas => return Some(Refusal::Scopes),
        CustomObjects::Empty if is_custom => return Some(Refusal::Scopes),
        _ => {}
    }
    let is_ticket = schema.is_some_and(|schema| schema.name == "tickets");
    (variants.tickets == Tickets::Refused && is_ticket).then_some(Refusal::UnnamedScopes)
}

fn shaped(portal: &Portal, shape: Refusal, scopes: Vec<String>) -> Reply {
    let error = match shape {
        Refusal::Scopes => missing(portal, scopes),
        Refusal::UnnamedScopes => ApiError::new(403, "MISSING_SCOPES", NOT_PUBLIC),
        Refusal::Uncategorised => ApiError::new(403, "", NOT_PUBLIC),
        Refusal::Forbidden => ApiError::new(403, "FORBIDDEN", "You do not have permissions to make this call."),
        Refusal::Permission => {
            let permissions: Vec<String> = scopes.iter().map(|scope| granular(scope)).collect();
            let message = format!("The user lacks a permission (requires one of [{}])", permissions.join(", "));
            ApiError::new(403, "FORBIDDEN", message)
        }
        Refusal::BlockPage => return Reply::html(403, "Access denied"),
    };
    error.reply()
}

/// 403 naming the scopes that are missing, by the names that the portal uses.
pub(super) fn missing(portal: &Portal, scopes: Vec<String>) -> ApiError {
    ApiError::missing_scopes(match portal.settings().variants.scope_names {
        ScopeNames::Documented => scopes,
        ScopeNames::Granular => scopes.iter().map(|scope| granular(scope)).collect(),
    })
}

/// HubSpot's own name for a scope.
fn granular(scope: &str) -> String {
    let parts: Vec<&str> = scope.split('.').collect();
    let words = match parts.as_slice() {
        ["crm", "objects" | "schemas", "custom", rest @ ..] => format!("custom-object-{}", rest.join("-")),
        ["crm", "objects" | "schemas", rest @ ..] => rest.join("-"),
        other => other.join("-"),
    };
    words.replace('_', "-")
}

fn needed(variants: &Variants, endpoint: Endpoint, schema: Option<&Schema>, request: &ApiRequest) -> Vec<String> {
    let object = schema.map_or("custom", Schema::scope_name);
    match endpoint {
        Endpoint::AccountDetails | Endpoint::RecordLimits | Endpoint::Unknown => Vec::new(),
        Endpoint::Threads | Endpoint::Thread => vec!["conversations.read".to_owned()],
        Endpoint::Schemas | Endpoint::Schema => vec!["crm.schemas.custom.read".to_owned()],
        Endpoint::Properties | Endpoint::Property | Endpoint::LegacyProperties => {
            let mut scopes = vec![definitions(object)];
            if variants.sensitive_definitions == SensitiveDefinitions::Open {
                return scopes;
            }
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
    match object {
        // Tickets have one scope for everything.
        "tickets" => object.to_owned(),
        // Products have none of their own for definitions.
        "products" => values(object, Sensitivity::NonSensitive, "read"),
        _ => format!("crm.schemas.{object}.read"),
    }
}

/// The scope that reading or writing values of that sensitivity needs.
fn values(object: &str, sensitivity: Sensitivity, action: &str) -> String {
    match sensitivity {
        Sensitivity::NonSensitive if object == "tickets" => object.to_owned(),
        Sensitivity::NonSensitive => format!("crm.objects.{object}.{action}"),
        sensitive if object == "tickets" => format!("tickets.{}", sensitive.as_str()),
        Sensitivity::Sensitive => format!("crm.objects.{object}.sensitive.{action}"),
        Sensitivity::HighlySensitive => format!("crm.objects.{object}.highly_sensitive.{action}"),
    }
}

/// Whether the token may `read` or `write` values of that sensitivity; for those that are not sensitive [`refused`] has
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
