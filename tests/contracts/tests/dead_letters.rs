//! The contract of readers of dead-letter queues on every implementation, and a queue that cannot be read.

use contracts::backends::{MINISTACK, TestDeadLetters, connect, with_dead_letters};
use contracts::dead_letters::{self, SettingAside};
use contracts::scripted_server::{Answer, ScriptedServer};
use domain::ports::dead_letters::DeadLetters;
use in_memory::MemoryDeadLetters;
use serde_json::json;

struct Memory<'a>(&'a MemoryDeadLetters);

impl SettingAside for Memory<'_> {
    async fn set_aside(&self, body: &str) {
        self.0.set_aside_text(body);
    }
}

struct Sqs<'a>(&'a TestDeadLetters);

impl SettingAside for Sqs<'_> {
    async fn set_aside(&self, body: &str) {
        self.0.set_aside(body).await;
    }
}

macro_rules! on_every_implementation {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                let dead_letters = super::MemoryDeadLetters::new();
                super::dead_letters::$case(&dead_letters, &super::Memory(&dead_letters)).await;
            })+
        }
        mod ministack {
            $(#[tokio::test]
            async fn $case() {
                super::with_dead_letters(super::MINISTACK, async |dead_letters, queues| {
                    super::dead_letters::$case(&dead_letters, &super::Sqs(queues)).await;
                })
                .await;
            })+
        }
    };
}

on_every_implementation!(
    work_is_seen_and_stays,
    the_same_work_is_seen_once,
    messages_that_are_not_work_are_left_out,
    some_of_many_messages_are_seen,
);

#[tokio::test]
async fn a_queue_that_refuses_is_an_error_that_names_no_queue() {
    let seen = Answer { status: 200, body: json!({ "Messages": [] }).to_string() };
    let body = json!({ "__type": "com.amazonaws.sqs#AccessDenied", "message": "No access to /1/private." }).to_string();
    let server = ScriptedServer::answering([seen, Answer { status: 403, body }]).await;
    let urls = ["open", "private"].map(|name| format!("{}/1/{name}", server.url()));
    let dead_letters = connect(&server.url()).await.dead_letters(urls.to_vec());

    let error = dead_letters.peek().await.expect_err("one of the queues refused").to_string();

    assert!(error.contains("ReceiveMessage: AccessDenied (HTTP 403)") && !error.contains("private"), "{error}");
}

#[tokio::test]
async fn a_look_hides_messages_for_seconds_only() {
    let server = ScriptedServer::answering([Answer { status: 200, body: "{}".to_owned() }]).await;
    let url = format!("{}/1/queue", server.url());

    let dead_letters = connect(&server.url()).await.dead_letters(vec![url.clone()]);
    assert_eq!(dead_letters.peek().await.expect("answered"), []);

    let request = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3, "WaitTimeSeconds": 0 });
    assert_eq!(server.requests(), [request]);
}
