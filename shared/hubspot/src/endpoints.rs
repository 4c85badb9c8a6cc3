//! HubSpot's paths, in both versions, and the scopes that they need.

use std::fmt::Write as _;

use bytes::Bytes;
use domain::account::ApiVersion;
use domain::budget::CallKind;
use domain::ids::ObjectType;

use crate::call::Call;

/// Conversations have no object endpoint and are listed as threads.
pub(crate) const CONVERSATIONS: &str = "conversations";

/// Whether `object` is listed as threads.
pub(crate) fn is_conversations(object: &ObjectType) -> bool {
    object.as_str() == CONVERSATIONS
}

/// The paths of one version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoints(pub(crate) ApiVersion);

impl Endpoints {
    pub(crate) fn list(self, object: &ObjectType, query: Query) -> Call {
        let about = format!("the list of {object}");
        Call::get("GET objects/{objectType}", about, self.objects(object, ""), query, read_scope(object))
    }

    pub(crate) fn batch_read(self, object: &ObjectType, body: Bytes) -> Call {
        let (about, path) = (format!("{object} by their ids"), self.objects(object, "/batch/read"));
        Call::post("POST objects/{objectType}/batch/read", about, path, body, read_scope(object))
    }

    pub(crate) fn batch_update(self, object: &ObjectType, body: Bytes) -> Call {
        let (about, path) = (format!("an update of {object}"), self.objects(object, "/batch/update"));
        let call = Call::post("POST objects/{objectType}/batch/update", about, path, body, write_scope(object));
        Call { writes: true, ..call }
    }

    pub(crate) fn search(self, object: &ObjectType, body: Bytes) -> Call {
        let (about, path) = (format!("a search of {object}"), self.objects(object, "/search"));
        let call = Call::post("POST objects/{objectType}/search", about, path, body, read_scope(object));
        Call { kind: CallKind::Search, ..call }
    }

    pub(crate) fn properties(self, object: &ObjectType, query: Query, scope: String) -> Call {
        let path = match self.0 {
            ApiVersion::V3 => format!("crm/v3/properties/{object}"),
            dated @ ApiVersion::V2026_09 => format!("crm/properties/{}/{object}", dated.as_str()),
        };
        Call::get("GET properties/{objectType}", format!("the properties of {object}"), path, query, scope)
    }

    pub(crate) fn schemas(self) -> Call {
        let path = match self.0 {
            ApiVersion::V3 => "crm/v3/schemas".to_owned(),
            dated @ ApiVersion::V2026_09 => format!("crm-object-schemas/{}/schemas", dated.as_str()),
        };
        // Definitions are tens of megabytes in large accounts, and asked for by object.
        let query = Query::default()
            .with("archived", "false")
            .with("includePropertyDefinitions", "false")
            .with("includeAssociationDefinitions", "false")
            .with("includeAuditMetadata", "false");
        let about = "the list of custom objects".to_owned();
        Call::get("GET schemas", about, path, query, "crm.schemas.custom.read".to_owned())
    }

    pub(crate) fn threads(self, query: Query) -> Call {
        let path = match self.0 {
            ApiVersion::V3 => "conversations/v3/conversations/threads".to_owned(),
            dated @ ApiVersion::V2026_09 => format!("conversations/conversations/{}/threads", dated.as_str()),
        };
        let about = "the list of conversations".to_owned();
        Call::get("GET conversations/threads", about, path, query, "conversations.read".to_owned())
    }

    /// The same in both versions.
    pub(crate) fn account() -> Call {
        let path = "account-info/v3/details".to_owned();
        let about = "the account's details".to_owned();
        Call::get("GET account-info/details", about, path, Query::default(), "oauth".to_owned())
    }

    /// Object types hold only letters, digits, `_` and `-`, so a path needs no escaping.
    fn objects(self, object: &ObjectType, rest: &str) -> String {
        match self.0 {
            ApiVersion::V3 => format!("crm/v3/objects/{object}{rest}"),
            dated @ ApiVersion::V2026_09 => format!("crm/objects/{}/{object}{rest}", dated.as_str()),
        }
    }
}

/// A query string. Commas stay as they are: escaped they would triple, and URLs of wide objects are long enough.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(String);

impl Query {
    /// The text; None when there is none.
    pub(crate) fn text(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&self.0)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        escape(value, &mut self.0);
        self
    }

    /// `name=a,b,c`, or `name=a&name=b&name=c` where a comma or a space would make one value another.
    pub(crate) fn with_list(mut self, name: &str, values: &[&str]) -> Self {
        let is_plain = |value: &&str| !value.is_empty() && !value.contains(',') && value.trim() == *value;
        if !values.iter().all(is_plain) {
            return values.iter().fold(self, |query, value| query.with(name, value));
        }
        self = self.with(name, "");
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            escape(value, &mut self.0);
        }
        self
    }
}

/// Percent-encodes everything but unreserved characters.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Names of scopes as HubSpot spells them for an object: which family, how sensitive, and what for.
fn scope(area: &str, object: &ObjectType, level: &str, action: &str) -> String {
    match object.as_str() {
        // One scope for reading and writing.
        "tickets" if area == "objects" => format!("tickets{level}"),
        CONVERSATIONS => format!("conversations.{action}"),
        // Activities belong to contacts.
        "calls" | "tasks" => format!("crm.{area}.contacts{level}.{action}"),
        standard @ ("contacts" | "companies" | "deals" | "tickets" | "products") => {
            format!("crm.{area}.{standard}{level}.{action}")
        }
        _ => format!("crm.{area}.custom{level}.{action}"),
    }
}

/// The scope for reading records.
pub(crate) fn read_scope(object: &ObjectType) -> String {
    scope("objects", object, "", "read")
}

/// The scope for changing records.
pub(crate) fn write_scope(object: &ObjectType) -> String {
    scope("objects", object, "", "write")
}

/// The scope for reading property definitions. Those of products and tickets come with their records.
pub(crate) fn definition_scope(object: &ObjectType) -> String {
    match object.as_str() {
        "products" | "tickets" => read_scope(object),
        _ => scope("schemas", object, "", "read"),
    }
}

/// The scope for reading values of `level`, `sensitive` or `highly_sensitive`; None where HubSpot has no such scope.
pub(crate) fn sensitive_scope(object: &ObjectType, level: &str) -> Option<String> {
    let exists = !matches!(object.as_str(), "products" | "calls" | "tasks");
    exists.then(|| scope("objects", object, &format!(".{level}"), "read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> ObjectType {
        ObjectType::parse(name).expect("valid")
    }

    #[test]
    fn both_versions_have_their_own_paths() {
        let urls = |version| {
            let at = Endpoints(version);
            let query = Query::default().with("limit", "100");
            [
                at.list(&object("deals"), query.clone()),
                at.batch_read(&object("p7_car"), Bytes::new()),
                at.batch_update(&object("p7_car"), Bytes::new()),
                at.search(&object("deals"), Bytes::new()),
                at.properties(&object("deals"), query.clone(), String::new()),
                at.schemas(),
                at.threads(query),
                Endpoints::account(),
            ]
            .map(|call| [call.path, call.query.text().unwrap_or_default().to_owned()].join("?"))
        };
        assert_eq!(
            urls(ApiVersion::V2026_09),
            [
                "crm/objects/2026-09/deals?limit=100",
                "crm/objects/2026-09/p7_car/batch/read?",
                "crm/objects/2026-09/p7_car/batch/update?",
                "crm/objects/2026-09/deals/search?",
                "crm/properties/2026-09/deals?limit=100",
                "crm-object-schemas/2026-09/schemas?archived=false&includePropertyDefinitions=false\
                 &includeAssociationDefinitions=false&includeAuditMetadata=false",
                "conversations/conversations/2026-09/threads?limit=100",
                "account-info/v3/details?",
            ]
        );
        assert_eq!(
            urls(ApiVersion::V3),
            [
                "crm/v3/objects/deals?limit=100",
                "crm/v3/objects/p7_car/batch/read?",
                "crm/v3/objects/p7_car/batch/update?",
                "crm/v3/objects/deals/search?",
                "crm/v3/properties/deals?limit=100",
                "crm/v3/schemas?archived=false&includePropertyDefinitions=false&includeAssociationDefinitions=false\
                 &includeAuditMetadata=false",
                "conversations/v3/conversations/threads?limit=100",
                "account-info/v3/details?",
            ]
        );
    }

    #[test]
    fn cursors_are_escaped_and_commas_between_properties_are_not() {
        let query = Query::default().with("after", "MQ==/+&x ü").with_list("properties", &["a_1", "b&c"]);
        assert_eq!(query.0, "after=MQ%3D%3D%2F%2B%26x%20%C3%BC&properties=a_1,b%26c");
    }

    /// A3: a list that a comma would break is written name by name, and never in both ways.
    #[test]
    fn names_that_a_list_would_break_are_repeated() {
        for (names, expected) in [
            (["a", "b,c"], "p=a&p=b%2Cc"),
            (["a", " b"], "p=a&p=%20b"),
            (["a", ""], "p=a&p="),
            (["a", "b c"], "p=a,b%20c"),
        ] {
            assert_eq!(Query::default().with_list("p", &names).0, expected);
        }
    }

    #[test]
    fn scopes_are_spelled_as_hubspot_spells_them() {
        assert_eq!(read_scope(&object("contacts")), "crm.objects.contacts.read");
        assert_eq!(read_scope(&object("tickets")), "tickets");
        assert_eq!(read_scope(&object("tasks")), "crm.objects.contacts.read");
        assert_eq!(read_scope(&object("p1_car")), "crm.objects.custom.read");
        assert_eq!(read_scope(&object("conversations")), "conversations.read");
        assert_eq!(write_scope(&object("deals")), "crm.objects.deals.write");
        assert_eq!(write_scope(&object("tickets")), "tickets");
        assert_eq!(write_scope(&object("calls")), "crm.objects.contacts.write");
        assert_eq!(write_scope(&object("p1_car")), "crm.objects.custom.write");
        let sensitive = |name, level| sensitive_scope(&object(name), level);
        assert_eq!(sensitive("deals", "sensitive").as_deref(), Some("crm.objects.deals.sensitive.read"));
        assert_eq!(sensitive("tickets", "sensitive").as_deref(), Some("tickets.sensitive"));
    }

    /// C5: scopes that HubSpot does not have are not asked for.
    #[test]
    fn scopes_that_do_not_exist_are_not_named() {
        assert_eq!(definition_scope(&object("contacts")), "crm.schemas.contacts.read");
        assert_eq!(definition_scope(&object("p1_car")), "crm.schemas.custom.read");
        assert_eq!(definition_scope(&object("tickets")), "tickets");
        assert_eq!(definition_scope(&object("products")), "crm.objects.products.read");
        for name in ["products", "calls", "tasks"] {
            assert_eq!(sensitive_scope(&object(name), "sensitive"), None);
        }
    }
}
