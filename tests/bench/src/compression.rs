//! What compressed answers of the CRM cost and save: time to inflate them on one core, and bytes on the wire.

use std::hint::black_box;
use std::io::{Read, Write as _};
use std::time::{Duration, Instant};

use dev_stack::failure::{OrFailure, Result};
use domain::rows::RowBuffer;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hubspot::{Shape, read_page};

use crate::codec::Pages;
use crate::figure::Figure;
use crate::sample::{median, number, percent, seconds};

/// Pages of 100 records.
const PAGES: usize = 40;
/// How often each side is measured, in turns.
const ROUNDS: usize = 15;

/// Takes the figures.
///
/// # Errors
/// When the sandbox CRM does not give the pages.
pub(crate) fn run() -> Result<Vec<Figure>> {
    eprintln!("compression: fetching {PAGES} pages from the sandbox CRM …");
    let pages = Pages::fetch(PAGES)?;
    let packed = pages.documents.iter().map(|page| packed(page)).collect::<Result<Vec<_>>>()?;
    let (mut plain, mut inflated) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(timed(|| pages.documents.iter().try_for_each(|page| read(&pages, page)))?);
        inflated.push(timed(|| packed.iter().try_for_each(|page| read(&pages, &unpacked(page)?)))?);
    }
    let size = |documents: &[Vec<u8>]| number(documents.iter().map(|page| page.len() as u64).sum());
    let (records, json, wire) = (number((PAGES * 100) as u64), size(&pages.documents), size(&packed));
    let rate = |durations: &[Duration]| records / median(seconds(durations));
    let how = format!("{records} records, in process, one core; medians of {ROUNDS}; gzip at its fastest level");
    Ok(vec![
        Figure::new("compression: reading plain answers", rate(&plain), "records/s", how.clone()),
        Figure::new("compression: inflating and reading", rate(&inflated), "records/s", how.clone()),
        Figure::new("compression: bytes a record, plain", json / records, "B", how.clone()),
        Figure::new("compression: bytes a record, gzip", wire / records, "B", how.clone()),
        Figure::new("compression: bytes on the wire", percent(wire, json), "% of plain", how),
    ])
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}

fn read(pages: &Pages, document: &[u8]) -> Result<()> {
    let columns = pages.columns();
    let mut rows = RowBuffer::new(columns.len());
    read_page(black_box(document), Shape::Nested, &columns, &mut rows).or_failure(|| "a page".to_owned())?;
    black_box(rows);
    Ok(())
}

fn packed(document: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(document).and_then(|()| encoder.finish()).or_failure(|| "packing a page".to_owned())
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>> {
    let mut document = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut document).or_failure(|| "unpacking a page".to_owned())?;
    Ok(document)
}
