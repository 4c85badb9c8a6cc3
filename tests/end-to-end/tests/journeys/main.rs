//! The journeys that run side by side.

mod api_versions;
mod backup_and_download;
mod changing_records;
mod cursors;
mod deployment;
mod ending_backups;
mod failing_crm;
mod foreign_accounts;
mod sign_in;
mod step_up;
mod troubled_crm;
mod unacceptable_requests;
mod used_up_limits;
mod wide_account;
