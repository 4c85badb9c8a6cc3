//! Faults between a workflow and its ports.
//!
//! A [`Faults`] script counts the calls of all ports that are wrapped under it, whichever port and whichever worker,
//! and strikes at chosen ones. A [`Worker`] stands for one run of a function: the ports that it wraps are its only way
//! to the world, and when it dies they go silent, as those of a killed process do.
//!
//! A test tries every place at which something can go wrong with a [`Sweep`]:
//! ```
//! # use std::sync::Arc;
//! # use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError};
//! # use in_memory::{MemoryLedger, faults::{Fault, Sweep}};
//! # async fn workflow(ledger: Arc<dyn Ledger>) -> Result<(), LedgerError> {
//! #     let (key, body, due_in) = (Key::new("a", "b"), Some(serde_json::json!({})), DueList::Work);
//! #     ledger.commit(&[Change { key, expected: None, body, format: 1, due_at: None, due_in, forget_at: None }]).await
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! // The workflow makes one call.
//! let sweep = Sweep::expecting(1);
//! sweep.of(Fault::WorkerDies, async |faults| {
//!     let ledger = Arc::new(MemoryLedger::new());
//!     // Deliver the message again until a worker gets through.
//!     loop {
//!         let worker = faults.worker();
//!         let run = worker.run(workflow(worker.wrap(ledger.clone())));
//!         if run.await.is_some_and(|outcome| outcome.is_ok()) {
//!             break;
//!         }
//!     }
//!     assert_eq!(ledger.all().len(), 1, "after {:?}", faults.struck());
//! }).await;
//! # });
//! ```

mod crm;
mod outlets;
mod ports;
mod sweep;

pub use sweep::Sweep;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::lock;

/// What goes wrong at one call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and does nothing.
    CallFails,
    /// The call has its effect, and its caller gets an error.
    AnswerLost,
    /// A commit of one record is made, and its caller gets a conflict: the answer was lost, and another writer had
    /// changed the record when the commit was sent again. All other calls pass; a transaction that is sent again
    /// answers as it did the first time.
    Overtaken,
    /// The worker dies before the call is made. None of its later calls is made.
    WorkerDies,
    /// The call has its effect, and the worker dies before it gets the answer.
    WorkerDiesAfterwards,
    /// The worker freezes: this call and its later ones are held until [`Faults::release`], and then made.
    CallHeld,
    /// The worker freezes for this time: this call and its later ones are held, and then made.
    WorkerFrozen(Duration),
}

/// A fault at a call that is counted from the moment at which the fault was armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// The port and its method, such as `Ledger::commit`; None counts all calls.
    pub call: Option<String>,
    /// Which of these calls, counted from 1.
    pub nth: u64,
    pub fault: Fault,
}

impl Armed {
    /// Whether it strikes now, at `call`.
    fn strikes(&mut self, call: &str) -> bool {
        if self.call.as_ref().is_some_and(|wanted| wanted != call) {
            return false;
        }
        self.nth = self.nth.saturating_sub(1);
        self.nth == 0
    }
}

/// A fault that has struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Which call it was, counted from 1 over all ports and workers of the script.
    pub nth: u64,
    /// The port and its method, such as `Ledger::commit`.
    pub call: &'static str,
    pub fault: Fault,
}

/// A script of faults, and the count of calls that it goes by.
#[derive(Debug)]
pub struct Faults {
    script: BTreeMap<u64, Fault>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    calls: u64,
    armed: Vec<Armed>,
    struck: Vec<Struck>,
    released: bool,
}

impl Faults {
    /// No faults; calls are only counted.
    pub fn none() -> Arc<Self> {
        Self::script([])
    }

    /// `fault` at the `nth` call, counted from 1.
    pub fn at(nth: u64, fault: Fault) -> Arc<Self> {
        Self::script([(nth, fault)])
    }

    /// Several faults, each at the call with its number, counted from 1.
    pub fn script(script: impl IntoIterator<Item = (u64, Fault)>) -> Arc<Self> {
        Arc::new(Self { script: script.into_iter().collect(), progress: watch::Sender::default() })
    }

    /// A worker whose calls count under this script.
    pub fn worker(self: &Arc<Self>) -> Arc<Worker> {
        Arc::new(Worker {
            faults: self.clone(),
            frozen: AtomicBool::new(false),
            frozen_until: Mutex::new(None),
            dead: AtomicBool::new(false),
            death: Notify::new(),
        })
    }

    /// Replaces the armed faults. Those of the script stay.
    pub fn arm(&self, faults: Vec<Armed>) {
        self.progress.send_modify(|progress| progress.armed = faults);
    }

    /// How many calls have been made.
    pub fn calls(&self) -> u64 {
        self.progress.borrow().calls
    }

    /// The faults that have struck, in order.
    pub fn struck(&self) -> Vec<Struck> {
        self.progress.borrow().struck.clone()
    }

    /// The last call of the script.
    fn last_call(&self) -> u64 {
        self.script.keys().next_back().copied().unwrap_or_default()
    }

    /// Returns when a fault has struck.
    pub async fn until_struck(&self) {
        self.until(|progress| !progress.struck.is_empty()).await;
    }

    /// Lets all held calls go on, and holds no more.
    pub fn release(&self) {
        self.progress.send_modify(|progress| progress.released = true);
    }

    async fn until(&self, reached: impl FnMut(&Progress) -> bool) {
        // Fails only when the sender is gone, and `self` owns it.
        drop(self.progress.subscribe().wait_for(reached).await);
    }

    /// Counts a call and returns the fault that strikes at it.
    fn next(&self, call: &'static str) -> Option<Struck> {
        let mut struck = None;
        self.progress.send_modify(|progress| {
            progress.calls += 1;
            let nth = progress.calls;
            let mut fault = self.script.get(&nth).copied();
            // Each is counted down, even if another one strikes.
            progress.armed.retain_mut(|armed| {
                let strikes = armed.strikes(call);
                fault = fault.or(strikes.then_some(armed.fault));
                !strikes
            });
            struck = fault.map(|fault| Struck { nth, call, fault });
            progress.struck.extend(struck.clone());
        });
        struck
    }
}

/// One run of a function, from its start to its end or its death.
#[derive(Debug)]
pub struct Worker {
    faults: Arc<Faults>,
    /// Held at a call; all others wait until it is released.
    frozen: AtomicBool,
    /// No call is made before.
    frozen_until: Mutex<Option<Instant>>,
    dead: AtomicBool,
    death: Notify,
}

/// A port as one worker reaches it. Implements every port that the wrapped one implements.
#[derive(Debug)]
pub struct Faulty<T: ?Sized> {
    worker: Arc<Worker>,
    port: Arc<T>,
}

/// How a call passes.
enum Passage {
    Free,
    Fails(String),
    LosesItsAnswer(String),
    Overtaken,
    IsTheLast,
}

impl Worker {
    /// `port` as this worker reaches it.
    pub fn wrap<T: ?Sized>(self: &Arc<Self>, port: Arc<T>) -> Arc<Faulty<T>> {
        Arc::new(Faulty { worker: self.clone(), port })
    }

    /// Does `work`, which reaches the world only through ports of this worker. Returns None and drops `work` when the
    /// worker dies.
    pub async fn run<F: Future>(&self, work: F) -> Option<F::Output> {
        let outcome = tokio::select! {
            biased;
            outcome = work => Some(outcome),
            () = self.death.notified() => None,
        };
        outcome.filter(|_| !self.is_dead())
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    async fn arrive(&self, call: &'static str) -> Passage {
        if self.is_dead() {
            pending::<()>().await;
        }
        if self.frozen.load(Ordering::SeqCst) {
            self.faults.until(|progress| progress.released).await;
        }
        self.thawed().await;
        let Some(struck) = self.faults.next(call) else { return Passage::Free };
        let sentence = format!("injected at call {} ({call})", struck.nth);
        match struck.fault {
            Fault::CallFails => Passage::Fails(sentence),
            Fault::AnswerLost => Passage::LosesItsAnswer(sentence),
            Fault::Overtaken => Passage::Overtaken,
            Fault::WorkerDies => self.die().await,
            Fault::WorkerDiesAfterwards => Passage::IsTheLast,
            Fault::CallHeld => {
                self.frozen.store(true, Ordering::SeqCst);
                self.faults.until(|progress| progress.released).await;
                Passage::Free
            }
            Fault::WorkerFrozen(time) => {
                *lock(&self.frozen_until) = Some(Instant::now() + time);
                self.thawed().await;
                Passage::Free
            }
        }
    }

    /// The worker dies, and nothing comes after.
    async fn die<R>(&self) -> R {
        self.dead.store(true, Ordering::SeqCst);
        self.death.notify_one();
        pending().await
    }

    /// Returns when the worker is not frozen any more.
    async fn thawed(&self) {
        let until = *lock(&self.frozen_until);
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}

impl<T: ?Sized> Faulty<T> {
    /// Makes `call` unless a fault prevents it; `failed` makes the error of a failed call.
    async fn call<R, E>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<R, E>> + Send,
        failed: impl FnOnce(String) -> E + Send,
    ) -> Result<R, E> {
        match self.worker.arrive(name).await {
            Passage::Free | Passage::Overtaken => call.await,
            Passage::Fails(sentence) => Err(failed(sentence)),
            Passage::LosesItsAnswer(sentence) => {
                call.await?;
                Err(failed(sentence))
            }
            Passage::IsTheLast => {
                drop(call.await);
                self.worker.die().await
            }
        }
    }
}
