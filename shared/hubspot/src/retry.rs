//! Decides when a failed call is sent again: exponential back-off with full jitter, limited by the number of attempts
//! and by the deadline of the run. It does not wait itself, so tests are fast.

use std::time::Duration;

use domain::lease::WRITE_MARGIN;
use domain::ports::call_gate::RefusedPolicy;

/// The time-outs and waits of the client.
#[derive(Debug, Clone)]
pub(crate) struct RetryPolicy {
    /// The longest wait for an answer. HubSpot itself gives up on a call after about ten seconds.
    pub(crate) answer_timeout: Duration,
    /// The longest first back-off. It doubles with every attempt.
    pub(crate) first_backoff: Duration,
    /// The shortest pause before a refused call is sent again, or hidden values are checked again.
    pub(crate) second_look: Duration,
    /// A write cannot land after this time.
    pub(crate) landing: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_secs(20),
            first_backoff: Duration::from_millis(500),
            second_look: Duration::from_secs(1),
            landing: Duration::from_secs(WRITE_MARGIN.as_secs().unsigned_abs()),
        }
    }
}

/// The most requests for one call if the CRM fails.
pub(crate) const ATTEMPTS: u32 = 5;
/// The most requests for one call if the rate limit refuses it. Each refusal pauses the whole account, so after more of
/// them another app must be using up the limit.
const RATE_REFUSALS: u32 = 10;
/// The most requests after the daily limit. It does not recover during a run; the second request is for a new day.
const DAILY_REFUSALS: u32 = 2;
/// The longest back-off, whatever the number of failures.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The pause after the daily limit, if the CRM names none.
const DAILY_PAUSE: Duration = Duration::from_mins(15);
/// The first pause after the rate limit, if the CRM names none. The limit's window rolls, so a second frees a tenth of
/// it.
const RATE_PAUSE: Duration = Duration::from_secs(1);

/// The most additional requests after 401, 403 or 404. Some are temporary, for example while scopes are being added.
const SECOND_LOOKS: u32 = 2;

/// Counts the failures of one call.
#[derive(Debug)]
pub(crate) struct Retries {
    failures: u32,
    refusals: u32,
    second_looks: u32,
    attempts: u32,
    most_second_looks: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self { failures: 0, refusals: 0, second_looks: 0, attempts: ATTEMPTS, most_second_looks: SECOND_LOOKS }
    }
}

impl Retries {
    /// At most `attempts` requests if the CRM fails, for a caller that has another way.
    pub(crate) fn of_attempts(attempts: u32) -> Self {
        Self { attempts, ..Self::default() }
    }

    /// At most `most` additional requests after a refusal, for a call that is often refused for good.
    pub(crate) fn with_second_looks(self, most: u32) -> Self {
        Self { most_second_looks: most, ..self }
    }

    /// Notes a refusal that may be temporary. Returns the wait before the next request, or `None` if the refusal is
    /// final.
    pub(crate) fn after_refusal(&mut self, policy: &RetryPolicy, jitter: f64, time_left: Duration) -> Option<Duration> {
        self.second_looks += 1;
        if self.second_looks > self.most_second_looks {
            return None;
        }
        let wait = policy.second_look.mul_f64(f64::from(self.second_looks) + jitter.clamp(0.0, 1.0));
        (wait < time_left).then_some(wait)
    }

    /// The number of requests so far.
    pub(crate) fn sent(&self) -> u32 {
        self.failures + self.refusals + self.second_looks
    }

    /// Notes a failure of the CRM. Returns the wait before the next request, or `None` after the last attempt, or if
    /// the wait would be longer than `time_left`. The CRM asked to wait `at_least` this long. `jitter` is from 0 to 1.
    pub(crate) fn after_failure(
        &mut self,
        policy: &RetryPolicy,
        at_least: Duration,
        jitter: f64,
        time_left: Duration,
    ) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.attempts {
            return None;
        }
        let ceiling = policy.first_backoff.saturating_mul(1 << (self.failures - 1)).min(LONGEST_WAIT);
        let wait = at_least + ceiling.mul_f64(jitter.clamp(0.0, 1.0));
        (wait < time_left).then_some(wait)
    }

    /// Notes a refusal by a rate limit. Returns the pause of the whole account, and whether to send the call again
    /// after it. `asked` is the pause that the CRM asked for, `window` the length of the limit's window.
    pub(crate) fn after_rate_limit(
        &mut self,
        policy: RefusedPolicy,
        asked: Option<Duration>,
        window: Duration,
    ) -> (Duration, bool) {
        self.refusals += 1;
        let (pause, bound) = match policy {
            RefusedPolicy::Daily => (DAILY_PAUSE, DAILY_REFUSALS),
            RefusedPolicy::Rate | RefusedPolicy::Searches => {
                let doubled = RATE_PAUSE.saturating_mul(1 << (self.refusals - 1).min(8));
                (doubled.min(window.max(RATE_PAUSE)), RATE_REFUSALS)
            }
        };
        (asked.unwrap_or(pause), self.refusals < bound)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    proptest! {
        /// A failing CRM gets five requests at most, never earlier than it asked, and never after the deadline.
        #[test]
        fn waits_are_bounded(jitter in 0.0..1.0_f64, asked in 0_u64..5, left in 0_u64..30) {
            let (asked, left) = (Duration::from_secs(asked), Duration::from_secs(left));
            let mut retries = Retries::default();
            let mut sent = 1;
            while let Some(wait) = retries.after_failure(&RetryPolicy::default(), asked, jitter, left) {
                prop_assert!(wait >= asked && wait < left && wait <= asked + LONGEST_WAIT);
                sent += 1;
            }
            prop_assert!(sent <= ATTEMPTS);
            prop_assert_eq!(retries.sent(), sent);
        }
    }

    /// When another run takes over from a run that wrote, the longest answer is over, even if clocks differ.
    #[test]
    fn the_answer_to_a_write_has_timed_out_before_another_run_takes_over() {
        let longest = RetryPolicy::default().answer_timeout + Duration::from_secs(5);
        assert!(longest <= Duration::try_from(WRITE_MARGIN).expect("positive"));
    }

    /// B4: a refused call is sent again after one to three seconds.
    #[test]
    fn a_refused_call_is_sent_again_twice() {
        for (jitter, expected) in [(0.0, [Some(1), Some(2), None]), (1.0, [Some(2), Some(3), None])] {
            let mut retries = Retries::default();
            let waits = [(); 3].map(|()| retries.after_refusal(&RetryPolicy::default(), jitter, LONG));
            assert_eq!(waits.map(|wait| wait.map(|wait| wait.as_secs())), expected);
        }
        let soon = Retries::default().after_refusal(&RetryPolicy::default(), 0.0, Duration::from_millis(900));
        assert_eq!(soon, None, "there is no time to wait");
    }

    #[test]
    fn the_back_off_doubles() {
        let mut retries = Retries::default();
        let waits = [(); 5].map(|()| retries.after_failure(&RetryPolicy::default(), Duration::ZERO, 1.0, LONG));
        let millis = waits.map(|wait| wait.map(|wait| wait.as_millis()));
        assert_eq!(millis, [Some(500), Some(1_000), Some(2_000), Some(4_000), None]);
    }

    #[test]
    fn pauses_after_the_rate_limit_double_up_to_its_window() {
        let mut retries = Retries::default();
        let mut pauses = Vec::new();
        loop {
            let (pause, again) = retries.after_rate_limit(RefusedPolicy::Rate, None, Duration::from_secs(10));
            pauses.push(pause.as_secs());
            if !again {
                break;
            }
        }
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10, 10, 10, 10, 10]);
    }

    #[test]
    fn the_pause_that_the_crm_asks_for_takes_precedence() {
        let asked = Some(Duration::from_secs(3));
        let mut retries = Retries::default();
        assert_eq!(
            retries.after_rate_limit(RefusedPolicy::Rate, asked, Duration::ZERO),
            (Duration::from_secs(3), true)
        );
        assert_eq!(
            retries.after_rate_limit(RefusedPolicy::Daily, asked, Duration::ZERO),
            (Duration::from_secs(3), false)
        );
    }
}
