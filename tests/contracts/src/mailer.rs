//! The contract of every mailer. See [`domain::ports::outlets`].

use domain::ports::outlets::{Mail, Mailer, OutletError};

/// The domain whose addresses every backend accepts.
pub const TAKEN_DOMAIN: &str = "taken.example";

/// The address that every backend refuses.
pub const REFUSED: &str = "nobody@refused.example";

/// The mails that were sent, from the receiving end.
pub trait Mailbox {
    /// The mails as they arrived. `to` is every address in a mail, joined with commas.
    fn mails(&self) -> impl Future<Output = Vec<Mail>>;
}

fn mail(to: &str, subject: &str) -> Mail {
    Mail {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: "Your backup is ready: größer als je.\n\nhttps://x/y?z=1&ä\n".to_owned(),
    }
}

/// A mail arrives unchanged, only at its recipient.
///
/// # Panics
/// If the mailer breaks its contract.
pub async fn a_mail_arrives_as_it_was(mailer: &dyn Mailer, mailbox: &impl Mailbox) {
    let mails = ["first@taken.example", "second@taken.example"].map(|to| mail(to, "Backup of “Ünïted” completed"));

    for mail in &mails {
        assert_eq!(mailer.send(mail).await, Ok(()));
    }

    assert_eq!(mailbox.mails().await, mails);
}

/// A subject with line breaks cannot add headers.
///
/// # Panics
/// If the mailer breaks its contract.
pub async fn a_subject_is_one_line(mailer: &dyn Mailer, mailbox: &impl Mailbox) {
    let broken = mail("first@taken.example", "Backup\r\nBcc: second@taken.example\rcompleted\n");

    assert_eq!(mailer.send(&broken).await, Ok(()));

    let subjects: Vec<_> = mailbox.mails().await.into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects, ["Backup Bcc: second@taken.example completed"]);
}

/// A refused mail has an error of its own that does not contain the address.
///
/// # Panics
/// If the mailer breaks its contract.
pub async fn a_refused_address_is_an_error_without_the_address(mailer: &dyn Mailer, mailbox: &impl Mailbox) {
    let outcome = mailer.send(&mail(REFUSED, "Backup failed")).await;

    let Err(OutletError::Refused(why)) = &outcome else { panic!("{outcome:?}") };
    assert!(!why.contains('@') && !why.contains("example"), "{why}");
    assert_eq!(mailbox.mails().await, []);
}
