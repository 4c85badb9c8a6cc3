//! The archive as bytes: a zip whose data is neither compressed again nor moved.
//!
//! Workers write rows as CSV ([`csv`]) into DEFLATE segments ([`segment`]) that can stand one behind the other.
//! [`contents::lay_out`] lays a whole zip out of them ([`layout`]) with a manifest about it ([`manifest`]), and
//! [`parts::plan`] says how storage can make that zip out of the segments it already holds, with hardly a byte passing
//! through the worker. [`reader`] reads back and checks.
//!
//! Everything here is pure: bytes and plans, no network and no runtime.

pub mod contents;
pub mod csv;
pub mod digests;
pub mod layout;
pub mod manifest;
pub mod parts;
pub mod reader;
pub mod segment;
mod zip_records;
