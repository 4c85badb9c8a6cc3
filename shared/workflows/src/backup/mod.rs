//! Backups: requesting and ending them, reading all records, making the archive, and showing them to users.
//!
//! | module | what it does |
//! |---|---|
//! | [`create`], [`cancel`], [`delete`] | requests that change a backup |
//! | [`read`], [`download`] | requests that read backups |
//! | [`discover`] | finds object types and properties, and makes the first chunks |
//! | [`export`] | reads chunks into segments, proves that they are complete, closes objects |
//! | [`assemble`] | makes the archive from the segments, and removes temporary data |
//! | [`ending`] | fails or cancels a backup in any state |
//! | [`dispatch`] | sees to it that a run reads a backup |

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
