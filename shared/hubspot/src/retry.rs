//! When a failed call is sent again: exponential back-off with full jitter, bounded by attempts and by the run's
//! deadline. Pure, so that it can be tested without waiting.

use std::time::Duration;

use domain::lease::WRITE_MARGIN;
use domain::ports::call_gate::RefusedPolicy;

/// How patient the client is.
#[derive(Debug, Clone)]
pub(crate) struct RetryPolicy {
    /// Longer than this no answer is waited for. HubSpot itself gives up on a call after about ten seconds.
    pub(crate) answer_timeout: Duration,
    /// The upper bound of the first back-off; it doubles with every attempt.
    pub(crate) first_backoff: Duration,
    /// The shortest pause before a refusal is asked for once more, or whether values are still hidden.
    pub(crate) second_look: Duration,
    /// A write that was sent so long ago cannot land any more.
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

/// A call is sent this often when the CRM fails.
pub(crate) const ATTEMPTS: u32 = 5;
/// A call is sent this often when the CRM refuses it for its rate: each refusal pauses the whole account, so more would
/// mean that another app uses the limit up.
const RATE_REFUSALS: u32 = 10;
/// The limit per day does not come back within a run. The second try is for a day that has just begun.
const DAILY_REFUSALS: u32 = 2;
/// The longest back-off.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The pause after the limit per day is used up, where the CRM names none.
const DAILY_PAUSE: Duration = Duration::from_mins(15);
/// The first pause after a refused rate, where the CRM names none. The limit's window rolls, so a second frees a tenth
/// of it.
const RATE_PAUSE: Duration = Duration::from_secs(1);

/// A 401, 403 or 404 is asked for again this often: some pass, as while scopes are being added.
const SECOND_LOOKS: u32 = 2;

/// What has happened to one call so far.
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
    /// For a call that there are other ways for: it is sent `attempts` times at most when the CRM fails.
    pub(crate) fn of_attempts(attempts: u32) -> Self {
        Self { attempts, ..Self::default() }
    }

    /// For a call that may well be refused for good: a refusal is asked for again `most` times at most.
    pub(crate) fn with_second_looks(self, most: u32) -> Self {
        Self { most_second_looks: most, ..self }
    }

    /// The CRM refused what it may not refuse a moment later. Returns how long to wait before the call is sent again, or
    /// None when the refusal is to be believed.
    pub(crate) fn after_refusal(&mut self, policy: &RetryPolicy, jitter: f64, time_left: Duration) -> Option<Duration> {
        self.second_looks += 1;
        if self.second_looks > self.most_second_looks {
            return None;
        }
        let wait = policy.second_look.mul_f64(f64::from(self.second_looks) + jitter.clamp(0.0, 1.0));
        (wait < time_left).then_some(wait)
    }

    /// How often the call was sent.
    pub(crate) fn sent(&self) -> u32 {
        self.failures + self.refusals + self.second_looks
    }

    /// The CRM failed. Returns how long to wait before the call is sent again, or None to give up: after
    /// as many attempts as there may be, or when the wait would not end before `time_left` does. `at_least` is what the CRM asked for, `jitter`
    /// is from 0 to 1.
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

    /// The CRM refused the call for its rate. Returns for how long nobody should call, and whether to send it again
    /// after that. `asked` is the pause the CRM asked for, `window` the length of its limit's window.
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
        /// A failing CRM is called five times at most, never earlier than it asked, and never past the deadline.
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

    /// When somebody takes over from a run that wrote, the longest answer has been waited for, whatever clocks differ.
    #[test]
    fn an_answer_to_a_write_is_not_waited_for_longer_than_a_takeover_waits() {
        let longest = RetryPolicy::default().answer_timeout + Duration::from_secs(5);
        assert!(longest <= Duration::try_from(WRITE_MARGIN).expect("positive"));
    }

    /// B4: a refusal is asked for again after one to three seconds.
    #[test]
    fn refusals_are_doubted_twice() {
        for (jitter, expected) in [(0.0, [Some(1), Some(2), None]), (1.0, [Some(2), Some(3), None])] {
            let mut retries = Retries::default();
            let waits = [(); 3].map(|()| retries.after_refusal(&RetryPolicy::default(), jitter, LONG));
            assert_eq!(waits.map(|wait| wait.map(|wait| wait.as_secs())), expected);
        }
        let soon = Retries::default().after_refusal(&RetryPolicy::default(), 0.0, Duration::from_millis(900));
        assert_eq!(soon, None, "there is no time for it");
    }

    #[test]
    fn the_back_off_doubles() {
        let mut retries = Retries::default();
        let waits = [(); 5].map(|()| retries.after_failure(&RetryPolicy::default(), Duration::ZERO, 1.0, LONG));
        let millis = waits.map(|wait| wait.map(|wait| wait.as_millis()));
        assert_eq!(millis, [Some(500), Some(1_000), Some(2_000), Some(4_000), None]);
    }

    #[test]
    fn refused_rates_pause_for_longer_each_time_up_to_the_window() {
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
    fn the_pause_that_the_crm_names_wins() {
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
