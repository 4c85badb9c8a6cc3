//! HubSpot's endpoints in both versions of its API.

use bytes::Bytes;
use domain::account::ApiVersion;
use domain::budget::CallKind;
use domain::ids::ObjectType;

use crate::call::Call;
use crate::query::Query;
use crate::standard_objects::scopes_of;

/// The most records that one call can list or read.
pub(crate) const MAX_RECORDS: u16 = 100;
/// The most ids that one search can find.
pub(crate) const MAX_FOUND: u16 = 200;
/// The most conversations that one call can list. Sources disagree: Pathlight/tap-hubspot expects 500, others write
/// 100. If HubSpot refuses the larger page, [`MAX_RECORDS`] are listed.
pub(crate) const MAX_THREADS: u16 = 500;

/// The endpoints in one version of the API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoints(pub(crate) ApiVersion);

impl Endpoints {
    pub(crate) fn list(self, object: &ObjectType, query: Query) -> Call {
        let about = format!("the list of {object}");
        Call::get("GET objects/{objectType}", about, self.objects(object, ""), query, scopes_of(object).read())
    }

    pub(crate) fn batch_read(self, object: &ObjectType, body: Bytes) -> Call {
        let (about, path) = (format!("{object} by their ids"), self.objects(object, "/batch/read"));
        Call::post("POST objects/{objectType}/batch/read", about, path, body, scopes_of(object).read())
    }

    pub(crate) fn batch_update(self, object: &ObjectType, body: Bytes) -> Call {
        let (about, path) = (format!("an update of {object}"), self.objects(object, "/batch/update"));
        let call = Call::post("POST objects/{objectType}/batch/update", about, path, body, scopes_of(object).write());
        Call { writes: true, ..call }
    }

    pub(crate) fn search(self, object: &ObjectType, body: Bytes) -> Call {
        let (about, path) = (format!("a search of {object}"), self.objects(object, "/search"));
        let call = Call::post("POST objects/{objectType}/search", about, path, body, scopes_of(object).read());
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
        // Definitions take tens of megabytes in large accounts. They are read for each object instead.
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

    /// The path is the same in both versions.
    pub(crate) fn account() -> Call {
        let path = "account-info/v3/details".to_owned();
        let about = "the account's details".to_owned();
        Call::get("GET account-info/details", about, path, Query::default(), "oauth".to_owned())
    }

    /// Object types consist of letters, digits, `_` and `-`, so a path needs no escaping.
    fn objects(self, object: &ObjectType, rest: &str) -> String {
        match self.0 {
            ApiVersion::V3 => format!("crm/v3/objects/{object}{rest}"),
            dated @ ApiVersion::V2026_09 => format!("crm/objects/{}/{object}{rest}", dated.as_str()),
        }
    }
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
}
