//! Which endpoint a request is for. Dated and v3 paths lead to the same endpoints.

use axum::http::Method;
use serde::{Deserialize, Serialize};

/// An endpoint of the CRM's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    /// A page of records.
    List,
    Get,
    Create,
    Update,
    Archive,
    /// Read up to 100 records.
    BatchRead,
    /// Create up to 100 records.
    BatchCreate,
    /// Change up to 100 records.
    BatchUpdate,
    /// Archive up to 100 records.
    BatchArchive,
    Merge,
    Search,
    /// Property definitions of an object.
    Properties,
    Property,
    /// Property definitions as the oldest paths answer them.
    LegacyProperties,
    Schemas,
    /// One custom object type.
    Schema,
    Threads,
    Thread,
    /// Who the token belongs to.
    AccountDetails,
    RecordLimits,
    Unknown,
}

/// How an answer depends on the path's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Dated,
    V3,
}

/// A request's endpoint with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) version: Version,
    /// The object type as it stands in the path.
    pub(crate) object: Option<&'a str>,
    /// A record's id, a property's name or an object type.
    pub(crate) name: Option<&'a str>,
}

const DATED: &str = "2026-09";

pub(crate) fn route<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (version, rest) = match segments.as_slice() {
        ["crm", "objects", DATED, rest @ ..] => (Version::Dated, objects(method, rest)),
        ["crm", "v3", "objects", rest @ ..] => (Version::V3, objects(method, rest)),
        ["crm", "properties", DATED, rest @ ..] => (Version::Dated, properties(rest)),
        ["crm", "v3", "properties", rest @ ..] => (Version::V3, properties(rest)),
        ["crm-object-schemas", DATED, "schemas", rest @ ..] => (Version::Dated, schemas(rest)),
        ["crm" | "crm-object-schemas", "v3", "schemas", rest @ ..] => (Version::V3, schemas(rest)),
        ["conversations", "conversations", DATED, "threads", rest @ ..] => (Version::Dated, threads(rest)),
        ["conversations", "v3", "conversations", "threads", rest @ ..] => (Version::V3, threads(rest)),
        ["account-info", "v3" | DATED, "details"] => (Version::V3, Some((Endpoint::AccountDetails, None, None))),
        ["crm", "v3", "limits", "records"] | ["crm", "limits", DATED, "records"] => {
            (Version::V3, Some((Endpoint::RecordLimits, None, None)))
        }
        ["properties", "v1" | "v2", object, "properties"] => {
            (Version::V3, Some((Endpoint::LegacyProperties, Some(*object), None)))
        }
        ["companies", "v2", "properties"] => (Version::V3, Some((Endpoint::LegacyProperties, Some("companies"), None))),
        _ => (Version::V3, None),
    };
    let found = rest.filter(|(endpoint, ..)| allows(*endpoint, method));
    let (endpoint, object, name) = found.unwrap_or((Endpoint::Unknown, None, None));
    Route { endpoint, version, object, name }
}

type Found<'a> = Option<(Endpoint, Option<&'a str>, Option<&'a str>)>;

fn objects<'a>(method: &Method, rest: &[&'a str]) -> Found<'a> {
    let (endpoint, object, name) = match *rest {
        [object] if method == Method::POST => (Endpoint::Create, object, None),
        [object] => (Endpoint::List, object, None),
        [object, "search"] => (Endpoint::Search, object, None),
        [object, "merge"] => (Endpoint::Merge, object, None),
        [object, "batch", action] => {
            let endpoint = match action {
                "read" => Endpoint::BatchRead,
                "create" => Endpoint::BatchCreate,
                "update" => Endpoint::BatchUpdate,
                "archive" => Endpoint::BatchArchive,
                _ => return None,
            };
            (endpoint, object, None)
        }
        [object, id] if method == Method::PATCH => (Endpoint::Update, object, Some(id)),
        [object, id] if method == Method::DELETE => (Endpoint::Archive, object, Some(id)),
        [object, id] => (Endpoint::Get, object, Some(id)),
        _ => return None,
    };
    Some((endpoint, Some(object), name))
}

fn properties<'a>(rest: &[&'a str]) -> Found<'a> {
    match *rest {
        [object] => Some((Endpoint::Properties, Some(object), None)),
        [object, name] => Some((Endpoint::Property, Some(object), Some(name))),
        _ => None,
    }
}

fn schemas<'a>(rest: &[&'a str]) -> Found<'a> {
    match *rest {
        [] => Some((Endpoint::Schemas, None, None)),
        [name] => Some((Endpoint::Schema, None, Some(name))),
        _ => None,
    }
}

fn threads<'a>(rest: &[&'a str]) -> Found<'a> {
    match *rest {
        [] => Some((Endpoint::Threads, Some("conversations"), None)),
        [id] => Some((Endpoint::Thread, Some("conversations"), Some(id))),
        _ => None,
    }
}

fn allows(endpoint: Endpoint, method: &Method) -> bool {
    match endpoint {
        Endpoint::Create
        | Endpoint::BatchRead
        | Endpoint::BatchCreate
        | Endpoint::BatchUpdate
        | Endpoint::BatchArchive
        | Endpoint::Merge
        | Endpoint::Search => method == Method::POST,
        Endpoint::Update => method == Method::PATCH,
        Endpoint::Archive => method == Method::DELETE,
        _ => method == Method::GET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_and_v3_paths_lead_to_the_same_endpoints() {
        for (dated, v3, endpoint) in [
            ("/crm/objects/2026-09/contacts", "/crm/v3/objects/contacts", Endpoint::List),
            ("/crm/objects/2026-09/0-1/77", "/crm/v3/objects/0-1/77", Endpoint::Get),
            ("/crm/properties/2026-09/deals", "/crm/v3/properties/deals", Endpoint::Properties),
            ("/crm-object-schemas/2026-09/schemas", "/crm/v3/schemas", Endpoint::Schemas),
            (
                "/conversations/conversations/2026-09/threads",
                "/conversations/v3/conversations/threads",
                Endpoint::Threads,
            ),
        ] {
            let (dated, v3) = (route(&Method::GET, dated), route(&Method::GET, v3));
            assert_eq!((dated.endpoint, dated.version), (endpoint, Version::Dated));
            assert_eq!((v3.endpoint, v3.version), (endpoint, Version::V3));
            assert_eq!((dated.object, dated.name), (v3.object, v3.name));
        }
        assert_eq!(route(&Method::GET, "/crm/v3/objects/contacts/search").endpoint, Endpoint::Unknown);
        assert_eq!(route(&Method::POST, "/crm/v3/objects/contacts/batch/upsert").endpoint, Endpoint::Unknown);
    }
}
