//! Restores in which work is killed, repeated, lost or late: values become what the backup holds, and an undo gives
//! back the state before.

mod broken;
mod calm;
mod cleared;
mod decisions;
mod edits;
mod large;
mod meddled;
mod port_calls;
mod pre_images;
mod refusals;
mod reports;
mod scenario;
mod stopped;
mod takeover;
mod trouble;
mod twice;
mod unanswered;
mod unique;
mod unknown;
mod versions;
mod zombies;
