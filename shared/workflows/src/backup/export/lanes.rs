//! The lanes of a run: it reads several chunks of its backup side by side.
//!
//! A lane reads one chunk at a time, under the chunk's own lease. When its chunk is done, waits or has failed, it takes
//! another that no run holds: chunks that wait for nothing first, then the largest. What happens to one lane does not
//! disturb the others. Objects whose chunks are done are closed beside the lanes.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use domain::chunk::Chunk;
use domain::ids::{ChunkKey, ObjectType};
use domain::lease::LEASE_LENGTH;
use domain::object::ObjectExport;
use domain::ports::ledger;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use super::bound_search::Promise;
use super::candidates::{Candidate, Candidates};
use super::export_run::ExportRun;
use super::lane_count::Calls;
use super::out_of_attempts;
use crate::backup::dispatch;
use crate::held_lease::{HeldLease, Wished};
use crate::run::StepError;

/// How often the number of lanes is looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// A chunk that this run holds.
type Claimed<'a> = (ChunkKey, HeldLease<'a, Chunk>);

type Lane<'a> = Pin<Box<dyn Future<Output = Result<(), StepError>> + Send + 'a>>;

impl ExportRun<'_> {
    /// Reads the chunk under its lease, and then others, until no chunk is left for this run or its time is over.
    ///
    /// # Errors
    /// The first [`StepError`] that a lane could not handle, after all lanes have ended.
    pub(super) async fn work_from(&self, key: ChunkKey, held: HeldLease<'_, Chunk>) -> Result<(), StepError> {
        let mut lanes: FuturesUnordered<Lane<'_>> = FuturesUnordered::new();
        lanes.push(Box::pin(self.lane(Counted::of(self), Some((key, held)))));
        let mut measure = tokio::time::interval(MEASURE_EVERY);
        measure.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut result = Ok(());
        loop {
            for object in self.take_to_close() {
                lanes.push(Box::pin(self.close_beside(object)));
            }
            let lacking = self.standing().lacking(self.now());
            if self.now() < self.run.ends {
                (0..lacking).for_each(|_| lanes.push(Box::pin(self.lane(Counted::of(self), None))));
            }
            tokio::select! {
                biased;
                ended = lanes.next() => match ended {
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        self.standing().failed(self.now());
                        result = result.and(Err(error));
                    }
                    None => return result,
                },
                () = self.more.notified() => {}
                _ = measure.tick() => {
                    if self.asks_for_another() {
                        lanes.push(Box::pin(self.ask_for_another_run()));
                    }
                }
            }
        }
    }

    /// Measures the lanes. Whether another run is needed to use the CRM's rate up.
    fn asks_for_another(&self) -> bool {
        let Some(session) = self.opened() else { return false };
        let usage = session.gate.usage();
        let mut standing = self.standing();
        let rate = session.gate.calls_within(Duration::from_secs(1));
        let now = self.now();
        standing.measure(Calls::new(usage.calls, usage.waited), rate, now);
        standing.asks_for_another(now)
    }

    /// Sends a message about another chunk, if the backup may have another run.
    async fn ask_for_another_run(&self) -> Result<(), StepError> {
        let (queue, clock) = (&*self.export.queue, &*self.export.sessions.clock);
        let asked = dispatch::dispatch(self.ledger(), queue, clock, self.backup, self.export.cap).await;
        if let Err(error) = asked {
            tracing::warn!(%error, backup.id = %self.backup.backup_id, "export.no-other-run");
        }
        Ok(())
    }

    /// Closes the object if all its chunks are done, while the lanes read on.
    async fn close_beside(&self, object: ObjectType) -> Result<(), StepError> {
        // An error would mean that the semaphore is closed. Nothing closes it.
        let _place = self.closing_places.acquire().await;
        let _counted = CountedAside::of(self);
        self.close_object(&object).await
    }

    /// Reads one chunk after another.
    async fn lane(&self, _counted: Counted<'_, '_>, mut taken: Option<Claimed<'_>>) -> Result<(), StepError> {
        loop {
            let next = match taken.take() {
                Some(taken) => Some(taken),
                None => self.take_one().await?,
            };
            let Some((key, held)) = next else { return Ok(()) };
            let read = self.read_chunk(&key, &held).await;
            self.standing().note_over(&key);
            read?;
            if self.standing().has_too_many() {
                return Ok(());
            }
        }
    }

    /// Takes the best chunk that no run holds. None if all chunks are taken, or the time of the run is over.
    async fn take_one(&self) -> Result<Option<Claimed<'_>>, StepError> {
        let mut candidates = self.candidates.lock().await;
        loop {
            let now = self.now();
            if now >= self.run.ends {
                return Ok(None);
            }
            let view = self.look(now).await?;
            let Some(Candidate { key, left, .. }) = candidates.take_best() else {
                if !self.standing().should_list(now) {
                    self.standing().none_is_free();
                    return Ok(None);
                }
                *candidates = self.list(None).await?.0;
                if candidates.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            self.standing().tried_one(left);
            if !view.needs(&key) {
                continue;
            }
            let ledger_key = Chunk::key_of(&self.backup.backup_id, &key);
            let Some(chunk) = ledger::load::<Chunk>(self.ledger(), &ledger_key).await? else { continue };
            let claimed = chunk.record.claim(&self.run.owner, now, LEASE_LENGTH);
            match self.leases().take_as(&chunk, claimed).await? {
                Wished::Leased(held) => {
                    self.standing().note_left(&key, chunk.record.expected_left());
                    return Ok(Some((key, held)));
                }
                Wished::Nothing => {}
                Wished::OutOfAttempts => {
                    let object_key = ObjectExport::key_of(&self.backup.backup_id, &key.object_type);
                    if let Some(object) = ledger::load::<ObjectExport>(self.ledger(), &object_key).await? {
                        self.fail(out_of_attempts(&object.record)).await?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// The number of other runs that read the backup now. Also notes the chunks that this run may take after that of
    /// its message.
    pub(super) async fn runs_beside(&self, own: &ChunkKey) -> Result<usize, StepError> {
        let mut candidates = self.candidates.lock().await;
        let (free, others) = self.list(Some(own)).await?;
        *candidates = free;
        Ok(others)
    }

    /// Lists the chunks that no run holds, the best last, and counts the other runs.
    async fn list(&self, except: Option<&ChunkKey>) -> Result<(Candidates, usize), StepError> {
        let now = self.now();
        let chunks = dispatch::readable_chunks(self.ledger(), self.backup).await?;
        let holders = chunks.iter().filter_map(|chunk| chunk.record.leasing.holder(now));
        let others: HashSet<&str> = holders.filter(|holder| *holder != self.run.owner).collect();
        // Two runs that began at the same moment: the rate needs only one.
        let yields = self.standing().is_met() && others.iter().any(|other| *other < self.run.owner.as_str());
        let others = others.len();
        let (mut free, mut next) = (Vec::new(), None::<Timestamp>);
        for chunk in chunks.into_iter().filter(|chunk| !yields && Some(&chunk.record.key) != except) {
            match chunk.record.claimable_from(now) {
                Some(from) if from <= now => free.push(chunk),
                Some(from) => next = Some(next.map_or(from, |next| next.min(from))),
                None => {}
            }
        }
        let free: Vec<Candidate> = free.iter().map(|chunk| Candidate::of(&chunk.record)).collect();
        let left: Vec<Option<u64>> = free.iter().map(|candidate| candidate.left).collect();
        self.standing().listed(&left, next, now);
        let mut candidates = Candidates::default();
        candidates.add(free);
        Ok((candidates, others))
    }

    /// Notes chunks that a split has made for the lanes of `promise`.
    pub(super) async fn add(&self, made: Vec<Candidate>, promise: &mut Promise<'_>) {
        let mut candidates = self.candidates.lock().await;
        for chunk in &made {
            promise.made(chunk.left);
        }
        candidates.add(made);
        self.more.notify_one();
    }
}

/// Counts a lane from its beginning to its end.
struct Counted<'a, 'b>(&'a ExportRun<'b>);

impl<'a, 'b> Counted<'a, 'b> {
    fn of(run: &'a ExportRun<'b>) -> Self {
        run.standing().began(run.now());
        Self(run)
    }
}

impl Drop for Counted<'_, '_> {
    fn drop(&mut self) {
        self.0.standing().ended(self.0.now());
    }
}

/// Counts work beside the lanes from its beginning to its end.
struct CountedAside<'a, 'b>(&'a ExportRun<'b>);

impl<'a, 'b> CountedAside<'a, 'b> {
    fn of(run: &'a ExportRun<'b>) -> Self {
        run.standing().began_aside(1, run.now());
        Self(run)
    }
}

impl Drop for CountedAside<'_, '_> {
    fn drop(&mut self) {
        self.0.standing().ended_aside(1, self.0.now());
    }
}
