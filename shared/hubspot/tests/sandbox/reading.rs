//! Definitions, pages, counts and account details.

use std::collections::BTreeMap;

use domain::account::ApiVersion;
use domain::budget::CallLimits;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Census, CrmErrorKind, Cursor, PageRequest, PageSource};
use domain::property::{Columns, Sensitivity};
use domain::rows::RowBuffer;
use jiff::Timestamp;
use sandbox_crm::{
    Cursors, CustomObject, Endpoint, Fault, Faults, LimitOverrides, Plan, PortalConfig, PropertySet, RecordState,
    SensitiveDefinitions, TruthRecord, Variants,
};

use super::{Setup, object, unlimited};

impl Setup {
    pub(super) async fn columns(&self, object: &ObjectType) -> Columns {
        Columns::from_properties(self.crm.properties(object).await.expect("properties").properties)
    }

    /// Reads all records of an object page by page. `cursor` interprets the cursors.
    pub(super) async fn export(
        &self,
        object: &ObjectType,
        columns: &Columns,
        cursor: fn(&str) -> Cursor,
    ) -> Vec<Exported> {
        let properties: Vec<&str> = columns.names().collect();
        let mut rows = RowBuffer::new(properties.len());
        let (mut exported, mut at) = (Vec::new(), Cursor::START);
        let limit = self.crm.model().call_sizes(object).page(PageSource::List);
        loop {
            let request = PageRequest { object, properties: &properties, cursor: &at, source: PageSource::List, limit };
            let end = self.crm.page(&request, &mut rows).await.expect("a page");
            exported.extend((0..rows.len()).map(|row| {
                let values = rows.values(row).map(|value| String::from_utf8(value.to_vec()).expect("text"));
                let named = properties.iter().map(|name| (*name).to_owned()).zip(values);
                (rows.ids()[row].0, named.filter(|(_, value)| !value.is_empty()).collect())
            }));
            assert_eq!(end.last_listed, rows.ids().last().copied());
            match end.next {
                Some(next) => at = cursor(&next),
                None => return exported,
            }
        }
    }

    /// The live records of an object, without the property of the record id.
    fn shown(&self, object: &ObjectType) -> Vec<Exported> {
        let live = self.truth(object).into_iter().filter(|record| record.state == RecordState::Live);
        live.map(|mut record| {
            record.properties.retain(|name, value| name != "hs_object_id" && name != "id" && !value.is_empty());
            (record.id, record.properties)
        })
        .collect()
    }

    pub(super) async fn assert_export(&self, object: &ObjectType, cursor: fn(&str) -> Cursor) {
        let columns = self.columns(object).await;
        let (exported, shown) = (self.export(object, &columns, cursor).await, self.shown(object));
        assert_eq!(exported.len(), shown.len(), "{object}");
        for (exported, shown) in exported.iter().zip(&shown) {
            assert_eq!(exported, shown, "{object}");
        }
    }
}

/// The id of a record and its values that are not empty.
type Exported = (u64, BTreeMap<String, String>);

pub(super) fn by_id(next: &str) -> Cursor {
    Cursor::AfterId(RecordId::parse(next).expect("a cursor that is an id"))
}

pub(super) fn opaque(next: &str) -> Cursor {
    Cursor::Opaque(next.to_owned())
}

#[tokio::test]
async fn every_value_of_every_object_is_read_in_both_versions() {
    for version in [ApiVersion::V2026_09, ApiVersion::V3] {
        let config = PortalConfig::default();
        let served = config.records.len() + config.custom_objects.len();
        let setup = Setup::speaking(version, unlimited(config)).await;
        let custom = setup.crm.custom_object_types().await.expect("object types");
        let objects = [setup.crm.model().standard_object_types(), custom].concat();
        assert_eq!(objects.len(), served);
        for definition in &objects {
            let object = &definition.object_type;
            let cursor: fn(&str) -> Cursor = if definition.type_id.is_some() { by_id } else { opaque };
            setup.assert_export(object, cursor).await;
            let census = setup.crm.census(object).await.expect("a census");
            let shown = setup.shown(object);
            let highest_id = shown.last().map(|(id, _)| RecordId(*id));
            let counted = Census { records: shown.len() as u64, highest_id };
            assert_eq!(census, definition.type_id.is_some().then_some(counted), "{object}");
        }
        setup.sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn sensitive_properties_are_among_the_columns_and_flagged() {
    let setup = Setup::with(unlimited(PortalConfig::default())).await;
    let columns = setup.columns(&object("contacts")).await;
    let has = |level| columns.properties.iter().any(|property| property.sensitivity == level);
    assert!(has(Sensitivity::Sensitive) && has(Sensitivity::HighlySensitive));
    let all = setup.portal.property_names("contacts").expect("contacts exist");
    assert_eq!(columns.names().len() + 1, all.len(), "all but the record id");
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn wide_objects_are_read_completely_whatever_the_longest_url_is() {
    for url_characters in [50_000, 16_000, 6_000, 1_000] {
        let config = PortalConfig {
            property_set: PropertySet::Wide(1_000),
            limits: LimitOverrides { url_characters: Some(url_characters), ..LimitOverrides::default() },
            ..PortalConfig::empty().with_records("contacts", 230).with_records("tasks", 40)
        };
        let setup = Setup::with(unlimited(config)).await;
        setup.assert_export(&object("contacts"), by_id).await;
        setup.assert_export(&object("tasks"), by_id).await;
        setup.sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn opaque_cursors_lead_through_the_whole_list() {
    let faults = Faults { cursors: Cursors::Opaque, ..Faults::default() };
    let config = PortalConfig { faults, ..PortalConfig::empty().with_records("deals", 350) };
    let setup = Setup::with(unlimited(config)).await;
    setup.assert_export(&object("deals"), opaque).await;
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn an_unreliable_crm_is_read_completely() {
    let rates = [
        (Fault::TooManyRequests, 0.1),
        (Fault::InternalError, 0.03),
        (Fault::BadGateway, 0.03),
        (Fault::ServiceUnavailable, 0.03),
        (Fault::Reset, 0.05),
        (Fault::TruncatedJson, 0.05),
    ];
    let config = PortalConfig {
        faults: Faults { rates: rates.into(), ..Faults::default() },
        property_set: PropertySet::Columns { total: 100, set: 30 },
        ..PortalConfig::empty().with_records("contacts", 2_500)
    };
    let setup = Setup::with(unlimited(config)).await;
    setup.assert_export(&object("contacts"), by_id).await;
    let lists = setup.portal.calls().of(Endpoint::List, Some("contacts"));
    assert!(lists.calls > 25, "some calls were sent again");
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn counts_and_nth_ids_are_those_of_the_records() {
    let setup = Setup::with(unlimited(PortalConfig::default())).await;
    for name in ["contacts", "calls", "products"] {
        let object = object(name);
        let shown = setup.shown(&object);
        let id = |place: usize| RecordId(shown[place].0);
        let last = shown.len() - 1;
        for (after, up_to) in [(id(0), None), (id(3), Some(id(17))), (id(20), Some(id(20))), (RecordId(0), None)] {
            let range = |record: u64| record > after.0 && up_to.is_none_or(|up_to| record <= up_to.0);
            let expected = shown.iter().filter(|(record, _)| range(*record)).count() as u64;
            assert_eq!(setup.crm.count_in(&object, after, up_to).await.expect("a count"), Some(expected));
        }
        assert_eq!(setup.crm.nth_after(&object, RecordId(0), 1).await.expect("an id"), Some(id(0)));
        assert_eq!(setup.crm.nth_after(&object, id(4), 30).await.expect("an id"), Some(id(34)));
        assert_eq!(setup.crm.nth_after(&object, id(last - 3), 3).await.expect("an id"), Some(id(last)));
        assert_eq!(setup.crm.nth_after(&object, id(last - 3), 4).await.expect("no id"), None);
        let truth = setup.truth(&object);
        let middle: Timestamp = truth[truth.len() / 2].created_at.parse().expect("a time");
        let since = |record: &&TruthRecord| {
            record.state == RecordState::Live && record.created_at.parse::<Timestamp>().expect("a time") >= middle
        };
        let expected = truth.iter().filter(since).count() as u64;
        assert_eq!(setup.crm.created_since(&object, middle).await.expect("a count"), Some(expected), "{name}");
    }
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn only_live_records_under_their_own_id_exist() {
    let config = PortalConfig { archived_per_mille: 200, merged_per_mille: 200, ..PortalConfig::empty() };
    let setup = Setup::with(unlimited(config.with_records("contacts", 60))).await;
    let contacts = object("contacts");
    let truth = setup.truth(&contacts);
    let states = |state| truth.iter().filter(move |record| record.state == state);
    assert!(states(RecordState::Archived).next().is_some() && states(RecordState::Merged).next().is_some());
    let asked: Vec<RecordId> = truth.iter().map(|record| RecordId(record.id)).collect();
    let mut existing = setup.crm.existing(&contacts, &asked).await.expect("an answer");
    existing.sort_unstable();
    existing.dedup();
    let expected: Vec<_> = states(RecordState::Live)
        .map(|record| (RecordId(record.id), record.created_at.parse::<Timestamp>().expect("a time")))
        .collect();
    assert_eq!(existing, expected);
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn account_details_contain_portal_time_zone_and_limits() {
    let config = PortalConfig { plan: Plan::Professional, time_zone: "Europe/Berlin".into(), ..PortalConfig::empty() };
    let setup = Setup::with(config).await;
    let account = setup.crm.account().await.expect("an account");
    assert_eq!(account.portal_id, setup.portal.portal_id());
    assert_eq!(account.time_zone, "Europe/Berlin");
    assert_eq!(account.call_limits, CallLimits::in_ten_seconds(190, 625_000));
    setup.sandbox.shutdown().await;
}

/// A CRM that requires the scopes of sensitive values for their definitions too.
fn scoped_definitions() -> Variants {
    Variants { sensitive_definitions: SensitiveDefinitions::Scoped, ..Variants::default() }
}

#[tokio::test]
async fn a_missing_scope_is_named_by_the_call_that_needs_it() {
    let custom_objects = vec![CustomObject { name: "car".into(), records: 3 }];
    let config = PortalConfig { custom_objects, variants: scoped_definitions(), ..PortalConfig::empty() };
    let setup = Setup::with(unlimited(config.with_records("contacts", 3).with_records("conversations", 3))).await;
    let needed = [
        ("contacts", "crm.objects.contacts.read"),
        ("contacts", "crm.schemas.contacts.read"),
        ("conversations", "conversations.read"),
        ("conversations", "crm.schemas.custom.read"),
    ];
    for (name, missing) in needed {
        let others = needed.iter().map(|(_, scope)| (*scope).to_owned()).filter(|scope| scope != missing);
        setup.portal.set_scopes(Some(others.collect()));
        let object = object(name);
        let discovered = async {
            setup.crm.custom_object_types().await?;
            setup.crm.properties(&object).await?;
            let request = PageRequest {
                object: &object,
                properties: &[],
                cursor: &Cursor::START,
                source: PageSource::List,
                limit: 1,
            };
            setup.crm.page(&request, &mut RowBuffer::new(0)).await
        };
        let error = discovered.await.expect_err(missing);
        let CrmErrorKind::MissingScopes(scopes) = &error.kind else { panic!("{error:?}") };
        assert!(scopes.iter().any(|scope| scope == missing), "{scopes:?}");
        assert!(error.sentence.contains(missing), "{error}");
    }
    setup.sandbox.shutdown().await;
}

/// A2: hidden values, and properties that the CRM refuses to list, do not count as empty.
#[tokio::test]
async fn missing_scopes_for_sensitive_values_are_reported() {
    let setup = Setup::with(unlimited(PortalConfig::empty().with_records("contacts", 200))).await;
    let missing = ["crm.objects.contacts.sensitive.read", "crm.objects.contacts.highly_sensitive.read"];
    let held = ["crm.objects.contacts.read", "crm.schemas.contacts.read"];
    setup.portal.set_scopes(Some(held.map(str::to_owned).into()));
    let reported = match setup.crm.properties(&object("contacts")).await {
        Ok(listed) => listed.refused.into_iter().flat_map(|refused| refused.scopes).collect(),
        Err(error) => match error.kind {
            CrmErrorKind::HiddenValues(scopes) => scopes,
            other => panic!("{other:?}"),
        },
    };
    assert_eq!(reported, missing);
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn a_revoked_token_and_an_unknown_object_are_different_errors() {
    let setup = Setup::with(unlimited(PortalConfig::default())).await;
    let error = setup.crm.properties(&object("p1_nothing")).await.expect_err("no such object");
    assert_eq!(error.kind, CrmErrorKind::NotFound, "{error}");
    setup.portal.set_revoked(true);
    let error = setup.crm.account().await.expect_err("the token is revoked");
    assert_eq!(error.kind, CrmErrorKind::TokenRefused);
    setup.sandbox.shutdown().await;
}
