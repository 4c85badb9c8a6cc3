//! The contract of mailers on every mailer, and the meaning of SES's answers.

use aws::SesMailer;
use contracts::backends::{MINISTACK, SentMails, connect, with_mailer};
use contracts::mailer::{self, Mailbox};
use contracts::scripted_server::{Answer, ScriptedServer};
use domain::ports::outlets::{Mail, Mailer, OutletError};
use futures_util::future::join_all;
use in_memory::MemoryMailer;
use serde_json::json;

struct Memory<'a>(&'a MemoryMailer);

impl Mailbox for Memory<'_> {
    async fn mails(&self) -> Vec<Mail> {
        self.0.sent()
    }
}

struct Ses<'a>(&'a SentMails);

impl Mailbox for Ses<'_> {
    async fn mails(&self) -> Vec<Mail> {
        self.0.all()
    }
}

macro_rules! on_every_mailer {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                let mailer = super::MemoryMailer::new();
                mailer.refuse(super::mailer::REFUSED);
                super::mailer::$case(&mailer, &super::Memory(&mailer)).await;
            })+
        }
        mod ministack {
            $(#[tokio::test]
            async fn $case() {
                super::with_mailer(super::MINISTACK, async |mailer, mails| {
                    super::mailer::$case(&mailer, &super::Ses(mails)).await;
                })
                .await;
            })+
        }
    };
}

on_every_mailer!(a_mail_arrives_as_it_was, a_subject_is_one_line, a_refused_address_is_an_error_without_the_address,);

fn taken() -> Answer {
    Answer { status: 200, body: json!({ "MessageId": "1" }).to_string() }
}

fn failed(status: u16, code: &str) -> Answer {
    let body = json!({ "__type": code, "message": "Address one@private.example of “Private” was not taken." });
    Answer { status, body: body.to_string() }
}

async fn mailer(server: &ScriptedServer) -> SesMailer {
    connect(&server.url()).await.mailer("backup@sender.example")
}

async fn send(server: &ScriptedServer) -> Result<(), OutletError> {
    let mail =
        Mail { to: "one@private.example".to_owned(), subject: "Private".to_owned(), text: "Private\n".to_owned() };
    let outcome = mailer(server).await.send(&mail).await;
    let shown = format!("{outcome:?}").to_lowercase();
    assert!(!shown.contains("private") && !shown.contains("example"), "{shown}");
    outcome
}

#[tokio::test]
async fn mails_are_plain_text_in_utf_8_from_the_deployments_address() {
    let server = ScriptedServer::answering([taken()]).await;

    assert_eq!(send(&server).await, Ok(()));

    let content = |data: &str| json!({ "Charset": "UTF-8", "Data": data });
    let expected = json!({
        "FromEmailAddress": "backup@sender.example",
        "Destination": { "ToAddresses": ["one@private.example"] },
        "Content": { "Simple": { "Subject": content("Private"), "Body": { "Text": content("Private\n") } } },
    });
    assert_eq!(server.requests(), [expected]);
}

#[tokio::test]
async fn a_mail_that_would_be_refused_again_is_refused() {
    let answers = [(400, "MessageRejected"), (400, "BadRequestException"), (404, "NotFoundException")];
    for (status, code) in answers {
        let server = ScriptedServer::answering([failed(status, code)]).await;

        let outcome = send(&server).await;

        assert_eq!(outcome, Err(OutletError::Refused(format!("SendEmail: {code} (HTTP {status})"))));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_mailer_that_may_recover_is_unavailable() {
    let answers = [
        (429, "TooManyRequestsException"),
        (400, "LimitExceededException"),
        (400, "ThrottlingException"),
        (400, "SendingPausedException"),
        // An operator may still grant the missing permission.
        (403, "AccessDeniedException"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
    ];
    join_all(answers.map(async |(status, code)| {
        let server = ScriptedServer::answering([failed(status, code)]).await;
        let outcome = send(&server).await;
        assert_eq!(outcome, Err(OutletError::Unavailable(format!("SendEmail: {code} (HTTP {status})"))));
    }))
    .await;
}
