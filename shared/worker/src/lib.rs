//! Functions that take work from queues: their ports on AWS and HubSpot, batches of SQS messages, and one step per
//! message.
//!
//! A function is thin: `main` builds its ports once with [`wiring`] and passes a handler to [`sqs::serve`]; the handler
//! chooses the use case for a message and passes its result to [`step::outcome`].

pub mod sqs;
pub mod step;
pub mod wiring;
