//! Schedules: stored records, and the next run in any time zone.

use domain::ids::BackupId;
use domain::schedule::{Cadence, Schedule, next_run};
use fuzz::{Form, Target};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const WORDS: &[&str] = &[
    "every",
    "week",
    "two-weeks",
    "on",
    "anchor",
    "timeZone",
    "nextRunAt",
    "waitsUntil",
    "latest",
    "stopped",
    "Europe/Berlin",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Monrovia",
    "UTC",
    "2026-03-29T02:30:00",
    "2026-10-25T02:30:00Z",
    "2026-12-31T23:59:59Z",
];

#[test]
fn fuzz_schedule() {
    Target::new("schedule", Form::Json, WORDS).fuzz(|input| {
        let Ok(schedule) = serde_json::from_slice::<Schedule>(input) else { return None };
        let written = serde_json::to_vec(&schedule).expect("a schedule can be written");
        assert!(serde_json::from_slice::<Schedule>(&written).is_ok_and(|read| read == schedule));
        let on = schedule.on.as_ref()?;
        let zone = TimeZone::get(&on.time_zone).unwrap_or(TimeZone::UTC);
        if !is_of_this_century(on.next_run_at) || !(2000..2100).contains(&on.anchor.year()) {
            return Some((false, false, false));
        }
        for every in [Cadence::Week, Cadence::TwoWeeks] {
            let next = next_run(on.anchor, every, &zone, on.next_run_at);
            assert!(next > on.next_run_at, "the next run is not later");
            let days = next.duration_since(on.next_run_at).as_hours() / 24;
            let begin = on.anchor.to_zoned(zone.clone()).map_or(on.next_run_at, |anchor| anchor.timestamp());
            let before = begin > on.next_run_at;
            assert!(before || days <= every.days() + 1, "{days} days until the next run");
        }
        let id = BackupId::new(on.next_run_at, [7; 10]);
        let started = schedule.started(id, &on.time_zone, on.next_run_at);
        assert!(started.as_ref().is_ok_and(|next| !next.is_due(on.next_run_at)) || started.is_err(), "it runs twice");
        Some((true, started.is_ok(), zone == TimeZone::UTC))
    });
}

fn is_of_this_century(time: Timestamp) -> bool {
    (946_684_800..4_102_444_800).contains(&time.as_second())
}
