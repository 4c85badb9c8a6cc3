//! Full definitions, and batches that are read and written.

use std::collections::BTreeMap;

use domain::account::ApiVersion;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::CrmErrorKind;
use domain::ports::crm_batch::{
    BatchRead, BatchUpdate, PropertyDefinition, RecordUpdate, SideEffect, UpdatedRecord, WriteRefusal,
};
use domain::restore::difference::Comparison;
use domain::rows::RowBuffer;
use sandbox_crm::{ConditionalRequirement, Endpoint, PortalConfig, RecordState, ScopeNames, Variants};

use super::{Setup, object, unlimited};

const VERSIONS: [ApiVersion; 2] = [ApiVersion::V2026_09, ApiVersion::V3];

fn contacts() -> ObjectType {
    object("contacts")
}

fn update(id: u64, values: &[(&str, &str)]) -> RecordUpdate {
    let values = values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    RecordUpdate { id: RecordId(id), values }
}

fn shown<'a>(record: &'a UpdatedRecord, name: &str) -> Option<&'a str> {
    record.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl Setup {
    /// A portal with `count` contacts and the given configuration.
    async fn of_contacts(version: ApiVersion, count: u64, config: PortalConfig) -> Self {
        Self::speaking(version, unlimited(config.with_records("contacts", count))).await
    }

    fn ids(&self, state: RecordState) -> Vec<u64> {
        let records = self.truth(&contacts());
        records.iter().filter(|record| record.state == state).map(|record| record.id).collect()
    }

    /// The values of a contact, read without the API.
    fn held(&self, id: u64) -> BTreeMap<String, String> {
        let mut records = self.truth(&contacts());
        records.retain(|record| record.id == id);
        records.remove(0).properties
    }

    async fn read(&self, properties: &[&str], ids: &[u64]) -> BTreeMap<u64, Vec<String>> {
        let object = contacts();
        let ids: Vec<RecordId> = ids.iter().copied().map(RecordId).collect();
        let mut rows = RowBuffer::new(properties.len());
        let request = BatchRead { object: &object, properties, ids: &ids };
        self.crm.read_batch(&request, &mut rows).await.expect("a batch");
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("text");
        rows.ids().iter().enumerate().map(|(row, id)| (id.0, rows.values(row).map(text).collect())).collect()
    }

    async fn update(&self, updates: &[RecordUpdate]) -> BatchUpdate {
        self.crm.update_batch(&contacts(), updates).await.expect("an answer")
    }

    async fn written(&self, updates: &[RecordUpdate]) -> (Vec<UpdatedRecord>, Vec<(RecordId, WriteRefusal)>) {
        match self.update(updates).await {
            BatchUpdate::Written { records, refused } => (records, refused),
            refused @ BatchUpdate::Refused(_) => panic!("{refused:?}"),
        }
    }

    async fn refused(&self, updates: &[RecordUpdate]) -> WriteRefusal {
        match self.update(updates).await {
            BatchUpdate::Refused(refusal) => refusal,
            written @ BatchUpdate::Written { .. } => panic!("{written:?}"),
        }
    }
}

#[tokio::test]
async fn definitions_describe_the_values_that_a_property_accepts() {
    for version in VERSIONS {
        let setup = Setup::of_contacts(version, 1, PortalConfig::empty()).await;
        let all = setup.portal.property_names("contacts").expect("contacts");
        assert!(setup.portal.archive_property("contacts", "city"));
        let found = setup.crm.definitions(&contacts()).await.expect("definitions");
        assert_eq!(found.iter().map(|one| one.property.name.as_str()).collect::<Vec<_>>(), all);

        let of = |name: &str| -> &PropertyDefinition {
            found.iter().find(|one| one.property.name == name).expect("a property of contacts")
        };
        assert!(of("city").archived && found.iter().filter(|one| one.archived).count() == 1);
        let stage = of("lifecyclestage");
        assert!(
            stage.forward_only && stage.comparison == Comparison::Exact && stage.side_effect == Some(SideEffect::Stage)
        );
        assert_eq!(stage.options[..2], ["subscriber", "lead"]);
        let topics = of("newsletter_topics");
        assert!(topics.comparison == Comparison::Options && topics.options.contains(&"tips & tricks".to_owned()));
        let owner = of("hubspot_owner_id");
        assert!(owner.options.is_empty() && owner.side_effect == Some(SideEffect::Owner));
        assert!(of("vip").options.is_empty() && of("vip").side_effect.is_none());
        assert_eq!(of("email").side_effect, Some(SideEffect::Email));
        assert!(of("hs_analytics_num_visits").property.read_only && of("hs_email_domain").property.calculated);
        let deals = setup.crm.definitions(&object("deals")).await.expect("definitions");
        let dealstage = deals.iter().find(|one| one.property.name == "dealstage").expect("a property of deals");
        assert!(dealstage.options.is_empty() && dealstage.side_effect == Some(SideEffect::Stage));
        let searches = setup.portal.calls().of(Endpoint::Search, None).calls;
        assert_eq!(searches, 0);
        setup.sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn a_batch_contains_present_values_and_merged_records_under_their_new_id() {
    for version in VERSIONS {
        let config = PortalConfig { merged_per_mille: 200, archived_per_mille: 200, ..PortalConfig::empty() };
        let setup = Setup::of_contacts(version, 60, config).await;
        let (live, merged) = (setup.ids(RecordState::Live), setup.ids(RecordState::Merged));
        let archived = setup.ids(RecordState::Archived);
        let asked = [live[0], live[1], merged[0], archived[0], 5];
        let properties = ["lastname", "email", "salary"];
        let found = setup.read(&properties, &asked).await;

        assert!(found.contains_key(&live[0]) && found.contains_key(&live[1]));
        assert!(!found.contains_key(&merged[0]) && !found.contains_key(&archived[0]) && !found.contains_key(&5));
        let survivors: Vec<u64> = found.keys().filter(|id| !asked.contains(id)).copied().collect();
        assert_eq!(survivors.len(), 1, "{survivors:?}");
        for (id, values) in &found {
            let held = setup.held(*id);
            assert_eq!(*values, properties.map(|name| held.get(name).cloned().unwrap_or_default()));
        }
        // A1: ids that the answer does not mention are read once more.
        let calls = if version == ApiVersion::V3 { 1 } else { 2 };
        assert_eq!(setup.portal.calls().of(Endpoint::BatchRead, Some("contacts")).calls, calls);
        assert!(setup.read(&properties, &[5, 6]).await.is_empty());
        setup.sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn values_are_set_and_cleared_and_the_answer_shows_the_result() {
    for version in VERSIONS {
        let setup = Setup::of_contacts(version, 100, PortalConfig::empty()).await;
        let ids = setup.ids(RecordState::Live);
        let values = [("firstname", "Zoë \"Z\"\r\n"), ("lastname", ""), ("salary", "12"), ("vip", "TRUE")];
        let updates: Vec<RecordUpdate> = ids.iter().map(|id| update(*id, &values)).collect();
        let (records, refused) = setup.written(&updates).await;

        assert!(refused.is_empty());
        let mut written: Vec<u64> = records.iter().map(|record| record.id.0).collect();
        written.sort_unstable();
        assert_eq!(written, ids);
        for record in &records {
            let expected = [("firstname", "Zoë \"Z\"\r\n"), ("lastname", ""), ("salary", "12"), ("vip", "true")];
            assert!(expected.iter().all(|(name, value)| shown(record, name) == Some(value)));
        }
        let held = setup.held(ids[7]);
        assert_eq!((held["firstname"].as_str(), held.get("lastname")), ("Zoë \"Z\"\r\n", None));
        assert_eq!(setup.portal.calls().of(Endpoint::BatchUpdate, Some("contacts")).calls, 1);
        setup.sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn one_bad_value_refuses_the_batch_and_its_property_is_named() {
    for version in VERSIONS {
        let setup = Setup::of_contacts(version, 20, PortalConfig::empty()).await;
        let ids = setup.ids(RecordState::Live);
        for (name, value, code) in [
            ("nonsense", "secret", "PROPERTY_DOESNT_EXIST"),
            ("hs_analytics_num_visits", "3", "READ_ONLY_VALUE"),
            ("hs_language", "secret", "INVALID_OPTION"),
            ("email", "secret", "INVALID_EMAIL"),
            ("closedate", "secret", "INVALID_DATE"),
        ] {
            let updates = [update(ids[0], &[("firstname", "changed")]), update(ids[1], &[(name, value)])];
            let refusal = setup.refused(&updates).await;
            assert_eq!((refusal.code.as_str(), refusal.properties.as_slice()), (code, &[name.to_owned()][..]));
            assert!(!refusal.message.is_empty() && !format!("{refusal:?}").contains("secret"));
        }
        assert_ne!(setup.held(ids[0]).get("firstname").map(String::as_str), Some("changed"));
        setup.sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn the_accounts_rules_for_required_properties_refuse_writes() {
    let rule = ConditionalRequirement {
        object: "contacts".to_owned(),
        property: "hs_lead_status".to_owned(),
        value: "UNQUALIFIED".to_owned(),
        requires: vec!["message".to_owned()],
    };
    let config = PortalConfig {
        required_properties: [("contacts".to_owned(), vec!["lastname".to_owned()])].into(),
        conditional_requirements: vec![rule],
        ..PortalConfig::empty()
    };
    let setup = Setup::of_contacts(ApiVersion::V2026_09, 5, config).await;
    let id = setup.ids(RecordState::Live)[0];
    let refusal = setup.refused(&[update(id, &[("lastname", "")])]).await;
    assert_eq!((refusal.code.as_str(), refusal.properties), ("MISSING_REQUIRED_PROPERTY", vec!["lastname".to_owned()]));
    let refusal = setup.refused(&[update(id, &[("hs_lead_status", "UNQUALIFIED"), ("message", "")])]).await;
    assert_eq!(refusal.code, "MISSING_CONDITIONAL_REQUIRED_PROPERTY");
    assert_eq!(refusal.properties, ["message"]);
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn deleted_records_are_absent_or_refused_and_merged_ones_are_written_to_the_survivor() {
    for version in VERSIONS {
        let config = PortalConfig { merged_per_mille: 200, archived_per_mille: 200, ..PortalConfig::empty() };
        let setup = Setup::of_contacts(version, 20, config).await;
        let (live, merged) = (setup.ids(RecordState::Live)[0], setup.ids(RecordState::Merged)[0]);
        let archived = setup.ids(RecordState::Archived)[0];
        let updates = [live, merged, archived, 5].map(|id| update(id, &[("city", "Ulm")]));
        let (records, refused) = setup.written(&updates).await;

        assert_eq!(records.len(), 2);
        assert!(records.iter().any(|record| record.id.0 == live));
        assert!(records.iter().all(|record| record.id.0 != merged && setup.held(record.id.0)["city"] == "Ulm"));
        let refused: Vec<(u64, &str)> = refused.iter().map(|(id, refusal)| (id.0, refusal.code.as_str())).collect();
        match version {
            ApiVersion::V3 => assert_eq!(refused, [archived, 5].map(|id| (id, "OBJECT_NOT_FOUND"))),
            ApiVersion::V2026_09 => assert!(refused.is_empty()),
        }
        setup.sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn a_lifecycle_stage_that_does_not_go_back_shows_in_the_answer() {
    let setup = Setup::of_contacts(ApiVersion::V2026_09, 5, PortalConfig::empty()).await;
    let id = setup.ids(RecordState::Live)[0];
    for (sent, becomes) in [("", ""), ("customer", "customer"), ("lead", "customer"), ("", ""), ("lead", "lead")] {
        let (records, _) = setup.written(&[update(id, &[("lifecyclestage", sent), ("city", "Bonn")])]).await;
        assert_eq!(setup.held(id).get("lifecyclestage").map_or("", String::as_str), becomes);
        assert_eq!(shown(&records[0], "lifecyclestage"), Some(becomes), "after {sent:?}");
    }
    setup.sandbox.shutdown().await;
}

#[tokio::test]
async fn a_missing_write_scope_is_named_without_quoting_a_value() {
    let variants = Variants { scope_names: ScopeNames::Documented, ..Variants::default() };
    let config = PortalConfig { variants, ..PortalConfig::empty() };
    let setup = Setup::of_contacts(ApiVersion::V2026_09, 5, config).await;
    let id = setup.ids(RecordState::Live)[0];
    let (plain, sensitive) = ("crm.objects.contacts.write", "crm.objects.contacts.sensitive.write");
    for (granted, missing) in [(sensitive, plain), (plain, sensitive)] {
        setup.portal.set_scopes(Some(vec![granted.to_owned()]));
        let updates = [update(id, &[("salary", "4711")])];
        let error = setup.crm.update_batch(&contacts(), &updates).await.expect_err("a scope is missing");
        assert_eq!(error.kind, CrmErrorKind::MissingScopes(vec![missing.to_owned()]));
        assert!(!error.sentence.contains("4711"));
    }
    setup.sandbox.shutdown().await;
}
