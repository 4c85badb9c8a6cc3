//! What share of the export's time each of its steps takes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use archive::csv;
use archive::segment::Deflater;
use dev_stack::failure::{OrFailure, Result};
use domain::rows::RowBuffer;
use hubspot::{Shape, read_page};
use sha2::{Digest, Sha256};

use super::pages::Pages;
use crate::sample::percent;

/// The steps, in order.
pub(super) const NAMES: [&str; 5] = ["reading JSON", "writing CSV", "CRC-32", "SHA-256", "DEFLATE"];

/// The share of each step in percent.
pub(super) fn take(pages: &Pages) -> Result<[f64; NAMES.len()]> {
    let columns = pages.columns();
    let mut rows = RowBuffer::new(columns.len());
    let (mut plain, mut packed) = (Vec::new(), Vec::new());
    let (mut crc32, mut sha256, mut deflater) = (crc32fast::Hasher::new(), Sha256::new(), Deflater::new());
    let mut took = [Duration::ZERO; NAMES.len()];
    for page in &pages.documents {
        plain.clear();
        let [json, lines, crc, sha, deflate] = &mut took;
        timed(json, || read_page(black_box(page), Shape::Nested, &columns, &mut rows))
            .or_failure(|| "a page cannot be read".to_owned())?;
        timed(lines, || csv::write_rows(&rows, 0..rows.len(), &mut plain));
        timed(crc, || crc32.update(&plain));
        timed(sha, || sha256.update(&plain));
        timed(deflate, || deflater.write(&plain, &mut packed));
    }
    black_box((crc32.finalize(), sha256.finalize(), packed));
    let whole: Duration = took.iter().sum();
    Ok(took.map(|step| percent(step.as_secs_f64(), whole.as_secs_f64())))
}

fn timed<T>(sum: &mut Duration, step: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let value = step();
    *sum += began.elapsed();
    value
}

/// The CSV of all pages.
pub(super) fn csv_of(pages: &Pages) -> Result<Vec<u8>> {
    let columns = pages.columns();
    let mut rows = RowBuffer::new(columns.len());
    let mut plain = Vec::new();
    for page in &pages.documents {
        read_page(page, Shape::Nested, &columns, &mut rows).or_failure(|| "a page cannot be read".to_owned())?;
        csv::write_rows(&rows, 0..rows.len(), &mut plain);
    }
    Ok(plain)
}
