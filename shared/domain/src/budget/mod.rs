//! The call budget: the calls that all workers together may send to one account's CRM.
//!
//! Each account has one record, which every worker changes through the ledger. The generic cell rate algorithm keeps
//! the rate limits with `window × rate + burst ≤ limit`, so no window of the CRM sees more calls than its limit: 190
//! calls per ten seconds become 18.6 a second and a burst of 4. A worker leases *slots*, points in time at which it may
//! send a call. Unused slots are lost, so it leases only a few.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::lease::WaitReason;
use crate::ports::ledger::{Key, Record};

/// The CRM's limits for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallLimits {
    /// Calls per window and app.
    #[serde(rename = "perTenSeconds")]
    pub per_window: u32,
    /// How long a window is. No stretch of time of this length sees more calls than the limit. Not stored if it is that
    /// of records from before it was.
    #[serde(default = "former::window", skip_serializing_if = "former::is_window")]
    pub window: SignedDuration,
    /// Calls per day and account.
    pub per_day: u32,
    /// Searches per second and account. Not stored if they are those of records from before they were.
    #[serde(default = "former::searches", skip_serializing_if = "former::is_searches")]
    pub searches_per_second: u32,
}

impl CallLimits {
    /// Limits by windows of ten seconds and days, and five searches a second.
    pub const fn in_ten_seconds(calls: u32, per_day: u32) -> Self {
        Self { per_window: calls, window: former::window(), per_day, searches_per_second: former::searches() }
    }

    /// Calls per ten seconds, rounded down.
    pub fn per_ten_seconds(self) -> u32 {
        let millis = self.window.unsigned_abs().as_millis().max(1);
        u32::try_from(u128::from(self.per_window) * 10_000 / millis).unwrap_or(u32::MAX)
    }
}

/// What every CRM had before it was stored.
mod former {
    use jiff::SignedDuration;

    pub(super) const fn window() -> SignedDuration {
        SignedDuration::from_secs(10)
    }

    pub(super) fn is_window(window: &SignedDuration) -> bool {
        *window == self::window()
    }

    pub(super) const fn searches() -> u32 {
        5
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) const fn is_searches(searches: &u32) -> bool {
        *searches == self::searches()
    }
}

/// The limit that a call counts against, besides the limit per day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// The limit per window.
    Ordinary,
    /// The limit of searches per second.
    Search,
}

/// The share of the CRM's limits that backups may use, in percent from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallShare {
    /// The share of the limit per window. That limit belongs to this app alone, so the default is all of it.
    pub burst_percent: u8,
    /// The share of the limit per day. Other apps of the account use that limit too, so the default is half of it.
    pub daily_percent: u8,
}

impl Default for CallShare {
    fn default() -> Self {
        Self { burst_percent: 100, daily_percent: 50 }
    }
}

impl CallShare {
    /// Whether both percentages are from 1 to 100.
    pub fn is_valid(self) -> bool {
        (1..=100).contains(&self.burst_percent) && (1..=100).contains(&self.daily_percent)
    }
}

/// The limits for an account, from its connection and its settings.
#[derive(Debug, Clone)]
pub struct BudgetPolicy {
    pub limits: CallLimits,
    pub share: CallShare,
    /// Decides when the account's day begins.
    pub time_zone: TimeZone,
}

/// How long the CRM's figure of the calls left today is valid.
const REMAINING_HOLDS: SignedDuration = SignedDuration::from_mins(30);

/// A rate limit as slots: the time between two slots, and how many may be taken at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    interval: SignedDuration,
    burst: u32,
}

impl Pace {
    /// At most `limit` calls in any time of length `window`, with a burst of about 2% of them.
    fn of(limit: u32, window: SignedDuration) -> Self {
        let limit = limit.max(2);
        let burst = (limit / 45).clamp(1, 8);
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        // Rounded up, so that the rate is never above the limit.
        let interval = (window + i64::from(limit - burst) - 1) / i64::from(limit - burst);
        Self { interval: SignedDuration::from_micros(interval), burst }
    }

    /// `limit` calls a second, evenly spread. A second is too short to keep room for a burst, so the calls are 8%
    /// further apart than necessary: 80 ms of room for calls that arrive closer together than they were sent.
    fn even(limit: u32) -> Self {
        Self { interval: SignedDuration::from_millis(1_080 / i64::from(limit.max(1))), burst: 1 }
    }
}

impl BudgetPolicy {
    fn pace(&self, kind: CallKind) -> Pace {
        match kind {
            CallKind::Ordinary => {
                let limit = percent(self.limits.per_window, self.share.burst_percent);
                Pace::of(limit, self.limits.window)
            }
            CallKind::Search => Pace::even(percent(self.limits.searches_per_second, self.share.burst_percent)),
        }
    }

    /// Calls per second in the long run.
    pub fn calls_per_second(&self) -> f64 {
        1.0 / self.pace(CallKind::Ordinary).interval.as_secs_f64()
    }

    /// The slots of a kind within `time`, at least one.
    pub fn slots_within(&self, kind: CallKind, time: SignedDuration) -> u32 {
        let slots = time.as_micros() / self.pace(kind).interval.as_micros().max(1);
        u32::try_from(slots).unwrap_or(u32::MAX).max(1)
    }

    /// Calls per day, within the share.
    pub fn calls_per_day(&self) -> u32 {
        percent(self.limits.per_day, self.share.daily_percent)
    }

    fn next_midnight(&self, now: Timestamp) -> Timestamp {
        let today = now.to_zoned(self.time_zone.clone());
        let tomorrow = today.tomorrow().and_then(|day| day.start_of_day());
        tomorrow.map_or(now + SignedDuration::from_hours(24), |midnight| midnight.timestamp())
    }
}

fn percent(whole: u32, percent: u8) -> u32 {
    u32::try_from(u64::from(whole) * u64::from(percent) / 100).unwrap_or(whole).max(1)
}

/// The calls that the workers of one account have used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallBudget {
    pub account_id: AccountId,
    /// The first free slot for ordinary calls.
    pub next_slot: Timestamp,
    /// The first free slot for searches.
    pub next_search_slot: Timestamp,
    /// The end of a pause that the CRM asked for.
    pub paused_until: Timestamp,
    /// The end of a pause of searches that the CRM asked for.
    #[serde(default)]
    pub searches_paused_until: Timestamp,
    /// Slots leased since the day began.
    pub used_today: u32,
    /// The account's next midnight.
    pub day_ends_at: Timestamp,
    /// The CRM's figure of the calls left today for all apps, less the slots leased since.
    pub remaining_today: Option<u32>,
    /// When the CRM gave the figure. It is dropped after a while, so that a stale one never stops an account for long.
    pub remaining_seen_at: Timestamp,
}

/// The answer to a request for slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// One call may be sent at each of these times, not earlier.
    Slots(Vec<Timestamp>),
    Wait {
        until: Timestamp,
        reason: WaitReason,
    },
}

impl CallBudget {
    /// The budget of an account that has sent no call yet.
    pub fn unused(account_id: AccountId, policy: &BudgetPolicy, now: Timestamp) -> Self {
        Self {
            account_id,
            next_slot: now,
            next_search_slot: now,
            paused_until: now,
            searches_paused_until: now,
            used_today: 0,
            day_ends_at: policy.next_midnight(now),
            remaining_today: None,
            remaining_seen_at: now,
        }
    }

    /// Leases up to `wanted` slots, none later than `latest`.
    pub fn lease(
        &self,
        policy: &BudgetPolicy,
        kind: CallKind,
        wanted: u32,
        now: Timestamp,
        latest: Timestamp,
    ) -> (Self, Grant) {
        let mut next = self.at(policy, now);
        let (left, until) = next.left(policy, 1);
        if left == 0 {
            return (next, Grant::Wait { until, reason: WaitReason::DailyLimit });
        }
        let pace = policy.pace(kind);
        let earliest = now - pace.interval * i32::try_from(pace.burst - 1).unwrap_or(0);
        let first = next.slot(kind).max(earliest).max(self.pause_of(kind));
        let mut slots = Vec::new();
        let mut slot = first;
        while slots.len() < wanted.min(left) as usize && slot <= latest {
            slots.push(slot.max(now));
            slot += pace.interval;
        }
        if slots.is_empty() {
            let grant = Grant::Wait { until: first, reason: WaitReason::RateLimit };
            return (next, grant);
        }
        let taken = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        match kind {
            CallKind::Ordinary => next.next_slot = slot,
            CallKind::Search => next.next_search_slot = slot,
        }
        next.used_today += taken;
        next.remaining_today = next.remaining_today.map(|remaining| remaining.saturating_sub(taken));
        (next, Grant::Slots(slots))
    }

    /// How many calls are left today, and when to look again if they are fewer than `wanted`.
    pub fn left_today(&self, policy: &BudgetPolicy, wanted: u32, now: Timestamp) -> (u32, Timestamp) {
        self.at(policy, now).left(policy, wanted)
    }

    fn left(&self, policy: &BudgetPolicy, wanted: u32) -> (u32, Timestamp) {
        let of_share = policy.calls_per_day().saturating_sub(self.used_today);
        let left = self.remaining_today.map_or(of_share, |remaining| remaining.min(of_share));
        // If only the CRM's figure is too low, it is read again after a while, because the CRM's day may end before
        // ours.
        let until = if of_share < wanted { self.day_ends_at } else { self.remaining_seen_at + REMAINING_HOLDS };
        (left, until.min(self.day_ends_at))
    }

    /// The used share of the day's calls, in percent.
    pub fn used_percent(&self, policy: &BudgetPolicy) -> f64 {
        f64::from(self.used_today) * 100.0 / f64::from(policy.calls_per_day())
    }

    /// The budget with a pause of all calls until `until`.
    #[must_use]
    pub fn paused(&self, until: Timestamp) -> Self {
        Self { paused_until: self.paused_until.max(until), ..self.clone() }
    }

    /// The budget with a pause of searches until `until`.
    #[must_use]
    pub fn searches_paused(&self, until: Timestamp) -> Self {
        Self { searches_paused_until: self.searches_paused_until.max(until), ..self.clone() }
    }

    /// Records the CRM's figure of the calls left today for all apps.
    #[must_use]
    pub fn daily_remaining(&self, policy: &BudgetPolicy, remaining: u32, now: Timestamp) -> Self {
        Self { remaining_today: Some(remaining), remaining_seen_at: now, ..self.at(policy, now) }
    }

    /// The budget at `now`. A new day starts from zero.
    fn at(&self, policy: &BudgetPolicy, now: Timestamp) -> Self {
        let mut next = self.clone();
        if now >= self.day_ends_at {
            next.used_today = 0;
            next.remaining_today = None;
            next.day_ends_at = policy.next_midnight(now);
        }
        if now >= self.remaining_seen_at + REMAINING_HOLDS {
            next.remaining_today = None;
        }
        next
    }

    fn slot(&self, kind: CallKind) -> Timestamp {
        match kind {
            CallKind::Ordinary => self.next_slot,
            CallKind::Search => self.next_search_slot,
        }
    }

    fn pause_of(&self, kind: CallKind) -> Timestamp {
        match kind {
            CallKind::Ordinary => self.paused_until,
            CallKind::Search => self.paused_until.max(self.searches_paused_until),
        }
    }

    /// The ledger's key of an account's budget.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(format!("BUDGET#{account_id}"), "BUDGET")
    }
}

impl Record for CallBudget {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }
}

#[cfg(test)]
mod tests;
