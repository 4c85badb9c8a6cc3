//! Restores on the way of a journey: planned, carried out, and what their reports say.

use dev_stack::api::Answer;
use dev_stack::failure::{Failure, Result};
use dev_stack::restores::{Import, Plan, Restore, Restores};
use serde_json::json;

use crate::journey::{Journey, PATIENCE};
use crate::truth::read;

/// A plan that waits to be confirmed.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The restore that it is of.
    pub restore_id: String,
    /// What it would change.
    pub plan: Plan,
}

/// A line of `errors.csv` or `skipped.csv`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reported {
    pub record_id: u64,
    /// The property; empty where the line is about the record.
    pub property: String,
    /// The value that it had.
    pub old_value: String,
    /// The value that it should have got.
    pub backup_value: String,
    /// Why it did not: a word, a colon and a sentence.
    pub reason: String,
}

impl Reported {
    /// The word of the reason.
    pub fn code(&self) -> &str {
        self.reason.split(':').next().unwrap_or_default()
    }
}

impl Journey {
    /// The account's restores, as its super admin sees them.
    pub fn restores(&self) -> Restores {
        Restores::of(self.api(), &self.account_id)
    }

    /// Plans a restore and waits for the plan.
    ///
    /// # Errors
    /// When the API refuses, or the plan fails or takes too long.
    pub fn plan(&self, backup_id: &str, object_type: &str, properties: &[&str]) -> Result<Planned> {
        self.await_plan(self.restores().plan(backup_id, object_type, properties)?)
    }

    /// Plans the undo of a restore and waits for the plan.
    ///
    /// # Errors
    /// When the API refuses, or the plan fails or takes too long.
    pub fn plan_undo(&self, restore_id: &str, include_edited: bool) -> Result<Planned> {
        self.await_plan(self.restores().undo(restore_id, include_edited)?)
    }

    /// Waits for the plan of a restore.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub fn await_plan(&self, restore_id: String) -> Result<Planned> {
        let restore = self.await_rest(&restore_id)?;
        match restore.plan {
            Some(plan) if restore.state == "planned" => Ok(Planned { restore_id, plan }),
            _ => Err(Failure::new(format!("the restore is {}: {:?}", restore.state, restore.failure))),
        }
    }

    /// Confirms a plan with both acknowledgements. Returns the answer, also a refusal.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn confirm(&self, restore_id: &str) -> Result<Answer> {
        let acknowledged = json!({ "acknowledgements": { "dataChanges": true, "cannotBeUndoneInCrm": true } });
        self.api().post(&self.path(&format!("/restores/{restore_id}/confirm")), &acknowledged)
    }

    /// Confirms a plan and waits until it is carried out, good or bad; returns the import that it has become.
    ///
    /// # Errors
    /// When the API refuses, or the restore takes too long.
    pub fn carry_out(&self, restore_id: &str) -> Result<Import> {
        self.restores().confirm(restore_id)?;
        self.await_rest(restore_id)?;
        self.restores().import(restore_id)
    }

    /// Waits until a restore is planned or has ended, good or bad.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn await_rest(&self, restore_id: &str) -> Result<Restore> {
        self.restores().watch(restore_id, PATIENCE, |_| Ok(()))
    }

    /// What an import has not restored.
    ///
    /// # Errors
    /// When there is no such file or it is malformed.
    pub fn errors_of(&self, import_id: &str) -> Result<Vec<Reported>> {
        reported(&self.restores().errors_csv(import_id)?)
    }

    /// What a plan leaves as it is.
    ///
    /// # Errors
    /// When there is no such file or it is malformed.
    pub fn skipped_of(&self, restore_id: &str) -> Result<Vec<Reported>> {
        reported(&self.restores().skipped_csv(restore_id)?)
    }
}

fn reported(csv: &[u8]) -> Result<Vec<Reported>> {
    let (header, rows) = read(csv)?;
    let expected = ["record_id", "property", "old_value", "backup_value", "reason"];
    if header.iter().ne(expected) {
        return Err(Failure::new(format!("the report has the columns {header:?}")));
    }
    let line = |row: &csv::StringRecord| {
        let id = row[0].parse().map_err(|_| Failure::new(format!("'{}' is no record id", &row[0])))?;
        let [property, old_value, backup_value, reason] = [1, 2, 3, 4].map(|place| row[place].to_owned());
        Ok(Reported { record_id: id, property, old_value, backup_value, reason })
    };
    rows.iter().map(line).collect()
}
