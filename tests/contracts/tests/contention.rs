//! Simultaneous transactions, and throttling: the ledger retries for a while.

use std::collections::HashSet;

use aws::LedgerTables;
use contracts::backends::connect;
use contracts::scripted_server::{Answer, ScriptedServer};
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError};
use serde_json::json;

fn done() -> Answer {
    Answer { status: 200, body: "{}".to_owned() }
}

fn cancelled(codes: &[&str]) -> Answer {
    let reasons: Vec<_> = codes.iter().map(|code| json!({ "Code": code })).collect();
    error("TransactionCanceledException", &json!({ "CancellationReasons": reasons }))
}

fn error(kind: &str, fields: &serde_json::Value) -> Answer {
    let mut body = fields.clone();
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{kind}"));
    Answer { status: 400, body: body.to_string() }
}

fn write(sort: &str) -> Change {
    let (key, body) = (Key::new("p", sort), Some(json!({})));
    Change { key, expected: None, body, format: 1, due_at: None, due_in: DueList::Work, forget_at: None }
}

async fn commit(server: &ScriptedServer, changes: &[Change]) -> Result<(), LedgerError> {
    let tables = LedgerTables { ledger: "ledger".to_owned(), audit_log: "audit-log".to_owned() };
    connect(&server.url()).await.ledger(tables).commit(changes).await
}

#[tokio::test]
async fn a_transaction_that_met_another_is_tried_again() {
    for busy in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let answers = [cancelled(&["None", busy]), cancelled(&[busy, "None"]), done()];
        let server = ScriptedServer::answering(answers).await;

        assert_eq!(commit(&server, &[write("1"), write("2")]).await, Ok(()));

        let requests = server.requests();
        let tokens: HashSet<_> = requests.iter().map(|request| request["ClientRequestToken"].to_string()).collect();
        assert_eq!((requests.len(), tokens.len()), (3, 3), "a cancelled transaction's token is not used again");
    }
}

#[tokio::test]
async fn a_single_change_that_met_a_transaction_is_tried_again() {
    let busy = error("TransactionConflictException", &json!({}));
    let server = ScriptedServer::answering([busy.clone(), busy, done()]).await;

    assert_eq!(commit(&server, &[write("1")]).await, Ok(()));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_record_that_stays_busy_makes_the_ledger_unavailable() {
    let single = ScriptedServer::answering([error("TransactionConflictException", &json!({}))]).await;
    let several = ScriptedServer::answering([cancelled(&["TransactionConflict", "None"])]).await;

    let outcomes = [commit(&single, &[write("1")]).await, commit(&several, &[write("1"), write("2")]).await];

    for outcome in outcomes {
        assert!(matches!(outcome, Err(LedgerError::Unavailable(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_failed_condition_is_a_conflict_even_if_other_records_were_busy() {
    let server = ScriptedServer::answering([cancelled(&["TransactionConflict", "ConditionalCheckFailed"])]).await;

    assert_eq!(commit(&server, &[write("1"), write("2")]).await, Err(LedgerError::Conflict));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_impossible_commit_is_refused_at_once() {
    let server = ScriptedServer::answering([cancelled(&["None", "ValidationError"])]).await;

    let outcome = commit(&server, &[write("1"), write("2")]).await;

    assert!(matches!(outcome, Err(LedgerError::Refused(_))), "{outcome:?}");
    assert_eq!(server.requests().len(), 1);
}
