//! Whole worlds, made up from a number, and one oracle for all of them.
//!
//! A [`WorldPlan`] says what a world is like and what happens in it, [`walk`] goes through it and panics when something
//! is not as it must be, and [`shrink`] makes a plan that fails smaller.

mod backups;
mod coverage;
mod generate;
mod history;
mod people;
pub mod plan;
mod restores;
mod shrink;
mod tidy;
mod undone;
mod walk;
mod written;

pub use self::coverage::Coverage;
pub use self::plan::WorldPlan;
pub use self::shrink::shrink;
pub use self::walk::walk;
