//! Looks up the addresses of hosts and checks them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use domain::ports::webhook::WebhookRefused;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::is_public;

/// A source of addresses for host names.
#[async_trait]
pub(crate) trait Lookup: Send + Sync {
    /// All present addresses of `host`.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's lookup, with its hosts file and name servers.
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

/// Looks up hosts and returns only addresses within reach.
#[derive(Clone)]
pub(crate) struct Resolver {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) reach: Reach,
}

impl Resolver {
    /// Checks whether connections may go to `address`.
    ///
    /// # Errors
    /// [`WebhookRefused::Private`].
    pub(crate) fn admit(&self, address: IpAddr) -> Result<(), WebhookRefused> {
        let within_reach = self.reach == Reach::Anywhere || is_public(address);
        within_reach.then_some(()).ok_or(WebhookRefused::Private)
    }

    /// The addresses of `host`. If one is out of reach, all are refused: a customer's host on the internet has no
    /// private addresses.
    ///
    /// # Errors
    /// [`WebhookRefused::Unresolved`] if it has none or the lookup fails, [`WebhookRefused::Private`].
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, WebhookRefused> {
        let addresses = self.lookup.addresses(host).await.unwrap_or_default();
        if addresses.is_empty() {
            return Err(WebhookRefused::Unresolved);
        }
        addresses.iter().try_for_each(|&address| self.admit(address))?;
        Ok(addresses)
    }
}

/// The HTTP client connects only to the addresses of this resolver.
impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // The client replaces port 0 by the URL's port.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
