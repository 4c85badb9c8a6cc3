//! One test per user journey, through a deployed stack: real HTTP, real function processes, emulated AWS, a sandbox CRM.
//!
//! `STACK_FILE` names the stack, as `cargo dev test` sets it and `cargo dev up` prints it. Every journey has an account,
//! users and a CRM portal of its own ([`journey::Journey`]), so journeys share nothing but the deployment and run side
//! by side. What was read is held against what the sandbox CRM says it holds ([`truth`]), and downloads are opened with
//! the programs that people have ([`readers`]).

pub mod aws;
pub mod download;
pub mod forgery;
pub mod journey;
pub mod operations;
pub mod patience;
pub mod portal;
pub mod problem;
pub mod readers;
pub mod receiver;
pub mod restoring;
pub mod stack_folder;
pub mod truth;
