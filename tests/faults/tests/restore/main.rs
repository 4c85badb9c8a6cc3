//! Restores in which things go wrong: whatever is killed, repeated, lost or late, values become what the backup holds, and
//! an undo gives back the state before.

mod broken;
mod calm;
mod decisions;
mod edits;
mod port_calls;
mod pre_images;
mod refusals;
mod scenario;
mod takeover;
mod trouble;
mod twice;
mod unique;
mod unknown;
mod zombies;
