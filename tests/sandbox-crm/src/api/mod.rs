//! The CRM's API: what each endpoint answers, limits and faults aside.

mod account;
mod batch;
pub(crate) mod errors;
mod filter;
mod list;
mod properties;
pub(crate) mod reply;
mod schemas;
mod scopes;
mod search;
mod threads;
mod validate;
mod write;

use bytes::Bytes;

use crate::data::store::Store;
use crate::portal::Portal;
use crate::route::{Endpoint, Route};
use errors::ApiError;
use reply::Reply;

/// A request as the endpoints see it.
#[derive(Debug, Clone)]
pub(crate) struct ApiRequest {
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// Scheme and host under which the client reached the server.
    pub(crate) origin: String,
    pub(crate) body: Bytes,
}

impl ApiRequest {
    /// The first value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter is set to true. HubSpot's own Python client writes `True`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// All values of a query parameter, given as a comma list or repeated.
    pub(crate) fn list_parameter(&self, name: &str) -> Vec<&str> {
        let values = self.query.iter().filter(|(key, _)| key == name).flat_map(|(_, value)| value.split(','));
        values.filter(|value| !value.is_empty()).collect()
    }

    /// The body as JSON.
    fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ApiError::invalid(format!("Invalid input JSON on line {}, column {}", error.line(), error.column()))
        })
    }
}

/// What an endpoint answers in a portal.
pub(crate) fn answer(portal: &Portal, route: Route<'_>, request: &ApiRequest) -> Reply {
    answer_or_error(portal, route, request).unwrap_or_else(|error| error.reply())
}

fn answer_or_error(portal: &Portal, route: Route<'_>, request: &ApiRequest) -> Result<Reply, ApiError> {
    let store = match route.object {
        Some(object) => Some(find_store(portal, object, route.endpoint)?),
        None => None,
    };
    scopes::check(portal, route.endpoint, store, request)?;
    let name = route.name.unwrap_or_default();
    match (route.endpoint, store) {
        (Endpoint::AccountDetails, _) => Ok(account::details(portal)),
        (Endpoint::RecordLimits, _) => Ok(account::record_limits(portal)),
        (Endpoint::Schemas, _) => Ok(schemas::list(portal, request)),
        (Endpoint::Schema, _) => schemas::one(portal, name),
        (Endpoint::Properties, Some(store)) => properties::list(store, request),
        (Endpoint::Property, Some(store)) => properties::one(store, name, request),
        (Endpoint::LegacyProperties, Some(store)) => Ok(properties::legacy(store)),
        (Endpoint::Threads, Some(store)) => threads::list(portal, store, request),
        (Endpoint::Thread, Some(store)) => threads::one(store, name),
        (Endpoint::List, Some(store)) => list::list(portal, store, request),
        (Endpoint::Get, Some(store)) => list::one(portal, store, name, request),
        (Endpoint::Search, Some(store)) => search::search(portal, store, request),
        (Endpoint::BatchRead, Some(store)) => batch::read(portal, store, route.version, request),
        (Endpoint::BatchCreate, Some(store)) => batch::create(portal, store, route.version, request),
        (Endpoint::BatchUpdate, Some(store)) => batch::update(portal, store, route.version, request),
        (Endpoint::BatchArchive, Some(store)) => batch::archive(store, request),
        (Endpoint::Create, Some(store)) => write::create(portal, store, route.version, request),
        (Endpoint::Update, Some(store)) => write::update(portal, store, route.version, name, request),
        (Endpoint::Archive, Some(store)) => write::archive(store, name),
        (Endpoint::Merge, Some(store)) => write::merge(portal, store, request),
        _ => Err(ApiError::unknown_path(&request.path)),
    }
}

fn find_store<'a>(portal: &'a Portal, object: &str, endpoint: Endpoint) -> Result<&'a Store, ApiError> {
    let is_thread = matches!(endpoint, Endpoint::Threads | Endpoint::Thread);
    let store = portal.store(object).filter(|store| {
        // Conversations are no CRM object.
        is_thread || store.schema().name != crate::catalog::CONVERSATIONS
    });
    store.ok_or_else(|| ApiError::unknown_object(object))
}
