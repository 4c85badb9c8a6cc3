//! How many e-mails an account gets in an hour.
//!
//! All accounts share one sender. If one of them makes it send floods, the provider stops it for all of them. The last
//! e-mail that fits says that further notifications of the hour are in the inbox only.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::ids::AccountId;
use crate::ports::ledger::{Key, Record};

/// The most e-mails to an account's recipients in an hour: three notifications to eleven people, or forty to one.
pub const MOST_MAILS: u32 = 40;

/// The hour begins with its first e-mail.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The e-mails of an account in the hour that began last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailHour {
    pub account_id: AccountId,
    pub began_at: Timestamp,
    /// E-mails that were sent, or were about to be.
    pub mails: u32,
    /// The last e-mail has said that no more follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_over: bool,
}

/// The right to send e-mails now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// To this number of recipients.
    pub mails: u32,
    /// No more follow before this time, and the e-mail says so. None if more may follow.
    pub last_until: Option<Timestamp>,
}

impl MailHour {
    /// An account that has got no e-mail since `now`.
    pub fn new(account_id: AccountId, now: Timestamp) -> Self {
        Self { account_id, began_at: now, mails: 0, is_over: false }
    }

    /// Takes the right to send one notification to this number of recipients. If a second one to the same number no
    /// longer fits, it is the last one of the hour.
    ///
    /// # Errors
    /// The time from which the next one may be sent. Nothing is changed.
    pub fn take(&self, recipients: u32, now: Timestamp) -> Result<(Self, Granted), Timestamp> {
        let is_new = now >= self.began_at + HOUR;
        let hour = if is_new { Self::new(self.account_id.clone(), now) } else { self.clone() };
        let (ends, free) = (hour.began_at + HOUR, MOST_MAILS.saturating_sub(hour.mails));
        if hour.is_over || free == 0 {
            return Err(ends);
        }
        let mails = recipients.min(free);
        let is_over = free - mails < recipients;
        let granted = Granted { mails, last_until: is_over.then_some(ends) };
        Ok((Self { mails: hour.mails + mails, is_over, ..hour }, granted))
    }

    /// The ledger's key of an account's e-mails.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(Account::partition(account_id), "MAILS")
    }
}

impl Record for MailHour {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }

    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.began_at + HOUR * 2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn fresh() -> MailHour {
        MailHour::new(AccountId::parse("42").expect("digits"), NOW)
    }

    /// How many notifications to this number of recipients go out in one hour.
    fn notifications(recipients: u32) -> (u32, Granted) {
        let (mut hour, mut sent, mut last) = (fresh(), 0, None);
        while let Ok((next, granted)) = hour.take(recipients, NOW) {
            (hour, sent, last) = (next, sent + 1, Some(granted));
        }
        (sent, last.expect("the first one fits"))
    }

    #[test]
    fn the_last_notification_that_fits_reaches_everybody_and_says_that_it_is_the_last() {
        let last_until = Some(NOW + HOUR);
        assert_eq!(notifications(1), (40, Granted { mails: 1, last_until }));
        assert_eq!(notifications(11), (3, Granted { mails: 11, last_until }));
        assert_eq!(notifications(50), (1, Granted { mails: 40, last_until }));
    }

    #[test]
    fn the_next_hour_begins_anew() {
        let (over, _) = fresh().take(40, NOW).expect("the first one");
        assert_eq!(over.take(1, NOW + HOUR - SignedDuration::from_secs(1)), Err(NOW + HOUR));
        let (next, granted) = over.take(1, NOW + HOUR).expect("a new hour");
        assert_eq!((next.mails, granted.last_until), (1, None));
    }

    proptest! {
        /// Whatever is sent, no hour has more e-mails than it may, and the first notification that is left out comes
        /// after one that said so.
        #[test]
        fn no_hour_has_too_many(sizes in prop::collection::vec(1_u32..12, 1..100)) {
            let (mut hour, mut sent, mut announced) = (fresh(), 0, false);
            for size in sizes {
                match hour.take(size, NOW) {
                    Ok((next, granted)) => {
                        prop_assert!(!announced && granted.mails >= 1);
                        sent += granted.mails;
                        announced = granted.last_until.is_some();
                        hour = next;
                    }
                    Err(_) => prop_assert!(announced),
                }
                prop_assert!(sent <= MOST_MAILS && hour.mails == sent);
            }
        }
    }
}
