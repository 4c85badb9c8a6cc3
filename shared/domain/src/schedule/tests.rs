use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const BERLIN: &str = "Europe/Berlin";
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

fn off() -> Schedule {
    Schedule::off(AccountId::parse("42").expect("digits"))
}

fn somebody() -> Requester {
    Requester { subject: "user-1".into(), email: None }
}

fn on(every: Cadence) -> Schedule {
    off().switched_on(every, &somebody(), BERLIN, NOW)
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
    let schedule = off().switched_on(Cadence::Week, &somebody(), BERLIN, by_the_second);
    assert_eq!(next_of(&schedule), NOW + WEEK, "seconds do not count");
}

#[test]
fn switching_on_again_changes_nothing_and_another_cadence_keeps_the_weekday() {
    let weekly = on(Cadence::Week);
    let later = NOW + SignedDuration::from_hours(30);
    assert_eq!(weekly.switched_on(Cadence::Week, &somebody(), BERLIN, later), weekly);
    assert_eq!(next_of(&weekly.switched_on(Cadence::TwoWeeks, &somebody(), BERLIN, later)), NOW + WEEK * 2);
    let afresh = weekly.switched_off(Cadence::Week).switched_on(Cadence::Week, &somebody(), BERLIN, later);
    assert_eq!(next_of(&afresh), later + WEEK);
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
    assert!(schedule.skipped(Failure::new("k", "s"), BERLIN, NOW).is_err());
    assert!(schedule.waiting(NOW, NOW).is_err());
    let stopped = schedule.stopped(Failure::new("k", "s"));
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

proptest! {
    /// However often and however late the rule fires over a year, each run starts once, an outage is made up for by one
    /// backup, and the cadence stays.
    #[test]
    fn a_rule_that_fires_twice_late_or_not_at_all_starts_each_run_once(
        pauses in prop::collection::vec((0_i64..40, 0_i64..60), 200..400), two in any::<bool>(),
    ) {
        let every = if two { Cadence::TwoWeeks } else { Cadence::Week };
        let mut schedule = on(every);
        let mut now = NOW;
        let mut starts = Vec::new();
        for (hours, minutes) in pauses {
            now += SignedDuration::from_hours(hours) + SignedDuration::from_mins(minutes);
            // The rule fires twice each time.
            for _ in 0..2 {
                let due = schedule.due_at().expect("on");
                match schedule.started(backup(now), BERLIN, now) {
                    Ok(next) => {
                        prop_assert!(due <= now);
                        starts.push(due);
                        schedule = next;
                    }
                    Err(_) => prop_assert!(due > now),
                }
                prop_assert!(!schedule.is_due(now), "what is started is not due any more");
            }
        }
        let period = SignedDuration::from_hours(every.days() * 24);
        for pair in starts.windows(2) {
            let periods = pair[1].duration_since(pair[0]).as_secs_f64() / period.as_secs_f64();
            prop_assert!((periods - periods.round()).abs() < 0.01 && periods >= 0.99, "{periods} periods");
        }
    }

    /// After 30 hours of outage exactly one backup makes up for what was missed.
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
