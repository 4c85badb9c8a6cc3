//! Webhook requests: their targets, their time limits and their results.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::webhook::{WebhookError, WebhookMessage, WebhookRefused, Webhooks};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, redirect};

use crate::lookup::{Lookup, Reach, Resolver, SystemLookup};
use crate::signature::{self, sign};
use crate::target::{PrivateTargets, Target};

/// Time limits of a request.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// For the lookup of the host and the connection.
    pub(crate) connect: Duration,
    /// For everything until the status has arrived.
    pub(crate) whole: Duration,
}

impl Limits {
    const USUAL: Self = Self { connect: Duration::from_secs(5), whole: Duration::from_secs(10) };
}

/// Sends webhooks by HTTP. One per process.
///
/// The client gets its addresses only from a resolver that checks them. So a host that changes its addresses between
/// check and connection gains nothing. The client does not ask the resolver about hosts that are addresses, so these
/// are checked before every request.
///
/// A resolver gets the host without the port, but exemptions are for a host and a port. So there are two clients, and
/// the whole URL decides between them. Neither can reach another URL: there are no redirects, no proxies, and no
/// connection is kept for another request.
pub struct HttpWebhooks {
    private_targets: PrivateTargets,
    public: Connection,
    /// For exempt targets only.
    anywhere: Connection,
    limits: Limits,
}

/// Why webhooks cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WebhookSetupError {
    /// One of the private targets, counted from 1.
    #[error("private target {0} is not a host and a port, such as receiver.internal:8443 or [::1]:8080")]
    PrivateTarget(usize),
    /// For example because the system has no certificate authorities.
    #[error("the HTTP client for webhooks cannot be set up; does the system have certificate authorities?")]
    Client(#[from] reqwest::Error),
}

/// A client and its resolver.
struct Connection {
    resolver: Resolver,
    client: Client,
}

impl HttpWebhooks {
    /// Webhooks that verify certificates by the system's certificate authorities. `private_targets` are hosts with
    /// ports, such as `receiver.internal:8443` or `[::1]:8080`, that need neither a public address nor TLS. Other ports
    /// and subdomains are not exempt.
    ///
    /// # Errors
    /// [`WebhookSetupError`].
    pub fn new(private_targets: Vec<String>) -> Result<Self, WebhookSetupError> {
        Self::with(private_targets, &(Arc::new(SystemLookup) as Arc<dyn Lookup>), Limits::USUAL)
    }

    /// As [`HttpWebhooks::new`], with another source of addresses and other time limits.
    pub(crate) fn with(
        private_targets: Vec<String>,
        lookup: &Arc<dyn Lookup>,
        limits: Limits,
    ) -> Result<Self, WebhookSetupError> {
        // Another crate of the process may have installed the same provider already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            private_targets: PrivateTargets::parse(private_targets).map_err(WebhookSetupError::PrivateTarget)?,
            public: Connection::new(lookup.clone(), Reach::PublicOnly, limits)?,
            anywhere: Connection::new(lookup.clone(), Reach::Anywhere, limits)?,
            limits,
        })
    }

    /// The target of `url` and the connection for it. A host that is an address has been checked, a name has not.
    fn route(&self, url: &str) -> Result<(Target, &Connection), WebhookRefused> {
        let target = Target::parse(url, &self.private_targets)?;
        let route = if target.exempt { &self.anywhere } else { &self.public };
        target.address().map_or(Ok(()), |address| route.resolver.admit(address))?;
        Ok((target, route))
    }
}

impl Connection {
    fn new(lookup: Arc<dyn Lookup>, reach: Reach, limits: Limits) -> Result<Self, reqwest::Error> {
        let resolver = Resolver { lookup, reach };
        let client = Client::builder()
            .user_agent(concat!("crm-backup/", env!("CARGO_PKG_VERSION")))
            .https_only(reach == Reach::PublicOnly)
            .dns_resolver(resolver.clone())
            .redirect(redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .connect_timeout(limits.connect)
            .timeout(limits.whole)
            .build()?;
        Ok(Self { resolver, client })
    }
}

#[async_trait]
impl Webhooks for HttpWebhooks {
    async fn check(&self, url: &str) -> Result<(), WebhookRefused> {
        let (target, route) = self.route(url)?;
        if target.address().is_some() {
            return Ok(());
        }
        let lookup = route.resolver.addresses(target.host());
        let addresses = tokio::time::timeout(self.limits.connect, lookup).await;
        addresses.unwrap_or(Err(WebhookRefused::Unresolved)).map(drop)
    }

    async fn send(&self, url: &str, message: WebhookMessage<'_>) -> Result<(), WebhookError> {
        let (target, route) = self.route(url)?;
        let timestamp = message.at.as_second();
        let signature = sign(message.secret, message.id, timestamp, message.body)?;
        let request = route
            .client
            .post(target.url)
            .header(CONTENT_TYPE, "application/json")
            .header(signature::ID, message.id)
            .header(signature::TIMESTAMP, timestamp)
            .header(signature::SIGNATURE, signature)
            .body(message.body.to_owned());
        // Dropping the response closes the connection, even if the receiver sends more.
        let status = request.send().await.map_err(|error| no_answer(&error))?.status();
        if status.is_success() { Ok(()) } else { Err(WebhookError::Status(status.as_u16())) }
    }
}

/// Why there was no answer. The client's own texts repeat the URL.
fn no_answer(error: &reqwest::Error) -> WebhookError {
    let mut causes = successors(Some(error as &(dyn Error + 'static)), |&error| cause(error));
    if let Some(refused) = causes.clone().find_map(<dyn Error>::downcast_ref::<WebhookRefused>) {
        return WebhookError::Refused(*refused);
    }
    WebhookError::NoAnswer(if causes.any(<dyn Error>::is::<rustls::Error>) {
        "no TLS connection could be made; is its certificate valid?"
    } else if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "no connection could be made"
    } else if error.is_builder() {
        "the request could not be made"
    } else {
        "the connection broke off, or the answer was not HTTP"
    })
}

/// The cause of `error`. I/O errors skip the error that they wrap.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}
