//! E-mails: their recipients, contents and number.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::ids::AccountId;
use domain::notification::Notification;
use domain::notification::delivery::{Delivery, FailedAttempt};
use domain::notification::mail_hour::{Granted, MOST_MAILS, MailHour};
use domain::ports::ledger::{self, Change};
use domain::ports::outlets::{Mail, OutletError};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::Notify;
use super::deliver::Delivered;
use crate::contention::{self, Attempt};
use crate::run::StepError;

impl Notify {
    /// Sends a notification to every address that `delivery` has not reached yet, all at the same time, so that a slow
    /// or refused recipient does not delay the others. Sends no more than the account may get in this hour.
    pub(super) async fn send_mails(
        &self,
        delivery: &Delivery,
        notification: &Notification,
        account: Option<&Account>,
    ) -> Result<Delivered, StepError> {
        let all = recipients(notification, account);
        let Some(mailer) = self.mailer.as_ref().filter(|_| !all.is_empty()) else { return Ok(Delivered::Nobody) };
        let left: Vec<_> = all.iter().filter(|(recipient, _)| !delivery.reached.contains(*recipient)).collect();
        let wanted = u32::try_from(left.len()).unwrap_or(u32::MAX);
        let granted = match contention::retry(|| self.reserve(&notification.account_id, wanted)).await? {
            Ok(granted) => granted,
            Err(until) => return Ok(Delivered::TooMany(until)),
        };
        let left = left.into_iter().take(granted.mails as usize);
        let sent = join_all(left.map(|(recipient, address)| async move {
            (recipient, mailer.send(&self.mail(notification, address, granted.last_until)).await)
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
        let Some(first) = errors.first() else { return Ok(Delivered::There) };
        let reason = match all.len() {
            1 => first.to_string(),
            all => format!("{} of {all} recipients: {first}", errors.len()),
        };
        let may_retry = errors.iter().any(|error| matches!(error, OutletError::Unavailable(_)));
        Ok(Delivered::Failed(FailedAttempt { reason, may_retry, reached }))
    }

    /// Takes the right to send this number of e-mails, before they are sent.
    async fn reserve(
        &self,
        account_id: &AccountId,
        mails: u32,
    ) -> Result<Attempt<Result<Granted, Timestamp>>, StepError> {
        let now = self.clock.now();
        let loaded = ledger::load::<MailHour>(&*self.ledger, &MailHour::key_of(account_id)).await?;
        let hour = loaded.as_ref().map_or_else(|| MailHour::new(account_id.clone(), now), |hour| hour.record.clone());
        let (next, granted) = match hour.take(mails, now) {
            Ok(taken) => taken,
            Err(until) => return Ok(Attempt::Settled(Err(until))),
        };
        let change = loaded.as_ref().map_or_else(|| Change::create(&next), |loaded| Change::replace(loaded, &next));
        Ok(contention::settle(self.ledger.commit(&[change]).await, Ok(granted))?)
    }

    /// The e-mail of a notification. `last_until`: until when no further one follows.
    pub(super) fn mail(&self, notification: &Notification, to: &str, last_until: Option<Timestamp>) -> Mail {
        let Notification { event, account_id, at, .. } = notification;
        let url = &self.api_url;
        let link = notification.path().map(|path| {
            format!(
                "\n{url}{path}\nTo open it, send a GET request with the ID token of a super admin of the account.\n"
            )
        });
        let last = last_until.map(|until| {
            format!(
                "\nThis is the last e-mail before {until:.0}, because an account gets at most {MOST_MAILS} an hour. \
                 Further notifications until then are in the inbox only:\n{url}/accounts/{account_id}/notifications\n"
            )
        });
        let text = format!(
            "{}\n{}{}\nAccount {account_id}, {at:.0}.\n",
            event.sentence(),
            link.unwrap_or_default(),
            last.unwrap_or_default()
        );
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
