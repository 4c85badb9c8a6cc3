//! A portal of the sandbox CRM: one CRM account, made for one journey.

use std::collections::BTreeMap;
use std::ops::Sub;

use dev_stack::api::{Answer, Api};
use dev_stack::failure::{Failure, OrFailure, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::Method;

use crate::truth::{Record, Truth};

/// Every token of a portal that journeys make begins so, which makes it easy to look for in logs.
pub const TOKEN_PREFIX: &str = "pat-journey-";

/// A portal, read and changed directly, without limits and faults.
#[derive(Debug, Clone)]
pub struct Portal {
    /// The CRM's id of the account.
    pub portal_id: u64,
    /// What calls for it must carry.
    pub token: String,
    control: Api,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    portal_id: u64,
    token: String,
}

/// Calls of one endpoint for one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Called {
    /// All calls, accepted or refused.
    pub calls: u64,
    /// Records in answers of success.
    pub records: u64,
}

impl Sub for Called {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { calls: self.calls - before.calls, records: self.records - before.records }
    }
}

#[derive(Deserialize)]
struct Found {
    violations: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Created {
    created: Vec<u64>,
}

impl Portal {
    /// Makes a portal in the sandbox CRM at `sandbox_url`. `config` is the sandbox's `PortalConfig`, which has no
    /// records and no custom objects unless it names them; `name` makes the token, and must be new.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn make(sandbox_url: &str, name: &str, config: &Value) -> Result<Self> {
        let control = Api::new(format!("{sandbox_url}/_sandbox"));
        let mut whole = json!({ "records": {}, "customObjects": [], "archivedPerMille": 0, "mergedPerMille": 0 });
        whole["token"] = json!(format!("{TOKEN_PREFIX}{name}"));
        for (member, value) in config.as_object().into_iter().flatten() {
            whole[member] = value.clone();
        }
        let answer = accepted("making a portal", control.post("/portals", &whole)?)?;
        let Made { portal_id, token } = parsed(&answer)?;
        Ok(Self { portal_id, token, control })
    }

    /// Changes faults, limits, latency, scopes, variants, ignored writes, whether the token is revoked, or whether
    /// calls and answers are checked against HubSpot's API.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn change(&self, change: &Value) -> Result<()> {
        let body = change.to_string().into_bytes();
        accepted("changing a portal", self.control.send(&Method::PATCH, &self.path(""), &[], body)?).map(drop)
    }

    /// Everything that the portal holds of an object, archived and merged records included.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn truth(&self, object: &str) -> Result<Truth> {
        let answer = self.control.get(&self.path(&format!("/objects/{object}/records")))?;
        let answer = accepted("reading the truth", answer)?;
        let lines = answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records = lines.map(|line| {
            let mut record: Record =
                serde_json::from_slice(line).or_failure(|| "a record cannot be read".to_owned())?;
            if object == "conversations" {
                // Threads have no properties; the field that names them stands for the record id.
                record.properties.remove("id");
            }
            Ok((record.id, record))
        });
        records.collect::<Result<_>>().map(Truth::new)
    }

    /// Live records by object, in the sandbox's own names.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn records(&self) -> Result<BTreeMap<String, u64>> {
        let answer = accepted("asking about a portal", self.control.get(&self.path(""))?)?;
        serde_json::from_value(answer.json()["records"].clone()).or_failure(|| "there are no counts".to_owned())
    }

    /// Creates, changes and removes records without any checks. Returns the ids of the new ones.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn change_records(&self, object: &str, changes: &Value) -> Result<Vec<u64>> {
        let answer = self.control.post(&self.path(&format!("/objects/{object}/records")), changes)?;
        parsed(&accepted("changing records", answer)?).map(|Created { created }| created)
    }

    /// Sets the same values in several records without any checks. An empty value clears the property.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn edit(&self, object: &str, ids: &[u64], values: &Value) -> Result<()> {
        let update: serde_json::Map<_, _> = ids.iter().map(|id| (id.to_string(), values.clone())).collect();
        self.change_records(object, &json!({ "update": update })).map(drop)
    }

    /// Adds a property to an object. `definition` is the sandbox's `NewProperty`.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn define_property(&self, object: &str, name: &str, definition: &Value) -> Result<()> {
        let path = self.path(&format!("/objects/{object}/properties/{name}"));
        accepted("defining a property", self.control.put(&path, definition)?).map(drop)
    }

    /// Archives a property of an object, as the CRM does when somebody deletes it.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn archive_property(&self, object: &str, name: &str) -> Result<()> {
        let path = self.path(&format!("/objects/{object}/properties/{name}"));
        accepted("archiving a property", self.control.send(&Method::DELETE, &path, &[], Vec::new())?).map(drop)
    }

    /// How often an endpoint was called for an object, and for how many records with success, since the portal was
    /// made.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn called(&self, endpoint: &str, object: &str) -> Result<Called> {
        let counted = self.calls(0)?["endpoints"][format!("{endpoint} {object}")].take();
        if counted.is_null() {
            return Ok(Called::default());
        }
        serde_json::from_value(counted).or_failure(|| "there are no counts".to_owned())
    }

    /// What was called since the portal was made: the sandbox's `CallReport` with up to `recent` calls in full.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn calls(&self, recent: usize) -> Result<Value> {
        Ok(accepted("asking for calls", self.control.get(&self.path(&format!("/calls?recent={recent}")))?)?.json())
    }

    /// What was wrong with calls and answers since the portal was made, where its `conformance` is on.
    ///
    /// # Errors
    /// When the sandbox refuses.
    pub fn violations(&self) -> Result<Vec<String>> {
        let answer = accepted("asking for violations", self.control.get(&self.path("/violations"))?)?;
        let found: Found = parsed(&answer)?;
        Ok(found.violations.into_iter().map(|(sentence, times)| format!("{sentence} ({times} times)")).collect())
    }

    fn path(&self, rest: &str) -> String {
        format!("/portals/{}{rest}", self.portal_id)
    }
}

fn accepted(what: &str, answer: Answer) -> Result<Answer> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(Failure::new(format!("{what} was answered with {}: {}", answer.status, answer.text())))
}

fn parsed<T: for<'a> Deserialize<'a>>(answer: &Answer) -> Result<T> {
    serde_json::from_slice(&answer.body).or_failure(|| "the sandbox gave an unknown answer".to_owned())
}
