//! Restoring property values through the deployed API, as a client would: plan, review, confirm, undo.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::{Failure, OrFailure, Result};

/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(300);

/// A restore as the API shows it, as far as this tool looks at it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    pub restore_id: String,
    /// Where in its life it is.
    pub state: String,
    /// The object's singular label.
    pub label: String,
    /// What it would change, once that is known.
    pub plan: Option<Plan>,
    /// How far it is, while it runs.
    pub progress: Option<Progress>,
    /// The results of its writes, once it has written values.
    pub outcome: Option<Counts>,
    pub failure: Option<Value>,
}

/// What a restore would change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Records by what is to happen to them.
    pub records: PlannedRecords,
    /// Values by what is to happen to them.
    pub values: PlannedValues,
    /// The properties in the order in which they were asked for.
    pub properties: Vec<PlannedProperty>,
    /// Some of the changes.
    pub samples: Vec<Sample>,
    /// Facts that a person should know before they confirm.
    pub warnings: Vec<Warning>,
    /// Calls to the CRM that carrying it out takes.
    pub calls: u64,
    /// Estimate of how long that takes.
    pub estimated_seconds: u64,
    /// Whether there is a skipped.csv.
    pub skipped: bool,
}

/// Records of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRecords {
    pub read: u64,
    pub changed: u64,
    /// Records whose values are already right.
    pub unchanged: u64,
    pub not_found: u64,
    /// Merged into others since.
    pub merged: u64,
}

/// Values of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedValues {
    pub set: u64,
    pub cleared: u64,
    /// Values that are no longer options of their property.
    pub cannot_be_set: u64,
    /// Edited since the restore that is undone.
    pub edited_since: u64,
}

/// A property of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedProperty {
    pub name: String,
    pub label: String,
    /// Whether it can be restored at all.
    pub restorable: bool,
    /// Why not: `read-only`, `calculated`, `archived`, `absent`, `type-changed`.
    pub reason: Option<String>,
    /// The same as a sentence.
    pub detail: Option<String>,
    /// Values to be written.
    pub changed: u64,
    /// Of these, to be set.
    pub set: u64,
    /// Of these, to be cleared.
    pub cleared: u64,
    /// Values that are no longer options.
    pub cannot_be_set: u64,
}

/// What is to change in one record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    pub record_id: String,
    /// Its values that are to change.
    pub values: Vec<SampleValue>,
}

/// What is to change in one value; None is no value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SampleValue {
    pub property: String,
    pub before: Option<String>,
    /// What it is to be.
    pub after: Option<String>,
}

/// A fact that a person should know before they confirm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Warning {
    pub kind: String,
    /// What it is about, if about one property.
    pub property: Option<String>,
    pub sentence: String,
}

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Records compared, while it is planned.
    pub records_planned: Option<u64>,
    /// Records written or found right, while it is carried out.
    pub records_done: Option<u64>,
    /// All records of the step.
    pub records_total: u64,
    /// From 0 to 1.
    pub share_done: f64,
}

/// How many values and records of a restore have which outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Records of which something was written and nothing failed.
    pub records_restored: u64,
    pub values_restored: u64,
    /// Records of which a value was not written.
    pub records_failed: u64,
    pub values_failed: u64,
    /// Values that a run may have been writing when it died, of a restore that ended before another run had checked
    /// them.
    pub values_unclear: u64,
    /// Values that others had changed between plan and write.
    pub drifted_values: u64,
    /// Values that others had set right between plan and write.
    pub already_right: u64,
    /// Properties that the restore no longer writes, with the CRM's reason.
    pub dropped_properties: Vec<Value>,
}

/// A finished restore as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    pub import_id: String,
    /// `Data restore – Deal`.
    pub name: String,
    /// The restore that it comes from.
    pub restore_id: String,
    pub state: String,
    /// The outcome of the values.
    pub counts: Counts,
    /// Whether there is an errors.csv.
    pub has_errors: bool,
    pub failure: Option<Value>,
}

impl Restore {
    /// Whether it waits for a decision, or has ended, with success or not.
    pub fn is_at_rest(&self) -> bool {
        !matches!(self.state.as_str(), "queued" | "planning" | "applying" | "stopping")
    }
}

/// The restores of one account, for one signed-in user.
#[derive(Debug, Clone)]
pub struct Restores {
    api: Api,
    account: String,
}

impl Restores {
    /// A client for the account `account_id`. `api` sends the user's token.
    pub fn of(api: Api, account_id: &str) -> Self {
        Self { api, account: format!("/accounts/{account_id}") }
    }

    /// Asks for a plan of restoring `properties` of `object_type` from a backup, and returns the restore's id.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn plan(&self, backup_id: &str, object_type: &str, properties: &[&str]) -> Result<String> {
        let wish = json!({ "backupId": backup_id, "objectType": object_type, "properties": properties });
        self.begin("planning a restore", "/restores", &wish)
    }

    /// Asks for a plan of undoing a restore, values that others have edited since included or not, and returns the id
    /// of the restore that undoes it.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn undo(&self, restore_id: &str, include_edited: bool) -> Result<String> {
        let wish = json!({ "includeEdited": include_edited });
        self.begin("undoing a restore", &format!("/restores/{restore_id}/undo"), &wish)
    }

    /// Confirms a plan with all its warnings. The user must have signed in a moment ago.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn confirm(&self, restore_id: &str) -> Result<()> {
        let acknowledged = json!({ "acknowledgements": { "dataChanges": true, "cannotBeUndoneInCrm": true } });
        self.decide("confirming a restore", 202, restore_id, "confirm", &acknowledged)
    }

    /// Cancels a plan.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn cancel(&self, restore_id: &str) -> Result<()> {
        self.decide("cancelling a restore", 200, restore_id, "cancel", &json!({}))
    }

    /// Stops a running restore.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn stop(&self, restore_id: &str) -> Result<()> {
        self.decide("stopping a restore", 202, restore_id, "stop", &json!({}))
    }

    /// The restore as it is now.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn get(&self, restore_id: &str) -> Result<Restore> {
        self.read("reading a restore", &format!("/restores/{restore_id}"))
    }

    /// Polls a restore until it is planned or has ended, and passes every answer to `see`.
    ///
    /// # Errors
    /// When the API refuses, when `see` fails, or when the restore works for longer than `patience`.
    pub fn watch(
        &self,
        restore_id: &str,
        patience: Duration,
        mut see: impl FnMut(&Restore) -> Result<()>,
    ) -> Result<Restore> {
        let deadline = Instant::now() + patience;
        loop {
            let restore = self.get(restore_id)?;
            see(&restore)?;
            if restore.is_at_rest() {
                return Ok(restore);
            }
            if Instant::now() > deadline {
                let (state, seconds) = (restore.state, patience.as_secs());
                return Err(Failure::new(format!("the restore is still {state} after {seconds} s")));
            }
            sleep(POLL);
        }
    }

    /// The newest imports of the account, newest first.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn imports(&self) -> Result<Vec<Import>> {
        #[derive(Deserialize)]
        struct Page {
            imports: Vec<Import>,
        }
        self.read("listing the imports", "/imports").map(|page: Page| page.imports)
    }

    /// The import of a restore.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn import(&self, import_id: &str) -> Result<Import> {
        self.read("reading an import", &format!("/imports/{import_id}"))
    }

    /// The errors.csv of an import.
    ///
    /// # Errors
    /// When the API or the storage refuses, or it does not exist.
    pub fn errors_csv(&self, import_id: &str) -> Result<Vec<u8>> {
        self.api.follow_link(&format!("{}/imports/{import_id}/errors.csv", self.account))
    }

    /// The skipped.csv of a plan.
    ///
    /// # Errors
    /// When the API or the storage refuses, or it does not exist.
    pub fn skipped_csv(&self, restore_id: &str) -> Result<Vec<u8>> {
        self.api.follow_link(&format!("{}/restores/{restore_id}/skipped.csv", self.account))
    }

    fn begin(&self, what: &str, path: &str, wish: &Value) -> Result<String> {
        let answer = self.api.post(&format!("{}{path}", self.account), wish)?.expect(202, what)?;
        let id = answer.json()["restoreId"].as_str().map(str::to_owned);
        id.ok_or_else(|| Failure::new(format!("{what} gave no restoreId")))
    }

    fn decide(&self, what: &str, status: u16, restore_id: &str, decision: &str, body: &Value) -> Result<()> {
        let path = format!("{}/restores/{restore_id}/{decision}", self.account);
        self.api.post(&path, body)?.expect(status, what).map(drop)
    }

    fn read<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<T> {
        let answer = self.api.get(&format!("{}{path}", self.account))?.expect(200, what)?;
        serde_json::from_slice(&answer.body).or_failure(|| format!("{what} gave an answer of an unknown form"))
    }
}
