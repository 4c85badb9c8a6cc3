//! Fuzzing of bodies, requests and tokens.

mod fields;
mod request;
mod token;
