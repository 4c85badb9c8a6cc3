//! The contacts of the demo's CRM, read without the product, and compared with what they should hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dev_stack::api::Api;
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::python::Environment;
use serde::Deserialize;
use serde_json::json;

/// The property that the CRM itself changes with every write.
const TIMES_OF_WRITING: [&str; 2] = ["lastmodifieddate", "hs_lastmodifieddate"];

/// The values of records by id and property, without empty values.
pub(super) type Values = BTreeMap<u64, BTreeMap<String, String>>;

/// The sandbox CRM's control of the contacts.
pub(super) struct Contacts {
    control: Api,
}

impl Contacts {
    /// The control of the sandbox CRM at `url`.
    pub(super) fn of(url: &str) -> Self {
        Self { control: Api::new(format!("{url}/_sandbox/portals/default/objects/contacts")) }
    }

    /// All values of all contacts.
    ///
    /// # Errors
    /// When the sandbox CRM refuses.
    pub(super) fn read(&self) -> Result<Values> {
        #[derive(Deserialize)]
        struct Record {
            id: u64,
            state: String,
            properties: BTreeMap<String, String>,
        }
        let answer = self.control.get("/records")?.expect(200, "reading the contacts from the sandbox CRM")?;
        let mut values = Values::new();
        for line in answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record: Record = serde_json::from_slice(line).or_failure(|| "a contact cannot be read".to_owned())?;
            if record.state == "live" {
                let mut properties = record.properties;
                properties.retain(|name, value| !value.is_empty() && !TIMES_OF_WRITING.contains(&name.as_str()));
                values.insert(record.id, properties);
            }
        }
        Ok(values)
    }

    /// Overwrites values without any checks. An empty value clears.
    ///
    /// # Errors
    /// When the sandbox CRM refuses.
    pub(super) fn overwrite(&self, changes: &Values) -> Result<()> {
        let answer = self.control.post("/records", &json!({ "update": changes }))?;
        answer.expect(200, "changing the contacts in the sandbox CRM").map(drop)
    }
}

/// What `archive` holds of some of the contacts' properties.
///
/// # Errors
/// When it cannot be read.
pub(super) fn archived(python: &Environment, archive: &Path, properties: &[&str]) -> Result<Values> {
    let request = json!({ "archive": archive, "file": "contacts.csv", "properties": properties });
    python.ask("archived_values.py", &request)
}

/// Only some of the properties.
pub(super) fn only(values: &Values, properties: &[&str]) -> Values {
    let mut values = values.clone();
    for record in values.values_mut() {
        record.retain(|name, _| properties.contains(&name.as_str()));
    }
    values
}

/// Checks that `found` is `expected`, record by record and value by value. Returns how many values it has compared.
///
/// # Errors
/// The number of values that differ, and one of them.
pub(super) fn compare(expected: &Values, found: &Values) -> Result<usize> {
    let records: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let nothing = BTreeMap::new();
    let mut compared = 0;
    let mut differing = Vec::new();
    for id in records {
        let (expected, found) = (expected.get(id).unwrap_or(&nothing), found.get(id).unwrap_or(&nothing));
        let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
        compared += names.len();
        let differs = |name: &&&String| expected.get(**name) != found.get(**name);
        differing.extend(names.iter().filter(differs).map(|name| {
            let (expected, found) = (expected.get(*name), found.get(*name));
            format!("{name} of record {id} is {found:?} instead of {expected:?}")
        }));
    }
    match differing.first() {
        None => Ok(compared),
        Some(first) => Err(Failure::new(format!("differing values: {}, such as {first}", differing.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(records: &[(u64, &[(&str, &str)])]) -> Values {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        records.iter().map(|(id, values)| (*id, values.iter().map(text).collect())).collect()
    }

    #[test]
    fn every_value_is_compared() {
        let expected = values(&[(1, &[("city", "Köln"), ("phone", "1")]), (2, &[])]);
        assert_eq!(compare(&expected, &expected), Ok(2));
        for (found, sentence) in [
            (
                values(&[(1, &[("city", "Koln"), ("phone", "1")]), (2, &[])]),
                "differing values: 1, such as city of record 1",
            ),
            (values(&[(1, &[("city", "Köln")]), (2, &[])]), "differing values: 1, such as phone of record 1 is None"),
            (values(&[(1, &[("city", "Köln"), ("phone", "1")]), (2, &[("zip", "5")])]), "zip of record 2"),
            (values(&[(2, &[])]), "differing values: 2"),
            (values(&[(1, &[("city", "Köln"), ("phone", "1")]), (2, &[]), (3, &[("zip", "5")])]), "zip of record 3"),
        ] {
            let differing = compare(&expected, &found).map_err(|failure| failure.to_string());
            assert!(differing.as_ref().is_err_and(|differing| differing.contains(sentence)), "{differing:?}");
        }
    }
}
