//! Tests of the client against a scripted server.

mod batches;
mod by_id;
mod compression;
mod definitions;
mod failures;
mod full_definitions;
mod fuzzing;
mod hidden;
mod landed;
mod listing;
mod logging;
mod parsing;
mod refused;
mod searched;
mod server;
mod single_calls;
mod tolerance;
mod unreadable;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::account::ApiVersion;
use domain::budget::CallKind;
use domain::ids::ObjectType;
use domain::lease::WaitReason;
use domain::ports::call_gate::{CallGate, GateClosed, RefusedPolicy};
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmError, CrmTarget, Cursor, PageEnd, PageRequest, PageSource};
use domain::rows::RowBuffer;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use self::server::Server;
use crate::connector::Connector;
use crate::retry::RetryPolicy;

const TOKEN: &str = "pat-test-0000";

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A gate that is open for a number of calls and records its own calls.
#[derive(Default)]
struct Gate {
    open_for: Option<usize>,
    log: Mutex<GateLog>,
}

#[derive(Default, Clone)]
struct GateLog {
    admitted: Vec<CallKind>,
    refused: Vec<(RefusedPolicy, SignedDuration)>,
    remaining: Vec<u32>,
}

#[async_trait]
impl CallGate for Gate {
    async fn admit(&self, kind: CallKind) -> Result<(), GateClosed> {
        let mut log = self.log.lock().expect("not poisoned");
        if self.open_for.is_some_and(|calls| log.admitted.len() >= calls) {
            return Err(GateClosed { until: Timestamp::UNIX_EPOCH, reason: WaitReason::DailyLimit });
        }
        log.admitted.push(kind);
        Ok(())
    }

    async fn refused(&self, policy: RefusedPolicy, pause: SignedDuration) {
        self.log.lock().expect("not poisoned").refused.push((policy, pause));
    }

    async fn daily_remaining(&self, remaining: u32) {
        self.log.lock().expect("not poisoned").remaining.push(remaining);
    }
}

/// A connection to the server of a test.
struct Client {
    crm: Arc<dyn Crm>,
    gate: Arc<Gate>,
}

impl Client {
    fn to(server: &Server) -> Self {
        Self::with(server, &connector(), ApiVersion::V2026_09, Gate::default(), SignedDuration::from_mins(1))
    }

    /// With the given version, gate and time until the deadline.
    fn with(
        server: &Server,
        connector: &Connector,
        api_version: ApiVersion,
        gate: Gate,
        time_left: SignedDuration,
    ) -> Self {
        Self::connected(server, connector, TOKEN, api_version, gate, time_left)
    }

    /// A client that has this token.
    fn named(server: &Server, connector: &Connector, token: &str) -> Self {
        let time_left = SignedDuration::from_mins(1);
        Self::connected(server, connector, token, ApiVersion::V2026_09, Gate::default(), time_left)
    }

    fn connected(
        server: &Server,
        connector: &Connector,
        token: &str,
        api_version: ApiVersion,
        gate: Gate,
        time_left: SignedDuration,
    ) -> Self {
        let gate = Arc::new(gate);
        let target = CrmTarget { base_url: server.url.clone(), api_version };
        let deadline = Timestamp::now() + time_left;
        let crm = connector.connect(&target, SecretString::from(token), gate.clone(), deadline);
        Self { crm: crm.expect("the server's address is a base URL"), gate }
    }

    fn gate(&self) -> GateLog {
        self.gate.log.lock().expect("not poisoned").clone()
    }

    async fn page(&self, object_type: &str, properties: &[&str], cursor: &Cursor) -> Result<Page, CrmError> {
        self.page_of(PageSource::List, object_type, properties, cursor).await
    }

    /// The largest page that the source can return.
    async fn page_of(
        &self,
        source: PageSource,
        object_type: &str,
        properties: &[&str],
        cursor: &Cursor,
    ) -> Result<Page, CrmError> {
        let mut rows = RowBuffer::new(properties.len());
        let object = object(object_type);
        let limit = self.crm.model().call_sizes(&object).page(source);
        let request = PageRequest { object: &object, properties, cursor, source, limit };
        let end = self.crm.page(&request, &mut rows).await?;
        let hidden = (0..rows.len()).flat_map(|row| rows.not_shown(row).map(move |column| (row, column))).collect();
        let values = |row| rows.values(row).map(|value| String::from_utf8(value.to_vec()).expect("text")).collect();
        let records = rows.ids().iter().enumerate().map(|(row, id)| (id.0, values(row))).collect();
        Ok(Page { records, hidden, end })
    }

    /// The first page of contacts with their names.
    async fn contacts(&self) -> Result<Page, CrmError> {
        self.page("contacts", &["name"], &Cursor::START).await
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Page {
    records: Vec<(u64, Vec<String>)>,
    /// Rows and columns of the values that were not shown.
    hidden: Vec<(usize, usize)>,
    end: PageEnd,
}

/// A connector with the shortest waits.
fn connector() -> Connector {
    waiting(Duration::from_millis(500))
}

/// A connector that waits at most `answer_timeout` for an answer, and has the shortest waits otherwise.
fn waiting(answer_timeout: Duration) -> Connector {
    let wait = Duration::from_millis(1);
    let policy = RetryPolicy { answer_timeout, first_backoff: wait, second_look: wait, landing: wait };
    Connector::new(Arc::new(SystemClock)).expect("the system has certificate authorities").with_retry_policy(policy)
}

fn object(name: &str) -> ObjectType {
    ObjectType::parse(name).expect("a valid object type")
}

/// A page with one contact.
const ONE_CONTACT: &str = r#"{"results":[{"id":"7","properties":{"hs_object_id":"7","name":"Ä. \"Q\""},
    "createdAt":"2026-01-01T00:00:00Z","archived":false}],"paging":{"next":{"after":"7","link":"http://x"}}}"#;
