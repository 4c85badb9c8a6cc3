//! Connections to HubSpot accounts.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use domain::ports::call_gate::CallGate;
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmError, CrmErrorKind, CrmTarget};
use jiff::Timestamp;
use reqwest::{Client, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use crate::call::Call;
use crate::endpoints::Endpoints;
use crate::habits::{AccountKey, Habits};
use crate::refusal;
use crate::retry::RetryPolicy;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A frozen function does not notice that its idle connections are gone, so none is kept for long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes connections to accounts. One per process: connections of all accounts share its pool, and what it learns about
/// the lists of an account stays for a while.
pub struct Connector {
    client: Client,
    clock: Arc<dyn Clock>,
    habits: Arc<Habits>,
    patience: RetryPolicy,
    compression: bool,
}

/// The HTTP client cannot be set up, as when the system has no certificate authorities.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for the CRM cannot be set up; does the system have certificate authorities?")]
pub struct ConnectorError(#[from] reqwest::Error);

impl Connector {
    /// A connector whose connections verify certificates by the system's certificate authorities and follow no
    /// redirects. `clock` tells how much time is left until a connection's deadline.
    ///
    /// # Errors
    /// [`ConnectorError`] when the system has no certificate authorities.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, ConnectorError> {
        // Another crate of the process may have installed the same provider already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("crm-backup/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()?;
        Ok(Self { client, clock, habits: Arc::default(), patience: RetryPolicy::default(), compression: true })
    }

    /// The same, asking for answers that are not packed: to measure what packing costs.
    #[must_use]
    pub fn without_compression(self) -> Self {
        Self { compression: false, ..self }
    }

    /// The same, with other time-outs and waits.
    #[cfg(test)]
    pub(crate) fn with_patience(self, patience: RetryPolicy) -> Self {
        Self { patience, ..self }
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
            patience: self.patience.clone(),
            compression: self.compression,
            endpoints: Endpoints(target.api_version),
            server,
            gate,
            clock: self.clock.clone(),
            deadline,
            answers: AtomicU32::new(0),
        }))
    }
}

/// One HubSpot account during one run; see [`domain::ports::crm::Crm`].
pub(crate) struct HubSpot {
    pub(crate) client: Client,
    pub(crate) habits: Arc<Habits>,
    pub(crate) account: AccountKey,
    pub(crate) patience: RetryPolicy,
    /// Whether answers may come packed.
    pub(crate) compression: bool,
    pub(crate) endpoints: Endpoints,
    pub(crate) server: Server,
    pub(crate) gate: Arc<dyn CallGate>,
    pub(crate) clock: Arc<dyn Clock>,
    /// No answer and no retry is waited for beyond this.
    pub(crate) deadline: Timestamp,
    /// Answers that told how many calls are left today.
    pub(crate) answers: AtomicU32,
}

/// Where to send calls, and in whose name.
pub(crate) struct Server {
    base: Url,
    pub(crate) token: SecretString,
}

impl Server {
    /// `base_url` must be scheme, host and port, and the token must be fit for a header.
    fn new(base_url: &str, token: SecretString) -> Result<Self, CrmError> {
        let base = Url::parse(base_url).ok().filter(is_base).ok_or_else(|| {
            let sentence = "The CRM's base URL is not just a scheme, a host and a port. Connect the account again.";
            refusal::error(CrmErrorKind::Refused, sentence.to_owned())
        })?;
        let text = token.expose_secret();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let sentence =
                "The stored HubSpot token is empty or has characters that no token has. Connect the account again.";
            return Err(refusal::error(CrmErrorKind::TokenRefused, sentence.to_owned()));
        }
        Ok(Self { base, token })
    }

    pub(crate) fn url(&self, call: &Call) -> Url {
        let mut url = self.base.clone();
        url.set_path(&call.path);
        url.set_query(call.query.text());
        url
    }
}

fn is_base(url: &Url) -> bool {
    let place = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && place && anonymous
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_have_no_path_and_no_credentials() {
        let server = |base: &str| Server::new(base, SecretString::from("token")).map(drop);
        for good in ["https://api.hubapi.com", "http://127.0.0.1:4000/"] {
            assert!(server(good).is_ok(), "{good}");
        }
        for bad in ["", "api.hubapi.com", "https://x/y", "https://u:p@x", "https://x?y", "ftp://x", "file:///x"] {
            assert_eq!(server(bad).expect_err(bad).kind, CrmErrorKind::Refused);
        }
    }

    #[test]
    fn tokens_that_cannot_stand_in_a_header_are_refused_without_being_told() {
        for bad in ["", "pat-eu1 x", "pat\r\nX-Evil: 1", "tök"] {
            let error = Server::new("https://x", SecretString::from(bad)).map(drop).expect_err(bad);
            assert_eq!(error.kind, CrmErrorKind::TokenRefused);
            assert!(bad.is_empty() || !error.sentence.contains(bad));
        }
    }
}
