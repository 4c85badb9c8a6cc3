//! Whole backups in one process, in which anything can go wrong at any moment.
//!
//! A [`World`] holds the use cases of a running backup over a ledger and a storage of choice, a queue in memory, and a
//! [`SimulatedCrm`]. It delivers messages until nothing is left to do, wakes what is stalled when it is due, and lets
//! time pass in between, so that days take no time. What comes out is an [`Exported`] archive, to be compared with
//! what the CRM holds or with what another run has made.
//!
//! `tests/` asks the same of every run after every fault: the archive of the calm run, or a visible end.

mod clock;
pub mod crm;
mod exported;
mod latency;
pub mod samples;
pub mod versions;
mod world;
pub mod worlds;

pub use clock::{Pace, SimulatedClock};
pub use crm::{SimulatedCrm, SimulatedObject};
pub use exported::{Exported, Table};
pub use latency::{Latent, Storage};
pub use world::{CRM, Copies, FailedMessages, OTHER_CRM, Settings, TOKEN, World};
