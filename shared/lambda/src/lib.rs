//! What every function needs around its use case: configuration from the environment, telemetry, the deadline, SQS
//! batches, HTTP requests and responses, problem documents, and who is calling.
//!
//! A function is thin: `main` reads its configuration, builds its clients once and hands a handler to [`sqs::serve`] or
//! [`http::serve`]; the handler translates to and from the use cases.

pub mod audit;
pub mod caller;
pub mod config;
pub mod deadline;
pub mod fields;
#[cfg(test)]
mod fuzzing;
pub mod http;
pub mod links;
pub mod metrics;
pub mod pages;
pub mod problem;
pub mod random;
pub mod representation;
pub mod routes;
pub mod second_factor;
pub mod sqs;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod worker;
