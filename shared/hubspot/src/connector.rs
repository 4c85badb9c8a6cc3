//! Connections to HubSpot accounts.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use domain::ports::call_gate::CallGate;
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmError, CrmTarget};
use jiff::Timestamp;
use reqwest::{Client, redirect};
use secrecy::SecretString;

use crate::body_room::BodyRoom;
use crate::client::HubSpot;
use crate::endpoints::Endpoints;
use crate::habits::Habits;
use crate::retry::RetryPolicy;
use crate::server::Server;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are closed early: a frozen function does not notice that the server has closed them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to accounts. A process needs one: all accounts share its pool of connections and its room for
/// answers, and it remembers for a while what it learned about the lists of each account.
pub struct Connector {
    client: Client,
    clock: Arc<dyn Clock>,
    habits: Arc<Habits>,
    room: Arc<BodyRoom>,
    retry_policy: RetryPolicy,
    compression: bool,
}

/// The HTTP client cannot be set up, for example because the system has no certificate authorities.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for the CRM cannot be set up; check that the system has certificates of root authorities")]
pub struct ConnectorError(#[from] reqwest::Error);

impl Connector {
    /// A connector that trusts the system's certificate authorities and follows no redirects. It measures by `clock`
    /// how much time is left until the deadline of a run.
    ///
    /// # Errors
    /// [`ConnectorError`] if the system has no certificate authorities.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, ConnectorError> {
        // Another crate of the process may have installed the same provider already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("crm-backup/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            clock,
            habits: Arc::default(),
            room: Arc::default(),
            retry_policy: RetryPolicy::default(),
            compression: true,
        })
    }

    /// The same, but it asks for uncompressed answers. Benchmarks measure with it what compression costs.
    #[must_use]
    pub fn without_compression(self) -> Self {
        Self { compression: false, ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }
}

impl CrmConnector for Connector {
    fn connect(
        &self,
        target: &CrmTarget,
        token: SecretString,
        gate: Arc<dyn CallGate>,
        deadline: Timestamp,
    ) -> Result<Arc<dyn Crm>, CrmError> {
        let server = Server::new(&target.base_url, token)?;
        Ok(Arc::new(HubSpot {
            client: self.client.clone(),
            account: self.habits.account(&target.base_url, &server.token),
            habits: self.habits.clone(),
            room: self.room.clone(),
            retry_policy: self.retry_policy.clone(),
            compression: self.compression,
            endpoints: Endpoints(target.api_version),
            server,
            gate,
            clock: self.clock.clone(),
            deadline,
            counted_answers: AtomicU32::new(0),
        }))
    }
}
