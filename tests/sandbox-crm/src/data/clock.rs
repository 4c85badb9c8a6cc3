//! Times as the CRM writes them: ISO 8601 in UTC with milliseconds.

use jiff::Timestamp;

use super::digits::write_padded;

/// Milliseconds since 1970 at which the generated account was opened (2014-02-03).
pub(crate) const OPENED: i64 = 1_391_385_600_000;
/// Milliseconds since 1970 of the newest thing in a generated account (2026-10-31). It lies in the past, so that what
/// is written while the server runs is newer than everything generated.
pub(crate) const GENERATED_UNTIL: i64 = 1_793_404_800_000;

const DAY: i64 = 86_400_000;

/// The present, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Year, month and day of a number of days since 1970-01-01 in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Appends `millis` as `2026-10-31T08:15:00.123Z`.
pub(crate) fn write_time(millis: i64, out: &mut String) {
    write_date(millis, out);
    let of_day = millis.rem_euclid(DAY).unsigned_abs();
    for (separator, digits, value) in [
        ('T', 2, of_day / 3_600_000),
        (':', 2, of_day / 60_000 % 60),
        (':', 2, of_day / 1_000 % 60),
        ('.', 3, of_day % 1_000),
    ] {
        out.push(separator);
        write_padded(value, digits, out);
    }
    out.push('Z');
}

/// Appends the day of `millis` as `2026-10-31`.
pub(crate) fn write_date(millis: i64, out: &mut String) {
    let (year, month, day) = civil(millis.div_euclid(DAY));
    write_padded(year.unsigned_abs(), 4, out);
    for value in [month, day] {
        out.push('-');
        write_padded(value.unsigned_abs(), 2, out);
    }
}

/// `millis` as text.
pub(crate) fn time_text(millis: i64) -> String {
    let mut text = String::with_capacity(24);
    write_time(millis, &mut text);
    text
}

/// Milliseconds since 1970 of a time as clients write it: a number of milliseconds, ISO 8601, or a date.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    if let Ok(millis) = text.parse::<i64>() {
        return Some(millis);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_written_as_they_are_read(millis in -1_000_000_000_000_i64..4_000_000_000_000) {
            let timestamp = Timestamp::from_millisecond(millis).expect("in range");
            prop_assert_eq!(time_text(millis).parse::<Timestamp>().expect("ISO 8601"), timestamp);
            prop_assert_eq!(parse_time(&time_text(millis)), Some(millis));
        }
    }
}
