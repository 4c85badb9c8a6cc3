//! Making an input that fails smaller.

use std::time::{Duration, Instant};

/// For how long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The smallest input found that still `fails`, by leaving out ever shorter stretches of it.
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
        // Once more where it helped: what is left may be left out now.
        if small.len() == before {
            stretch /= 2;
        } else {
            stretch = stretch.min(small.len());
        }
    }
    small
}
