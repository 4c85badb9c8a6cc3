//! E-mail in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use domain::ports::outlets::{Mail, Mailer, OutletError};

use crate::lock;

/// Keeps mails instead of sending them.
#[derive(Debug, Default)]
pub struct MemoryMailer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sent: Vec<Mail>,
    refused: BTreeSet<String>,
    failing: BTreeMap<String, OutletError>,
}

impl MemoryMailer {
    /// Nothing sent, and no address refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes no mail for `address` from now on.
    pub fn refuse(&self, address: &str) {
        lock(&self.0).refused.insert(address.to_owned());
    }

    /// Fails the next mail for `address`.
    pub fn fail_next(&self, address: &str, error: OutletError) {
        lock(&self.0).failing.insert(address.to_owned(), error);
    }

    /// The mails in the order of sending.
    pub fn sent(&self) -> Vec<Mail> {
        lock(&self.0).sent.clone()
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, mail: &Mail) -> Result<(), OutletError> {
        let mut state = lock(&self.0);
        let subject: Vec<_> = mail.subject.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
        if state.refused.contains(&mail.to) {
            return Err(OutletError::Refused("the recipient".to_owned()));
        }
        if let Some(error) = state.failing.remove(&mail.to) {
            return Err(error);
        }
        state.sent.push(Mail { subject: subject.join(" "), ..mail.clone() });
        Ok(())
    }
}
