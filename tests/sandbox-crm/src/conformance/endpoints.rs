//! The endpoints that are known, and the bounds of each.

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    List,
    Get,
    Create,
    Update,
    Archive,
    BatchRead,
    BatchCreate,
    BatchUpdate,
    BatchArchive,
    Merge,
    Search,
    Definitions,
    Definition,
    ObjectTypes,
    ObjectType,
    Threads,
    Thread,
    Account,
    RecordCounts,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) does: Does,
    /// The path without versions, ids and names.
    pub(super) shape: &'static str,
    /// The query parameters that it takes.
    pub(super) parameters: &'static [&'static str],
}

/// Characters that a path and its query may have. Longer ones were refused now and then.
pub(super) const LONGEST_URL: usize = 6_000;

const RECORD: &[&str] = &["properties", "propertiesWithHistory", "associations", "archived", "idProperty"];
const LIST: &[&str] = &["limit", "after", "properties", "propertiesWithHistory", "associations", "archived"];
const ARCHIVED: &[&str] = &["archived"];
const DEFINITIONS: &[&str] = &["archived", "dataSensitivity", "properties", "locale"];
const OBJECT_TYPES: &[&str] =
    &["archived", "includePropertyDefinitions", "includeAssociationDefinitions", "includeAuditMetadata"];
const THREADS: &[&str] = &[
    "limit",
    "after",
    "sort",
    "archived",
    "inboxId",
    "associatedContactId",
    "latestMessageTimestampAfter",
    "threadStatus",
    "association",
    "property",
];
const THREAD: &[&str] = &["archived", "association", "property"];

/// The endpoint at `path`.
pub(super) fn known(method: &str, path: &str) -> Option<Known> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    match parts.as_slice() {
        ["crm", "objects", "2026-09", rest @ ..] | ["crm", "v3", "objects", rest @ ..] => records(method, rest),
        ["crm", "properties", "2026-09", rest @ ..] | ["crm", "v3", "properties", rest @ ..] => match (method, rest) {
            ("GET", [_]) => found(Does::Definitions, "properties/{type}", DEFINITIONS),
            ("GET", [_, _]) => found(Does::Definition, "properties/{type}/{name}", DEFINITIONS),
            _ => None,
        },
        ["crm-object-schemas", "2026-09" | "v3", "schemas", rest @ ..] | ["crm", "v3", "schemas", rest @ ..] => {
            match (method, rest) {
                ("GET", []) => found(Does::ObjectTypes, "schemas", OBJECT_TYPES),
                ("GET", [_]) => found(Does::ObjectType, "schemas/{type}", OBJECT_TYPES),
                _ => None,
            }
        }
        ["conversations", "conversations", "2026-09", "threads", rest @ ..]
        | ["conversations", "v3", "conversations", "threads", rest @ ..] => match (method, rest) {
            ("GET", []) => found(Does::Threads, "threads", THREADS),
            ("GET", [_]) => found(Does::Thread, "threads/{id}", THREAD),
            _ => None,
        },
        ["account-info", "2026-09" | "v3", "details"] if method == "GET" => {
            found(Does::Account, "account-info/details", &[])
        }
        ["crm", "v3", "limits", "records"] | ["crm", "limits", "2026-09", "records"] if method == "GET" => {
            found(Does::RecordCounts, "limits/records", &[])
        }
        _ => None,
    }
}

fn records(method: &str, rest: &[&str]) -> Option<Known> {
    match (method, rest) {
        ("GET", [_]) => found(Does::List, "objects/{type}", LIST),
        ("POST", [_]) => found(Does::Create, "objects/{type}", &[]),
        ("POST", [_, "search"]) => found(Does::Search, "objects/{type}/search", &[]),
        ("POST", [_, "merge"]) => found(Does::Merge, "objects/{type}/merge", &[]),
        ("POST", [_, "batch", "read"]) => found(Does::BatchRead, "objects/{type}/batch/read", ARCHIVED),
        ("POST", [_, "batch", "create"]) => found(Does::BatchCreate, "objects/{type}/batch/create", &[]),
        ("POST", [_, "batch", "update"]) => found(Does::BatchUpdate, "objects/{type}/batch/update", &[]),
        ("POST", [_, "batch", "archive"]) => found(Does::BatchArchive, "objects/{type}/batch/archive", &[]),
        ("GET", [_, _]) => found(Does::Get, "objects/{type}/{id}", RECORD),
        ("PATCH", [_, _]) => found(Does::Update, "objects/{type}/{id}", &["idProperty"]),
        ("DELETE", [_, _]) => found(Does::Archive, "objects/{type}/{id}", &[]),
        _ => None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends the arms of matches that may find nothing")]
const fn found(does: Does, shape: &'static str, parameters: &'static [&'static str]) -> Option<Known> {
    Some(Known { does, shape, parameters })
}
