//! Signed webhooks over HTTP that reach public addresses only: the [`Webhooks`](domain::ports::webhook::Webhooks) port.
//!
//! Customers choose the URLs, and the requests leave from inside the deployment's network. So a URL is checked when it is
//! set and again whenever it is used, and a connection is only ever made to an address that was checked for it.
//!
//! | module | its part |
//! |---|---|
//! | `target` | which URLs may be a webhook's, and which of them the deployment exempts |
//! | `address` | which addresses are on the public internet |
//! | `lookup` | a host name's addresses, all of which must be |
//! | `signature` | the Standard Webhooks scheme |
//! | `sender` | the requests |
//!
//! Nothing is logged, and no error repeats a URL, a secret, or what a receiver says.

mod address;
mod lookup;
mod sender;
mod signature;
mod target;
#[cfg(test)]
mod tests;

pub use sender::{HttpWebhooks, WebhookSetupError};
pub use signature::new_secret;
