//! Page JSON to CSV to DEFLATE on one core: what the export costs besides waiting for the CRM.
//!
//! Held against a floor that nothing can go below, taken in turns with it: `serde_json` skipping the same JSON without
//! keeping anything, plus zlib-rs deflating the same CSV at the same level.

mod pages;
mod steps;

use std::hint::black_box;
use std::time::{Duration, Instant};

use archive::segment::{LEVEL, SegmentWriter};
use dev_stack::failure::{OrFailure, Result};
use domain::rows::RowBuffer;
use domain::segment::SegmentSummary;
use flate2::{Compress, Compression, FlushCompress};
use hubspot::{Shape, read_page};
use serde::Deserialize;
use serde::de::IgnoredAny;

pub(crate) use crate::codec::pages::Pages;
use crate::figure::Figure;
use crate::sample::{median, number, percent, seconds};

/// Pages of 100 records; too many bytes for any cache, as when they come from the network.
const PAGES: usize = 40;
/// How often each side is measured, in turns.
const ROUNDS: usize = 25;
/// Size of the parts in which DEFLATE bytes are taken away, as by the upload of a segment.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Takes the figures.
///
/// # Errors
/// When the sandbox CRM does not give the pages.
pub(crate) fn run() -> Result<Vec<Figure>> {
    eprintln!("codec: fetching {PAGES} pages from the sandbox CRM …");
    let pages = Pages::fetch(PAGES)?;
    let csv = steps::csv_of(&pages)?;
    eprintln!("codec: {ROUNDS} rounds …");
    let (mut export, mut floor, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut shares = Vec::new();
    let summary = export_pages(&pages)?;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        black_box(export_pages(&pages)?);
        let exported = began.elapsed();
        let bare = floor_of(&pages, &csv)?;
        ratios.push(exported.as_secs_f64() / bare.as_secs_f64());
        export.push(exported);
        floor.push(bare);
        shares.push(steps::take(&pages)?);
    }
    Ok(figures(&pages, &summary, &ratios, &export, &floor, &shares))
}

/// What a run of export-chunk does with its pages.
fn export_pages(pages: &Pages) -> Result<SegmentSummary> {
    let columns = pages.columns();
    let mut rows = RowBuffer::new(columns.len());
    let mut segment = SegmentWriter::new();
    for page in &pages.documents {
        read_page(black_box(page), Shape::Nested, &columns, &mut rows).or_failure(|| "a page".to_owned())?;
        segment.write_rows(&rows, 0..rows.len());
        black_box(segment.take_packed(PART_BYTES));
    }
    let (rest, summary) = segment.finish();
    black_box(rest);
    Ok(summary)
}

fn floor_of(pages: &Pages, csv: &[u8]) -> Result<Duration> {
    let mut packed = Vec::with_capacity(csv.len());
    let began = Instant::now();
    for page in &pages.documents {
        let mut json = serde_json::Deserializer::from_slice(black_box(page));
        black_box(IgnoredAny::deserialize(&mut json)).or_failure(|| "a page".to_owned())?;
    }
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    compress.compress_vec(black_box(csv), &mut packed, FlushCompress::Finish).or_failure(|| "deflating".to_owned())?;
    black_box(packed);
    Ok(began.elapsed())
}

fn figures(
    pages: &Pages,
    summary: &SegmentSummary,
    ratios: &[f64],
    export: &[Duration],
    floor: &[Duration],
    shares: &[[f64; steps::NAMES.len()]],
) -> Vec<Figure> {
    let records = number(summary.rows);
    let json: usize = pages.documents.iter().map(Vec::len).sum();
    let how = format!(
        "{} records, in process, one core; {:.0} bytes of JSON and {:.0} of CSV a record; medians of {ROUNDS}",
        summary.rows,
        number(json as u64) / records,
        number(summary.plain_bytes) / records,
    );
    let mut figures = vec![
        Figure::new("codec: time over floor", median(ratios.to_vec()), "×", format!("{how} pairs")).at_most(1.14),
        Figure::new("codec: export", records / median(seconds(export)), "records/s", how.clone()),
        Figure::new(
            "codec: floor",
            records / median(seconds(floor)),
            "records/s",
            format!("serde_json skipping the JSON, zlib-rs deflating the CSV at level {LEVEL}"),
        ),
        Figure::new(
            "codec: packed size",
            percent(number(summary.packed_bytes), number(summary.plain_bytes)),
            "% of CSV",
            how,
        )
        .at_most(27.0),
    ];
    figures.extend(steps::NAMES.iter().enumerate().map(|(step, name)| {
        let share = median(shares.iter().map(|round| round[step]).collect());
        Figure::new(format!("codec: share of {name}"), share, "%", "the same steps, timed page by page")
    }));
    figures
}
