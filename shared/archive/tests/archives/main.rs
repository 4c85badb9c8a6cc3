//! Archives as a user gets them: laid out, planned, joined as storage would, and opened with every reader at hand.

mod csv_readers;
mod damage;
mod golden;
mod large;
mod manifest;
mod planner;
mod readers;
mod sample;
mod tools;
