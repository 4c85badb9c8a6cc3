//! The journeys that run side by side.

mod allowances;
mod api_versions;
mod audit_log;
mod backup_and_download;
mod changing_records;
mod cursors;
mod deciding_restores;
mod deployment;
mod ending_backups;
mod failing_crm;
mod fairness;
mod foreign_accounts;
mod notifications;
mod restore_calls;
mod restore_plans;
mod restoring_values;
mod schedules;
mod sign_in;
mod step_up;
mod troubled_crm;
mod troubled_restores;
mod unacceptable_requests;
mod unacceptable_restores;
mod undoing_restores;
mod used_up_limits;
mod wide_account;
