//! One contract suite per port. Every case is a function over the port alone, so that it says what callers may rely
//! on; `tests/` runs each case on the port in memory and on every emulator there is.
//!
//! # Backends
//! | variable | what is there |
//! |---|---|
//! | `TEST_DYNAMODB_LOCAL_URL` | Amazon's DynamoDB Local |
//! | `TEST_MINISTACK_URL` | MiniStack |
//! | `TEST_LOCALSTACK_S3_URL` | LocalStack's S3 |
//!
//! `cargo dev test` starts them and sets the variables. A case whose variable is not set prints this and passes, unless
//! `REQUIRE_ALL=1`. Every case makes a table, bucket, queue or bus of its own and removes it; mails stay in the
//! emulator's memory, in an AWS account that no other case uses.
//!
//! # What the emulators do not prove
//! None of them raises `TransactionConflict` under load as `DynamoDB` does, throttles, or lets the index of due records
//! lag. MiniStack takes parts that are too small or out of order; LocalStack ignores the `ETag` of a copy's source and
//! signatures; both copy ranges of sources that are too small; DynamoDB Local takes one record twice in a transaction.
//! MiniStack's event bus takes malformed events and sets their time itself; its queues always show all of their messages.
//! A case that a backend does not enforce prints this and runs on the others. Only the ports in memory enforce all.

pub mod backends;
pub mod dead_letters;
pub mod event_bus;
pub mod ledger;
pub mod lossy_proxy;
pub mod mailer;
pub mod queue;
pub mod scripted_server;
pub mod storage;
pub mod tokens;
pub mod webhook_secrets;
