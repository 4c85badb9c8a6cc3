//! Backups in which things go wrong, compared with what the CRM holds and with the calm run.

mod calm;
mod cancelled;
mod cases;
mod chaos;
mod connection;
mod continued;
mod cursors;
mod drift;
mod ends;
mod expiry;
mod gaps;
mod large;
mod limits;
mod port_calls;
mod takeover;
mod trouble;
mod twice;
mod worlds;
mod zombies;
