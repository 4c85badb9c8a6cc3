//! Goes through a world: does one step after the other, with all that goes wrong meanwhile, and asks the oracle after
//! each.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::budget::CallLimits;
use domain::ids::RecordId;
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, RestoreRef};
use in_memory::MemoryLedger;
use in_memory::faults::{Armed, Fault, Faults};
use jiff::SignedDuration;
use workflows::contention;
use workflows::run::Patience;

use super::coverage::Coverage;
use super::history::{Key, Mark, mark};
use super::people;
use super::plan::{Act, Copies, Edits, Event, Failed, Phase, PortFault, SHORTEST_RESTORE_RUN, Step, WorldPlan};
use crate::crm::{Moment, Period};
use crate::{FailedMessages, Pace, Settings, SimulatedCrm, Table, World, samples};

/// More steps than any part of a world takes; beyond it goes round in circles.
const MOST_STEPS: u32 = 4_000;

/// The same of calls of ports.
const MOST_CALLS: u64 = 300_000;

/// How long a CRM that does not answer is waited for.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_hours(2);

/// How often a loop that has nothing to do looks whether the other one still has.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Marks in the journals of all objects, by their place.
pub(super) type Marks = Vec<Mark>;

/// A completed backup, which restores can start from.
pub(super) struct Held {
    pub(super) backup: BackupRef,
    /// What it holds, by object type.
    pub(super) tables: BTreeMap<String, Table>,
}

/// A restore, or an undo, that has been confirmed and is over.
pub(super) struct Carried {
    pub(super) restore: RestoreRef,
    /// The object, by its place.
    pub(super) object: usize,
    /// What was planned to be written.
    pub(super) targets: BTreeMap<Key, String>,
    /// Values that a run noted before it cleared them.
    pub(super) cleared: BTreeSet<Key>,
    /// Whether it was an undo.
    pub(super) is_undo: bool,
    pub(super) is_completed: bool,
    /// When it was confirmed and when it was over, in the object's journal.
    pub(super) wrote: (Mark, Mark),
}

/// A world under way.
pub(super) struct Walk<'a> {
    pub(super) plan: &'a WorldPlan,
    pub(super) world: World,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) coverage: Coverage,
    /// The latest completed backup.
    pub(super) held: Option<Held>,
    /// All that have written.
    pub(super) carried: Vec<Carried>,
    /// All backups, each of which has ended.
    pub(super) backups: Vec<BackupRef>,
    /// All restores, with unconfirmed plans.
    pub(super) asked: Vec<RestoreRef>,
}

/// Who a phase is about.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Backup(BackupRef),
    Restore(RestoreRef),
}

/// Goes through a whole world and returns what it has met.
///
/// # Panics
/// When the oracle finds an error.
pub async fn walk(plan: &WorldPlan) -> Coverage {
    fastrand::seed(plan.seed);
    contention::repeat_pauses(plan.seed);
    let ledger = Arc::new(MemoryLedger::new());
    let mut walk = Walk {
        plan,
        world: world(plan, ledger.clone()).await,
        ledger,
        coverage: Coverage::default(),
        held: None,
        carried: Vec::new(),
        backups: Vec::new(),
        asked: Vec::new(),
    };
    for step in &plan.steps {
        match step {
            Step::Backup(phase) => walk.back_up(phase).await,
            Step::People(edits) => walk.people(edits, "between steps"),
            Step::Restore(restore) => walk.restore(restore).await,
            Step::Undo(undo) => walk.undo(undo).await,
        }
        walk.assert_tidy().await;
    }
    walk.coverage
}

async fn world(plan: &WorldPlan, ledger: Arc<MemoryLedger>) -> World {
    let clock = Arc::new(samples::clock(Pace::Simulated));
    let or_any = |limit: u32, any: u32| if limit == 0 { any } else { limit };
    let limits =
        CallLimits::in_ten_seconds(or_any(plan.per_ten_seconds, 10_000_000), or_any(plan.per_day, 1_000_000_000));
    let objects = plan.objects.iter().map(super::plan::ObjectPlan::build).collect();
    let crm = SimulatedCrm::new(clock.clone(), objects).with_limits(limits);
    World::with_crm(ledger, clock, crm, settings(plan)).await
}

fn settings(plan: &WorldPlan) -> Settings {
    let or_usual = |millis: u64, usual: SignedDuration| match i64::try_from(millis) {
        Ok(0) | Err(_) => usual,
        Ok(millis) => SignedDuration::from_millis(millis),
    };
    let usual = Settings::default();
    Settings {
        workers: plan.workers.clamp(1, 8),
        copies: match plan.copies {
            Copies::Once => crate::Copies::One,
            Copies::TwiceInARow => crate::Copies::TwoInARow,
            Copies::TwiceAtOnce => crate::Copies::TwoAtOnce,
        },
        failed: match plan.failed {
            Failed::ComeBack => FailedMessages::ComeBack,
            Failed::AreLost => FailedMessages::AreLost,
            Failed::AreSetAside => FailedMessages::AreSetAside,
        },
        export_run: or_usual(plan.export_run, usual.export_run),
        restore_run: match plan.restore_run {
            0 => usual.restore_run,
            millis => or_usual(millis.max(SHORTEST_RESTORE_RUN), usual.restore_run),
        },
        patience: Patience { outage: PATIENCE, ..usual.patience },
        faults: Faults::none(),
        seed: plan.seed,
        ..usual
    }
}

impl Walk<'_> {
    /// The type of an object, by its place.
    pub(super) fn object_type(&self, object: usize) -> &'static str {
        self.plan.objects[object].name.object_type()
    }

    /// Where all journals are.
    pub(super) fn marks(&self) -> Marks {
        (0..self.plan.objects.len()).map(|object| mark(&self.world.crm, self.object_type(object))).collect()
    }

    /// Lets people change records, now.
    pub(super) fn people(&mut self, edits: &[Edits], when: &str) {
        for edits in edits {
            let changed = edit(self.plan, &self.world, edits);
            self.coverage.add(format!("{} {when}", word_of(edits)), changed);
        }
    }

    /// Lets everything go on until nothing is left to do, with the troubles of `phase`.
    ///
    /// # Panics
    /// When nothing ever is.
    pub(super) async fn through(&mut self, phase: &Phase, subject: &Subject) {
        let struck_before = self.world.settings.faults.struck().len();
        let troubled_before = self.world.crm.struck();
        let expected = self.prepare(phase);
        let done: Cell<Vec<&'static str>> = Cell::default();
        let freezes = phase.faults.iter().any(|fault| matches!(fault.fault, PortFault::WorkerFrozen(_)));
        let active = Cell::new(0_u32);
        let world = &self.world;
        // A frozen worker holds its loop up, and so there is another one.
        let rest = async {
            if freezes {
                tokio::join!(until_rest(world, &active), until_rest(world, &active));
            } else {
                until_rest(world, &active).await;
            }
        };
        let events = async {
            happen(self.plan, world, phase, subject, &done).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = rest => {}
            () = events => {}
            () = going_on_for_ever(world) => panic!("no end is in sight: {:?}", world.queue.queued()),
        }
        // A message that came again at the last moment is still to be delivered.
        until_rest(world, &Cell::new(0)).await;
        for what in done.take() {
            self.coverage.add(format!("{what} in a {}", subject.slug()), 1);
        }
        self.world.settings.faults.arm(Vec::new());
        for struck in self.world.settings.faults.struck().into_iter().skip(struck_before) {
            self.coverage.add(format!("{} at {}", word(struck.fault), struck.call), 1);
            self.coverage.add(format!("{} in a {}", word(struck.fault), subject.slug()), 1);
        }
        let troubled = self.world.crm.struck() - troubled_before;
        if troubled > 0 {
            for trouble in &phase.troubles {
                self.coverage.add(format!("{:?} in a {}", trouble.what, subject.slug()), 1);
            }
        }
        let edited = expected - self.world.crm.calm();
        self.coverage.add(format!("an edit just before a call in a {}", subject.slug()), edited as u64);
    }

    /// Arms the faults and scripts the CRM. Returns how many edits wait for a call.
    fn prepare(&self, phase: &Phase) -> usize {
        let armed = phase.faults.iter().map(|fault| Armed {
            call: Some(fault.call.clone()).filter(|call| !call.is_empty()),
            nth: fault.nth.max(1),
            fault: match fault.fault {
                PortFault::CallFails => Fault::CallFails,
                PortFault::AnswerLost => Fault::AnswerLost,
                PortFault::WorkerDies => Fault::WorkerDies,
                PortFault::WorkerDiesAfterwards => Fault::WorkerDiesAfterwards,
                PortFault::WorkerFrozen(seconds) => Fault::WorkerFrozen(Duration::from_secs(u64::from(seconds))),
            },
        });
        self.world.settings.faults.arm(armed.collect());
        let (calls, now) = (self.world.crm.all_calls(), domain::ports::clock::Clock::now(&*self.world.clock));
        for trouble in &phase.troubles {
            let first = calls + trouble.from.max(1);
            let period = match trouble.minutes {
                0 => Period::Calls(first..first + trouble.calls),
                minutes => Period::Times(now..now + SignedDuration::from_mins(i64::from(minutes))),
            };
            self.world.crm.trouble(period, trouble.what.trouble());
        }
        let mut expected = 0;
        for event in &phase.events {
            if let Event::Before(method, nth, edits) = event {
                let moment = Moment::CallOf(method.name(), self.world.crm.calls(method.name()) + nth.max(&1));
                for change in people::changes(self.plan, &self.world.crm, edits) {
                    self.world.crm.edit_at(moment, self.object_type(edits.object), change);
                    expected += 1;
                }
            }
        }
        expected
    }
}

impl Subject {
    const fn slug(&self) -> &'static str {
        match self {
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
        }
    }
}

/// Returns when more calls were made than any part of a world takes.
async fn going_on_for_ever(world: &World) {
    let before = world.settings.faults.calls();
    while world.settings.faults.calls() < before + MOST_CALLS {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Goes on until nothing is left to do, for this loop and for the other one.
async fn until_rest(world: &World, active: &Cell<u32>) {
    for _ in 0..MOST_STEPS {
        active.set(active.get() + 1);
        let more = world.step().await;
        active.set(active.get() - 1);
        if !more && active.get() == 0 {
            return;
        }
        if !more {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    panic!("no end is in sight: {:?}", world.queue.queued());
}

/// Lets happen what happens at its time in a phase.
async fn happen(plan: &WorldPlan, world: &World, phase: &Phase, subject: &Subject, done: &Cell<Vec<&'static str>>) {
    let mut timed: Vec<(u64, &Act)> = phase
        .events
        .iter()
        .filter_map(|event| match event {
            Event::At(millis, act) => Some((*millis, act)),
            Event::Before(..) => None,
        })
        .collect();
    timed.sort_by_key(|(millis, _)| *millis);
    let began = tokio::time::Instant::now();
    for (millis, act) in timed {
        tokio::time::sleep_until(began + Duration::from_millis(millis)).await;
        if let Some(what) = act_now(plan, world, act, subject).await {
            let mut all = done.take();
            all.push(what);
            done.set(all);
        }
    }
}

/// Does `act`, and returns a word for it if it has changed anything.
async fn act_now(plan: &WorldPlan, world: &World, act: &Act, subject: &Subject) -> Option<&'static str> {
    let object = plan.objects.first()?;
    let name = object.name.object_type();
    match act {
        Act::Edit(edits) => (edit(plan, world, edits) > 0).then_some("an edit"),
        Act::Jump(millis) => {
            // Time passes for the CRM as well: what it is about to write is written before.
            while *millis > 0
                && let Some(landing) = world.crm.next_landing()
            {
                world.clock.pass_until(landing).await;
                world.clock.pass(SignedDuration::from_millis(1)).await;
            }
            world.clock.jump(SignedDuration::from_millis(*millis));
            Some(if *millis < 0 { "a clock that goes back" } else { "a clock that jumps forward" })
        }
        Act::End => end(world, subject).await,
        Act::Again(nth) => {
            let delivered = world.delivered();
            let work = delivered.iter().rev().nth(usize::try_from(*nth).ok()?)?.clone();
            world.queue.send(&[work], Duration::ZERO).await.expect("memory takes it");
            Some("a message that comes late")
        }
        Act::LoseMessages => {
            world.queue.lose_all();
            Some("messages that are lost")
        }
        Act::Hide(property) => {
            let property = people::property(object, *property);
            world.crm.change(name, |object| object.hide(&property));
            Some("a property that is hidden")
        }
        Act::Lock(nth) => {
            let nth = usize::try_from(*nth).ok()?;
            world.crm.change(name, |object| {
                let id: Option<RecordId> = object.ids().get(nth).copied();
                id.map(|id| object.make_unreadable(id)).map(|()| "a record that cannot be read")
            })
        }
        Act::ShowAll => {
            world.crm.change(name, crate::SimulatedObject::show_all);
            Some("values that are shown again")
        }
    }
}

/// Cancels a backup, or stops a restore that writes.
async fn end(world: &World, subject: &Subject) -> Option<&'static str> {
    match subject {
        Subject::Backup(backup) => world.cancel(backup).await.then_some("a cancellation"),
        Subject::Restore(restore) if world.stop(restore).await.is_ok() => Some("a stop"),
        Subject::Restore(restore) => world.call_off(restore).await.is_ok().then_some("a plan called off"),
    }
}

fn edit(plan: &WorldPlan, world: &World, edits: &Edits) -> u64 {
    let changes = people::changes(plan, &world.crm, edits);
    let count = changes.len() as u64;
    if let Some(object) = plan.objects.get(edits.object) {
        world
            .crm
            .change(object.name.object_type(), |object| changes.into_iter().for_each(|change| object.edit(change)));
    }
    count
}

fn word_of(edits: &Edits) -> &'static str {
    use super::plan::Change;
    match edits.change {
        Change::Set(..) => "values set",
        Change::SetBack(_) => "values set back",
        Change::Rotate(_) => "values exchanged",
        Change::Create => "creations",
        Change::Delete => "deletions",
        Change::Merge => "mergers",
    }
}

const fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::CallFails => "a failed call",
        Fault::AnswerLost | Fault::Overtaken => "a lost answer",
        Fault::WorkerDies => "a death",
        Fault::WorkerDiesAfterwards => "a death after a call",
        Fault::CallHeld | Fault::WorkerFrozen(_) => "a frozen worker",
    }
}
