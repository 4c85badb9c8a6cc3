//! The ports: what the workflows need from outside. Each port is narrow. Its documentation is its contract, and every
//! implementation passes the same suite of tests for it.

pub mod call_gate;
pub mod clock;
pub mod crm;
pub mod crm_batch;
pub mod crm_model;
pub mod dead_letters;
pub mod ledger;
pub mod outlets;
pub mod queue;
pub mod secrets;
pub mod storage;
pub mod webhook;
