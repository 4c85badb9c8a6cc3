//! Requests that nobody thought of.

mod fields;
mod request;
mod token;
