//! The use cases, over the ports of `domain`. Nothing here knows AWS, HTTP or HubSpot; everything here survives being
//! run twice, late, at once, or being dropped at any point (see `docs/architecture.md`, "What must stay true").

pub mod assemble;
pub mod audit_log;
mod backup_step;
pub mod call_gate;
pub mod cancel_backup;
pub mod change_account;
mod connection_fault;
mod connection_gate;
pub mod contention;
pub mod create_backup;
pub mod crm_session;
pub mod delete_backup;
pub mod discover;
pub mod dispatch;
pub mod download_backup;
pub mod ending;
pub mod export;
mod growing_blob;
mod held_lease;
pub mod idempotency;
mod leased;
pub mod link;
mod listing;
pub mod notify;
pub mod read_backups;
pub mod recover;
pub mod restore;
pub mod run;
#[cfg(test)]
mod samples;
pub mod schedule;
mod stored_json;
