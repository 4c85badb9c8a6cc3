//! What every function starts with: configuration from the environment, logs, metrics, the deadline, and randomness.

pub mod config;
pub mod deadline;
pub mod metrics;
pub mod random;
pub mod telemetry;
