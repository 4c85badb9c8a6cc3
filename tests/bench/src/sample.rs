//! Several measurements of one thing.

use std::time::Duration;

/// The middle one of `values`, or the mean of the two in the middle; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => 0.0,
        [only] => *only,
        many if many.len() % 2 == 1 => many[many.len() / 2],
        many => f64::midpoint(many[many.len() / 2 - 1], many[many.len() / 2]),
    }
}

pub(crate) fn seconds(durations: &[Duration]) -> Vec<f64> {
    durations.iter().map(Duration::as_secs_f64).collect()
}

/// `part` in percent of `whole`.
pub(crate) fn percent(part: f64, whole: f64) -> f64 {
    part * 100.0 / whole
}

/// Counts and sizes as numbers to calculate with; far below 2⁵².
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]).to_bits(), 3.0_f64.to_bits());
    }
}
