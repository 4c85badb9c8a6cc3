//! Backups and restores through the real client, over real HTTP, against the sandbox CRM. Time is simulated: server,
//! client and workflows share one runtime, so nothing waits for anything but each other.

mod account;
mod any_call;
mod contract;
mod strange_accounts;
