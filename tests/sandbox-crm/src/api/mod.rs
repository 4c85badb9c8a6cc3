//! The CRM's API: what each endpoint answers, limits and faults aside.

mod account;
mod batch;
mod columns;
mod damage;
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
use crate::faults::ScriptedFault;
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

    /// The requested properties. A single parameter is a list with commas. Each of several parameters is also one name,
    /// even with commas.
    pub(crate) fn property_names(&self) -> Vec<&str> {
        let values: Vec<&str> =
            self.query.iter().filter(|(key, _)| key == "properties").map(|(_, value)| value.as_str()).collect();
        let whole = values.iter().copied().filter(|value| values.len() > 1 && value.contains(','));
        let pieces = values.iter().flat_map(|value| value.split(','));
        pieces.chain(whole).filter(|name| !name.is_empty()).collect()
    }

    /// The body as JSON.
    pub(crate) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ApiError::invalid(format!("Invalid input JSON on line {}, column {}", error.line(), error.column()))
        })
    }
}

/// What an endpoint answers in a portal, damaged by `fault`.
pub(crate) fn damaged(portal: &Portal, route: Route<'_>, request: &ApiRequest, fault: &ScriptedFault) -> Reply {
    let store = route.object.and_then(|object| portal.store(object));
    if let Some(shape) = damage::refusal(fault.fault) {
        return scopes::refusal(portal, shape, route.endpoint, store, request);
    }
    if let Some(reply) = damage::instead(portal, route.endpoint, request, fault) {
        return reply;
    }
    let (request, chosen) = damage::without_some(route.endpoint, request, fault);
    let reply = match &chosen {
        Some(chosen) if chosen.is_everything => damage::empty_batch(),
        _ => answer(portal, route, &request),
    };
    damage::afterwards(reply, chosen.map(|chosen| chosen.ids), fault)
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
    if let Some(refused) = scopes::refused(portal, route.endpoint, store, request) {
        return Ok(refused);
    }
    let name = route.name.unwrap_or_default();
    match (route.endpoint, store) {
        (Endpoint::AccountDetails, _) => Ok(account::details(portal)),
        (Endpoint::RecordLimits, _) => Ok(account::record_limits(portal)),
        (Endpoint::Schemas, _) => Ok(schemas::list(portal, request)),
        (Endpoint::Schema, _) => schemas::one(portal, name, request),
        (Endpoint::Properties, Some(store)) => properties::list(store, request),
        (Endpoint::Property, Some(store)) => properties::one(store, &decoded(name), request),
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

/// A part of a path without its percent signs.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn find_store<'a>(portal: &'a Portal, object: &str, endpoint: Endpoint) -> Result<&'a Store, ApiError> {
    let is_thread = matches!(endpoint, Endpoint::Threads | Endpoint::Thread);
    let store = portal.store(object).filter(|store| {
        // Conversations are no CRM object.
        is_thread || store.schema().name != crate::catalog::CONVERSATIONS
    });
    let takes_bare_names = portal.settings().variants.bare_names;
    let store = store.filter(|store| takes_bare_names || !store.schema().is_bare_name(object));
    store.ok_or_else(|| ApiError::unknown_object(object))
}
