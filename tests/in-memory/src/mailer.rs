//! E-mail in memory.

use std::collections::BTreeSet;
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
}

impl MemoryMailer {
    /// Nothing sent, and nobody refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes no mail for `address` from now on.
    pub fn refuse(&self, address: &str) {
        lock(&self.0).refused.insert(address.to_owned());
    }

    /// The mails in the order of sending, as each recipient got them: one address each.
    pub fn sent(&self) -> Vec<Mail> {
        lock(&self.0).sent.clone()
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, mail: &Mail) -> Result<(), OutletError> {
        let mut state = lock(&self.0);
        let subject: Vec<_> = mail.subject.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
        let (refused, taken): (Vec<_>, Vec<_>) = mail.to.iter().partition(|address| state.refused.contains(*address));
        for address in taken {
            let (subject, text) = (subject.join(" "), mail.text.clone());
            state.sent.push(Mail { to: vec![address.clone()], subject, text });
        }
        match refused.len() {
            0 => Ok(()),
            count => Err(OutletError::Refused(format!("{count} of {} recipients", mail.to.len()))),
        }
    }
}
