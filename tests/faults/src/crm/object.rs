//! One object type of the simulated CRM.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Census, CrmError, CrmErrorKind, Cursor, PageEnd, PageRequest, PageSource, RefusedProperties};
use domain::property::{Columns, ObjectDefinition, Property, RECORD_ID_COLUMN, Sensitivity};
use domain::rows::RowBuffer;
use jiff::Timestamp;

use super::journal::Happened;
use super::trouble;
use super::values;
use super::writes::Writes;
use crate::Table;

/// How the CRM's lists can be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursors {
    /// By the last record's id, and so from any id.
    Ids,
    /// By the last record's id plus one: a list starts at its cursor.
    NextIds,
    /// By a text that only the CRM can read.
    Opaque,
    /// By a text that only the CRM can read, and each page begins with the last record of the one before.
    OpaqueWithRepeats,
    /// By a text that stands for the number of records passed: what is deleted before it moves the rest up.
    Offsets,
    /// By a text that only the CRM can read, the highest id first.
    OpaqueBackwards,
    /// By ever new texts behind pages without a record.
    EndlessEmptyPages,
    /// By a text that only the CRM can read, and on the last page by that of the first: the list never ends.
    Circle,
    /// By a text that looks like the last record's id, and only by one that the CRM has given.
    OnlyGiven(Otherwise),
}

/// What happens to a list that is started where the CRM has given no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It starts at the beginning.
    Restarts,
    Refused,
    /// It silently leaves out this number of records.
    Skips(usize),
    /// It starts at the beginning, and where it should when asked again.
    RestartsOnce,
}

/// What people do in the CRM while a backup runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Create(RecordId),
    /// An import brings a record, with a date of creation of its own.
    Import(RecordId, Timestamp),
    /// A record is archived.
    Delete(RecordId),
    /// A record is archived after the page has listed it and before its values are read.
    DeleteOnceListed(RecordId),
}

/// An object type and its records.
#[derive(Debug, Clone)]
pub struct SimulatedObject {
    pub definition: ObjectDefinition,
    pub properties: Vec<Property>,
    /// How its lists can be gone on with.
    pub cursors: Cursors,
    /// Whether the CRM counts and searches it.
    pub counted: bool,
    /// Scopes that the token lacks for it.
    pub missing_scopes: Vec<String>,
    /// Why the CRM shows nothing of it, if it does not.
    pub refused: Option<CrmErrorKind>,
    /// Scopes that the token lacks to see the sensitive values that records have.
    pub hidden_values: Vec<String>,
    /// Kinds of properties that the CRM refuses to list.
    pub refused_properties: Vec<RefusedProperties>,
    /// Properties that are defined and that no answer shows.
    pub not_shown: Vec<String>,
    /// Records that exist and that no call can read.
    pub unreadable: BTreeSet<RecordId>,
    /// Records that the list leaves out; searches and counts know them.
    pub unlisted: BTreeSet<RecordId>,
    /// Ids that counts and searches know though there are no such records, as if their index never learned of a
    /// deletion.
    pub phantoms: BTreeSet<RecordId>,
    /// The page, counted as in [`SimulatedObject::at_page`], that shows no next cursor once, although other pages follow.
    pub ends_once: Option<u64>,
    /// The list never shows a record above this one.
    pub list_ends_at: Option<RecordId>,
    /// The length of its long texts, for those that have the property `notes`.
    pub text_length: usize,
    /// Whether the CRM names the properties whose values it refuses.
    pub names_faults: bool,
    records: BTreeMap<RecordId, Timestamp>,
    script: BTreeMap<u64, Vec<Change>>,
    pages: u64,
    given: HashSet<u64>,
    pub(super) writes: Writes,
}

impl SimulatedObject {
    /// An object type with `properties`, whose names tell their sensitivity (`sensitive_…`, `highly_sensitive_…`), and
    /// records that were created at `created`.
    ///
    /// # Panics
    /// When `name` is not an object type.
    pub fn new(name: &str, properties: &[&str], ids: impl IntoIterator<Item = u64>, created: Timestamp) -> Self {
        let object_type = ObjectType::parse(name).expect("an object type");
        let custom = name.starts_with('p') && name.contains('_');
        let definition =
            ObjectDefinition { object_type, type_id: Some(format!("0-{name}")), label: name.to_uppercase(), custom };
        Self {
            definition,
            properties: properties.iter().map(|name| property(name)).collect(),
            cursors: Cursors::Ids,
            counted: true,
            missing_scopes: Vec::new(),
            refused: None,
            hidden_values: Vec::new(),
            refused_properties: Vec::new(),
            not_shown: Vec::new(),
            unreadable: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            phantoms: BTreeSet::new(),
            ends_once: None,
            list_ends_at: None,
            text_length: 0,
            names_faults: true,
            records: ids.into_iter().map(|id| (RecordId(id), created)).collect(),
            script: BTreeMap::new(),
            pages: 0,
            given: HashSet::new(),
            writes: Writes::default(),
        }
    }

    /// As conversations are: without a type id, not counted, with opaque cursors.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.definition.type_id = None;
        self.counted = false;
        self.cursors = Cursors::Opaque;
        self
    }

    #[must_use]
    pub fn with_cursors(mut self, cursors: Cursors) -> Self {
        self.cursors = cursors;
        self
    }

    /// Does `change` just before page `nth` is read (counted from 1, that of discovery included).
    pub fn at_page(&mut self, nth: u64, change: Change) {
        self.script.entry(nth).or_default().push(change);
    }

    /// How many pages were read so far.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.records.len() as u64
    }

    /// Whether there is such a record.
    pub fn has(&self, id: RecordId) -> bool {
        self.records.contains_key(&id)
    }

    /// The ids of all records, in order.
    pub fn ids(&self) -> Vec<RecordId> {
        self.records.keys().copied().collect()
    }

    /// What its file must hold now.
    pub fn table(&self) -> Table {
        let columns = Columns::from_properties(self.properties.clone());
        let header = std::iter::once(RECORD_ID_COLUMN).chain(columns.names()).map(str::to_owned).collect();
        let row = |id: &RecordId| {
            let shown = |name: &str| self.value(*id, name).filter(|_| self.shows(name)).unwrap_or_default();
            std::iter::once(id.to_string()).chain(columns.names().map(shown)).collect()
        };
        let readable = self.records.keys().filter(|id| !self.unreadable.contains(id));
        Table { header, rows: readable.map(row).collect() }
    }

    /// The value that a record has until it is written to.
    pub(super) fn first_value(&self, id: RecordId, property: &str) -> Option<String> {
        values::value(&self.definition.object_type, id, property, self.text_length)
    }

    fn shows(&self, property: &str) -> bool {
        !self.not_shown.iter().any(|hidden| hidden == property)
    }

    pub(super) fn check_scopes(&self) -> Result<(), CrmError> {
        if let Some(kind) = &self.refused {
            return Err(trouble::refused(kind.clone()));
        }
        if self.missing_scopes.is_empty() { Ok(()) } else { Err(trouble::scopes_missing(&self.missing_scopes)) }
    }

    pub(super) fn page(
        &mut self,
        request: &PageRequest<'_>,
        rows: &mut RowBuffer,
        now: Timestamp,
    ) -> Result<PageEnd, CrmError> {
        self.check_scopes()?;
        self.pages += 1;
        let mut vanishing = HashSet::new();
        for change in self.script.remove(&self.pages).unwrap_or_default() {
            match change {
                Change::Create(id) => self.add_at(id, now),
                Change::Import(id, created) => self.add_at(id, created),
                Change::Delete(id) => self.remove(id),
                Change::DeleteOnceListed(id) => drop(vanishing.insert(id)),
            }
        }
        let (listed, next) = match request.source {
            PageSource::List => {
                let (listed, next) = self.list(request)?;
                (listed, next.filter(|_| self.ends_once != Some(self.pages)))
            }
            PageSource::Search => self.search(request)?,
        };
        for id in &vanishing {
            self.remove(*id);
        }
        rows.clear();
        let (unreadable, readable): (Vec<_>, Vec<_>) = listed
            .iter()
            .filter(|id| !vanishing.contains(id) && self.records.contains_key(id))
            .partition(|id| self.unreadable.contains(id));
        for id in readable {
            rows.begin_row(id);
            self.show(id, request.properties, rows);
        }
        Ok(PageEnd { next, last_listed: listed.last().copied(), unreadable, ..PageEnd::default() })
    }

    fn show(&self, id: RecordId, properties: &[&str], rows: &mut RowBuffer) {
        for (column, name) in properties.iter().enumerate().filter(|(_, name)| self.shows(name)) {
            match self.value(id, name) {
                Some(value) => rows.set(column, &value),
                None => rows.set_none(column),
            }
        }
    }

    /// The records of a page of the list, and its next cursor.
    fn list(&mut self, request: &PageRequest<'_>) -> Result<(Vec<RecordId>, Option<String>), CrmError> {
        let limit = usize::from(request.limit);
        if self.cursors == Cursors::EndlessEmptyPages {
            return Ok((Vec::new(), Some(format!("{OPAQUE}{}", self.pages))));
        }
        if matches!(self.cursors, Cursors::OpaqueBackwards | Cursors::Offsets) {
            return self.list_by_offset(request);
        }
        let (after, skipped) = self.start(request.cursor)?;
        let mut rest = self.above(after).filter(|id| self.lists(*id)).skip(skipped);
        let mut listed: Vec<RecordId> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        drop(rest);
        if self.cursors == Cursors::OpaqueWithRepeats && after > 0 {
            listed.insert(0, RecordId(after));
        }
        let next = match listed.last() {
            Some(last) if more => Some(self.give(*last)),
            Some(_) if self.cursors == Cursors::Circle => Some(format!("{OPAQUE}0")),
            _ => None,
        };
        Ok((listed, next))
    }

    fn lists(&self, id: RecordId) -> bool {
        !self.unlisted.contains(&id) && self.list_ends_at.is_none_or(|end| id <= end)
    }

    fn list_by_offset(&self, request: &PageRequest<'_>) -> Result<(Vec<RecordId>, Option<String>), CrmError> {
        let passed: usize = match request.cursor {
            Cursor::AfterId(RecordId(0)) => 0,
            Cursor::AfterId(_) => return Err(trouble::cursor_refused()),
            Cursor::Opaque(text) => {
                let number = text.strip_prefix(OPAQUE).and_then(|number| number.parse().ok());
                number.ok_or_else(trouble::cursor_refused)?
            }
        };
        let mut all: Vec<RecordId> = self.records.keys().copied().filter(|id| self.lists(*id)).collect();
        if self.cursors == Cursors::OpaqueBackwards {
            all.reverse();
        }
        let listed: Vec<RecordId> = all.iter().skip(passed).take(usize::from(request.limit)).copied().collect();
        let end = passed + listed.len();
        Ok((listed, (end < all.len()).then(|| format!("{OPAQUE}{end}"))))
    }

    /// The records of a page of a search by id, and its next cursor.
    fn search(&self, request: &PageRequest<'_>) -> Result<(Vec<RecordId>, Option<String>), CrmError> {
        let Cursor::AfterId(after) = request.cursor else { return Err(trouble::cursor_refused()) };
        let mut rest = self.indexed_above(after.0);
        let listed: Vec<RecordId> = rest.by_ref().take(usize::from(request.limit)).collect();
        let next = listed.last().filter(|_| rest.next().is_some()).map(ToString::to_string);
        Ok((listed, next))
    }

    /// The id that a list goes on behind, and how many records it leaves out there.
    fn start(&mut self, cursor: &Cursor) -> Result<(u64, usize), CrmError> {
        let wanted = match (cursor, self.cursors) {
            (Cursor::AfterId(RecordId(0)), _) => return Ok((0, 0)),
            (Cursor::AfterId(_), Cursors::Opaque | Cursors::OpaqueWithRepeats | Cursors::Circle) => {
                return Err(trouble::cursor_refused());
            }
            (Cursor::AfterId(RecordId(id)), Cursors::NextIds) => return Ok((id - 1, 0)),
            (Cursor::Opaque(text), Cursors::NextIds) => {
                let start: u64 = text.parse().map_err(|_| trouble::cursor_refused())?;
                return Ok((start - 1, 0));
            }
            (Cursor::AfterId(id), _) => id.0,
            (Cursor::Opaque(text), _) => {
                let number = text.strip_prefix(OPAQUE).unwrap_or(text);
                number.parse().map_err(|_| trouble::cursor_refused())?
            }
        };
        match self.cursors {
            Cursors::OnlyGiven(otherwise) if !self.given.contains(&wanted) => match otherwise {
                Otherwise::Restarts => Ok((0, 0)),
                Otherwise::Refused => Err(trouble::cursor_refused()),
                Otherwise::Skips(records) => Ok((wanted, records)),
                Otherwise::RestartsOnce => {
                    self.given.insert(wanted);
                    Ok((0, 0))
                }
            },
            _ => Ok((wanted, 0)),
        }
    }

    fn give(&mut self, last: RecordId) -> String {
        self.given.insert(last.0);
        match self.cursors {
            Cursors::Opaque | Cursors::OpaqueWithRepeats | Cursors::Circle => format!("{OPAQUE}{last}"),
            Cursors::NextIds => (last.0 + 1).to_string(),
            _ => last.to_string(),
        }
    }

    pub(super) fn above(&self, after: u64) -> impl Iterator<Item = RecordId> {
        self.records.range(RecordId(after + 1)..).map(|(id, _)| *id)
    }

    /// The ids above `after` that searches and counts know, in order.
    pub(super) fn indexed_above(&self, after: u64) -> Box<dyn Iterator<Item = RecordId> + '_> {
        if self.phantoms.is_empty() {
            return Box::new(self.above(after));
        }
        let phantoms = self.phantoms.range(RecordId(after + 1)..).copied();
        let all: BTreeSet<RecordId> = self.above(after).chain(phantoms).collect();
        Box::new(all.into_iter())
    }

    pub(super) fn add_at(&mut self, id: RecordId, created: Timestamp) {
        if self.records.insert(id, created).is_none() {
            self.note(id, Happened::Created);
        }
    }

    pub(super) fn remove(&mut self, id: RecordId) {
        if self.records.remove(&id).is_some() {
            self.note(id, Happened::Deleted);
        }
    }

    pub(super) fn created(&self, id: RecordId) -> Option<Timestamp> {
        self.records.get(&id).copied()
    }

    pub(super) fn census(&self) -> Option<Census> {
        let highest_id = self.records.keys().chain(&self.phantoms).max().copied();
        self.counted.then(|| Census { records: self.indexed_above(0).count() as u64, highest_id })
    }

    pub(super) fn created_since(&self, since: Timestamp) -> Option<u64> {
        let created = self.records.values().filter(|created| **created >= since).count();
        self.counted.then_some(created as u64)
    }
}

/// What begins a cursor that only the CRM can read.
const OPAQUE: &str = "NTI1Cg.";

fn property(name: &str) -> Property {
    let sensitivity = if name.starts_with("highly_sensitive") {
        Sensitivity::HighlySensitive
    } else if name.starts_with("sensitive") {
        Sensitivity::Sensitive
    } else {
        Sensitivity::NonSensitive
    };
    Property {
        name: name.to_owned(),
        label: name.to_uppercase(),
        kind: "string".to_owned(),
        sensitivity,
        calculated: false,
        read_only: name == RECORD_ID_COLUMN,
    }
}
