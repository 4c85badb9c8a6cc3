//! Senders and recipients of e-mails.

use aws::SesMailer;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::MailType;
use domain::ports::outlets::Mail;
use serde_json::Value;

use super::{Backend, connect_as, finally, random_account};
use crate::mailer::TAKEN_DOMAIN;

/// The mails of one case.
#[derive(Debug)]
pub struct SentMails {
    emulator: String,
    account: String,
}

impl SentMails {
    /// The mails in the order of sending.
    ///
    /// # Panics
    /// If the emulator does not list them.
    pub fn all(&self) -> Vec<Mail> {
        let Self { emulator, account } = self;
        let request = ureq::get(format!("{emulator}/_ministack/ses/messages?account={account}"));
        let mut answer = request.config().proxy(None).build().call().expect("answered");
        let answer: Value = answer.body_mut().read_json().expect("JSON");
        let mails = answer["messages"][account].as_array().map_or(&[][..], Vec::as_slice);
        mails.iter().map(as_it_arrived).collect()
    }
}

fn as_it_arrived(mail: &Value) -> Mail {
    let text = |field: &str| mail[field].as_str().unwrap_or_default().to_owned();
    let shown = ["To", "CC", "BCC"].into_iter().flat_map(|field| mail[field].as_array().into_iter().flatten());
    let to: Vec<_> = shown.map(|address| address.as_str().expect("an address")).collect();
    Mail { to: to.join(","), subject: text("Subject"), text: text("BodyText") }
}

/// Runs `case` with a mailer on `backend`, in its own AWS account in the state of a new one: it may send to verified
/// addresses only, which are those of [`TAKEN_DOMAIN`].
///
/// # Panics
/// If the case panics, or the account cannot be prepared or tidied up.
pub async fn with_mailer(backend: Backend, case: impl AsyncFnOnce(SesMailer, &SentMails)) {
    let Some(emulator) = backend.url() else { return };
    let account = random_account();
    let aws = connect_as(&emulator, &account).await;
    let client = Client::new(aws.sdk_config());
    allow_any_recipient(&client, false).await;
    client.create_email_identity().email_identity(TAKEN_DOMAIN).send().await.expect("domain verified");
    let removed = Box::pin(async {
        client.delete_email_identity().email_identity(TAKEN_DOMAIN).send().await.expect("domain removed");
        allow_any_recipient(&client, true).await;
    });
    let mails = SentMails { emulator, account };
    let mailer = aws.mailer(format!("crm-backup <backup@{TAKEN_DOMAIN}>"));
    finally(Box::pin(case(mailer, &mails)), removed).await;
}

async fn allow_any_recipient(client: &Client, allowed: bool) {
    let details = client.put_account_details().mail_type(MailType::Transactional).website_url("https://taken.example");
    details.production_access_enabled(allowed).send().await.expect("account changed");
}
