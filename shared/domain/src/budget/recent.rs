//! The slots of the latest window. While the window has room, calls may follow each other faster than the limit is on
//! average. So a small backup does not wait for a pace that only a large one needs, and calls use the room that unused
//! slots have left.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A window is counted in this many parts. Slots of the oldest part count until all of it is out of the window: on
/// average, a slot counts half a part too long.
const PARTS: usize = 100;

/// The time between two calls in percent of the average: if the window is empty, and if more of its slots are used than
/// [`QUICK_AFTER_A_PAUSE`]. In between it grows with the used slots. Most calls are almost evenly spread: what is quicker
/// than the average in one window is slower in the next, and that pattern would return with each window. The rest makes up
/// for slots that were not used.
const OF_AN_EMPTY_WINDOW: u32 = 40;
const OF_A_USED_WINDOW: u32 = 95;

/// The first calls after a pause are quick, so a small backup is too. In percent of the window's slots.
const QUICK_AFTER_A_PAUSE: u32 = 20;

/// A rate limit: never more than `slots` in any time of length `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    slots: u32,
    window: SignedDuration,
}

impl Rate {
    /// The rate for the CRM's limit. About 1% of the calls are left out: they arrive closer together than they were
    /// sent.
    pub(super) fn below(limit: u32, window: SignedDuration) -> Self {
        let limit = limit.max(2);
        Self { slots: limit - (limit / 75).clamp(1, 4), window: window.max(SignedDuration::from_millis(100)) }
    }

    /// The time between two calls that are evenly spread, rounded up.
    pub(super) fn interval(self) -> SignedDuration {
        let micros = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        SignedDuration::from_micros(micros / i64::from(self.slots) + 1)
    }

    /// The time to the next call if the window has `used` slots.
    fn gap(self, used: u32) -> SignedDuration {
        let quick = (self.slots * QUICK_AFTER_A_PAUSE / 100).max(1);
        let more = (OF_A_USED_WINDOW - OF_AN_EMPTY_WINDOW) * used.min(quick) / quick;
        self.interval() * i32::try_from(OF_AN_EMPTY_WINDOW + more).unwrap_or(100) / 100
    }

    fn part(self) -> SignedDuration {
        self.window / 100
    }

    /// The number of the part that a time is in.
    fn part_of(self, time: Timestamp) -> i64 {
        let micros = i64::try_from(self.part().as_micros()).unwrap_or(1);
        time.as_microsecond().div_euclid(micros)
    }

    fn begin_of(self, part: i64) -> Timestamp {
        let micros = i64::try_from(self.part().as_micros()).unwrap_or(1);
        Timestamp::from_microsecond(part.saturating_mul(micros)).unwrap_or(Timestamp::MAX)
    }
}

/// The slots of the latest window, and when the next one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecentSlots {
    /// The number of slots in each part of the window, the latest part last.
    #[serde(with = "in_text")]
    counts: Vec<u32>,
    /// Some time in the latest part.
    latest: Timestamp,
    /// There is no slot before.
    next: Timestamp,
    /// The budget's `nextSlot` at the same time. Functions of earlier versions change that one alone.
    budget_next: Timestamp,
}

impl RecentSlots {
    /// No slots yet.
    pub(super) fn none(now: Timestamp) -> Self {
        Self { counts: Vec::new(), latest: now, next: now, budget_next: now }
    }

    /// Whether a function of an earlier version has leased slots since: then `budget_next` is another one.
    pub(super) fn is_current(&self, budget_next: Timestamp) -> bool {
        self.budget_next == budget_next
    }

    /// A window full of slots that are evenly spread up to `next`. Functions of earlier versions keep no other record.
    pub(super) fn even_until(next: Timestamp, rate: Rate) -> Self {
        let mut recent = Self { counts: Vec::new(), latest: next - rate.window, next, budget_next: next };
        for nth in (1..=rate.slots).rev() {
            let ahead = rate.interval().checked_mul(i32::try_from(nth).unwrap_or(i32::MAX)).unwrap_or(rate.window);
            recent.add(next - ahead.min(rate.window), rate);
        }
        recent
    }

    /// Takes the next slot, if it is no later than `latest`. Otherwise returns when it would be.
    pub(super) fn take(&mut self, rate: Rate, earliest: Timestamp, latest: Timestamp) -> Result<Timestamp, Timestamp> {
        let mut slot = self.next.max(earliest);
        while self.used(slot, rate) >= rate.slots {
            slot = rate.begin_of(rate.part_of(slot) + 1);
        }
        if slot > latest {
            return Err(slot);
        }
        self.add(slot, rate);
        self.next = slot + rate.gap(self.used(slot, rate));
        let even = self.budget_next.max(slot) + rate.interval();
        self.budget_next = even.min(slot + rate.window);
        Ok(slot)
    }

    /// From when on functions of earlier versions, which spread their calls evenly, may send them.
    pub(super) fn budget_next(&self) -> Timestamp {
        self.budget_next
    }

    /// The slots of the window that ends with `time`'s part.
    fn used(&self, time: Timestamp, rate: Rate) -> u32 {
        let later = usize::try_from(rate.part_of(time) - rate.part_of(self.latest)).unwrap_or(0);
        let counted = (PARTS + 1).saturating_sub(later).min(self.counts.len());
        self.counts[self.counts.len() - counted..].iter().sum()
    }

    /// No longer counts a slot that was taken.
    pub(super) fn give_back(&mut self, slot: Timestamp, rate: Rate) {
        let earlier = usize::try_from(rate.part_of(self.latest) - rate.part_of(slot)).ok();
        let place = earlier.and_then(|earlier| self.counts.len().checked_sub(earlier + 1));
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a slot, which is not before the latest one.
    fn add(&mut self, slot: Timestamp, rate: Rate) {
        let later = usize::try_from(rate.part_of(slot) - rate.part_of(self.latest)).unwrap_or(0);
        if later > PARTS {
            self.counts.clear();
        } else {
            self.counts.extend(std::iter::repeat_n(0, later));
        }
        match self.counts.last_mut() {
            Some(count) => *count += 1,
            None => self.counts.push(1),
        }
        let outside = self.counts.len().saturating_sub(PARTS + 1);
        let empty = self.counts.iter().skip(outside).take_while(|count| **count == 0).count();
        self.counts.drain(..outside + empty);
        self.latest = slot;
    }
}

/// Counts as a text: the numbers between commas, and nothing for zero. It is shorter than a list.
mod in_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(counts: &[u32], to: S) -> Result<S::Ok, S::Error> {
        let texts = counts.iter().map(|count| if *count == 0 { String::new() } else { count.to_string() });
        to.serialize_str(&texts.collect::<Vec<_>>().join(","))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u32>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        text.split(',')
            .map(|count| if count.is_empty() { Ok(0) } else { count.parse() })
            .collect::<Result<_, _>>()
            .map_err(de::Error::custom)
    }
}
