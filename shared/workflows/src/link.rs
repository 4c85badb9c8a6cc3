//! Download links.

use jiff::Timestamp;
use secrecy::SecretString;

/// A link to one object. Anyone who has it can download, so it lives for minutes, is made afresh for each request, and
/// is not stored or logged.
#[derive(Debug)]
pub struct Link {
    pub url: SecretString,
    pub expires_at: Timestamp,
}
