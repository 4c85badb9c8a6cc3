//! Makes a failing input smaller.

use std::time::{Duration, Instant};

/// How long to try.
const PATIENCE: Duration = Duration::from_secs(5);

/// The smallest input found that still `fails`, by leaving out shorter and shorter ranges of it.
pub(crate) fn smallest(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut small, began) = (input.to_vec(), Instant::now());
    let mut stretch = small.len().div_ceil(2);
    while stretch > 0 && began.elapsed() < PATIENCE {
        let mut at = 0;
        let before = small.len();
        while at < small.len() && began.elapsed() < PATIENCE {
            let end = (at + stretch).min(small.len());
            let shorter = [&small[..at], &small[end..]].concat();
            if fails(&shorter) {
                small = shorter;
            } else {
                at = end;
            }
        }
        // Repeat if it helped: the rest may be left out now.
        if small.len() == before {
            stretch /= 2;
        } else {
            stretch = stretch.min(small.len());
        }
    }
    small
}
