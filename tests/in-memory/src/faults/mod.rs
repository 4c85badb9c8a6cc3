//! Faults between a workflow and its ports.
//!
//! A [`Faults`] script counts the calls of all ports that are wrapped under it, whichever port and whichever worker,
//! and strikes at chosen ones. A [`Worker`] stands for one run of a function: the ports that it wraps are its only way
//! to the world, and when it dies they go silent, as those of a killed process do.
//!
//! A test tries every place at which something can go wrong by going on until a run was spared:
//! ```
//! # use std::sync::Arc;
//! # use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError};
//! # use in_memory::{MemoryLedger, faults::{Fault, Faults}};
//! # async fn workflow(ledger: Arc<dyn Ledger>) -> Result<(), LedgerError> {
//! #     let (key, body, due_in) = (Key::new("a", "b"), Some(serde_json::json!({})), DueList::Work);
//! #     ledger.commit(&[Change { key, expected: None, body, format: 1, due_at: None, due_in, forget_at: None }]).await
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! for nth in 1.. {
//!     let ledger = Arc::new(MemoryLedger::new());
//!     let faults = Faults::at(nth, Fault::WorkerDies);
//!     // Deliver the message again until a worker gets through.
//!     loop {
//!         let worker = faults.worker();
//!         let run = worker.run(workflow(worker.wrap(ledger.clone())));
//!         if run.await.is_some_and(|outcome| outcome.is_ok()) {
//!             break;
//!         }
//!     }
//!     assert_eq!(ledger.all().len(), 1, "after {:?}", faults.struck());
//!     if faults.struck().is_empty() {
//!         break;
//!     }
//! }
//! # });
//! ```

mod crm;
mod outlets;
mod ports;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, watch};

/// What goes wrong at one call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and does nothing.
    CallFails,
    /// The call does what it should, and its caller is told that it failed.
    AnswerLost,
    /// A commit of one record is made, and its caller is told that it met a conflict: its answer was lost, and somebody else had
    /// changed the record when it was sent again. All other calls are made as they are; a transaction that is sent again
    /// answers as it did the first time.
    Overtaken,
    /// The worker that makes the call is gone before it is made. It gets no further call through.
    WorkerDies,
    /// The call is held until [`Faults::release`] and then made, as that of a worker that was frozen for a while. So are
    /// all further calls of the worker.
    CallHeld,
}

/// A fault that has struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Which call it was, counted from 1 over all ports and workers of the script.
    pub nth: u64,
    /// The port and its method, such as `Ledger::commit`.
    pub call: &'static str,
    /// What went wrong.
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
            dead: AtomicBool::new(false),
            death: Notify::new(),
        })
    }

    /// How many calls have been made.
    pub fn calls(&self) -> u64 {
        self.progress.borrow().calls
    }

    /// The faults that have struck, in order.
    pub fn struck(&self) -> Vec<Struck> {
        self.progress.borrow().struck.clone()
    }

    /// Returns when a fault has struck.
    pub async fn until_struck(&self) {
        self.until(|progress| !progress.struck.is_empty()).await;
    }

    /// Lets all calls go on that are held, and holds no more.
    pub fn release(&self) {
        self.progress.send_modify(|progress| progress.released = true);
    }

    async fn until(&self, reached: impl FnMut(&Progress) -> bool) {
        // Fails only when the sender is gone, which is ours.
        drop(self.progress.subscribe().wait_for(reached).await);
    }

    /// Counts a call and says what is wrong with it.
    fn next(&self, call: &'static str) -> Option<Struck> {
        let mut struck = None;
        self.progress.send_modify(|progress| {
            progress.calls += 1;
            let nth = progress.calls;
            struck = self.script.get(&nth).map(|&fault| Struck { nth, call, fault });
            progress.struck.extend(struck.clone());
        });
        struck
    }
}

/// One run of a function, from its start to its end or its death.
#[derive(Debug)]
pub struct Worker {
    faults: Arc<Faults>,
    /// Held at a call; all others are held until that one is released.
    frozen: AtomicBool,
    dead: AtomicBool,
    death: Notify,
}

/// A port as one worker reaches it. Implements every port that the wrapped one implements.
#[derive(Debug)]
pub struct Faulty<T: ?Sized> {
    worker: Arc<Worker>,
    port: Arc<T>,
}

/// How a call gets through.
enum Passage {
    Free,
    Fails(String),
    LosesItsAnswer(String),
    Overtaken,
}

impl Worker {
    /// `port` as this worker reaches it.
    pub fn wrap<T: ?Sized>(self: &Arc<Self>, port: Arc<T>) -> Arc<Faulty<T>> {
        Arc::new(Faulty { worker: self.clone(), port })
    }

    /// Does `work`, which reaches the world only through ports of this worker. None when the worker died on the way:
    /// `work` was dropped where it was.
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
        let Some(struck) = self.faults.next(call) else { return Passage::Free };
        let sentence = format!("injected at call {} ({call})", struck.nth);
        match struck.fault {
            Fault::CallFails => Passage::Fails(sentence),
            Fault::AnswerLost => Passage::LosesItsAnswer(sentence),
            Fault::Overtaken => Passage::Overtaken,
            Fault::WorkerDies => {
                self.dead.store(true, Ordering::SeqCst);
                self.death.notify_one();
                pending().await
            }
            Fault::CallHeld => {
                self.frozen.store(true, Ordering::SeqCst);
                self.faults.until(|progress| progress.released).await;
                Passage::Free
            }
        }
    }
}

impl<T: ?Sized> Faulty<T> {
    /// Makes `call` unless the script says otherwise; `failed` makes the error of a failed call.
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
        }
    }
}
