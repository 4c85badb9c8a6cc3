//! Makes a world up from a number.
//!
//! A world is of one theme, so that what must come together for a rare fault does come together often enough; within
//! the theme everything is left to chance.

use fastrand::Rng;

use super::plan::{
    Act, Change, Copies, CrmTrouble, Edits, Event, Failed, FaultPlan, Kind, Lists, Method, Name, ObjectPlan, Phase,
    PortFault, Refusal, RestorePlan, SHORTEST_RESTORE_RUN, Step, TroublePlan, UndoPlan, Way, Why, WorldPlan,
};

/// What a world is mostly about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theme {
    /// A bit of everything.
    Mixed,
    /// Values that are written in two steps, refusals, and workers that die in between.
    Steps,
    /// People who go on working while a restore is planned, written and undone.
    Edits,
    /// Backups while records come and go, of lists of all kinds.
    Lists,
    /// Backups so large that they are split.
    Splits,
    /// Limits that are used up, and outages.
    Waits,
    /// Stops and cancellations, late messages, frozen workers, clocks that jump.
    Ends,
}

const THEMES: [(Theme, u32); 7] = [
    (Theme::Mixed, 20),
    (Theme::Steps, 20),
    (Theme::Edits, 22),
    (Theme::Lists, 14),
    (Theme::Splits, 4),
    (Theme::Waits, 8),
    (Theme::Ends, 12),
];

/// Calls at which faults matter most.
const CALLS: [&str; 12] = [
    "Ledger::commit",
    "Ledger::commit",
    "Crm::update_batch",
    "Crm::update_batch",
    "Crm::update_batch",
    "Crm::read_batch",
    "Crm::page",
    "BlobWriter::write_new",
    "BlobReader::read",
    "WorkQueue::send",
    "Ledger::get",
    "Crm::census",
];

/// Most worlds have to end well; as many faults as this do not make a step fail for good.
const MOST_FAULTS: usize = 5;

fn pick<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

fn weighted<T: Copy>(random: &mut Rng, of: &[(T, u32)]) -> T {
    let all: u32 = of.iter().map(|(_, weight)| weight).sum();
    let mut left = random.u32(..all);
    for (what, weight) in of {
        if left < *weight {
            return *what;
        }
        left -= weight;
    }
    of[0].0
}

/// True once in `many` draws.
fn one_in(random: &mut Rng, many: u32) -> bool {
    random.u32(..many) == 0
}

/// A number up to `most`, small ones more often than large ones.
fn small(random: &mut Rng, most: u64) -> u64 {
    let bound = random.u64(1..=most.max(1));
    random.u64(1..=bound)
}

impl WorldPlan {
    /// The world of a number.
    pub fn of(seed: u64) -> Self {
        // Neighbouring numbers are to have nothing in common.
        let mut random = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let theme = weighted(&mut random, &THEMES);
        let mut maker = Maker { random, theme };
        let objects = maker.objects();
        let steps = maker.steps(&objects);
        let random = &mut maker.random;
        let is_mixed = one_in(random, 2);
        // What is refused is narrowed down within a run, and so runs must not be all too short.
        let narrows = steps.iter().any(Step::narrows_down)
            || objects.iter().any(|object| object.properties.contains(&Kind::Unique))
            || theme == Theme::Waits;
        Self {
            seed,
            workers: random.usize(1..=4),
            copies: if is_mixed {
                pick(random, &[Copies::Once, Copies::TwiceInARow, Copies::TwiceAtOnce])
            } else {
                Copies::Once
            },
            failed: if is_mixed {
                pick(random, &[Failed::ComeBack, Failed::AreLost, Failed::AreSetAside])
            } else {
                Failed::ComeBack
            },
            export_run: if is_mixed { random.u64(300..4_000) } else { 0 },
            restore_run: if is_mixed && !narrows { random.u64(SHORTEST_RESTORE_RUN..12_000) } else { 0 },
            per_ten_seconds: if theme == Theme::Waits && one_in(random, 2) { random.u32(15..60) } else { 0 },
            per_day: if theme == Theme::Waits && one_in(random, 3) { random.u32(60..160) } else { 0 },
            objects,
            steps,
        }
    }
}

impl Step {
    /// Whether anything is refused in it.
    fn narrows_down(&self) -> bool {
        match self {
            Self::Restore(RestorePlan { way, .. }) | Self::Undo(UndoPlan { way, .. }) => !way.refusals.is_empty(),
            Self::Backup(_) | Self::People(_) => false,
        }
    }
}

struct Maker {
    random: Rng,
    theme: Theme,
}

impl Maker {
    fn objects(&mut self) -> Vec<ObjectPlan> {
        let mut objects = vec![self.object(Name::Contacts)];
        if self.theme == Theme::Lists || one_in(&mut self.random, 4) {
            let name = pick(&mut self.random, &[Name::Companies, Name::Pets, Name::Conversations]);
            objects.push(self.object(name));
        }
        objects
    }

    fn object(&mut self, name: Name) -> ObjectPlan {
        let theme = self.theme;
        let random = &mut self.random;
        let records = match theme {
            Theme::Splits if name == Name::Contacts => random.u64(3_000..4_200),
            Theme::Lists => random.u64(0..700),
            _ if one_in(random, 6) => random.u64(250..700),
            _ => random.u64(1..250),
        };
        let cursors = if matches!(theme, Theme::Lists | Theme::Splits) || one_in(random, 6) {
            let all = [
                Lists::Ids,
                Lists::NextIds,
                Lists::Opaque,
                Lists::OpaqueWithRepeats,
                Lists::OpaqueBackwards,
                Lists::Restarts,
                Lists::Refused,
                Lists::Skips,
                Lists::RestartsOnce,
                Lists::Offsets,
            ];
            pick(random, &all)
        } else {
            Lists::Ids
        };
        let properties = self.properties();
        let random = &mut self.random;
        let unreadable = if one_in(random, 12) && records > 0 { vec![random.u64(..records)] } else { Vec::new() };
        let silent_refusals = one_in(random, 4);
        let ends_early = if theme == Theme::Lists && one_in(random, 4) { random.u64(2..9) } else { 0 };
        ObjectPlan { name, records, cursors, properties, silent_refusals, unreadable, ends_early }
    }

    fn properties(&mut self) -> Vec<Kind> {
        let all = [
            (Kind::Text, 5),
            (Kind::Number, 2),
            (Kind::Choice, 2),
            (Kind::Stage, if self.theme == Theme::Steps { 10 } else { 2 }),
            (Kind::Unique, if self.theme == Theme::Splits { 0 } else { 2 }),
            (Kind::Fixed, 1),
            (Kind::Hidden, 1),
            (Kind::Lower, 2),
            (Kind::Stubborn, 1),
        ];
        let count = if self.theme == Theme::Splits { 1 } else { self.random.usize(1..=4) };
        let mut kinds: Vec<Kind> = (0..count).map(|_| weighted(&mut self.random, &all)).collect();
        if matches!(kinds[0], Kind::Fixed | Kind::Hidden) {
            kinds[0] = Kind::Text;
        }
        kinds
    }

    fn steps(&mut self, objects: &[ObjectPlan]) -> Vec<Step> {
        let mut steps = Vec::new();
        if matches!(self.theme, Theme::Lists | Theme::Splits) {
            steps.push(Step::Backup(self.backup_phase(objects)));
            if one_in(&mut self.random, 4) {
                steps.push(Step::People(self.damage(objects)));
                steps.push(Step::Restore(self.restore(objects)));
            }
            return steps;
        }
        let calm = !one_in(&mut self.random, 3);
        steps.push(Step::Backup(if calm { Phase::default() } else { self.backup_phase(objects) }));
        steps.push(Step::People(self.damage(objects)));
        steps.push(Step::Restore(self.restore(objects)));
        let mut restores = 1;
        if one_in(&mut self.random, 3) {
            if one_in(&mut self.random, 2) {
                steps.push(Step::People(self.damage(objects)));
            }
            steps.push(Step::Restore(self.restore(objects)));
            restores += 1;
        }
        for _ in 0..self.random.usize(1..=restores) {
            if one_in(&mut self.random, 2) {
                steps.push(Step::People(self.some_edits(objects)));
            }
            let of = self.random.usize(..restores);
            let include_edited = one_in(&mut self.random, 3);
            steps.push(Step::Undo(UndoPlan { of, include_edited, way: self.way(objects) }));
        }
        if one_in(&mut self.random, 6) {
            steps.push(Step::Backup(self.backup_phase(objects)));
        }
        steps
    }

    fn restore(&mut self, objects: &[ObjectPlan]) -> RestorePlan {
        let count = objects[0].properties.len();
        let mut properties: Vec<usize> = (0..count).filter(|_| self.random.bool()).collect();
        if properties.is_empty() || self.theme == Theme::Steps {
            properties = (0..count).collect();
        }
        RestorePlan { object: 0, properties, way: self.way(objects) }
    }

    /// What people damage after a backup: much of it.
    fn damage(&mut self, objects: &[ObjectPlan]) -> Vec<Edits> {
        let mut all = Vec::new();
        for place in 0..objects[0].properties.len() {
            if one_in(&mut self.random, 4) {
                continue;
            }
            let random = &mut self.random;
            let change = match objects[0].properties[place] {
                Kind::Unique if random.bool() => Change::Rotate(place),
                Kind::Stage => Change::Set(place, pick(random, &[3, 3, 3, 2, 0])),
                _ => Change::Set(place, random.u8(..4)),
            };
            let every = if self.theme == Theme::Splits { random.u64(20..200) } else { pick(random, &[1, 1, 2, 3, 5]) };
            all.push(Edits { object: 0, first: random.u64(..3), every, change });
        }
        if one_in(&mut self.random, 4) {
            all.extend(self.some_edits(objects));
        }
        all
    }

    /// A few edits of any kind.
    fn some_edits(&mut self, objects: &[ObjectPlan]) -> Vec<Edits> {
        (0..self.random.usize(1..=3)).map(|_| self.edits(objects)).collect()
    }

    fn edits(&mut self, objects: &[ObjectPlan]) -> Edits {
        let random = &mut self.random;
        let object = if one_in(random, 5) { random.usize(..objects.len()) } else { 0 };
        let of = &objects[object];
        let property = random.usize(..of.properties.len());
        let change = match random.u32(..20) {
            0..=11 => Change::Set(property, random.u8(..4)),
            12 | 13 => Change::SetBack(property),
            14 => Change::Rotate(property),
            15 | 16 => Change::Create,
            17 | 18 => Change::Delete,
            _ => Change::Merge,
        };
        // A unique value stays unique: people cannot do otherwise.
        let is_wide = matches!(change, Change::Set(..) | Change::SetBack(_)) && random.bool();
        let every = if is_wide || matches!(change, Change::Rotate(_)) { random.u64(1..40) } else { 0 };
        Edits { object, first: random.u64(..of.records.max(1)), every, change }
    }

    fn backup_phase(&mut self, objects: &[ObjectPlan]) -> Phase {
        let mut phase = self.phase(objects, 6_000);
        if self.theme == Theme::Lists {
            for _ in 0..self.random.usize(..=4) {
                let edits = self.edits(objects);
                let pages = 2 + objects[edits.object].records / 100;
                phase.events.push(Event::Before(Method::Page, self.random.u64(1..=pages + 2), edits));
            }
        }
        phase
    }

    fn way(&mut self, objects: &[ObjectPlan]) -> Way {
        let planning = if one_in(&mut self.random, 3) { self.phase(objects, 3_000) } else { Phase::default() };
        let is_edited = one_in(&mut self.random, if self.theme == Theme::Edits { 2 } else { 6 });
        let reviewed = if is_edited { self.some_edits(objects) } else { Vec::new() };
        let is_refused = one_in(&mut self.random, if self.theme == Theme::Steps { 2 } else { 6 });
        let refusals = if is_refused { self.refusals(&objects[0]) } else { Vec::new() };
        let called_off = one_in(&mut self.random, 40);
        let mut writing = self.phase(objects, 4_000);
        if self.theme == Theme::Steps {
            // Between the steps of one value.
            let nth = self.random.u64(1..=6);
            let faults = [
                PortFault::WorkerDiesAfterwards,
                PortFault::WorkerDiesAfterwards,
                PortFault::AnswerLost,
                PortFault::WorkerDies,
            ];
            let fault = pick(&mut self.random, &faults);
            writing.faults.push(FaultPlan { call: "Crm::update_batch".to_owned(), nth, fault });
            writing.faults.truncate(MOST_FAULTS);
            if one_in(&mut self.random, 3) {
                // A user stops the restore before another run goes on.
                writing.events.push(Event::At(self.random.u64(1_000..60_000), Act::End));
            }
        }
        if self.theme == Theme::Ends && one_in(&mut self.random, 3) {
            self.stopped_with_a_write_under_way(&mut writing);
        }
        Way { planning, reviewed, called_off, refusals, writing }
    }

    /// A call gets no answer, its second sending is refused, a user stops the restore, and then the first one lands.
    fn stopped_with_a_write_under_way(&mut self, writing: &mut Phase) {
        let random = &mut self.random;
        let from = random.u64(1..12);
        let refusal = pick(
            random,
            &[CrmTrouble::DailyLimit, CrmTrouble::TokenRefused, CrmTrouble::ScopeMissing, CrmTrouble::Forbidden],
        );
        let trouble = |what, from| TroublePlan { what, from, calls: 1, minutes: 0 };
        writing.troubles = vec![trouble(CrmTrouble::Late, from), trouble(refusal, from + 1)];
        writing.events.push(Event::At(random.u64(200..20_000), Act::End));
    }

    fn refusals(&mut self, object: &ObjectPlan) -> Vec<Refusal> {
        let random = &mut self.random;
        let one = |random: &mut Rng| {
            let property = random.usize(..object.properties.len());
            let value = match object.properties[property] {
                Kind::Stage => pick(random, &["lead", "customer", ""]),
                Kind::Choice => pick(random, &["a", "b", ""]),
                Kind::Number => pick(random, &["1", "2.5", ""]),
                _ => pick(random, &["", "plain", "-1"]),
            };
            let why = pick(random, &[Why::Invalid, Why::Invalid, Why::ReadOnly, Why::Required, Why::Unknown]);
            Refusal { property, value: value.to_owned(), why, from: pick(random, &[0, 0, 2, 3, 3, 4]) }
        };
        (0..random.usize(1..=2)).map(|_| one(random)).collect()
    }

    fn phase(&mut self, objects: &[ObjectPlan], length: u64) -> Phase {
        let faults = self.faults();
        let troubles = if faults.len() < 4 { self.troubles() } else { Vec::new() };
        let mut events = Vec::new();
        let is_busy = match self.theme {
            Theme::Edits | Theme::Ends => one_in(&mut self.random, 2),
            _ => one_in(&mut self.random, 5),
        };
        if is_busy {
            events = (0..self.random.usize(1..=3)).map(|_| self.event(objects, length)).collect();
        }
        Phase { faults, troubles, events }
    }

    fn faults(&mut self) -> Vec<FaultPlan> {
        let random = &mut self.random;
        if one_in(random, 3) {
            return Vec::new();
        }
        // Some steps may fail for good.
        let most = if one_in(random, 30) { 12 } else { MOST_FAULTS as u64 - 1 };
        let one = |random: &mut Rng| {
            let (call, nth) = match random.u32(..5) {
                0 | 1 => ("", small(random, 400)),
                _ => (pick(random, &CALLS), small(random, 12)),
            };
            let fault = match random.u32(..16) {
                0..=2 => PortFault::CallFails,
                3..=6 => PortFault::AnswerLost,
                7..=9 => PortFault::WorkerDies,
                10..=14 => PortFault::WorkerDiesAfterwards,
                _ => PortFault::WorkerFrozen(random.u16(5..150)),
            };
            FaultPlan { call: call.to_owned(), nth, fault }
        };
        (0..small(random, most)).map(|_| one(random)).collect()
    }

    fn troubles(&mut self) -> Vec<TroublePlan> {
        let theme = self.theme;
        let random = &mut self.random;
        if !one_in(random, if theme == Theme::Waits { 2 } else { 6 }) {
            return Vec::new();
        }
        let all = [
            (CrmTrouble::Unavailable, 4),
            (CrmTrouble::Malformed, 1),
            (CrmTrouble::RateLimit, 3),
            (CrmTrouble::DailyLimit, 1),
            (CrmTrouble::TokenRefused, 1),
            (CrmTrouble::ScopeMissing, 1),
            (CrmTrouble::Forbidden, 1),
            (CrmTrouble::NotFound, 1),
            (CrmTrouble::AnswerLost, 3),
            (CrmTrouble::Late, 4),
        ];
        let what = weighted(random, &all);
        let minutes = if what == CrmTrouble::Unavailable && theme == Theme::Waits { random.u32(..40) } else { 0 };
        let calls = if what.is_limit() { random.u64(1..6) } else { 1 };
        vec![TroublePlan { what, from: random.u64(1..25), calls, minutes }]
    }

    fn event(&mut self, objects: &[ObjectPlan], length: u64) -> Event {
        let is_end = self.theme == Theme::Ends && one_in(&mut self.random, 3);
        if !is_end && one_in(&mut self.random, 4) {
            let method =
                pick(&mut self.random, &[Method::Page, Method::ReadBatch, Method::UpdateBatch, Method::Census]);
            let nth = small(&mut self.random, 6);
            return Event::Before(method, nth, self.edits(objects));
        }
        let at = small(&mut self.random, length);
        let act = match self.random.u32(..20) {
            _ if is_end => Act::End,
            0..=9 => Act::Edit(self.edits(objects)),
            10 | 11 => Act::Jump(pick(&mut self.random, &[-2_000, -500, 5_000, 40_000, 90_000])),
            12 => Act::End,
            13..=15 => Act::Again(self.random.u64(..12)),
            16 => Act::LoseMessages,
            // From the beginning: what is hidden between a read and a write is reported as an ignored write.
            17 => return Event::At(0, Act::Hide(self.random.usize(..objects[0].properties.len()))),
            18 => Act::Lock(self.random.u64(..objects[0].records.max(1))),
            _ => Act::ShowAll,
        };
        Event::At(at, act)
    }
}
