//! The mailer port on SES.

use async_trait::async_trait;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use domain::ports::outlets::{Mail, Mailer, OutletError};

use crate::failure;

/// Sends e-mails from one address, which must be verified in SES.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: Client,
    sender: String,
}

impl SesMailer {
    /// A mailer with `sender` as the `From` field.
    pub fn new(client: Client, sender: impl Into<String>) -> Self {
        Self { client, sender: sender.into() }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: &Mail) -> Result<(), OutletError> {
        let content = content(mail).map_err(|e| OutletError::Refused(e.to_string()))?;
        let destination = Destination::builder().to_addresses(&mail.to).build();
        let request = self.client.send_email().from_email_address(&self.sender);
        let sent = request.destination(destination).content(content).send().await;
        sent.map(drop).map_err(|e| failure::outlet("SendEmail", &e))
    }
}

fn content(mail: &Mail) -> Result<EmailContent, BuildError> {
    let utf_8 = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let body = Body::builder().text(utf_8(&mail.text)?).build();
    let message = Message::builder().subject(utf_8(&one_line(&mail.subject))?).body(body).build();
    Ok(EmailContent::builder().simple(message).build())
}

/// `subject` without line breaks, because a line break would begin another header.
fn one_line(subject: &str) -> String {
    let lines: Vec<_> = subject.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}
