//! The call budget: the calls that all workers together may send to one account's CRM.
//!
//! Each account has one record, which every worker changes through the ledger. A worker leases *slots*, points in time
//! at which it may send a call. The record counts the slots of the latest window, so no window of the CRM sees more
//! calls than its limit: of 190 calls per ten seconds, 188 are leased. A worker gives back the slots that it does not
//! use. If it ends, its last ones are lost for a window, so it leases only a few. Searches, which have a limit per
//! second, are evenly spread.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::lease::WaitReason;
use crate::ports::ledger::{Key, Record};

use self::recent::{Rate, RecentSlots};

mod recent;

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

impl BudgetPolicy {
    fn rate(&self) -> Rate {
        Rate::below(percent(self.limits.per_window, self.share.burst_percent), self.limits.window)
    }

    /// The time between two searches. A second is too short to leave some of them out, so they are 8% further apart
    /// than necessary: 80 ms of room for searches that arrive closer together than they were sent.
    fn between_searches(&self) -> SignedDuration {
        let limit = percent(self.limits.searches_per_second, self.share.burst_percent);
        SignedDuration::from_millis(1_080 / i64::from(limit))
    }

    /// Calls per second in the long run.
    pub fn calls_per_second(&self) -> f64 {
        1.0 / self.rate().interval().as_secs_f64()
    }

    /// The slots of a kind within `time` on average, at least one.
    pub fn slots_within(&self, kind: CallKind, time: SignedDuration) -> u32 {
        let interval = match kind {
            CallKind::Ordinary => self.rate().interval(),
            CallKind::Search => self.between_searches(),
        };
        let slots = time.as_micros() / interval.as_micros().max(1);
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
    /// The first free slot for ordinary calls if they were evenly spread, as functions of earlier versions spread them.
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
    /// The slots of ordinary calls in the latest window. None in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recent: Option<RecentSlots>,
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
            recent: Some(RecentSlots::none(now)),
        }
    }

    /// The budget after `unused` were given back: leased slots whose calls were not sent, and never will be.
    /// Slots of searches are not counted, so there is nothing to give back.
    #[must_use]
    pub fn given_back(&self, policy: &BudgetPolicy, kind: CallKind, unused: &[Timestamp]) -> Self {
        let mut next = self.clone();
        match &mut next.recent {
            Some(recent) if kind == CallKind::Ordinary && recent.is_current(next.next_slot) => {
                for slot in unused {
                    recent.give_back(*slot, policy.rate());
                }
            }
            _ => {}
        }
        // The CRM's own figure of the calls left stays lower than it is, until the CRM gives the next.
        let today = self.day_ends_at - SignedDuration::from_hours(24)..self.day_ends_at;
        let of_today = unused.iter().filter(|slot| today.contains(slot)).count();
        next.used_today = next.used_today.saturating_sub(u32::try_from(of_today).unwrap_or(u32::MAX));
        next
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
        let wanted = wanted.min(left);
        let taken = match kind {
            CallKind::Ordinary => next.take_calls(policy.rate(), wanted, now, latest),
            CallKind::Search => next.take_searches(policy.between_searches(), wanted, now, latest),
        };
        let slots = match taken {
            Ok(slots) => slots,
            Err(until) => return (next, Grant::Wait { until, reason: WaitReason::RateLimit }),
        };
        let taken = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        next.used_today += taken;
        next.remaining_today = next.remaining_today.map(|remaining| remaining.saturating_sub(taken));
        (next, Grant::Slots(slots))
    }

    /// Takes up to `wanted` slots for ordinary calls, none later than `latest`. If there is none, returns the time of the
    /// next one.
    fn take_calls(
        &mut self,
        rate: Rate,
        wanted: u32,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Vec<Timestamp>, Timestamp> {
        let earliest = now.max(self.paused_until);
        let known = self.recent.take().filter(|recent| recent.is_current(self.next_slot));
        let mut recent = known.unwrap_or_else(|| RecentSlots::even_until(self.next_slot, rate));
        let mut slots = Vec::new();
        let mut later = earliest;
        for _ in 0..wanted {
            match recent.take(rate, earliest, latest) {
                Ok(slot) => slots.push(slot),
                Err(slot) => {
                    later = slot;
                    break;
                }
            }
        }
        self.next_slot = recent.budget_next();
        self.recent = Some(recent);
        if slots.is_empty() { Err(later) } else { Ok(slots) }
    }

    /// The same for searches.
    fn take_searches(
        &mut self,
        interval: SignedDuration,
        wanted: u32,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Vec<Timestamp>, Timestamp> {
        let first = self.next_search_slot.max(now).max(self.paused_until).max(self.searches_paused_until);
        let mut slots = Vec::new();
        let mut slot = first;
        while slots.len() < wanted as usize && slot <= latest {
            slots.push(slot);
            slot += interval;
        }
        if slots.is_empty() {
            return Err(first);
        }
        self.next_search_slot = slot;
        Ok(slots)
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
