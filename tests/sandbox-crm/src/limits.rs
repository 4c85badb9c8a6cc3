//! Call limits: so many calls in any ten seconds, so many a day, and searches apart from both.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::plan::Limits;

/// Which limit a call draws on. Every call also draws on the daily one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    Ordinary,
    Search,
}

/// The limit that refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    TenSecondlyRolling,
    Secondly,
    Daily,
}

impl Policy {
    /// As in the answer's `policyName`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TenSecondlyRolling => "TEN_SECONDLY_ROLLING",
            Self::Secondly => "SECONDLY",
            Self::Daily => "DAILY",
        }
    }
}

/// What is left, for the response's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) in_ten_seconds: u32,
    pub(crate) today: u32,
}

/// Counts the calls of one portal.
#[derive(Debug)]
pub(crate) struct Limiter {
    time_zone: TimeZone,
    ordinary: VecDeque<Instant>,
    searches: VecDeque<Instant>,
    day: Option<Date>,
    used_today: u32,
}

impl Limiter {
    pub(crate) fn new(time_zone: TimeZone) -> Self {
        Self { time_zone, ordinary: VecDeque::new(), searches: VecDeque::new(), day: None, used_today: 0 }
    }

    /// Admits a call, or returns the limit that it exceeds. Refused calls are not counted.
    pub(crate) fn admit(
        &mut self,
        kind: CallKind,
        limits: &Limits,
        now: Instant,
        time: Timestamp,
    ) -> (Result<(), Policy>, Left) {
        self.start_day(time);
        drop_older(&mut self.ordinary, now, Duration::from_secs(10));
        drop_older(&mut self.searches, now, Duration::from_secs(1));
        let (window, limit, policy) = match kind {
            CallKind::Ordinary => (&mut self.ordinary, limits.per_ten_seconds, Policy::TenSecondlyRolling),
            CallKind::Search => (&mut self.searches, limits.searches_per_second, Policy::Secondly),
        };
        let admitted = if self.used_today >= limits.per_day {
            Err(Policy::Daily)
        } else if window.len() >= limit as usize {
            Err(policy)
        } else {
            window.push_back(now);
            self.used_today += 1;
            Ok(())
        };
        let used = u32::try_from(self.ordinary.len()).unwrap_or(u32::MAX);
        let left = Left {
            in_ten_seconds: limits.per_ten_seconds.saturating_sub(used),
            today: limits.per_day.saturating_sub(self.used_today),
        };
        (admitted, left)
    }

    /// Pretends that so many calls were made today.
    pub(crate) fn set_used_today(&mut self, used: u32, time: Timestamp) {
        self.start_day(time);
        self.used_today = used;
    }

    fn start_day(&mut self, time: Timestamp) {
        let today = time.to_zoned(self.time_zone.clone()).date();
        if self.day != Some(today) {
            self.day = Some(today);
            self.used_today = 0;
        }
    }
}

fn drop_older(window: &mut VecDeque<Instant>, now: Instant, length: Duration) {
    while window.front().is_some_and(|call| now.duration_since(*call) >= length) {
        window.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn admit(limiter: &mut Limiter, kind: CallKind, limits: &Limits, millis: u64) -> (Result<(), Policy>, Left) {
        // The day is irrelevant here but must not change.
        let time: Timestamp = "2026-11-22T12:00:00Z".parse().expect("valid");
        limiter.admit(kind, limits, start() + Duration::from_millis(millis), time)
    }

    fn start() -> Instant {
        use std::sync::OnceLock;
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    #[test]
    fn no_ten_seconds_see_more_than_the_limit() {
        let limits = Limits { per_ten_seconds: 3, ..Plan::Free.limits() };
        let mut limiter = Limiter::new(TimeZone::UTC);
        for millis in [0, 4_000, 9_000] {
            assert_eq!(admit(&mut limiter, CallKind::Ordinary, &limits, millis).0, Ok(()));
        }
        let refused = admit(&mut limiter, CallKind::Ordinary, &limits, 9_999);
        assert_eq!(refused.0, Err(Policy::TenSecondlyRolling));
        assert_eq!(refused.1.in_ten_seconds, 0);
        assert_eq!(admit(&mut limiter, CallKind::Ordinary, &limits, 10_000).0, Ok(()));
        assert_eq!(admit(&mut limiter, CallKind::Ordinary, &limits, 10_001).0, Err(Policy::TenSecondlyRolling));
    }

    #[test]
    fn searches_have_a_limit_of_their_own_and_count_for_the_day() {
        let limits = Limits { per_ten_seconds: 1, per_day: 7, ..Plan::Free.limits() };
        let mut limiter = Limiter::new(TimeZone::UTC);
        for _ in 0..5 {
            assert_eq!(admit(&mut limiter, CallKind::Search, &limits, 0).0, Ok(()));
        }
        assert_eq!(admit(&mut limiter, CallKind::Search, &limits, 999).0, Err(Policy::Secondly));
        assert_eq!(admit(&mut limiter, CallKind::Ordinary, &limits, 999).0, Ok(()));
        assert_eq!(
            admit(&mut limiter, CallKind::Search, &limits, 1_000),
            (Ok(()), Left { in_ten_seconds: 0, today: 0 })
        );
        assert_eq!(admit(&mut limiter, CallKind::Search, &limits, 5_000).0, Err(Policy::Daily));
    }

    #[test]
    fn the_day_ends_at_the_portals_midnight() {
        let limits = Limits { per_day: 1, ..Plan::Free.limits() };
        let mut limiter = Limiter::new(TimeZone::get("America/New_York").expect("bundled"));
        let mut at = |time: &str| limiter.admit(CallKind::Ordinary, &limits, start(), time.parse().expect("valid")).0;
        assert_eq!(at("2026-11-22T12:00:00Z"), Ok(()));
        assert_eq!(at("2026-11-23T04:59:59Z"), Err(Policy::Daily));
        assert_eq!(at("2026-11-23T05:00:00Z"), Ok(()));
    }
}
