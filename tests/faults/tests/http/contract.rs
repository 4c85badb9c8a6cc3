//! What every CRM does that workflows are tested with: the small one of this crate, and the sandbox behind the real
//! client. Both pass the same suite, so a test with one holds for the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::account::ApiVersion;
use domain::budget::CallKind;
use domain::ids::{ObjectType, RecordId};
use domain::ports::call_gate::{CallGate, GateClosed, RefusedPolicy};
use domain::ports::crm::{Crm, CrmConnector, CrmErrorKind, CrmTarget, Cursor, PageRequest, PageSource};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, RecordUpdate};
use domain::rows::RowBuffer;
use faults::crm::Cursors;
use faults::{Pace, SimulatedCrm, samples};
use hubspot::Connector;
use jiff::{SignedDuration, Timestamp};
use sandbox_crm::{PortalConfig, PropertySet, Sandbox, SandboxConfig, Variants};
use secrecy::SecretString;

const RECORDS: u64 = 250;
/// A text that both have and take any value for.
const PROPERTY: &str = "email";

/// Admits everything at once.
struct OpenGate;

#[async_trait]
impl CallGate for OpenGate {
    async fn admit(&self, _: CallKind) -> Result<(), GateClosed> {
        Ok(())
    }
    async fn refused(&self, _: RefusedPolicy, _: SignedDuration) {}
    async fn daily_remaining(&self, _: u32) {}
}

/// The forms of cursors that both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    LastId,
    NextId,
    Opaque,
}

/// A CRM with [`RECORDS`] contacts, and which ones.
struct Subject {
    crm: Arc<dyn Crm>,
    ids: Vec<RecordId>,
    // Stops when it is dropped.
    _sandbox: Option<Sandbox>,
}

fn contacts() -> ObjectType {
    ObjectType::parse("contacts").expect("an object type")
}

fn connect(connector: &dyn CrmConnector, base_url: String, token: &str) -> Arc<dyn Crm> {
    let target = CrmTarget { base_url, api_version: ApiVersion::V2026_09 };
    connector.connect(&target, SecretString::from(token), Arc::new(OpenGate), Timestamp::MAX).expect("a usable target")
}

fn small(form: Form, refused: bool) -> Subject {
    let cursors = match form {
        Form::LastId => Cursors::Ids,
        Form::NextId => Cursors::NextIds,
        Form::Opaque => Cursors::Opaque,
    };
    let mut object = samples::many_contacts(RECORDS, cursors);
    let ids = object.ids();
    if refused {
        object.refused = Some(CrmErrorKind::Forbidden);
    }
    let crm = SimulatedCrm::new(Arc::new(samples::clock(Pace::Simulated)), vec![object]);
    Subject { crm: connect(&crm, "https://crm.test".to_owned(), "token"), ids, _sandbox: None }
}

async fn sandbox(form: Form, refused: bool) -> Subject {
    let cursors = match form {
        Form::LastId => sandbox_crm::Cursors::Ids,
        Form::NextId => sandbox_crm::Cursors::NextId,
        Form::Opaque => sandbox_crm::Cursors::Opaque,
    };
    let refusals: BTreeMap<_, _> =
        refused.then(|| ("contacts".to_owned(), sandbox_crm::Refusal::Forbidden)).into_iter().collect();
    let config = PortalConfig {
        plan: sandbox_crm::Plan::Unlimited,
        property_set: PropertySet::Tiny,
        faults: sandbox_crm::Faults { cursors, ..sandbox_crm::Faults::default() },
        variants: Variants { refused: refusals, ..Variants::default() },
        ..PortalConfig::empty().with_records("contacts", RECORDS)
    };
    let sandbox = Sandbox::start(SandboxConfig::default()).await.expect("a free port");
    let portal = sandbox.add_portal(&config).expect("a valid portal");
    let connector = Connector::new(Arc::new(samples::clock(Pace::Simulated))).expect("certificate authorities");
    let records = portal.truth("contacts", 0, usize::MAX).expect("an object of the portal");
    Subject {
        crm: connect(&connector, sandbox.base_url(), portal.token()),
        ids: records.into_iter().map(|record| RecordId(record.id)).collect(),
        _sandbox: Some(sandbox),
    }
}

impl Subject {
    async fn page(&self, cursor: &Cursor, source: PageSource) -> Result<(Vec<RecordId>, Option<String>), CrmErrorKind> {
        let (object, mut rows) = (contacts(), RowBuffer::new(1));
        let request = PageRequest { object: &object, properties: &[PROPERTY], cursor, source, limit: 100 };
        let end = self.crm.page(&request, &mut rows).await.map_err(|error| error.kind)?;
        assert!(rows.is_complete(), "every value is shown, or that there is none");
        Ok((rows.ids().to_vec(), end.next))
    }

    async fn batch(&self, ids: &[RecordId], properties: &[&str]) -> RowBuffer {
        let (object, mut rows) = (contacts(), RowBuffer::new(properties.len()));
        let unreadable = self.crm.read_batch(&BatchRead { object: &object, properties, ids }, &mut rows).await;
        assert_eq!(unreadable.expect("an answer"), []);
        rows
    }

    async fn holds(&self, form: Form) {
        self.lists_all_in_order().await;
        self.starts_in_the_middle(form).await;
        self.searches().await;
        self.counts().await;
        self.reads_and_writes_batches().await;
    }

    async fn lists_all_in_order(&self) {
        let (mut cursor, mut seen) = (Cursor::START, Vec::new());
        loop {
            let (ids, next) = self.page(&cursor, PageSource::List).await.expect("a page");
            assert!(ids.len() <= 100);
            seen.extend(ids);
            let Some(next) = next else { break };
            cursor = Cursor::Opaque(next);
        }
        assert_eq!(seen, self.ids);
    }

    /// A list whose cursors are ids can be started above any of them; one that starts at its cursor shows that record
    /// first.
    async fn starts_in_the_middle(&self, form: Form) {
        let answer = self.page(&Cursor::AfterId(self.ids[99]), PageSource::List).await;
        match form {
            Form::LastId => assert_eq!(answer.expect("a page").0, self.ids[100..200]),
            Form::NextId => assert_eq!(answer.expect("a page").0, self.ids[99..199]),
            Form::Opaque => assert_eq!(answer, Err(CrmErrorKind::Refused)),
        }
    }

    async fn searches(&self) {
        let found = self.page(&Cursor::AfterId(self.ids[99]), PageSource::Search).await.expect("a page");
        assert_eq!(found, (self.ids[100..200].to_vec(), Some(self.ids[199].to_string())));
        let last = self.page(&Cursor::AfterId(self.ids[199]), PageSource::Search).await.expect("a page");
        assert_eq!(last, (self.ids[200..].to_vec(), None));
    }

    async fn counts(&self) {
        let (crm, object) = (&self.crm, contacts());
        let census = crm.census(&object).await.expect("an answer").expect("a count");
        assert_eq!((census.records, census.highest_id), (RECORDS, self.ids.last().copied()));
        let inside = crm.count_in(&object, self.ids[9], Some(self.ids[19])).await.expect("an answer");
        assert_eq!(inside, Some(10));
        assert_eq!(crm.nth_after(&object, self.ids[9], 5).await.expect("an answer"), Some(self.ids[14]));
        assert_eq!(crm.nth_after(&object, self.ids[249], 1).await.expect("an answer"), None);
    }

    async fn reads_and_writes_batches(&self) {
        let (crm, object, absent) = (&self.crm, contacts(), RecordId(3));
        let asked = [self.ids[7], absent, self.ids[240]];
        let mut there = self.batch(&asked, &[PROPERTY]).await.ids().to_vec();
        there.sort_unstable();
        assert_eq!(there, [self.ids[7], self.ids[240]], "a record that does not exist is left out");
        let existing = crm.existing(&object, &asked).await.expect("an answer");
        assert_eq!(existing.len(), 2);
        let unknown = self.batch(&[self.ids[7]], &[PROPERTY, "no_such_property"]).await;
        assert!(unknown.is_shown(0, 0) && !unknown.is_shown(0, 1), "what there is none of is not shown");

        let update = |id, value: &str| RecordUpdate { id, values: vec![(PROPERTY.to_owned(), value.to_owned())] };
        let updates = [update(self.ids[7], "new@example.com"), update(self.ids[8], "")];
        let BatchUpdate::Written { records, refused } = crm.update_batch(&object, &updates).await.expect("written")
        else {
            panic!("it was refused")
        };
        assert_eq!((records.len(), refused.len()), (2, 0));
        let shown = |id| {
            let of_record = records.iter().find(|record| record.id == id).expect("a record");
            of_record.values.iter().find(|(name, _)| name == PROPERTY).map(|(_, value)| value.clone())
        };
        assert_eq!((shown(self.ids[7]), shown(self.ids[8])), (Some("new@example.com".to_owned()), Some(String::new())));
        let read = self.batch(&[self.ids[8]], &[PROPERTY]).await;
        assert!(read.is_shown(0, 0) && read.value(0, 0).is_empty(), "cleared is none, and shown so");
    }
}

const FORMS: [Form; 3] = [Form::LastId, Form::NextId, Form::Opaque];

#[tokio::test(start_paused = true)]
async fn the_simulated_crm_keeps_the_contract() {
    for form in FORMS {
        small(form, false).holds(form).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_sandbox_behind_the_real_client_keeps_the_contract() {
    for form in FORMS {
        sandbox(form, false).await.holds(form).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_refused_alike() {
    for subject in [small(Form::LastId, true), sandbox(Form::LastId, true).await] {
        let refused = subject.page(&Cursor::START, PageSource::List).await;
        assert_eq!(refused, Err(CrmErrorKind::Forbidden));
    }
}
