//! What the workflows need from the world. Each port is narrow; its contract is in its documentation and is tested by
//! one suite that every implementation passes.

pub mod call_gate;
pub mod clock;
pub mod crm;
pub mod crm_batch;
pub mod dead_letters;
pub mod ledger;
pub mod outlets;
pub mod queue;
pub mod secrets;
pub mod storage;
pub mod webhook;
