//! What a world's records hold at first, and what people change about them.

use domain::ids::RecordId;
use domain::ports::crm_batch::SideEffect;
use jiff::SignedDuration;

use super::plan::{Change, Edits, Kind, Lists, Name, ObjectPlan, WorldPlan};
use crate::crm::{Cursors, Edit, Happened, Otherwise};
use crate::{SimulatedCrm, SimulatedObject, samples};

const CHOICES: [&str; 4] = ["", "a", "b", "c"];
/// Stages in their order; the last place stands for none.
const STAGES: [&str; 4] = ["lead", "customer", "fan", ""];
const NUMBERS: [&str; 4] = ["", "7.50", "7.5", "-0"];

impl Name {
    pub(super) const fn object_type(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Pets => "p7654321_pets",
            Self::Conversations => "conversations",
        }
    }
}

impl Kind {
    const fn slug(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Choice => "choice",
            Self::Stage => "stage",
            Self::Unique => "unique",
            Self::Fixed => "fixed",
            Self::Hidden => "hidden",
            Self::Lower => "lower",
            Self::Stubborn => "stubborn",
        }
    }

    /// Whether a restore may clear it on the way to its value.
    pub(super) const fn is_cleared_on_the_way(self) -> bool {
        matches!(self, Self::Stage | Self::Unique)
    }

    /// The value that the record at `nth` place has at first; None leaves it as the simulated CRM has it.
    fn first(self, nth: usize, id: RecordId) -> Option<String> {
        match self {
            Self::Text | Self::Fixed | Self::Hidden | Self::Stubborn => None,
            Self::Number => Some(["", "1", "2.5", "-3e2"][nth % 4].to_owned()),
            Self::Choice => Some(CHOICES[nth % 4].to_owned()),
            Self::Stage => Some(["lead", "customer", "", "lead"][nth % 4].to_owned()),
            Self::Unique => Some(format!("u{id}@example.com")),
            Self::Lower => Some(["", "Mixed Case", "plain", "UPPER"][nth % 4].to_owned()),
        }
    }

    /// A value that people give it.
    fn other(self, id: RecordId, variant: u8) -> String {
        let place = usize::from(variant) % 4;
        match self {
            Self::Number => NUMBERS[place].to_owned(),
            Self::Choice => CHOICES[place].to_owned(),
            Self::Stage => STAGES[(place + 3) % 4].to_owned(),
            _ if variant == 0 => String::new(),
            Self::Lower => format!("t{variant}-{id}@example.com"),
            _ => format!("T{variant}-{id}@example.com"),
        }
    }
}

/// The name of an object's property.
pub(super) fn property(object: &ObjectPlan, place: usize) -> String {
    format!("{}{place}", object.properties.get(place).copied().unwrap_or_default().slug())
}

impl ObjectPlan {
    /// The object as the world begins.
    pub(super) fn build(&self) -> SimulatedObject {
        let names: Vec<String> = (0..self.properties.len()).map(|place| property(self, place)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let long_ago = samples::beginning() - SignedDuration::from_hours(24 * 400);
        let ids = samples::clumpy_ids(self.records);
        let mut object = SimulatedObject::new(self.name.object_type(), &names, ids.clone(), long_ago);
        if self.name == Name::Conversations {
            object = object.uncounted();
        } else {
            object.cursors = self.cursors.cursors();
        }
        object.names_faults = !self.silent_refusals;
        object.ends_once = Some(self.ends_early).filter(|page| *page > 0);
        let unreadable = self.unreadable.iter().filter_map(|nth| ids.get(usize::try_from(*nth).ok()?));
        object.unreadable = unreadable.map(|id| RecordId(*id)).collect();
        for (place, kind) in self.properties.iter().enumerate() {
            shape(&mut object, *kind, &property(self, place));
        }
        object
    }
}

/// Whether a property of this kind takes a value, as its options are.
pub(super) fn is_option(kind: Kind, value: &str) -> bool {
    match kind {
        Kind::Choice => value.is_empty() || CHOICES.contains(&value),
        Kind::Stage => value.is_empty() || STAGES[..3].contains(&value),
        _ => true,
    }
}

/// Sets a property up for its kind.
fn shape(object: &mut SimulatedObject, kind: Kind, name: &str) {
    for (nth, id) in object.ids().into_iter().enumerate() {
        if let Some(value) = kind.first(nth, id) {
            object.edit(Edit::value(id, name, &value));
        }
    }
    match kind {
        Kind::Text => {}
        Kind::Number => define(object, name, |property| "number".clone_into(&mut property.kind)),
        Kind::Choice => object.define_options(name, &CHOICES[1..]),
        Kind::Stage => {
            object.define_options(name, &STAGES[..3]);
            object.rules(name).forward_only = true;
        }
        Kind::Unique => {
            object.rules(name).unique = true;
            object.rules(name).side_effect = Some(SideEffect::Unique);
        }
        Kind::Fixed => define(object, name, |property| property.read_only = true),
        Kind::Hidden => object.not_shown.push(name.to_owned()),
        Kind::Lower => object.rules(name).normalise = Some(str::to_lowercase),
        Kind::Stubborn => object.rules(name).ignores_writes = true,
    }
}

fn define(object: &mut SimulatedObject, name: &str, change: impl Fn(&mut domain::property::Property)) {
    object.properties.iter_mut().filter(|property| property.name == name).for_each(change);
}

impl Lists {
    const fn cursors(self) -> Cursors {
        match self {
            Self::Ids => Cursors::Ids,
            Self::Offsets => Cursors::Offsets,
            Self::NextIds => Cursors::NextIds,
            Self::Opaque => Cursors::Opaque,
            Self::OpaqueWithRepeats => Cursors::OpaqueWithRepeats,
            Self::OpaqueBackwards => Cursors::OpaqueBackwards,
            Self::Restarts => Cursors::OnlyGiven(Otherwise::Restarts),
            Self::Refused => Cursors::OnlyGiven(Otherwise::Refused),
            Self::Skips => Cursors::OnlyGiven(Otherwise::Skips(3)),
            Self::RestartsOnce => Cursors::OnlyGiven(Otherwise::RestartsOnce),
        }
    }
}

/// What `edits` change, record by record, as the CRM is now.
pub(super) fn changes(plan: &WorldPlan, crm: &SimulatedCrm, edits: &Edits) -> Vec<Edit> {
    let Some(of) = plan.objects.get(edits.object) else { return Vec::new() };
    crm.change(of.name.object_type(), |object| {
        let ids = object.ids();
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let step = if edits.every == 0 { usize::MAX } else { place(edits.every) };
        let picked: Vec<RecordId> = ids.iter().skip(place(edits.first)).step_by(step).copied().collect();
        changes_to(of, object, &picked, &edits.change)
    })
}

/// The first value that a record's property had; None where it was never changed.
fn earliest(object: &SimulatedObject, id: RecordId, name: &str) -> Option<String> {
    object.journal().iter().filter(|entry| entry.id == id).find_map(|entry| match &entry.what {
        Happened::Edited { property, before, .. } | Happened::Sent { property, before, .. } if property == name => {
            Some(before.clone())
        }
        _ => None,
    })
}

fn changes_to(of: &ObjectPlan, object: &SimulatedObject, ids: &[RecordId], change: &Change) -> Vec<Edit> {
    let known = |place: usize| of.properties.get(place).copied();
    match *change {
        Change::Set(place, variant) => {
            let Some(kind) = known(place) else { return Vec::new() };
            let name = property(of, place);
            ids.iter().map(|id| Edit::value(*id, &name, &kind.other(*id, variant))).collect()
        }
        Change::SetBack(place) => {
            let Some(kind) = known(place) else { return Vec::new() };
            let (name, all) = (property(of, place), samples::clumpy_ids(of.records));
            let first = |id: &RecordId| {
                let given = all.binary_search(&id.0).ok().and_then(|nth| kind.first(nth, *id));
                given.or_else(|| earliest(object, *id, &name))
            };
            ids.iter().filter_map(|id| Some(Edit::value(*id, &name, &first(id)?))).collect()
        }
        Change::Rotate(place) if known(place).is_some() => {
            let name = property(of, place);
            let next = |nth: usize| object.value(ids[(nth + 1) % ids.len()], &name).unwrap_or_default();
            ids.iter().enumerate().map(|(nth, id)| Edit::value(*id, &name, &next(nth))).collect()
        }
        Change::Rotate(_) => Vec::new(),
        Change::Create => ids.iter().map(|id| Edit::Create(samples::beside(*id))).collect(),
        Change::Delete => ids.iter().map(|id| Edit::Delete(*id)).collect(),
        Change::Merge => {
            let pairs =
                ids.iter().filter_map(|id| object.ids().into_iter().find(|next| next > id).map(|next| (*id, next)));
            // A record that takes one in does not go itself.
            let mut taken = Vec::new();
            pairs
                .filter(|(id, next)| {
                    taken.push(*next);
                    !taken.contains(id)
                })
                .map(|(id, next)| Edit::Merge(id, next))
                .collect()
        }
    }
}
