//! One contract suite per port. Every case is a function that uses the port alone, so it states what callers may rely
//! on. `tests/` runs each case on the port in memory and on every available emulator.
//!
//! # Backends
//! | variable | backend |
//! |---|---|
//! | `TEST_DYNAMODB_LOCAL_URL` | Amazon's DynamoDB Local |
//! | `TEST_MINISTACK_URL` | MiniStack |
//! | `TEST_LOCALSTACK_S3_URL` | LocalStack's S3 |
//!
//! `cargo dev test` starts them and sets the variables. A case whose variable is not set prints a notice and passes, or
//! fails if `REQUIRE_ALL=1`. Every case creates its own table, bucket, queue or bus and removes it. Mails stay in the
//! emulator's memory, in an AWS account that no other case uses.
//!
//! # What the emulators do not prove
//! No emulator raises `TransactionConflict` under load like `DynamoDB`, throttles, or lets the index of due records
//! lag. MiniStack accepts parts that are too small or out of order. LocalStack ignores the `ETag` of a copy's source,
//! and signatures. Both copy ranges of sources that are too small. DynamoDB Local accepts one record twice in a
//! transaction. MiniStack's event bus accepts malformed events and sets their time itself; its queues always return all
//! of their messages. If a backend does not enforce a case, the case prints a notice and runs on the others. Only the
//! ports in memory enforce all cases.

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
