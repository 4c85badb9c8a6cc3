//! When a schedule is due: on the weekday and at the time of day at which it was switched on, in the account's local
//! time.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::Cadence;

/// The first time after `after` at which a schedule that was switched on at `anchor` is due. Its first run is one
/// period after `anchor`.
///
/// If clocks skip that time of day, the run is later by the skipped time. If the time comes twice, the run is at the
/// first one (jiff's "compatible" reading, as in RFC 5545).
pub fn next_run(anchor: DateTime, every: Cadence, zone: &TimeZone, after: Timestamp) -> Timestamp {
    let local = after.to_zoned(zone.clone()).date();
    let days = anchor.date().until(local).map_or(0, |span| i64::from(span.get_days()));
    // One period early, since `after` may be before the time of day. Then at most three candidates are needed.
    let first = (days / every.days() - 1).max(1);
    (first..first + 4)
        .filter_map(|period| at(anchor, period * every.days(), zone))
        .find(|due| *due > after)
        .unwrap_or(Timestamp::MAX)
}

fn at(anchor: DateTime, days: i64, zone: &TimeZone) -> Option<Timestamp> {
    let date = anchor.date().checked_add(Span::new().try_days(days).ok()?).ok()?;
    let due = date.to_datetime(anchor.time()).to_zoned(zone.clone()).ok()?;
    Some(due.timestamp())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::civil::{Weekday, date};
    use proptest::prelude::*;

    use super::*;

    const ZONES: [&str; 6] =
        ["Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"];

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone")
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// The next `count` runs after `anchor`.
    fn runs(anchor: DateTime, every: Cadence, zone: &TimeZone, count: usize) -> Vec<Timestamp> {
        let begin = anchor.to_zoned(zone.clone()).expect("in range").timestamp();
        let next = |after: &Timestamp| Some(next_run(anchor, every, zone, *after));
        std::iter::successors(next(&begin), next).take(count).collect()
    }

    #[test]
    fn berlin_keeps_its_hour_when_summer_begins_and_ends() {
        let (berlin, anchor) = (zone("Europe/Berlin"), date(2027, 3, 23).at(9, 30, 0, 0));
        let first = runs(anchor, Cadence::Week, &berlin, 2);
        assert_eq!(first, [utc("2027-03-30T07:30:00Z"), utc("2027-04-06T07:30:00Z")], "summer time from 28 March on");
        let anchor = date(2027, 10, 26).at(9, 30, 0, 0);
        assert_eq!(
            runs(anchor, Cadence::Week, &berlin, 1),
            [utc("2027-11-02T08:30:00Z")],
            "winter time from the 31st on"
        );
    }

    #[test]
    fn new_york_keeps_its_hour_on_its_own_dates() {
        let (new_york, anchor) = (zone("America/New_York"), date(2027, 3, 10).at(18, 0, 0, 0));
        assert_eq!(
            runs(anchor, Cadence::Week, &new_york, 1),
            [utc("2027-03-17T22:00:00Z")],
            "summer time from 14 March on"
        );
        let anchor = date(2027, 11, 3).at(18, 0, 0, 0);
        assert_eq!(
            runs(anchor, Cadence::Week, &new_york, 1),
            [utc("2027-11-10T23:00:00Z")],
            "winter time from the 7th on"
        );
    }

    #[test]
    fn a_skipped_hour_moves_a_run_and_a_repeated_hour_has_one_run() {
        let berlin = zone("Europe/Berlin");
        // 28 March 2027: 02:00 becomes 03:00.
        let skipped = runs(date(2027, 3, 21).at(2, 30, 0, 0), Cadence::Week, &berlin, 2);
        assert_eq!(skipped, [utc("2027-03-28T01:30:00Z"), utc("2027-04-04T00:30:00Z")], "03:30, then 02:30 again");
        // 31 October 2027: 03:00 becomes 02:00.
        let twice = runs(date(2027, 10, 24).at(2, 30, 0, 0), Cadence::Week, &berlin, 2);
        assert_eq!(twice, [utc("2027-10-31T00:30:00Z"), utc("2027-11-07T01:30:00Z")]);
    }

    #[test]
    fn a_leap_day_is_a_day_like_others() {
        let runs = runs(date(2028, 2, 15).at(12, 0, 0, 0), Cadence::TwoWeeks, &TimeZone::UTC, 3);
        let expected = ["2028-02-29T12:00:00Z", "2028-03-14T12:00:00Z", "2028-03-28T12:00:00Z"];
        assert_eq!(runs, expected.map(utc));
    }

    #[test]
    fn every_two_weeks_is_twenty_six_times_a_year_on_the_same_weekday() {
        for name in ZONES {
            let (zone, anchor) = (zone(name), date(2027, 1, 1).at(8, 15, 0, 0));
            let runs = runs(anchor, Cadence::TwoWeeks, &zone, 27);
            let local: Vec<_> = runs.iter().map(|run| run.to_zoned(zone.clone())).collect();
            assert!(local.iter().all(|run| run.weekday() == Weekday::Friday), "{name}");
            assert_eq!(local.iter().filter(|run| run.year() == 2027).count(), 26, "{name}");
        }
    }

    prop_compose! {
        fn begin()(days in 0_i32..4_000, minute in 0_i8..60, hour in 0_i8..24) -> DateTime {
            date(2026, 1, 1).checked_add(Span::new().days(days)).expect("in range").at(hour, minute, 0, 0)
        }
    }

    proptest! {
        /// The next run is after the given time, by at most a period and a change of clocks. It is a whole number of
        /// periods after the first day, and at the same time of day unless clocks skip that.
        #[test]
        fn the_next_run_is_the_next_of_the_cadence(
            anchor in begin(), which in 0_usize..ZONES.len(), later in 0_i64..100_000_000, two in any::<bool>(),
        ) {
            let every = if two { Cadence::TwoWeeks } else { Cadence::Week };
            let zone = zone(ZONES[which]);
            let begin = anchor.to_zoned(zone.clone()).expect("in range").timestamp();
            let after = begin + SignedDuration::from_secs(later);
            let next = next_run(anchor, every, &zone, after);
            prop_assert!(next > after);
            prop_assert!(next.duration_since(after) <= SignedDuration::from_hours(every.days() * 24 + 1));
            let local = next.to_zoned(zone);
            let days = anchor.date().until(local.date()).expect("in range").get_days();
            prop_assert!(days >= 7 && i64::from(days) % every.days() == 0, "{days} days");
            prop_assert_eq!(local.weekday(), anchor.date().weekday());
            let late = local.datetime().duration_since(local.date().to_datetime(anchor.time()));
            prop_assert!(late.is_zero() || late == SignedDuration::from_mins(60) || late == SignedDuration::from_mins(30));
        }

        /// The answer is the same at any time between two runs, so it does not matter how often the schedule is looked
        /// at.
        #[test]
        fn between_two_runs_the_answer_is_the_same(anchor in begin(), which in 0_usize..ZONES.len(), part in 0_i64..1_000) {
            let zone = zone(ZONES[which]);
            let begin = anchor.to_zoned(zone.clone()).expect("in range").timestamp();
            let first = next_run(anchor, Cadence::Week, &zone, begin);
            let second = next_run(anchor, Cadence::Week, &zone, first);
            let between = first + SignedDuration::from_secs(second.duration_since(first).as_secs() * part / 1_000);
            prop_assert_eq!(next_run(anchor, Cadence::Week, &zone, between), second);
        }
    }
}
