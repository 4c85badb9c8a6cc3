//! What a client sees over HTTP, on a free port of this machine.

mod client;
mod cursors;
mod definitions;
mod faults;
mod limits;
mod lists;
mod loading;
mod official_client;
mod portals;
mod program;
mod searches;
mod writes;
