//! Tests of the client against a sandbox CRM with the odd behaviour that was observed in accounts and servers.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::RecordId;
use domain::ports::crm::{CrmErrorKind, Cursor, PageRequest, PageSource};
use domain::ports::crm_batch::BatchRead;
use domain::rows::RowBuffer;
use sandbox_crm::{
    Endpoint, Fault, Faults, GoneIds, LimitOverrides, PortalConfig, PropertySet, RecordState, Refusal, ScriptedFault,
    ThreadSort, UnseenValues, Variants,
};

use super::reading::{by_id, opaque};
use super::{Setup, object, unlimited};

async fn contacts(records: u64, variants: Variants) -> Setup {
    let config = PortalConfig { variants, ..PortalConfig::empty().with_records("contacts", records) };
    Setup::with(unlimited(config)).await
}

fn script(faults: impl IntoIterator<Item = ScriptedFault>) -> Faults {
    Faults { script: faults.into_iter().collect(), ..Faults::default() }
}

/// A1, B4, B10: temporary failures take many forms, and every value is read in the end.
#[tokio::test]
async fn calls_with_unusable_answers_are_sent_again() {
    let setup = contacts(330, Variants::default()).await;
    for fault in [
        Fault::GatewayTimeout,
        Fault::NotFoundPage,
        Fault::HtmlPage,
        Fault::ErrorDocument,
        Fault::BlockPage,
        Fault::Forbidden,
        Fault::TokenExpired,
        Fault::PartialErrors,
        Fault::ByteOrderMark,
        Fault::NumericIds,
        Fault::NullProperties,
        Fault::Oversized,
    ] {
        let hit = ScriptedFault { endpoint: Some(Endpoint::List), skip: 1, ..ScriptedFault::once(fault) };
        setup.portal.set_faults(script([hit]));
        setup.assert_export(&object("contacts"), by_id).await;
    }
    setup.sandbox.shutdown().await;
}

/// A1: answers to batch reads can contain only some of the records.
#[tokio::test]
async fn incomplete_batches_are_read_completely() {
    let config = PortalConfig {
        property_set: PropertySet::Wide(700),
        limits: LimitOverrides { url_characters: Some(1_000), ..LimitOverrides::default() },
        ..PortalConfig::empty().with_records("contacts", 250)
    };
    let setup = Setup::with(unlimited(config)).await;
    let part = [Fault::PartialErrors, Fault::LeftOut, Fault::Pending, Fault::Processing, Fault::Canceled];
    for (fault, status) in part.into_iter().flat_map(|fault| [(fault, 200), (fault, 207)]) {
        let hit = ScriptedFault {
            endpoint: Some(Endpoint::BatchRead),
            status: Some(status),
            // A record that two answers do not mention counts as deleted.
            times: Some(if fault == Fault::LeftOut { 1 } else { 2 }),
            ..ScriptedFault::once(fault)
        };
        setup.portal.set_faults(script([hit]));
        setup.assert_export(&object("contacts"), by_id).await;
    }
    setup.sandbox.shutdown().await;
}

/// B1: a batch read can report deleted records in several ways.
#[tokio::test]
async fn deleted_records_are_left_out_and_the_others_are_read() {
    for gone_ids in [GoneIds::Usual, GoneIds::Named, GoneIds::Refused, GoneIds::RefusedUnnamed] {
        let variants = Variants { gone_ids, ..Variants::default() };
        let config = PortalConfig { variants, archived_per_mille: 100, ..PortalConfig::empty() };
        let setup = Setup::with(unlimited(config.with_records("contacts", 80))).await;
        let truth = setup.truth(&object("contacts"));
        let ids: Vec<RecordId> = truth.iter().map(|record| RecordId(record.id)).collect();
        let live: BTreeSet<u64> =
            truth.iter().filter(|record| record.state == RecordState::Live).map(|record| record.id).collect();
        let (contacts, mut rows) = (object("contacts"), RowBuffer::new(1));
        let request = BatchRead { object: &contacts, properties: &["email"], ids: &ids };
        let unreadable = setup.crm.read_batch(&request, &mut rows).await.expect("read");
        assert!(unreadable.is_empty());
        assert_eq!(rows.ids().iter().map(|id| id.0).collect::<BTreeSet<_>>(), live, "{gone_ids:?}");
        let existing = setup.crm.existing(&contacts, &ids).await.expect("an answer");
        assert_eq!(existing.iter().map(|(id, _)| id.0).collect::<BTreeSet<_>>(), live, "{gone_ids:?}");
        setup.sandbox.shutdown().await;
    }
}

/// A2: values that a token may not read have three forms.
#[tokio::test]
async fn hidden_values_are_reported() {
    for unseen_values in [UnseenValues::Absent, UnseenValues::Null, UnseenValues::Refused] {
        let setup = contacts(200, Variants { unseen_values, ..Variants::default() }).await;
        let held = ["crm.objects.contacts.read", "crm.schemas.contacts.read"];
        setup.portal.set_scopes(Some(held.map(str::to_owned).into()));
        let error = setup.crm.properties(&object("contacts")).await.expect_err("hidden");
        let scopes = ["crm.objects.contacts.sensitive.read", "crm.objects.contacts.highly_sensitive.read"];
        assert_eq!(error.kind, CrmErrorKind::HiddenValues(scopes.map(str::to_owned).into()), "{unseen_values:?}");
        setup.sandbox.shutdown().await;
    }
}

/// A3: a property that lists do not show is read by id. A property that no call shows stays not shown.
#[tokio::test]
async fn properties_that_lists_do_not_show_are_read_by_id_or_stay_not_shown() {
    let names = |name: &str| BTreeMap::from([("contacts".to_owned(), BTreeSet::from([name.to_owned()]))]);
    let setup = contacts(230, Variants { unlisted: names("email"), ..Variants::default() }).await;
    setup.assert_export(&object("contacts"), by_id).await;
    setup.portal.set_variants(Variants { unreadable: names("email"), ..Variants::default() });
    let (contacts, mut rows) = (object("contacts"), RowBuffer::new(2));
    let request = PageRequest {
        object: &contacts,
        properties: &["email", "lastname"],
        cursor: &Cursor::START,
        source: PageSource::List,
        limit: 100,
    };
    setup.crm.page(&request, &mut rows).await.expect("a page");
    assert!((0..rows.len()).all(|row| !rows.is_shown(row, 0) && rows.is_shown(row, 1)));
    setup.sandbox.shutdown().await;
}

/// B5: one record makes every call fail. The others are read.
#[tokio::test]
async fn a_record_that_cannot_be_read_is_named() {
    let setup = contacts(250, Variants::default()).await;
    let truth = setup.truth(&object("contacts"));
    let poison = truth[130].id;
    let hit = ScriptedFault { poison: vec![poison], times: None, ..ScriptedFault::once(Fault::GatewayTimeout) };
    setup.portal.set_faults(script([hit]));
    let (contacts, mut rows, mut at) = (object("contacts"), RowBuffer::new(1), Cursor::START);
    let (mut read, mut unreadable) = (0, Vec::new());
    loop {
        let request = PageRequest {
            object: &contacts,
            properties: &["email"],
            cursor: &at,
            source: PageSource::List,
            limit: 100,
        };
        let end = setup.crm.page(&request, &mut rows).await.expect("a page");
        read += rows.len();
        unreadable.extend(end.unreadable);
        match end.next {
            Some(next) => at = by_id(&next),
            None => break,
        }
    }
    assert_eq!((read, unreadable), (truth.len() - 1, vec![RecordId(poison)]));
    setup.sandbox.shutdown().await;
}

/// B5: large pages fail.
#[tokio::test]
async fn pages_that_are_too_large_are_read_in_parts() {
    let setup = contacts(250, Variants::default()).await;
    for above in [50, 20] {
        let hit = ScriptedFault { above: Some(above), times: None, ..ScriptedFault::once(Fault::GatewayTimeout) };
        setup.portal.set_faults(script([
            ScriptedFault { endpoint: Some(Endpoint::List), ..hit.clone() },
            ScriptedFault { endpoint: Some(Endpoint::BatchRead), ..hit },
        ]));
        setup.assert_export(&object("contacts"), by_id).await;
    }
    setup.sandbox.shutdown().await;
}

/// C2: searched pages have the same values as listed pages.
#[tokio::test]
async fn searched_pages_contain_every_value() {
    let setup = contacts(450, Variants::default()).await;
    let columns = setup.columns(&object("contacts")).await;
    let listed = setup.export(&object("contacts"), &columns, by_id).await;
    let (contacts, properties) = (object("contacts"), columns.names().collect::<Vec<_>>());
    let (mut rows, mut at, mut searched) = (RowBuffer::new(properties.len()), Cursor::START, Vec::new());
    loop {
        let request = PageRequest {
            object: &contacts,
            properties: &properties,
            cursor: &at,
            source: PageSource::Search,
            limit: 200,
        };
        let end = setup.crm.page(&request, &mut rows).await.expect("a page");
        searched.extend((0..rows.len()).map(|row| {
            let values = rows.values(row).map(|value| String::from_utf8(value.to_vec()).expect("text"));
            let named = properties.iter().map(|name| (*name).to_owned()).zip(values);
            (rows.ids()[row].0, named.filter(|(_, value)| !value.is_empty()).collect::<BTreeMap<_, _>>())
        }));
        match end.next {
            Some(next) => at = by_id(&next),
            None => break,
        }
    }
    assert_eq!(searched, listed);
    setup.sandbox.shutdown().await;
}

/// A8: a server may reject a sort order of conversations, and pages of more than a hundred.
#[tokio::test]
async fn conversations_are_read_whatever_order_and_page_size_are_accepted() {
    let sorts = [ThreadSort::Honoured, ThreadSort::Refused];
    for (thread_sort, most_threads) in sorts.into_iter().flat_map(|sort| [(sort, 500), (sort, 100)]) {
        let variants = Variants { thread_sort, most_threads, ..Variants::default() };
        let config = PortalConfig { variants, ..PortalConfig::empty().with_records("conversations", 730) };
        let setup = Setup::with(unlimited(config)).await;
        setup.assert_export(&object("conversations"), opaque).await;
        setup.sandbox.shutdown().await;
    }
}

/// B2, B3, B4: errors name the object, and the kind of error follows from the form of the refusal.
#[tokio::test]
async fn refusals_of_every_form_have_the_right_kind() {
    for refusal in
        [Refusal::Scopes, Refusal::UnnamedScopes, Refusal::Uncategorised, Refusal::Forbidden, Refusal::Permission]
    {
        let variants = Variants { refused: [("deals".to_owned(), refusal)].into(), ..Variants::default() };
        let config = PortalConfig { variants, ..PortalConfig::empty().with_records("deals", 3) };
        let setup = Setup::with(unlimited(config)).await;
        let error = setup.crm.properties(&object("deals")).await.expect_err("refused");
        match &error.kind {
            CrmErrorKind::MissingScopes(scopes) if refusal == Refusal::Scopes => {
                assert!(scopes.iter().any(|scope| scope == "crm.schemas.deals.read"), "{scopes:?}");
            }
            kind => assert_eq!(*kind, CrmErrorKind::Forbidden, "{refusal:?}: {error}"),
        }
        assert!(error.sentence.contains("deals"), "{error}");
        setup.sandbox.shutdown().await;
    }
}
