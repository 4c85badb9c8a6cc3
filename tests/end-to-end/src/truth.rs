//! What the sandbox CRM holds, and whether a CSV file says the same, value by value.

use std::collections::{BTreeMap, BTreeSet};

use csv::StringRecord;
use dev_stack::failure::{Failure, OrFailure, Result};
use serde::Deserialize;

/// The first column of every file.
pub const RECORD_ID: &str = "hs_object_id";

/// The properties that tell when a record was last changed.
const LAST_CHANGE: [&str; 2] = ["hs_lastmodifieddate", "lastmodifieddate"];

/// A record as the sandbox CRM holds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub id: u64,
    /// `live`, `archived`, `merged` or `gone`.
    pub state: String,
    /// When it was last written to, changed by that or not.
    pub updated_at: String,
    /// All set properties, sensitive ones included.
    pub properties: BTreeMap<String, String>,
}

impl Record {
    /// Whether lists show it.
    pub fn is_live(&self) -> bool {
        self.state == "live"
    }
}

/// All records of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    records: BTreeMap<u64, Record>,
}

impl Truth {
    /// The records by id.
    pub(crate) fn new(records: BTreeMap<u64, Record>) -> Self {
        Self { records }
    }

    /// A record, in any state.
    pub fn get(&self, id: u64) -> Option<&Record> {
        self.records.get(&id)
    }

    /// The value of a property; empty where there is none.
    pub fn value(&self, id: u64, property: &str) -> &str {
        self.get(id).and_then(|record| record.properties.get(property)).map_or("", String::as_str)
    }

    /// Ids of the live records that have a value of a property, ascending.
    pub fn having(&self, property: &str) -> Vec<u64> {
        self.live().into_iter().filter(|id| !self.value(*id, property).is_empty()).collect()
    }

    /// The values that differ from those of `before`, as record id and property, in order. When a record was last
    /// changed does not count.
    pub fn changed_since(&self, before: &Self) -> Vec<(u64, String)> {
        let ids: BTreeSet<u64> = self.records.keys().chain(before.records.keys()).copied().collect();
        let mut changed = Vec::new();
        for id in ids {
            let properties = [self, before].into_iter().filter_map(|truth| truth.get(id));
            let names: BTreeSet<&String> = properties.flat_map(|record| record.properties.keys()).collect();
            let differing = names.into_iter().filter(|name| self.value(id, name) != before.value(id, name));
            let counted = differing.filter(|name| !LAST_CHANGE.contains(&name.as_str()));
            changed.extend(counted.map(|name| (id, name.clone())));
        }
        changed
    }

    /// Ids of the records that were written to since `before`, ascending, whether that has changed anything or not.
    pub fn written_since(&self, before: &Self) -> Vec<u64> {
        let written_at = |truth: &Self, id| truth.get(id).map(|record| record.updated_at.clone());
        self.records.keys().copied().filter(|id| written_at(self, *id) != written_at(before, *id)).collect()
    }

    /// All values of all records.
    pub fn into_values(self) -> impl Iterator<Item = String> {
        self.records.into_values().flat_map(|record| record.properties.into_values())
    }

    /// Ids of the records that lists show, ascending.
    pub fn live(&self) -> Vec<u64> {
        self.of_state("live")
    }

    /// Ids of the records in a state, ascending.
    pub fn of_state(&self, state: &str) -> Vec<u64> {
        self.records.values().filter(|record| record.state == state).map(|record| record.id).collect()
    }

    /// Checks that `csv` holds exactly the live records, once and in order of their ids, with exactly their values.
    ///
    /// # Errors
    /// The first difference.
    pub fn must_be(&self, csv: &[u8]) -> Result<()> {
        let rows = self.check_values(csv)?;
        let live = self.live();
        let missing = live.iter().find(|id| rows.binary_search(id).is_err());
        if let Some(missing) = missing {
            return Err(Failure::new(format!("record {missing} is missing")));
        }
        let surplus = rows.iter().find(|id| live.binary_search(id).is_err());
        surplus.map_or(Ok(()), |surplus| Err(Failure::new(format!("record {surplus} is not live, but in the file"))))
    }

    /// Checks that ids ascend without repetition and that every row has exactly its record's values; returns the ids.
    /// Says nothing about records that are missing or not live.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_values(&self, csv: &[u8]) -> Result<Vec<u64>> {
        let (header, rows) = read(csv)?;
        if header.get(0) != Some(RECORD_ID) {
            return Err(Failure::new("the first column is not the record id"));
        }
        let mut ids: Vec<u64> = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = row[0].parse().or_failure(|| format!("'{}' is no record id", &row[0]))?;
            if ids.last().is_some_and(|last| *last >= id) {
                return Err(Failure::new(format!("record {id} comes behind a higher id, or twice")));
            }
            let record = self.get(id).ok_or_else(|| Failure::new(format!("the CRM never had a record {id}")))?;
            compare(record, &header, row)?;
            ids.push(id);
        }
        Ok(ids)
    }
}

/// Reads a CSV file; its rows are all as long as its header.
///
/// # Errors
/// When it is not well formed.
pub fn read(csv: &[u8]) -> Result<(StringRecord, Vec<StringRecord>)> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(csv);
    let malformed = || "the CSV file is malformed".to_owned();
    let header = reader.headers().or_failure(malformed)?.clone();
    let rows = reader.records().collect::<std::result::Result<_, _>>().or_failure(malformed)?;
    Ok((header, rows))
}

fn compare(record: &Record, header: &StringRecord, row: &StringRecord) -> Result<()> {
    let mut set = 0;
    for (column, value) in header.iter().zip(row).skip(1) {
        let expected = record.properties.get(column).map_or("", String::as_str);
        if expected != value {
            let id = record.id;
            return Err(Failure::new(format!("{column} of record {id} is {value:?} instead of {expected:?}")));
        }
        set += usize::from(record.properties.contains_key(column));
    }
    let known = record.properties.len() - usize::from(record.properties.contains_key(RECORD_ID));
    if set == known {
        return Ok(());
    }
    let lost = record.properties.keys().find(|name| !header.iter().any(|column| column == *name));
    Err(Failure::new(format!("there is no column for {}", lost.map_or("?", String::as_str))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> Truth {
        let record = |id: u64, state: &str, name: &str| {
            let properties = [("name".to_owned(), name.to_owned()), (RECORD_ID.to_owned(), id.to_string())];
            let updated_at = "2026-11-22T10:00:00.000Z".to_owned();
            (id, Record { id, state: state.to_owned(), updated_at, properties: properties.into() })
        };
        Truth::new([record(3, "live", "a\r\nb"), record(7, "live", "\"c\""), record(9, "archived", "d")].into())
    }

    #[test]
    fn changed_and_rewritten_records_are_reported() {
        let (before, mut after) = (truth(), truth());
        let mut change = |id: u64, name: &str, value: &str| {
            if let Some(record) = after.records.get_mut(&id) {
                record.properties.insert(name.to_owned(), value.to_owned());
                record.updated_at.clear();
            }
        };
        change(3, "name", "other");
        change(7, "lastmodifieddate", "2026-11-22");
        change(9, "size", "");
        after.records.remove(&9);
        assert_eq!(
            after.changed_since(&before),
            [(3, "name".to_owned()), (9, RECORD_ID.to_owned()), (9, "name".to_owned())]
        );
        assert_eq!(after.written_since(&before), [3, 7]);
        assert_eq!((before.having("name"), before.value(8, "name")), (vec![3, 7], ""));
    }

    #[test]
    fn the_same_records_with_the_same_values_are_the_truth() {
        assert_eq!(truth().must_be(b"hs_object_id,name\r\n3,\"a\r\nb\"\r\n7,\"\"\"c\"\"\"\r\n"), Ok(()));
    }

    #[test]
    fn every_difference_is_noticed() {
        for (csv, why) in [
            ("hs_object_id,name\r\n3,\"a\r\nb\"\r\n", "record 7 is missing"),
            ("hs_object_id,name\r\n3,\"a\nb\"\r\n7,\"\"\"c\"\"\"\r\n", "name of record 3 is"),
            ("hs_object_id,name\r\n7,\"\"\"c\"\"\"\r\n3,\"a\r\nb\"\r\n", "comes behind a higher id"),
            ("hs_object_id,name\r\n3,\"a\r\nb\"\r\n7,\"\"\"c\"\"\"\r\n9,d\r\n", "record 9 is not live"),
            ("hs_object_id,name\r\n4,\r\n", "never had a record 4"),
            ("hs_object_id\r\n3\r\n", "no column for name"),
            ("name\r\na\r\n", "first column"),
            ("hs_object_id,name\r\n3\r\n", "malformed"),
        ] {
            let result = truth().must_be(csv.as_bytes()).map_err(|failure| failure.to_string());
            assert!(result.as_ref().is_err_and(|result| result.contains(why)), "{csv:?}: {result:?}");
        }
    }
}
