//! Backups in which things go wrong, compared with what the CRM holds and with the calm run.

mod broken;
mod calm;
mod cancelled;
mod cases;
mod connection;
mod continued;
mod costs;
mod cursors;
mod drift;
mod ends;
mod expiry;
mod gaps;
mod lanes;
mod large;
mod limits;
mod port_calls;
mod takeover;
mod trouble;
mod twice;
mod versions;
mod worlds;
mod zombies;
