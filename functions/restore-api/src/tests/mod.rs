//! Requests about restores and imports: from API Gateway's event to the answer, over ports in memory. Every answer is
//! checked against the API's description.

mod asking;
mod confirming;
mod crowds;
mod deciding;
mod fuzzing;
mod imports;
mod reading;
mod repeating;
mod rights;
mod samples;

use std::sync::Arc;
use std::time::Duration;

use domain::ports::ledger::{self, Change, Ledger, Record};
use domain::ports::storage::BlobWriter;
use domain::restore::Restore;
use http_api::response::Response;
use http_api::testing::account::{ADMIN, account, now, step_up};
use http_api::testing::{AUDIENCE, ApiCall, described, document, kind};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue, MemoryStorage};
use serde_json::{Value, json};
use workflows::restore::ask::AskRestore;
use workflows::restore::decide::DecideRestore;

use crate::handler::Handler;

const RESTORES: &str = "/accounts/42/restores";
const IMPORTS: &str = "/accounts/42/imports";

struct World {
    ledger: Arc<MemoryLedger>,
    objects: Arc<MemoryStorage>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
    handler: Handler,
}

impl World {
    fn empty() -> Self {
        let clock = Arc::new(ManualClock::at(now()));
        let (ledger, objects) = (Arc::new(MemoryLedger::new()), Arc::new(MemoryStorage::new()));
        let queue = Arc::new(MemoryQueue::new(clock.clone()));
        let handler = handler(ledger.clone(), &objects, &queue, &clock);
        Self { ledger, objects, queue, clock, handler }
    }

    /// With account 42, connected to portal 7.
    async fn connected() -> Self {
        let world = Self::empty();
        world.put(&account(true)).await;
        world
    }

    async fn put(&self, record: &impl Record) {
        self.ledger.commit(&[Change::create(record)]).await.expect("new");
    }

    /// Replaces a restore that is in the ledger.
    async fn replace(&self, restore: &Restore) {
        let loaded = ledger::load::<Restore>(&*self.ledger, &restore.key()).await.expect("readable").expect("present");
        self.ledger.commit(&[Change::replace(&loaded, restore)]).await.expect("nobody else changes it");
    }

    async fn write(&self, key: &str, document: &Value) {
        let bytes = document.to_string().into_bytes().into();
        self.objects.write_new(key, bytes, "application/json").await.expect("new");
    }

    /// The answer to a request, checked against the description.
    async fn answer(&self, method: &str, path: &str, with: impl FnOnce(ApiCall) -> ApiCall) -> Response {
        let call = with(ApiCall::new(method, path));
        let response = call.answered_by(|request| self.handler.handle(request)).await;
        described::check(method, path, &response);
        response
    }

    async fn get(&self, path: &str) -> Response {
        self.answer("GET", path, |call| call.by(ADMIN)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.answer("POST", path, |call| call.by(ADMIN).body(&body.to_string())).await
    }

    /// The document of a refused POST; checks that it changed nothing.
    async fn refused(&self, path: &str, body: &Value) -> Value {
        self.refusal(path, |call| call.by(ADMIN).body(&body.to_string())).await
    }

    /// The document of a refused POST; checks that it changed nothing.
    async fn refusal(&self, path: &str, with: impl FnOnce(ApiCall) -> ApiCall) -> Value {
        let before = (self.ledger.all(), self.queue.queued());
        let response = self.answer("POST", path, with).await;
        assert_eq!((self.ledger.all(), self.queue.queued()), before, "{}", response.body());
        problem(&response)
    }

    async fn stored(&self, restore: &Restore) -> Restore {
        let loaded = ledger::load::<Restore>(&*self.ledger, &Restore::key_of(&restore.reference())).await;
        loaded.expect("readable").expect("present").record
    }
}

fn handler(
    ledger: Arc<dyn Ledger>,
    objects: &Arc<MemoryStorage>,
    queue: &Arc<MemoryQueue>,
    clock: &Arc<ManualClock>,
) -> Handler {
    let decide = DecideRestore { ledger: ledger.clone(), queue: queue.clone(), clock: clock.clone() };
    let step_up = step_up(ledger.clone(), clock.clone());
    Handler {
        ask: AskRestore {
            ledger,
            reader: objects.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            crm: Arc::new(hubspot::Model),
        },
        decide,
        links: objects.clone(),
        audience: AUDIENCE.to_owned(),
        link_valid_for: Duration::from_mins(5),
        step_up,
    }
}

fn path(restore: &Restore) -> String {
    format!("{RESTORES}/{}", restore.restore_id)
}

fn problem(response: &Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{}", response.body());
    let problem = document(response);
    assert_eq!(problem["status"], response.status().as_u16());
    problem
}

/// Checks the status and the word of a problem.
fn is(problem: &Value, status: u16, word: &str) {
    assert_eq!((&problem["status"], &problem["type"]), (&json!(status), &kind(word)), "{problem}");
}
