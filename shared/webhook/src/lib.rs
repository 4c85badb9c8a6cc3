//! Signed webhooks over HTTP that reach public addresses only: the [`Webhooks`](domain::ports::webhook::Webhooks) port.
//!
//! Customers choose the URLs, and the requests come from inside the deployment's network. So a URL is checked when it
//! is set and before each use, and a connection only goes to an address that was checked for it.
//!
//! | module | contents |
//! |---|---|
//! | `target` | the rules for URLs, and the targets that the deployment exempts |
//! | `address` | the addresses on the public internet |
//! | `lookup` | a host name's addresses, which must all be public |
//! | `signature` | the Standard Webhooks scheme |
//! | `sender` | the requests |
//!
//! Nothing is logged, and no error repeats a URL, a secret or an answer.

mod address;
mod lookup;
mod sender;
mod signature;
mod target;
#[cfg(test)]
mod tests;

pub use sender::{HttpWebhooks, WebhookSetupError};
pub use signature::new_secret;
