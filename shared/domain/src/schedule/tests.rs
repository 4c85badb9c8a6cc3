use jiff::ToSpan;
use jiff::civil::Date;
use proptest::prelude::*;

use super::*;
use crate::FailureKind;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const BERLIN: &str = "Europe/Berlin";
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

fn off() -> Schedule {
    Schedule::off(AccountId::parse("42").expect("digits"))
}

fn user() -> Requester {
    Requester { subject: "user-1".into(), email: None }
}

fn on(every: Cadence) -> Schedule {
    off().switched_on(every, &user(), BERLIN, NOW)
}

fn next_of(schedule: &Schedule) -> Timestamp {
    schedule.on.as_ref().expect("on").next_run_at
}

fn backup(at: Timestamp) -> BackupId {
    BackupId::new(at, [1; 10])
}

#[test]
fn the_first_run_is_one_period_after_it_was_switched_on() {
    // 2027-01-15 08:00 UTC; no change of clocks within two weeks.
    assert_eq!(next_of(&on(Cadence::Week)), NOW + WEEK);
    assert_eq!(next_of(&on(Cadence::TwoWeeks)), NOW + WEEK * 2);
    let by_the_second = NOW + SignedDuration::from_secs(59);
    let schedule = off().switched_on(Cadence::Week, &user(), BERLIN, by_the_second);
    assert_eq!(next_of(&schedule), NOW + WEEK, "seconds do not count");
}

#[test]
fn switching_on_again_changes_nothing_and_a_new_cadence_keeps_the_weekday() {
    let weekly = on(Cadence::Week);
    let later = NOW + SignedDuration::from_hours(30);
    assert_eq!(weekly.switched_on(Cadence::Week, &user(), BERLIN, later), weekly);
    assert_eq!(next_of(&weekly.switched_on(Cadence::TwoWeeks, &user(), BERLIN, later)), NOW + WEEK * 2);
    let afresh = weekly.switched_off(Cadence::Week).switched_on(Cadence::Week, &user(), BERLIN, later);
    assert_eq!(next_of(&afresh), later + WEEK);
}

#[test]
fn the_person_who_switches_it_on_again_becomes_the_requester() {
    let other = Requester { subject: "user-2".into(), email: Some("ada@example.com".into()) };
    for every in [Cadence::Week, Cadence::TwoWeeks] {
        let taken_over = on(Cadence::Week).switched_on(every, &other, BERLIN, NOW);
        assert_eq!(taken_over.on.map(|on| on.by), Some(other.clone()));
    }
}

#[test]
fn a_new_cadence_keeps_the_run_that_is_due() {
    let weekly = on(Cadence::Week);
    let late = next_of(&weekly) + SignedDuration::from_hours(1);
    let waiting = weekly.waiting(late + SignedDuration::from_hours(4), late).expect("due");
    let changed = waiting.switched_on(Cadence::TwoWeeks, &user(), BERLIN, late);
    assert_eq!(changed.due_at(), waiting.due_at(), "it still waits");
    let started = changed.looked_at_anew().started(backup(late), BERLIN, late).expect("due");
    assert_eq!(next_of(&started), NOW + WEEK * 3, "and the next one is two weeks after it");
}

#[test]
fn a_run_that_waits_is_due_when_the_wait_is_over_and_keeps_its_cadence() {
    let schedule = on(Cadence::Week);
    let due = next_of(&schedule);
    let allowed = due + SignedDuration::from_hours(5);
    let waiting = schedule.waiting(allowed, due).expect("due");
    assert!(!waiting.is_due(allowed - SignedDuration::from_secs(1)) && waiting.is_due(allowed));
    let started = waiting.started(backup(allowed), BERLIN, allowed).expect("due");
    assert_eq!(next_of(&started), due + WEEK);
    assert!(!started.is_due(allowed));
}

#[test]
fn a_run_that_is_not_due_neither_starts_nor_waits() {
    let schedule = on(Cadence::Week);
    assert!(schedule.started(backup(NOW), BERLIN, NOW).is_err());
    assert!(schedule.skipped(Failure::new(FailureKind::ExportFailed, "s"), BERLIN, NOW).is_err());
    assert!(schedule.waiting(NOW, NOW).is_err());
    let stopped = schedule.stopped(Failure::new(FailureKind::ExportFailed, "s"));
    assert!(stopped.due_at().is_none() && stopped.started(backup(NOW), BERLIN, NOW + WEEK).is_err());
}

#[test]
fn an_account_that_has_moved_runs_by_its_new_clocks() {
    let schedule = on(Cadence::Week);
    let due = next_of(&schedule);
    let moved = schedule.started(backup(due), "America/New_York", due).expect("due");
    // 09:00 in New York instead of Berlin is six hours later.
    assert_eq!(next_of(&moved), due + WEEK + SignedDuration::from_hours(6));
    assert_eq!(moved.on.expect("on").time_zone, "America/New_York");
}

const ZONES: [&str; 6] =
    [BERLIN, "America/New_York", "UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"];

/// The runs of two years of a schedule that was switched on at `begun`, as a wall calendar would list them.
fn wall_calendar(begun: Timestamp, every: Cadence, zone: &TimeZone) -> Vec<Timestamp> {
    let first = begun.to_zoned(zone.clone()).datetime();
    let days = first.date().series(1.day()).skip(1).take(750);
    let is_run = |date: &Date| {
        date.weekday() == first.weekday()
            && (every == Cadence::Week || first.date().until(*date).is_ok_and(|span| span.get_days() % 14 == 0))
    };
    let at = |date: Date| date.at(first.hour(), first.minute(), 0, 0).to_zoned(zone.clone());
    days.filter(is_run).map(|date| at(date).expect("in range").timestamp()).collect()
}

/// Pauses between two firings of the rule: mostly minutes, sometimes hours, rarely an outage of up to five weeks.
fn pauses() -> impl Strategy<Value = Vec<SignedDuration>> {
    let minutes = prop_oneof![6 => 0_i64..60, 12 => 0_i64..2_400, 1 => 0_i64..50_000];
    prop::collection::vec(minutes.prop_map(SignedDuration::from_mins), 200..400)
}

proptest! {
    /// The rule fires often or late for two years. Each firing starts one backup if a run has become due since the
    /// firing before, and none otherwise.
    #[test]
    fn a_rule_that_fires_twice_late_or_not_at_all_starts_each_due_backup_once(
        begun in 0_i64..5_000_000, which in 0_usize..ZONES.len(), two in any::<bool>(), pauses in pauses(),
    ) {
        let every = if two { Cadence::TwoWeeks } else { Cadence::Week };
        let begun = NOW + SignedDuration::from_mins(begun);
        let mut schedule = off().switched_on(every, &user(), ZONES[which], begun);
        let runs = wall_calendar(begun, every, &zone(ZONES[which]));
        let end = begun + SignedDuration::from_hours(24 * 700);
        let (mut now, mut before) = (begun, begun);
        for pause in pauses {
            now += pause;
            if now > end {
                break;
            }
            let has_become_due = runs.iter().any(|run| before < *run && *run <= now);
            let started = schedule.started(backup(now), ZONES[which], now);
            prop_assert_eq!(started.is_ok(), has_become_due, "{} to {}", before, now);
            schedule = started.unwrap_or(schedule);
            // The rule fires twice each time.
            prop_assert!(schedule.started(backup(now), ZONES[which], now).is_err(), "once");
            prop_assert_eq!(Some(&next_of(&schedule)), runs.iter().find(|run| **run > now), "as it is shown");
            before = now;
        }
    }

    /// After an outage of 30 hours exactly one backup starts late.
    #[test]
    fn thirty_hours_of_outage_cost_one_late_backup(minutes in 0_i64..1_800) {
        let schedule = on(Cadence::Week);
        let due = next_of(&schedule);
        let back = due + SignedDuration::from_hours(30) - SignedDuration::from_mins(minutes);
        let caught_up = schedule.started(backup(back), BERLIN, back).expect("due");
        prop_assert!(caught_up.started(backup(back), BERLIN, back).is_err(), "once");
        prop_assert_eq!(next_of(&caught_up), due + WEEK);
    }
}

#[test]
fn an_account_that_moves_to_the_west_does_not_run_twice_on_one_day() {
    let weekly = off().switched_on(Cadence::Week, &user(), "Pacific/Auckland", NOW);
    let due = next_of(&weekly);
    let ran = weekly.started(backup(due), "Pacific/Honolulu", due).expect("it is due");
    let pause = next_of(&ran).duration_since(due);
    assert!(pause >= SignedDuration::from_hours(7 * 12), "{pause:?} between two runs");
}
