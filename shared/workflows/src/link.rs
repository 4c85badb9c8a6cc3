//! Links that people download by.

use jiff::Timestamp;
use secrecy::SecretString;

/// A link to one object. Whoever holds it can download, so it lives for minutes, is made afresh every time, and nobody
/// stores or logs it.
#[derive(Debug)]
pub struct Link {
    pub url: SecretString,
    /// When it stops working.
    pub expires_at: Timestamp,
}
