//! What a client sees over HTTP, on a free port of this machine.

mod client;
mod conformance;
mod cursors;
mod definitions;
mod documents;
mod encodings;
mod faults;
mod limits;
mod lists;
mod loading;
mod names;
mod official_client;
mod outcomes;
mod pages;
mod portals;
mod program;
mod refusals;
mod searches;
mod sensitive;
mod threads;
mod writes;
