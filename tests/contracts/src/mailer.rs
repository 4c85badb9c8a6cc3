//! What every mailer does. See [`domain::ports::outlets`] for the contract.

use domain::ports::outlets::{Mail, Mailer, OutletError};

/// The domain whose addresses every backend takes.
pub const TAKEN_DOMAIN: &str = "taken.example";

/// The address that every backend refuses.
pub const REFUSED: &str = "nobody@refused.example";

/// What was sent, seen from the other end.
pub trait Mailbox {
    /// The mails as they arrived; `to` is every address that a mail shows.
    fn mails(&self) -> impl Future<Output = Vec<Mail>>;
}

fn mail(to: &[&str], subject: &str) -> Mail {
    let to = to.iter().map(|to| (*to).to_owned()).collect();
    Mail {
        to,
        subject: subject.to_owned(),
        text: "Your backup is ready: größer als je.\n\nhttps://x/y?z=1&ä\n".to_owned(),
    }
}

/// `mail` as each of its recipients gets it.
fn one_each(mail: &Mail) -> Vec<Mail> {
    mail.to.iter().map(|to| Mail { to: vec![to.clone()], ..mail.clone() }).collect()
}

/// Nobody sees who else got the mail, and its text arrives as it was.
///
/// # Panics
/// When the mailer breaks its contract.
pub async fn every_recipient_gets_a_mail_of_their_own(mailer: &dyn Mailer, mailbox: &impl Mailbox) {
    let mail = mail(&["first@taken.example", "second@taken.example"], "Backup of “Ünïted” completed");

    assert_eq!(mailer.send(&mail).await, Ok(()));

    assert_eq!(mailbox.mails().await, one_each(&mail));
}

/// A subject with line breaks cannot add headers.
///
/// # Panics
/// When the mailer breaks its contract.
pub async fn a_subject_is_one_line(mailer: &dyn Mailer, mailbox: &impl Mailbox) {
    let broken = mail(&["first@taken.example"], "Backup\r\nBcc: second@taken.example\rcompleted\n");

    assert_eq!(mailer.send(&broken).await, Ok(()));

    let subjects: Vec<_> = mailbox.mails().await.into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects, ["Backup Bcc: second@taken.example completed"]);
}

/// The others get their mail, wherever the refused address stands, and the error does not name it.
///
/// # Panics
/// When the mailer breaks its contract.
pub async fn a_refused_address_keeps_no_mail_from_the_others(mailer: &dyn Mailer, mailbox: &impl Mailbox) {
    let all = mail(&["first@taken.example", REFUSED, "second@taken.example"], "Backup failed");

    let outcome = mailer.send(&all).await;

    let Err(OutletError::Refused(why)) = &outcome else { panic!("{outcome:?}") };
    assert!(!why.contains('@') && !why.contains("example"), "{why}");
    let taken = mail(&["first@taken.example", "second@taken.example"], "Backup failed");
    assert_eq!(mailbox.mails().await, one_each(&taken));
}

/// A mail to nobody is fine.
///
/// # Panics
/// When the mailer breaks its contract.
pub async fn a_mail_to_nobody_is_fine(mailer: &dyn Mailer, mailbox: &impl Mailbox) {
    assert_eq!(mailer.send(&mail(&[], "Backup completed")).await, Ok(()));
    assert_eq!(mailbox.mails().await, []);
}
