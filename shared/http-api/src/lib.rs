//! The HTTP API behind API Gateway: requests, responses and routes, who calls and what they may do, problem documents,
//! and the audit log of denied requests.
//!
//! A function is thin: `main` reads its configuration, builds its clients once and passes a handler to
//! [`serving::serve`]; the handler translates to and from the use cases.

pub mod audit;
pub mod caller;
pub mod config;
pub mod fields;
#[cfg(test)]
mod fuzzing;
pub mod links;
pub mod pages;
pub mod problem;
pub mod representation;
pub mod request;
pub mod response;
pub mod routes;
pub mod second_factor;
pub mod serving;
pub mod step_up;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod trace;
