//! Delivering messages to workers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::ports::clock::Clock;
use domain::ports::queue::WorkQueue;
use domain::work::Work;
use futures_util::stream::{FuturesUnordered, StreamExt};
use in_memory::faults::Worker;
use in_memory::lock;
use jiff::SignedDuration;
use workflows::backup::assemble::Assemble;
use workflows::backup::discover::Discover;
use workflows::backup::dispatch::RunCap;
use workflows::backup::export::Export;
use workflows::crm_session::CrmSessions;
use workflows::restore::{Places, RestoreWork};
use workflows::run::{Run, StepError};

use super::{Copies, FailedMessages, World};

/// The calls that an object's close takes at most, all of them searches of an account with little to spend.
const CLOSE_RUN: SignedDuration = SignedDuration::from_mins(4);

/// How long a run of discover-objects may begin something new.
const DISCOVER_RUN: SignedDuration = SignedDuration::from_secs(290);

/// The same of deliver-notifications.
const NOTIFY_RUN: SignedDuration = SignedDuration::from_secs(50);

/// From when a run begins nothing new to when it is stopped.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// How long after its run a message that was not handled is delivered again.
const VISIBLE_AFTER: Duration = Duration::from_mins(1);

/// How often a world with free workers looks for messages while others work.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl World {
    /// Delivers every message that can be received now, and those that come up meanwhile, to as many workers at once as
    /// there may be. Returns whether there was any.
    pub(super) async fn deliver_some(&self) -> bool {
        let mut busy = FuturesUnordered::new();
        let mut any = false;
        loop {
            while busy.len() < self.settings.workers
                && let Some(work) = self.queue.receive()
            {
                any = true;
                if self.settings.copies == Copies::TwoAtOnce {
                    busy.push(self.deliver(work.clone()));
                }
                busy.push(self.deliver(work));
            }
            if busy.is_empty() {
                return any;
            }
            if busy.len() < self.settings.workers {
                tokio::select! {
                    biased;
                    _ = busy.next() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            } else {
                busy.next().await;
            }
        }
    }

    /// Delivers the message that can be received first, or lets time pass until there is one.
    ///
    /// # Panics
    /// When there will be none.
    pub async fn deliver_one(&self) {
        loop {
            if let Some(work) = self.queue.receive() {
                return self.deliver(work).await;
            }
            assert!(self.step().await, "a message comes");
        }
    }

    /// Delivers one message to a worker of its own.
    pub async fn deliver(&self, work: Work) {
        lock(&self.delivered).push(work.clone());
        let worker = self.settings.faults.worker();
        let run = self.run_of(&work);
        match worker.run(Box::pin(self.handle(&worker, &work, &run))).await {
            Some(Ok(()) | Err(StepError::TakenOver(_))) => {}
            Some(Err(_)) | None => self.come_back(work, &run).await,
        }
    }

    async fn come_back(&self, work: Work, run: &Run) {
        match self.settings.failed {
            FailedMessages::AreLost => return,
            FailedMessages::AreSetAside => return self.outlets.dead_letters.set_aside(&work),
            FailedMessages::ComeBack => {}
        }
        let left = Duration::try_from(run.stopped_at.duration_since(self.clock.now())).unwrap_or_default();
        self.queue.send(&[work], left + VISIBLE_AFTER).await.expect("memory takes it");
    }

    fn run_of(&self, work: &Work) -> Run {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let length = match work {
            Work::Export { .. } => self.settings.export_run,
            // What is proven at a close is proven in one run, however little is read in one.
            Work::CloseObject { .. } => self.settings.export_run.max(CLOSE_RUN),
            Work::Discover { .. } => DISCOVER_RUN,
            Work::Assemble { .. } | Work::Sweep { .. } => self.settings.assemble_run,
            Work::Restore { .. } | Work::RestoreSlice { .. } => self.settings.restore_run,
            Work::Announce { .. } | Work::Deliver { .. } => NOTIFY_RUN,
        };
        let ends = self.clock.now() + length;
        Run { owner: format!("run-{number}"), ends, stopped_at: ends + MARGIN }
    }

    async fn handle(&self, worker: &Arc<Worker>, work: &Work, run: &Run) -> Result<(), StepError> {
        match work {
            Work::Discover { backup } => self.discover(worker).run(backup, run).await,
            Work::Export { backup, chunk } => self.export(worker).run(backup, chunk, run).await.map(drop),
            Work::CloseObject { backup, object_type } => {
                self.export(worker).close_object(backup, object_type, run).await
            }
            Work::Assemble { backup } => self.assemble(worker).run(backup, run).await,
            Work::Sweep { backup } => self.assemble(worker).sweep(backup).await,
            Work::Restore { restore } => self.restores(worker).step(restore, run).await,
            Work::RestoreSlice { restore, slice } => self.restores(worker).slice(restore, *slice, run).await.map(drop),
            Work::Announce { notification } => self.notify(worker).announce(notification).await,
            Work::Deliver { notification, channel } => self.notify(worker).deliver(notification, *channel).await,
        }
    }

    fn sessions(&self, worker: &Arc<Worker>) -> CrmSessions {
        CrmSessions {
            ledger: worker.wrap(self.ledger.clone()),
            clock: self.clock.clone(),
            tokens: worker.wrap(self.tokens.clone()),
            connector: worker.wrap(self.connector.clone()),
            base_urls: self.base_urls.clone(),
        }
    }

    fn discover(&self, worker: &Arc<Worker>) -> Discover {
        Discover {
            sessions: self.sessions(worker),
            queue: worker.wrap(self.queue.clone()),
            writer: worker.wrap(self.storage.clone()),
            patience: self.settings.patience,
        }
    }

    fn export(&self, worker: &Arc<Worker>) -> Export {
        Export {
            sessions: self.sessions(worker),
            queue: worker.wrap(self.queue.clone()),
            reader: worker.wrap(self.storage.clone()),
            writer: worker.wrap(self.storage.clone()),
            uploads: worker.wrap(self.storage.clone()),
            cap: RunCap(self.settings.workers),
            lanes: self.settings.workers,
            patience: self.settings.patience,
        }
    }

    fn restores(&self, worker: &Arc<Worker>) -> RestoreWork {
        RestoreWork {
            sessions: self.sessions(worker),
            queue: worker.wrap(self.queue.clone()),
            reader: worker.wrap(self.storage.clone()),
            writer: worker.wrap(self.storage.clone()),
            uploads: worker.wrap(self.storage.clone()),
            places: Places(20),
            patience: self.settings.patience,
        }
    }

    fn assemble(&self, worker: &Arc<Worker>) -> Assemble {
        Assemble {
            ledger: worker.wrap(self.ledger.clone()),
            queue: worker.wrap(self.queue.clone()),
            clock: self.clock.clone(),
            reader: worker.wrap(self.storage.clone()),
            writer: worker.wrap(self.storage.clone()),
            uploads: worker.wrap(self.storage.clone()),
            sweeper: worker.wrap(self.storage.clone()),
        }
    }
}
