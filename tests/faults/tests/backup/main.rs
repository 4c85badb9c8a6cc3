//! Backups in which things go wrong, compared with what the CRM holds and with the calm run.

mod calm;
mod cursors;
mod twice;
mod worlds;
