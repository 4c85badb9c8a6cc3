//! The use cases, over the ports of `domain`. No code here knows AWS, HTTP or HubSpot. Every use case may be run twice,
//! late, at the same time as another, or be dropped at any point (see `docs/architecture.md`, "What must stay true").

pub mod audit_log;
pub mod backup;
pub mod call_gate;
pub mod change_account;
mod connection_fault;
mod connection_gate;
pub mod contention;
pub mod crm_session;
mod growing_blob;
mod held_lease;
pub mod idempotency;
mod leased;
pub mod link;
mod listing;
pub mod notify;
pub mod recover;
pub mod restore;
pub mod run;
#[cfg(test)]
mod samples;
pub mod schedule;
mod stored_json;
