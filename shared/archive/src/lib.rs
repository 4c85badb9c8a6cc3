//! The archive as bytes: a zip whose data is neither compressed again nor moved.
//!
//! Workers write rows as CSV ([`csv`]) into DEFLATE segments ([`segment`]) that can stand one behind the other.
//! [`contents::lay_out`] lays a whole zip out of them ([`layout`]) with a manifest about it ([`manifest`]), and
//! [`parts::plan`] plans how storage makes that zip out of the segments that it already holds, with hardly a byte
//! passing through the worker. [`reader`] reads archives and checks them.
//!
//! Everything here is pure: bytes and plans, no network and no runtime.
//!
//! ```
//! use archive::{csv, layout, parts, segment};
//! use domain::{ids::RecordId, ports::storage::ETag, rows::RowBuffer};
//!
//! // A worker writes a segment …
//! let mut page = RowBuffer::new(1);
//! page.begin_row(RecordId(7));
//! page.set(0, "Ünal, Anna");
//! let mut writer = segment::SegmentWriter::new();
//! writer.write_rows(&page, 0..page.len());
//! let (packed, summary) = writer.finish();
//!
//! // … which storage holds, …
//! let (storage_key, etag) = ("segments/1".to_owned(), ETag("\"e\"".to_owned()));
//!
//! // … and out of which the zip is laid out and planned without it.
//! let mut zip = layout::ArchiveLayout::new("2026-11-22T03:00:00Z".parse()?);
//! let placed = zip.add_file(layout::CsvFile {
//!     name: "contacts.csv".to_owned(),
//!     header_row: csv::header_row(["name"].into_iter()),
//!     segments: vec![layout::StoredSegment { storage_key, etag, summary }],
//! })?;
//! assert_eq!(placed.bytes, "hs_object_id,name\r\n7,\"Ünal, Anna\"\r\n".len() as u64);
//! let laid_out = zip.finish(b"{}");
//! assert!(parts::is_one_write(laid_out.bytes));
//! let [_, parts::BufferPiece::Object(segment), _] = &parts::pieces(&laid_out.extents)[..] else { panic!() };
//! assert_eq!(segment.range, 0..packed.len() as u64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod contents;
pub mod csv;
pub mod digests;
pub mod layout;
pub mod manifest;
pub mod parts;
pub mod reader;
pub mod report;
pub mod rows;
pub mod segment;
mod zip_records;
