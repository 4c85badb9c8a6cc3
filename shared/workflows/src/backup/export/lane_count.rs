//! How many chunks a run reads at a time: as many as are needed to have a call ready for every slot of the CRM's rate.
//!
//! A lane spends its time at the gate or at work: it waits for an answer, packs a page, commits a segment. The lanes
//! that a rate needs are rate × time at work for each call. This follows the CRM's latency, and needs no parameter.

use std::collections::HashMap;
use std::time::Duration;

use domain::ids::ChunkKey;
use jiff::{SignedDuration, Timestamp};

/// Lanes before anything was measured: 19 calls a second at 300 ms need 6.
const FIRST_LANES: usize = 8;

/// Chunks that are made before anything was measured: about as many as slow answers need lanes, 800 ms for instance.
/// Bounds take a search each, and searches are few a second, so those for the first lanes should not wait for others.
const FIRST_CHUNKS: usize = 16;

/// More lanes than the measured need, so that slots are used when answers come unevenly.
const RESERVE: f64 = 1.15;

/// A chunk with at most this many records left is brief: a lane is done with it after a few calls. Bounds for several
/// lanes take about as long.
const BRIEF: u64 = 400;

/// Free chunks that are made before a lane needs one.
const CHUNKS_AHEAD: usize = 4;

/// The weight of the latest measurement against those before.
const WEIGHT: f64 = 0.4;

/// How long a run does not list the backup's chunks again after it found none to take.
const LIST_EVERY: SignedDuration = SignedDuration::from_secs(15);

/// How long no lane begins after one has failed, most likely because a service does not answer.
const PAUSE_AFTER_FAILURE: SignedDuration = SignedDuration::from_secs(5);

/// How often a run that is not enough asks for another one.
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(15);

/// The lanes of a run, and the work that is left for them.
#[derive(Debug)]
pub(super) struct Standing {
    most: usize,
    wanted: usize,
    busy: usize,
    /// Work beside the lanes that sends calls too: closings, and searches for bounds.
    aside: usize,
    /// Searches for bounds that lanes without work wait for.
    searching: usize,
    /// Lanes that a split under way will have work for.
    promised: usize,
    /// Chunks that are known to be free.
    claimable: usize,
    /// Of these, the brief ones.
    brief: usize,
    /// When the chunks should be listed again, if lanes have no work.
    list_at: Option<Timestamp>,
    /// No lane begins before.
    pause_until: Option<Timestamp>,
    /// When another run was asked for.
    asked_at: Option<Timestamp>,
    /// About how many records are left in the chunks that lanes read. None in a chunk that cannot be split.
    left: HashMap<ChunkKey, Option<u64>>,
    /// Seconds of all lanes and the work beside them together, until `counted_to`.
    lane_seconds: f64,
    counted_to: Option<Timestamp>,
    measured_at: Option<Timestamp>,
    before: Calls,
    /// Seconds of a lane's work for each call.
    work_per_call: Option<f64>,
    is_met: bool,
}

/// The calls of a run so far, and how long they waited at the gate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Calls {
    pub(super) sent: u64,
    pub(super) waited: Duration,
    lane_seconds: f64,
}

impl Calls {
    pub(super) fn new(sent: u64, waited: Duration) -> Self {
        Self { sent, waited, lane_seconds: 0.0 }
    }
}

impl Standing {
    /// A run without lanes, which may have up to `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            wanted: FIRST_LANES.min(most),
            busy: 0,
            aside: 0,
            searching: 0,
            promised: 0,
            claimable: 0,
            brief: 0,
            list_at: None,
            pause_until: None,
            asked_at: None,
            left: HashMap::new(),
            lane_seconds: 0.0,
            counted_to: None,
            measured_at: None,
            before: Calls::default(),
            work_per_call: None,
            is_met: false,
        }
    }

    fn count_to(&mut self, now: Timestamp) {
        let since = self.counted_to.replace(now).unwrap_or(now);
        self.lane_seconds += now.duration_since(since).as_secs_f64() * count(self.busy + self.aside);
    }

    /// Another lane begins.
    pub(super) fn began(&mut self, now: Timestamp) {
        self.count_to(now);
        self.busy += 1;
    }

    /// A lane has ended.
    pub(super) fn ended(&mut self, now: Timestamp) {
        self.count_to(now);
        self.busy -= 1;
    }

    /// Work beside the lanes begins: as many calls as `calls` are under way or wait at the gate.
    pub(super) fn began_aside(&mut self, calls: usize, now: Timestamp) {
        self.count_to(now);
        self.aside += calls;
    }

    /// Work beside the lanes has ended.
    pub(super) fn ended_aside(&mut self, calls: usize, now: Timestamp) {
        self.count_to(now);
        self.aside -= calls;
    }

    /// Searches for bounds begin.
    pub(super) fn began_searches(&mut self, searches: usize, now: Timestamp) {
        self.began_aside(searches, now);
        self.searching += searches;
    }

    /// Searches for bounds have ended.
    pub(super) fn ended_searches(&mut self, searches: usize, now: Timestamp) {
        self.ended_aside(searches, now);
        self.searching -= searches;
    }

    /// Whether lanes without work wait for bounds.
    pub(super) fn searches_for_bounds(&self) -> bool {
        self.searching > 0
    }

    /// How many lanes should begin now.
    pub(super) fn lacking(&self, now: Timestamp) -> usize {
        if self.pause_until.is_some_and(|until| now < until) {
            return 0;
        }
        let lacking = self.wanted.saturating_sub(self.busy);
        if self.should_list(now) { lacking } else { lacking.min(self.claimable) }
    }

    /// A lane has failed.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.pause_until = Some(now + PAUSE_AFTER_FAILURE);
    }

    /// Whether there are more lanes than wanted. A run keeps one in any case.
    pub(super) fn has_too_many(&self) -> bool {
        self.busy > self.wanted.max(1)
    }

    /// Whether the CRM's rate is used up: calls wait at the gate.
    pub(super) fn is_met(&self) -> bool {
        self.is_met
    }

    /// Whether another run should be asked for now: all lanes that this one may have are at work, and the rate is not
    /// used up.
    pub(super) fn asks_for_another(&mut self, now: Timestamp) -> bool {
        let is_not_enough = self.work_per_call.is_some() && self.busy >= self.most && !self.is_met;
        let asks = is_not_enough && self.asked_at.is_none_or(|at| now.duration_since(at) >= ASK_EVERY);
        if asks {
            self.asked_at = Some(now);
        }
        asks
    }

    /// Whether the chunks should be listed when a lane has no work.
    pub(super) fn should_list(&self, now: Timestamp) -> bool {
        self.list_at.is_none_or(|at| now >= at)
    }

    /// The chunks were listed. `left` has the records left in each that is free now, as far as they are counted; another
    /// will be free at `next`.
    pub(super) fn listed(&mut self, left: &[Option<u64>], next: Option<Timestamp>, now: Timestamp) {
        (self.claimable, self.brief) = (0, 0);
        for left in left {
            self.offered(*left);
        }
        let later = now + LIST_EVERY;
        self.list_at = Some(next.map_or(later, |next| later.min(next)));
    }

    /// A chunk with this many records left is free.
    fn offered(&mut self, left: Option<u64>) {
        self.claimable += 1;
        self.brief += usize::from(is_brief(left));
    }

    /// No free chunk is known.
    pub(super) fn none_is_free(&mut self) {
        (self.claimable, self.brief) = (0, 0);
    }

    /// Chunks have become free that no list has shown.
    pub(super) fn changed(&mut self) {
        self.list_at = None;
    }

    /// A free chunk with this many records left was taken, or turned out not to be free.
    pub(super) fn tried_one(&mut self, left: Option<u64>) {
        self.claimable = self.claimable.saturating_sub(1);
        self.brief = self.brief.saturating_sub(usize::from(is_brief(left))).min(self.claimable);
    }

    /// A lane has about this many records left in its chunk. None if the chunk cannot be split.
    pub(super) fn note_left(&mut self, chunk: &ChunkKey, left: Option<u64>) {
        self.left.insert(chunk.clone(), left);
    }

    /// A lane reads the chunk no longer.
    pub(super) fn note_over(&mut self, chunk: &ChunkKey) {
        self.left.remove(chunk);
    }

    /// The records that the other lanes have left in chunks that can be split.
    pub(super) fn left_beside<'a>(&'a self, chunk: &'a ChunkKey) -> impl Iterator<Item = u64> + 'a {
        self.left.iter().filter(move |(key, _)| *key != chunk).filter_map(|(_, left)| *left)
    }

    /// How many chunks should be made for lanes that have no work, or will have none soon.
    pub(super) fn without_work(&self) -> usize {
        let at_work = self.left.values().filter(|left| !is_brief(**left)).count();
        let provided = at_work + self.promised + self.claimable - self.brief;
        if self.work_per_call.is_none() {
            return FIRST_CHUNKS.min(self.most).saturating_sub(provided);
        }
        match self.wanted.saturating_sub(provided) {
            0 => (self.wanted + CHUNKS_AHEAD.min(self.wanted / 2)).saturating_sub(provided),
            without => without,
        }
    }

    /// Whether a lane could begin now if there was a chunk for it.
    pub(super) fn lacks_chunks(&self) -> bool {
        self.wanted > self.busy + self.claimable
    }

    /// A split begins that will give this many lanes work.
    pub(super) fn promise(&mut self, lanes: usize) {
        self.promised += lanes;
    }

    /// A split has made a chunk with this many records for one of the lanes.
    pub(super) fn made(&mut self, left: Option<u64>) {
        self.promised = self.promised.saturating_sub(1);
        self.offered(left);
    }

    /// The split has ended without chunks for this many of the lanes.
    pub(super) fn break_promise(&mut self, lanes: usize) {
        self.promised = self.promised.saturating_sub(lanes);
    }

    /// Measures the time since the last measurement and changes the number of lanes. `rate` is in calls per second.
    pub(super) fn measure(&mut self, calls: Calls, rate: f64, now: Timestamp) {
        self.count_to(now);
        let (sent, before) = (calls.sent - self.before.sent, self.before);
        let seconds = self.lane_seconds - before.lane_seconds;
        let elapsed = self.measured_at.replace(now).map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        if sent == 0 || seconds <= 0.0 {
            return;
        }
        self.before = Calls { lane_seconds: self.lane_seconds, ..calls };
        let waited = calls.waited.saturating_sub(before.waited).as_secs_f64();
        // Far below 2⁵² calls.
        #[expect(clippy::cast_precision_loss, reason = "a mean needs no more precision")]
        let sent = sent as f64;
        // Calls wait at the gate for at least a whole lane's time, or are as many as the rate has. After a pause, the
        // gate admits more for some seconds.
        self.is_met = waited * count(self.busy.max(1)) >= seconds || elapsed > 0.0 && sent >= rate * elapsed;
        let latest = (seconds - waited).max(0.0) / sent;
        let mean = self.work_per_call.map_or(latest, |mean| mean + WEIGHT * (latest - mean));
        self.work_per_call = Some(mean);
        self.wanted = lanes_for(rate, mean).min(self.most);
    }
}

/// The lanes that have a call ready for every slot.
fn lanes_for(rate: f64, work_per_call: f64) -> usize {
    let needed = (rate * work_per_call * RESERVE).ceil();
    // Between 0 and a few thousand.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2⁵²")]
    let needed = needed.clamp(0.0, 10_000.0) as usize;
    needed + 1
}

/// Whether a chunk with this many records left is soon done.
fn is_brief(left: Option<u64>) -> bool {
    left.is_some_and(|left| left <= BRIEF)
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn count(lanes: usize) -> f64 {
    lanes as f64
}

#[cfg(test)]
mod tests;
