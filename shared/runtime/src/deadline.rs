//! How long a run may work.

use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Context;

/// The time at which an invocation must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    stopped_at: Timestamp,
    margin: SignedDuration,
}

impl Deadline {
    /// The deadline of an invocation that begins at `now`.
    pub fn of(context: &Context, now: Timestamp) -> Self {
        let millis = i64::try_from(context.deadline).unwrap_or(i64::MAX);
        let stopped_at = Timestamp::from_millisecond(millis).unwrap_or(now);
        let left = stopped_at.duration_since(now);
        let margin = (left / 10).clamp(SignedDuration::from_secs(1), SignedDuration::from_secs(10));
        Self { stopped_at, margin }
    }

    /// When Lambda kills the function.
    pub const fn stopped_at(self) -> Timestamp {
        self.stopped_at
    }

    /// When to stop starting work, so that the answer is sent in time: a tenth of the available time before
    /// [`Self::stopped_at`], at least 1 second and at most 10.
    pub fn begin_nothing_after(self) -> Timestamp {
        self.stopped_at - self.margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_grows_with_the_timeout_from_1_to_10_seconds() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let work_time = |timeout: i64| {
            let mut context = Context::default();
            context.deadline =
                u64::try_from((now + SignedDuration::from_secs(timeout)).as_millisecond()).expect("late");
            Deadline::of(&context, now).begin_nothing_after().duration_since(now).as_secs()
        };
        assert_eq!(work_time(5), 4);
        assert_eq!(work_time(30), 27);
        assert_eq!(work_time(900), 890);
    }
}
