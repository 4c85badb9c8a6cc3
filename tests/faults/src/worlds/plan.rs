//! What happens in a world, as plain data: who is there, what goes wrong, and what is done one after the other. The
//! simplest of everything is the default and is not written down, so a small world is a short line.

use serde::{Deserialize, Serialize};

use crate::crm::{LATEST_LANDING, Trouble};

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Milliseconds that a run of restore-chunk has at least: a batch takes several calls, and is read and written in one
/// run.
pub const SHORTEST_RESTORE_RUN: u64 = 3_000;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldPlan {
    /// What latencies and ids follow from.
    pub seed: u64,
    /// Workers at the same time; 0 is 1.
    #[serde(skip_serializing_if = "is_default")]
    pub workers: usize,
    /// How messages are delivered.
    #[serde(skip_serializing_if = "is_default")]
    pub copies: Copies,
    /// What becomes of messages whose handling fails.
    #[serde(skip_serializing_if = "is_default")]
    pub failed: Failed,
    /// How long a run of export-chunk begins something new, in milliseconds; 0 is 290 s.
    #[serde(skip_serializing_if = "is_default")]
    pub export_run: u64,
    /// The same of restore-chunk; at least [`SHORTEST_RESTORE_RUN`].
    #[serde(skip_serializing_if = "is_default")]
    pub restore_run: u64,
    /// Calls that the CRM takes in ten seconds; 0 is any number.
    #[serde(skip_serializing_if = "is_default")]
    pub per_ten_seconds: u32,
    /// Calls that the CRM takes on a day; 0 is any number.
    #[serde(skip_serializing_if = "is_default")]
    pub per_day: u32,
    /// What the CRM holds.
    pub objects: Vec<ObjectPlan>,
    pub steps: Vec<Step>,
}

impl WorldPlan {
    /// Whether a call of a port fails while a backup is made.
    pub(super) fn has_port_faults(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Backup(phase) if !phase.faults.is_empty()))
    }
}

/// How messages are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Copies {
    #[default]
    Once,
    /// Twice, one after the other.
    TwiceInARow,
    TwiceAtOnce,
}

/// What becomes of messages whose handling fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Failed {
    #[default]
    ComeBack,
    AreLost,
    /// They are set aside.
    AreSetAside,
}

/// An object type of the CRM.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectPlan {
    #[serde(skip_serializing_if = "is_default")]
    pub name: Name,
    /// How many records it has.
    pub records: u64,
    /// How its lists are gone on with.
    #[serde(skip_serializing_if = "is_default")]
    pub cursors: Lists,
    pub properties: Vec<Kind>,
    /// The CRM does not name the values that it refuses.
    #[serde(skip_serializing_if = "is_default")]
    pub silent_refusals: bool,
    /// Unreadable records, by their place.
    #[serde(skip_serializing_if = "is_default")]
    pub unreadable: Vec<u64>,
    /// The list of records ends early once: at this page, that of discovery included.
    #[serde(skip_serializing_if = "is_default")]
    pub ends_early: u64,
}

/// The object types that there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Name {
    #[default]
    Contacts,
    Companies,
    Pets,
    /// Not counted, in the CRM's own order, and never restored.
    Conversations,
}

/// How lists are gone on with; see [`crate::crm::Cursors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are those of the simulated CRM")]
pub enum Lists {
    #[default]
    Ids,
    NextIds,
    Opaque,
    OpaqueWithRepeats,
    OpaqueBackwards,
    Restarts,
    Refused,
    Skips,
    RestartsOnce,
    Offsets,
}

/// What a property is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    #[default]
    Text,
    Number,
    /// One of a few options.
    Choice,
    /// A stage, which goes forward only unless it is cleared first.
    Stage,
    /// No two records have the same.
    Unique,
    /// It is read-only.
    Fixed,
    /// The CRM does not show it.
    Hidden,
    /// The CRM keeps it in lower case.
    Lower,
    /// The CRM takes writes and ignores them.
    Stubborn,
}

/// What is done, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Step {
    Backup(Phase),
    /// People change records, and nothing else happens.
    People(Vec<Edits>),
    /// A restore from the latest backup.
    Restore(RestorePlan),
    /// An undo of one of the restores before.
    Undo(UndoPlan),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RestorePlan {
    /// Which object, by its place.
    #[serde(skip_serializing_if = "is_default")]
    pub object: usize,
    /// Which properties, by their places.
    pub properties: Vec<usize>,
    /// What goes wrong while it is planned and written.
    #[serde(flatten)]
    pub way: Way,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UndoPlan {
    /// Which restore, by its place among those of the world.
    #[serde(skip_serializing_if = "is_default")]
    pub of: usize,
    /// Also what was edited since.
    #[serde(skip_serializing_if = "is_default")]
    pub include_edited: bool,
    /// What goes wrong while it is planned and written.
    #[serde(flatten)]
    pub way: Way,
}

/// The way of a restore.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Way {
    /// What goes wrong while it is planned.
    #[serde(skip_serializing_if = "is_default")]
    pub planning: Phase,
    /// What people change between plan and confirmation.
    #[serde(skip_serializing_if = "is_default")]
    pub reviewed: Vec<Edits>,
    /// A user calls the plan off.
    #[serde(skip_serializing_if = "is_default")]
    pub called_off: bool,
    /// What the CRM refuses while it is written.
    #[serde(skip_serializing_if = "is_default")]
    pub refusals: Vec<Refusal>,
    /// What goes wrong while it is written.
    #[serde(skip_serializing_if = "is_default")]
    pub writing: Phase,
}

/// What goes wrong in a part of a step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Phase {
    /// Faults at calls of ports.
    #[serde(skip_serializing_if = "is_default")]
    pub faults: Vec<FaultPlan>,
    /// Trouble of the CRM.
    #[serde(skip_serializing_if = "is_default")]
    pub troubles: Vec<TroublePlan>,
    #[serde(skip_serializing_if = "is_default")]
    pub events: Vec<Event>,
}

/// A fault at a call of a port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Such as `Ledger::commit`; empty for any.
    #[serde(skip_serializing_if = "is_default")]
    pub call: String,
    /// At which of these calls of the phase, counted from 1.
    pub nth: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub fault: PortFault,
}

/// What goes wrong at a call of a port; see [`in_memory::faults::Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are those of the faults")]
pub enum PortFault {
    #[default]
    CallFails,
    AnswerLost,
    WorkerDies,
    WorkerDiesAfterwards,
    /// Its length in seconds.
    WorkerFrozen(u16),
}

/// Trouble of the CRM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TroublePlan {
    #[serde(skip_serializing_if = "is_default")]
    pub what: CrmTrouble,
    /// From which call of the phase on, counted from 1.
    pub from: u64,
    /// For how many calls.
    pub calls: u64,
    /// Instead, its length in minutes from the beginning of the phase.
    #[serde(skip_serializing_if = "is_default")]
    pub minutes: u32,
}

/// What can be wrong with the CRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are those of the simulated CRM")]
pub enum CrmTrouble {
    #[default]
    Unavailable,
    Malformed,
    RateLimit,
    DailyLimit,
    TokenRefused,
    ScopeMissing,
    Forbidden,
    NotFound,
    AnswerLost,
    /// The call arrives as late after it was sent as it can, when the client has stopped waiting.
    Late,
}

impl CrmTrouble {
    /// As the simulated CRM knows it.
    pub(super) fn trouble(self) -> Trouble {
        match self {
            Self::Unavailable => Trouble::Unavailable,
            Self::Malformed => Trouble::Malformed,
            Self::RateLimit => Trouble::RateLimit(jiff::SignedDuration::from_secs(3)),
            Self::DailyLimit => Trouble::DailyLimit,
            Self::TokenRefused => Trouble::TokenRefused,
            Self::ScopeMissing => Trouble::ScopeMissing,
            Self::Forbidden => Trouble::Forbidden,
            Self::NotFound => Trouble::NotFound,
            Self::AnswerLost => Trouble::AnswerLost,
            Self::Late => Trouble::Late(LATEST_LANDING),
        }
    }

    /// Whether it is only a limit, which is waited for as long as it takes.
    pub(super) const fn is_limit(self) -> bool {
        matches!(self, Self::RateLimit | Self::DailyLimit)
    }

    /// Whether it is believed after some repetitions.
    pub(super) const fn is_refusal(self) -> bool {
        matches!(self, Self::TokenRefused | Self::ScopeMissing | Self::Forbidden | Self::NotFound)
    }
}

/// What the CRM refuses to write.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refusal {
    /// Of which property of the object, by its place.
    #[serde(skip_serializing_if = "is_default")]
    pub property: usize,
    /// Which value; empty for all.
    #[serde(skip_serializing_if = "is_default")]
    pub value: String,
    #[serde(skip_serializing_if = "is_default")]
    pub why: Why,
    /// From which batch of the phase on, counted from 1.
    #[serde(skip_serializing_if = "is_default")]
    pub from: u64,
}

/// Why the CRM refuses to write a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are the CRM's")]
pub enum Why {
    #[default]
    Invalid,
    ReadOnly,
    Required,
    Unknown,
}

impl Why {
    /// The CRM's code for the refusal.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID_OPTION",
            Self::ReadOnly => "READ_ONLY_VALUE",
            Self::Required => "MISSING_REQUIRED_PROPERTY",
            Self::Unknown => "SOMETHING_NEW",
        }
    }
}

/// Something that happens in a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Milliseconds after the beginning of the phase.
    At(u64, Act),
    /// People change records just before the CRM answers a call of this method, counted from 1 in the phase.
    Before(Method, u64, Edits),
}

/// A method of the CRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are those of the port")]
pub enum Method {
    Page,
    ReadBatch,
    UpdateBatch,
    Census,
}

impl Method {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::ReadBatch => "read_batch",
            Self::UpdateBatch => "update_batch",
            Self::Census => "census",
        }
    }
}

/// What can happen at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Act {
    Edit(Edits),
    /// The clock jumps by this number of milliseconds.
    Jump(i64),
    /// A user cancels the backup, or stops the restore.
    End,
    /// A message that was delivered before comes again, by its place from the last one on.
    Again(u64),
    /// All messages are lost.
    LoseMessages,
    /// From now on the CRM does not show a property in batches.
    Hide(usize),
    /// From now on the CRM cannot give a record in batches.
    Lock(u64),
    /// The CRM shows everything again.
    ShowAll,
}

/// Changes that people make to records of an object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edits {
    /// Which object, by its place.
    #[serde(skip_serializing_if = "is_default")]
    pub object: usize,
    /// The first of the records, by its place.
    #[serde(skip_serializing_if = "is_default")]
    pub first: u64,
    /// One more in this number of records; 0 for no more.
    #[serde(skip_serializing_if = "is_default")]
    pub every: u64,
    /// What is done to each.
    #[serde(skip_serializing_if = "is_default")]
    pub change: Change,
}

/// What people do to a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// A property gets a value of its kind: one of a few, 0 for none.
    Set(usize, u8),
    /// A property gets the value that it had at the beginning of the world.
    SetBack(usize),
    /// A property gets the value of the next record that is changed, and the last one that of the first.
    Rotate(usize),
    /// A record appears beside it.
    Create,
    Delete,
    /// It becomes part of the next record.
    Merge,
}

impl Default for Change {
    fn default() -> Self {
        Self::Set(0, 1)
    }
}
