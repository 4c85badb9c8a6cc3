//! The differences between a record's present values and its target values. The plan of a restore and its execution use
//! this comparison and no other.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How two values of a property are compared. Null and an empty text are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    Exact,
    /// As decimal numbers: `1.50` equals `1.5`.
    Number,
    /// As days. A point in time counts as its day in UTC.
    Date,
    /// As points in time, written as ISO 8601 or as milliseconds since 1970.
    DateTime,
    /// As a set of options separated by `;`.
    Options,
    Flag,
}

impl Comparison {
    /// Whether `a` and `b` are the same value. Values of an unexpected form are compared exactly.
    pub fn same(self, a: &str, b: &str) -> bool {
        if a == b {
            return true;
        }
        if a.is_empty() || b.is_empty() {
            return false;
        }
        match self {
            Self::Exact => false,
            Self::Number => both(a, b, decimal),
            Self::Date => both(a, b, day),
            Self::DateTime => both(a, b, point_in_time),
            Self::Options => options(a) == options(b),
            Self::Flag => a.eq_ignore_ascii_case(b),
        }
    }
}

fn both<T: PartialEq>(a: &str, b: &str, read: impl Fn(&str) -> Option<T>) -> bool {
    read(a).zip(read(b)).is_some_and(|(a, b)| a == b)
}

/// A decimal number. Not a float: ids and amounts may have more digits than a float holds. Zero has no sign, no digits
/// and the exponent 0.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    /// Without zeros at either end.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

fn decimal(text: &str) -> Option<Decimal> {
    let (is_negative, rest) = match text.trim().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.trim().trim_start_matches('+')),
    };
    let (number, exponent) = match rest.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let trimmed = digits.trim_end_matches('0');
    let cut = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let last = i64::from(exponent) - i64::try_from(fraction.len()).ok()? + cut;
    let digits = trimmed.trim_start_matches('0').to_owned();
    Some(if digits.is_empty() { Decimal::default() } else { Decimal { is_negative, digits, exponent: last } })
}

fn point_in_time(text: &str) -> Option<SignedDuration> {
    if let Ok(millis) = text.parse::<i64>() {
        return Some(SignedDuration::from_millis(millis));
    }
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let day = text.parse::<Date>().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    timestamp.map(Timestamp::as_duration)
}

fn day(text: &str) -> Option<Date> {
    let timestamp = match text.parse::<i64>() {
        Ok(millis) => Timestamp::from_millisecond(millis).ok(),
        Err(_) => text.parse::<Timestamp>().ok(),
    };
    match timestamp {
        Some(timestamp) => Some(timestamp.to_zoned(TimeZone::UTC).date()),
        None => text.parse::<Date>().ok(),
    }
}

fn options(text: &str) -> Vec<&str> {
    let mut options: Vec<_> = text.split(';').map(str::trim).filter(|option| !option.is_empty()).collect();
    options.sort_unstable();
    options.dedup();
    options
}

/// A value that differs from its target. Empty is null.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The property, by its place in the restore's list.
    #[serde(rename = "p")]
    pub property: u16,
    /// The present value.
    #[serde(rename = "b")]
    pub before: String,
    #[serde(rename = "t")]
    pub target: String,
}

impl std::fmt::Debug for Difference {
    // Property values are not shown in logs or panics.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Difference").field("property", &self.property).finish_non_exhaustive()
    }
}

/// A present value and its target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ValuePair<'a> {
    /// The property, by its place in the restore's list.
    pub property: u16,
    pub comparison: Comparison,
    pub current: &'a str,
    pub target: &'a str,
}

/// The pairs that differ, in the given order.
pub fn differences<'a>(pairs: impl IntoIterator<Item = ValuePair<'a>>) -> Vec<Difference> {
    let differing = pairs.into_iter().filter(|pair| !pair.comparison.same(pair.current, pair.target));
    differing
        .map(|pair| Difference {
            property: pair.property,
            before: pair.current.to_owned(),
            target: pair.target.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Comparison; 6] = [
        Comparison::Exact,
        Comparison::Number,
        Comparison::Date,
        Comparison::DateTime,
        Comparison::Options,
        Comparison::Flag,
    ];

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            ".{0,12}",
            "-?[0-9]{1,20}(\\.[0-9]{0,4})?(e-?[0-9]{1,2})?",
            "20[0-9]{2}-0[1-9]-[0-2][1-8](T0[0-9]:00:00(\\.000)?Z)?",
            "1[0-9]{12}",
            "([ab];){0,3}[abc]",
            "(true|TRUE|false)",
        ]
    }

    fn record() -> impl Strategy<Value = Vec<(Comparison, String, String)>> {
        prop::collection::vec((prop::sample::select(&ALL[..]), value(), value()), 0..12)
    }

    fn of(values: &[(Comparison, String, String)], current: impl Fn(usize) -> String) -> Vec<Difference> {
        let currents: Vec<String> = (0..values.len()).map(current).collect();
        differences(values.iter().zip(&currents).enumerate().map(|(place, ((comparison, _, target), current))| {
            let property = u16::try_from(place).expect("few");
            ValuePair { property, comparison: *comparison, current, target }
        }))
    }

    /// The values after `differences` were written.
    fn applied(differences: &[Difference], current: &[String]) -> Vec<String> {
        let mut values = current.to_vec();
        for difference in differences {
            values[usize::from(difference.property)].clone_from(&difference.target);
        }
        values
    }

    proptest! {
        /// Writing the differences gives a record all its target values.
        #[test]
        fn applying_the_differences_reaches_the_target(values in record()) {
            let before: Vec<String> = values.iter().map(|(_, current, _)| current.clone()).collect();
            let found = of(&values, |place| before[place].clone());
            let after = applied(&found, &before);
            for ((comparison, _, target), value) in values.iter().zip(&after) {
                prop_assert!(comparison.same(value, target));
            }
            prop_assert!(of(&values, |place| after[place].clone()).is_empty());
        }

        /// Where the target is also written the same, not only the same by type, it is reached exactly.
        #[test]
        fn texts_become_exactly_the_target(pairs in prop::collection::vec((value(), value()), 0..12)) {
            let values: Vec<_> = pairs.into_iter().map(|(a, b)| (Comparison::Exact, a, b)).collect();
            let before: Vec<String> = values.iter().map(|(_, current, _)| current.clone()).collect();
            let after = applied(&of(&values, |place| before[place].clone()), &before);
            let targets: Vec<String> = values.iter().map(|(_, _, target)| target.clone()).collect();
            prop_assert_eq!(after, targets);
        }

        /// A record does not differ from itself, and the comparison is symmetric.
        #[test]
        fn nothing_differs_from_itself(values in record()) {
            prop_assert!(of(&values, |place| values[place].2.clone()).is_empty());
            for (comparison, a, b) in &values {
                prop_assert!(comparison.same(a, a));
                prop_assert_eq!(comparison.same(a, b), comparison.same(b, a));
            }
        }

        /// For each type, an empty value equals an empty value and differs from every other.
        #[test]
        fn empty_equals_only_empty(text in ".{1,12}", place in 0..ALL.len()) {
            prop_assert!(ALL[place].same("", ""));
            prop_assert!(!ALL[place].same(&text, "") && !ALL[place].same("", &text));
        }
    }

    #[test]
    fn values_are_compared_by_their_type() {
        use Comparison::{Date, DateTime, Exact, Flag, Number, Options};
        let same = [
            (Number, "1.50", "1.5"),
            (Number, "1e3", "1000"),
            (Number, "-0", "0.00"),
            (Number, "0012", "12"),
            (Date, "2026-11-22", "2026-11-22T00:00:00Z"),
            (Date, "1795305600000", "2026-11-22"),
            (DateTime, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000Z"),
            (DateTime, "1795341600000", "2026-11-22T10:00:00Z"),
            (DateTime, "2026-11-22", "2026-11-22T00:00:00Z"),
            (Options, "a;b", "b;a"),
            (Options, "a;b;", "b; a"),
            (Flag, "TRUE", "true"),
        ];
        for (comparison, a, b) in same {
            assert!(comparison.same(a, b), "{comparison:?} {a} {b}");
        }
        let different = [
            (Exact, "a", "A"),
            (Exact, "1.50", "1.5"),
            (Number, "12345678901234567890", "12345678901234567891"),
            (Number, "1", "-1"),
            (Number, "1e999999999", "2e999999999"),
            (Number, "x", "y"),
            (Date, "2026-11-22", "2026-11-23"),
            (DateTime, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.001Z"),
            (Options, "a;b", "a"),
            (Flag, "true", "false"),
        ];
        for (comparison, a, b) in different {
            assert!(!comparison.same(a, b), "{comparison:?} {a} {b}");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let difference = Difference { property: 3, before: "secret".into(), target: "hidden".into() };
        let shown = format!("{difference:?}");
        assert!(shown.contains('3') && !shown.contains("secret") && !shown.contains("hidden"), "{shown}");
    }
}
