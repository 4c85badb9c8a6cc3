//! What is written to an object of the simulated CRM: by its API, and by people meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::ids::RecordId;
use domain::ports::crm::CrmError;
use domain::ports::crm_batch::{
    BATCH, BatchRead, BatchUpdate, PropertyDefinition, RecordUpdate, SideEffect, UpdatedRecord, WriteRefusal,
};
use domain::property::{Property, RECORD_ID_COLUMN};
use domain::restore::difference::Comparison;
use domain::rows::RowBuffer;
use jiff::Timestamp;

use super::SimulatedObject;
use super::journal::{Entry, Happened, Journal};
use super::model::MERGED_IDS;

/// What people do to records beside all calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A record gets a value, unchecked; an empty one clears.
    Value {
        id: RecordId,
        property: String,
        value: String,
    },
    Create(RecordId),
    /// A record is archived.
    Delete(RecordId),
    /// The first record becomes part of the second.
    Merge(RecordId, RecordId),
}

impl Edit {
    pub fn value(id: RecordId, property: &str, value: &str) -> Self {
        Self::Value { id, property: property.to_owned(), value: value.to_owned() }
    }
}

/// What the CRM makes of a property's values when it is written to.
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
#[derive(Debug, Clone, Default)]
pub struct PropertyRules {
    options: Vec<String>,
    /// Several options at once, which the CRM keeps in their order.
    pub multiple: bool,
    /// A change to an earlier option is ignored without a word, unless the value is cleared first.
    pub forward_only: bool,
    /// The side effect in the property's definition.
    pub side_effect: Option<SideEffect>,
    /// Every write is ignored without a word.
    pub ignores_writes: bool,
    /// No two records may have the same value. A batch in which a record is to get what another one has is refused,
    /// also where that one is to lose it in the same batch.
    pub unique: bool,
    /// The form in which the CRM keeps a value.
    pub normalise: Option<fn(&str) -> String>,
    /// Values that are refused, with the CRM's word for the reason, and from which update on; None is any value.
    refusals: Vec<(Option<String>, String, u64)>,
}

/// What was written to an object, and the rules for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Writes {
    values: BTreeMap<RecordId, BTreeMap<String, String>>,
    merged: BTreeMap<RecordId, RecordId>,
    archived_properties: Vec<Property>,
    rules: BTreeMap<String, PropertyRules>,
    refused_records: BTreeMap<RecordId, String>,
    /// Hidden after this number of batches of updates.
    hidden: HashMap<String, u64>,
    unreadable: HashSet<RecordId>,
    unmentioned: HashSet<RecordId>,
    updates: Vec<RecordUpdate>,
    batches: u64,
    journal: Journal,
}

/// A value that cannot be written: the CRM's word for why, and the property.
struct Fault<'a> {
    code: &'a str,
    property: &'a str,
    value: &'a str,
}

impl SimulatedObject {
    /// What the CRM makes of `property` when it is written to, to be changed.
    pub fn rules(&mut self, property: &str) -> &mut PropertyRules {
        self.writes.rules.entry(property.to_owned()).or_default()
    }

    /// Makes `property` an enumeration of these values, in their order. Others are refused as `INVALID_OPTION`.
    ///
    /// # Panics
    /// When there is no such property.
    pub fn define_options(&mut self, property: &str, options: &[&str]) {
        let defined = self.properties.iter_mut().find(|known| known.name == property);
        "enumeration".clone_into(&mut defined.expect("a property of this object").kind);
        self.rules(property).options = options.iter().map(|&option| option.to_owned()).collect();
    }

    /// Refuses batches in which `property` gets `value`, or any value if that is None, with the word `code`.
    pub fn refuse(&mut self, property: &str, value: Option<&str>, code: &str) {
        self.refuse_from(property, value, code, 0);
    }

    /// The same from the `nth` batch of updates on, counted from 1.
    pub fn refuse_from(&mut self, property: &str, value: Option<&str>, code: &str, nth: u64) {
        self.rules(property).refusals.push((value.map(str::to_owned), code.to_owned(), nth));
    }

    /// Refuses updates of a record, and writes the others of the batch.
    pub fn refuse_record(&mut self, id: RecordId, code: &str) {
        self.writes.refused_records.insert(id, code.to_owned());
    }

    /// Leaves the values of a property out of what is read and written by batches, as for a token that may not see
    /// them.
    pub fn hide(&mut self, property: &str) {
        self.hide_from(property, 0);
    }

    /// The same after this number of batches of updates.
    pub fn hide_from(&mut self, property: &str, batches: u64) {
        self.writes.hidden.insert(property.to_owned(), batches);
    }

    fn is_hidden(&self, property: &str) -> bool {
        self.writes.hidden.get(property).is_some_and(|from| self.writes.batches >= *from)
    }

    /// Fails to give a record, also when it is asked for alone.
    pub fn make_unreadable(&mut self, id: RecordId) {
        self.writes.unreadable.insert(id);
    }

    /// Leaves a record out of the answers to updates, which are made all the same.
    pub fn leave_unmentioned(&mut self, id: RecordId) {
        self.writes.unmentioned.insert(id);
    }

    pub fn show_all(&mut self) {
        self.writes.hidden.clear();
        self.writes.unreadable.clear();
        self.writes.unmentioned.clear();
    }

    /// Takes all refusals back.
    pub fn accept_all(&mut self) {
        self.writes.refused_records.clear();
        self.writes.rules.values_mut().for_each(|rules| rules.refusals.clear());
    }

    /// Archives a property, as people do who delete one.
    ///
    /// # Panics
    /// When there is no such property.
    pub fn archive_property(&mut self, property: &str) {
        let place = self.properties.iter().position(|known| known.name == property);
        let archived = self.properties.remove(place.expect("a property of this object"));
        self.writes.archived_properties.push(archived);
    }

    /// Does what people do beside all calls.
    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Value { id, property, value } => {
                let before = self.value(id, &property).unwrap_or_default();
                self.note(id, Happened::Edited { property: property.clone(), before, after: value.clone() });
                self.write(id, property, value);
            }
            Edit::Create(id) => self.add_at(id, self.writes.journal.now),
            Edit::Delete(id) => self.remove(id),
            Edit::Merge(id, survivor) => {
                self.remove(id);
                self.writes.merged.insert(id, survivor);
            }
        }
    }

    /// All updates that the CRM has accepted, in order, with the ids and values that it was sent.
    pub fn updates(&self) -> &[RecordUpdate] {
        &self.writes.updates
    }

    /// How many batches of updates have come, refused ones too.
    pub fn update_batches(&self) -> u64 {
        self.writes.batches
    }

    /// Everything that happened to its records, in order.
    pub fn journal(&self) -> &[Entry] {
        self.writes.journal.entries()
    }

    pub(super) fn tell_time(&mut self, now: Timestamp) {
        self.writes.journal.now = now;
    }

    pub(super) fn note(&mut self, id: RecordId, what: Happened) {
        self.writes.journal.add(id, what);
    }

    /// The value of a record's property now; None where it is unset.
    pub fn value(&self, id: RecordId, property: &str) -> Option<String> {
        match self.writes.values.get(&id).and_then(|values| values.get(property)) {
            Some(written) => Some(written.clone()).filter(|value| !value.is_empty()),
            None => self.first_value(id, property),
        }
    }

    fn write(&mut self, id: RecordId, property: String, value: String) {
        self.writes.values.entry(id).or_default().insert(property, value);
    }

    /// The record that answers for `id`: itself, or the one that it became part of.
    fn resolve(&self, id: RecordId) -> Option<RecordId> {
        let mut id = id;
        while let Some(survivor) = self.writes.merged.get(&id) {
            id = *survivor;
        }
        self.created(id).map(|_| id)
    }

    pub(super) fn definitions(&self) -> Result<Vec<PropertyDefinition>, CrmError> {
        self.check_scopes()?;
        let present = self.properties.iter().map(|property| (property, false));
        let archived = self.writes.archived_properties.iter().map(|property| (property, true));
        let definition = |(property, archived): (&Property, bool)| {
            let rules = self.writes.rules.get(&property.name).cloned().unwrap_or_default();
            PropertyDefinition {
                property: property.clone(),
                archived,
                options: rules.options,
                comparison: comparison_of(property, rules.multiple),
                forward_only: rules.forward_only,
                side_effect: rules.side_effect,
            }
        };
        Ok(present.chain(archived).map(definition).collect())
    }

    /// Each record once, the highest id first, as no test may rely on the order.
    pub(super) fn read_batch(
        &mut self,
        request: &BatchRead<'_>,
        rows: &mut RowBuffer,
    ) -> Result<Vec<RecordId>, CrmError> {
        assert!(request.ids.len() <= BATCH, "a batch of {} records", request.ids.len());
        self.check_scopes()?;
        let mut found: Vec<RecordId> = request.ids.iter().filter_map(|id| self.resolve(*id)).collect();
        found.sort_unstable();
        found.dedup();
        let (unreadable, found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|id| self.writes.unreadable.contains(id));
        if rows.columns() != request.properties.len() {
            *rows = RowBuffer::new(request.properties.len());
        }
        rows.clear();
        for id in found.into_iter().rev() {
            self.note(id, Happened::Read);
            rows.begin_row(id);
            for (column, name) in request.properties.iter().enumerate() {
                if *name == MERGED_IDS {
                    rows.set(column, &self.former_ids(id));
                } else if let Some(value) = self.property(name).and_then(|_| self.value(id, name)) {
                    if !self.is_hidden(name) {
                        rows.set(column, &value);
                    }
                } else if self.property(name).is_some() && !self.is_hidden(name) {
                    rows.set_none(column);
                }
            }
        }
        Ok(unreadable)
    }

    /// The records that became part of a record.
    fn former_ids(&self, id: RecordId) -> String {
        let merged = self.writes.merged.iter().filter(|(_, survivor)| **survivor == id);
        merged.map(|(former, _)| former.to_string()).collect::<Vec<_>>().join(";")
    }

    pub(super) fn update_batch(&mut self, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError> {
        assert!(updates.len() <= BATCH, "a batch of {} records", updates.len());
        let mut ids: Vec<RecordId> = updates.iter().map(|update| update.id).collect();
        ids.sort_unstable();
        assert!(ids.array_windows().all(|[a, b]| a != b), "a batch names a record twice");
        self.check_scopes()?;
        self.writes.batches += 1;
        let values = updates.iter().flat_map(|update| &update.values);
        let mut faults: Vec<_> = values.filter_map(|(property, value)| self.fault(property, value)).collect();
        let taken =
            updates.iter().flat_map(|update| update.values.iter().map(|(name, value)| (update.id, name, value)));
        faults.extend(
            taken.filter(|(id, name, value)| self.is_taken(*id, name, value)).map(|(_, property, value)| Fault {
                code: "CONFLICTING_UNIQUE_VALUE",
                property,
                value,
            }),
        );
        if let Some(first) = faults.first() {
            return Ok(BatchUpdate::Refused(self.refusal(first, &faults)));
        }
        let (mut records, mut refused) = (Vec::new(), Vec::new());
        for update in updates {
            if let Some(code) = self.writes.refused_records.get(&update.id) {
                let message = "The record cannot be written.".to_owned();
                refused.push((update.id, WriteRefusal { code: code.clone(), properties: Vec::new(), message }));
            } else if let Some(id) = self.resolve(update.id) {
                records.push(self.apply(id, update));
            }
        }
        records.retain(|record| !self.writes.unmentioned.contains(&record.id));
        Ok(BatchUpdate::Written { records, refused })
    }

    /// Whether another record has a value that only one may have.
    fn is_taken(&self, id: RecordId, property: &str, value: &str) -> bool {
        let unique = self.writes.rules.get(property).is_some_and(|rules| rules.unique);
        let same = |other: &RecordId| self.value(*other, property).is_some_and(|has| has.eq_ignore_ascii_case(value));
        unique && !value.is_empty() && self.ids().iter().any(|other| *other != id && same(other))
    }

    fn apply(&mut self, id: RecordId, update: &RecordUpdate) -> UpdatedRecord {
        for (property, value) in &update.values {
            let before = self.value(id, property).unwrap_or_default();
            if let Some(kept) = self.kept(id, property, value) {
                self.write(id, property.clone(), kept);
            }
            let after = self.value(id, property).unwrap_or_default();
            self.note(id, Happened::Sent { property: property.clone(), sent: value.clone(), before, after });
        }
        self.writes.updates.push(update.clone());
        let shown = update.values.iter().filter(|(name, _)| !self.is_hidden(name));
        let present = shown.map(|(name, _)| (name.clone(), self.value(id, name).unwrap_or_default()));
        let record_id = (RECORD_ID_COLUMN.to_owned(), id.to_string());
        UpdatedRecord { id, values: present.chain([record_id]).collect() }
    }

    /// What the CRM keeps of a value that it has accepted; None where it ignores the write.
    fn kept(&self, id: RecordId, property: &str, value: &str) -> Option<String> {
        let Some(rules) = self.writes.rules.get(property) else { return Some(value.to_owned()) };
        let place = |value: &str| rules.options.iter().position(|option| option == value);
        let backwards = || {
            let before = self.value(id, property).and_then(|before| place(&before));
            place(value).is_some_and(|after| before.is_some_and(|before| after < before))
        };
        if rules.ignores_writes || rules.forward_only && backwards() {
            return None;
        }
        let value = rules.normalise.map_or_else(|| value.to_owned(), |normalise| normalise(value));
        if !rules.multiple {
            return Some(value);
        }
        let chosen: Vec<&str> = value.split(';').collect();
        let in_order = rules.options.iter().map(String::as_str).filter(|option| chosen.contains(option));
        Some(in_order.collect::<Vec<_>>().join(";"))
    }

    fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    fn fault<'a>(&'a self, property: &'a str, value: &'a str) -> Option<Fault<'a>> {
        let code = match self.property(property) {
            None => "PROPERTY_DOESNT_EXIST",
            Some(property) if property.read_only || property.calculated => "READ_ONLY_VALUE",
            Some(_) => self.writes.rules.get(property)?.refuses(value, self.writes.batches)?,
        };
        Some(Fault { code, property, value })
    }

    fn refusal(&self, first: &Fault<'_>, faults: &[Fault<'_>]) -> WriteRefusal {
        let mut properties: Vec<String> = faults.iter().map(|fault| fault.property.to_owned()).collect();
        properties.dedup();
        properties.retain(|_| self.names_faults);
        let message = format!("{:?} was refused", first.value);
        WriteRefusal { code: first.code.to_owned(), properties, message }
    }
}

impl PropertyRules {
    /// The CRM's word for why it refuses `value`.
    fn refuses(&self, value: &str, nth: u64) -> Option<&str> {
        let is_refused = |(wanted, _, from): &&(Option<String>, String, u64)| {
            *from <= nth && wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        if let Some((_, code, _)) = self.refusals.iter().find(is_refused) {
            return Some(code);
        }
        let mut chosen = value.split(|c| self.multiple && c == ';').filter(|part| !part.is_empty());
        let allowed = |part: &str| self.options.is_empty() || self.options.iter().any(|option| option == part);
        (!chosen.all(allowed)).then_some("INVALID_OPTION")
    }
}

/// How values of a property are compared, by the words of its kind.
fn comparison_of(property: &Property, multiple: bool) -> Comparison {
    match property.kind.as_str() {
        "number" => Comparison::Number,
        _ if multiple => Comparison::Options,
        _ => Comparison::Exact,
    }
}

#[cfg(test)]
mod tests;
