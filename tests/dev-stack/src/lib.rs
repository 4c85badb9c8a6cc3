//! The whole system on one machine: emulator, sandbox CRM and the deployed template. `cargo dev` is its command line;
//! end-to-end tests use it to find the stack ([`stack::Stack::load`]), its users and its processes.
//!
//! Nothing outlives `cargo dev` ([`processes`]) and nothing is installed outside `target/` ([`places`]).

pub mod api;
pub mod architecture;
pub mod backups;
pub mod benchmarks;
pub mod binaries;
pub mod deployment;
pub mod emulator;
pub mod exchange;
pub mod exports;
pub mod failure;
pub mod functions;
pub mod invocations;
pub mod issuer;
pub mod leftovers;
pub mod oidc;
pub mod package;
pub mod places;
pub mod process_list;
pub mod processes;
pub mod python;
pub mod restores;
pub mod sandbox;
pub mod stack;
pub mod users;
mod watcher;
