//! One file for each parser of bytes from outside that can be called from another crate. The targets of other parsers
//! are in the tests of their crates.

mod crm_page;
mod csv_rows;
mod ids;
mod manifest;
mod report;
mod schedule;
mod slice;
mod stored_lines;
mod strict_csv;
mod work;
mod zip;
