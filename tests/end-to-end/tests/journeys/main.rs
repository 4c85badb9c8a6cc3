//! The journeys that run side by side.

mod api_versions;
mod backup_and_download;
mod changing_records;
mod cursors;
mod troubled_crm;
mod wide_account;
