//! E-mails: their recipients and contents.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::notification::Notification;
use domain::notification::delivery::{Delivery, FailedAttempt};
use domain::ports::outlets::{Mail, OutletError};
use futures_util::future::join_all;

use super::Notify;
use super::deliver::Delivered;

impl Notify {
    /// Sends a notification to every address that `delivery` has not reached yet, all at the same time, so that a slow
    /// or refused recipient does not delay the others.
    pub(super) async fn send_mails(
        &self,
        delivery: &Delivery,
        notification: &Notification,
        account: Option<&Account>,
    ) -> Delivered {
        let all = recipients(notification, account);
        let Some(mailer) = self.mailer.as_ref().filter(|_| !all.is_empty()) else { return Delivered::Nobody };
        let left = all.iter().filter(|(recipient, _)| !delivery.reached.contains(*recipient));
        let sent = join_all(left.map(|(recipient, address)| async move {
            (recipient, mailer.send(&self.mail(notification, address)).await)
        }))
        .await;
        let mut reached = delivery.reached.clone();
        let mut errors = Vec::new();
        for (recipient, outcome) in sent {
            match outcome {
                Ok(()) => drop(reached.insert(recipient.clone())),
                Err(error) => errors.push(error),
            }
        }
        let Some(first) = errors.first() else { return Delivered::There };
        let reason = match all.len() {
            1 => first.to_string(),
            all => format!("{} of {all} recipients: {first}", errors.len()),
        };
        let may_retry = errors.iter().any(|error| matches!(error, OutletError::Unavailable(_)));
        Delivered::Failed(FailedAttempt { reason, may_retry, reached })
    }

    pub(super) fn mail(&self, notification: &Notification, to: &str) -> Mail {
        let link = notification.path().map(|path| {
            let url = &self.api_url;
            format!(
                "\n{url}{path}\nTo open it, send a GET request with the ID token of a super admin of the account.\n"
            )
        });
        let Notification { event, account_id, at, .. } = notification;
        let text = format!("{}\n{}\nAccount {account_id}, {at:.0}.\n", event.sentence(), link.unwrap_or_default());
        let subject = format!("{} (account {account_id})", event.subject());
        Mail { to: to.to_owned(), subject, text }
    }
}

/// The addresses of the account and of the requester, keyed by their lower-case spelling, so that an address in two
/// spellings gets one e-mail.
fn recipients(notification: &Notification, account: Option<&Account>) -> BTreeMap<String, String> {
    let named = account.map(|account| account.notification_targets.email.clone()).unwrap_or_default();
    let requester = notification.requester.as_ref().and_then(|requester| requester.email.clone());
    named.into_iter().chain(requester).map(|address| (address.to_lowercase(), address)).collect()
}
