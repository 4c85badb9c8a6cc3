//! Backups: requesting and ending them, reading all records, laying the archive out, and what users see.
//!
//! | module | what it does |
//! |---|---|
//! | [`create`], [`cancel`], [`delete`] | requests that change something |
//! | [`read`], [`download`] | requests that show something |
//! | [`discover`] | finds object types and properties, and makes the first chunks |
//! | [`export`] | reads chunks into segments, proves that they are complete, closes objects |
//! | [`assemble`] | makes the archive from the segments, and removes what is no longer needed |
//! | [`ending`] | fails or cancels a backup wherever it is |
//! | [`dispatch`] | queues waiting chunks where worker places are free |

pub mod assemble;
pub mod cancel;
pub mod create;
pub mod delete;
pub mod discover;
pub mod dispatch;
pub mod download;
pub mod ending;
pub mod export;
pub mod read;
pub(crate) mod step;
