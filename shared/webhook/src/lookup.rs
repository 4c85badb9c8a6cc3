//! The addresses of hosts, and which of them may be connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use domain::ports::webhook::WebhookRefused;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::is_public;

/// Knows the addresses of host names.
#[async_trait]
pub(crate) trait Lookup: Send + Sync {
    /// All addresses of `host` as of now.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system, and so its hosts file and name servers.
pub(crate) struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Where connections may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    PublicOnly,
    Anywhere,
}

/// Looks hosts up, and gives out no address that is out of reach.
#[derive(Clone)]
pub(crate) struct Resolver {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) reach: Reach,
}

impl Resolver {
    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// [`WebhookRefused::Private`].
    pub(crate) fn admit(&self, address: IpAddr) -> Result<(), WebhookRefused> {
        let within_reach = self.reach == Reach::Anywhere || is_public(address);
        within_reach.then_some(()).ok_or(WebhookRefused::Private)
    }

    /// The addresses of `host`. A host with both public and private addresses is none that a customer has on the
    /// internet, so one address out of reach refuses all.
    ///
    /// # Errors
    /// [`WebhookRefused::Unresolved`] when it has none or cannot be looked up, [`WebhookRefused::Private`].
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, WebhookRefused> {
        let addresses = self.lookup.addresses(host).await.unwrap_or_default();
        if addresses.is_empty() {
            return Err(WebhookRefused::Unresolved);
        }
        addresses.iter().try_for_each(|&address| self.admit(address))?;
        Ok(addresses)
    }
}

/// The HTTP client connects to what this gives out, and looks nothing up besides.
impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // The client puts the URL's port in place of 0.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
