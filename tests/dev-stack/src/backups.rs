//! Making a backup through the deployed API, as a client would.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::{Failure, OrFailure, Result};
use crate::places::make_folder;

/// How often progress is asked for.
const POLL: Duration = Duration::from_millis(250);

/// A backup as the API shows it, as far as this tool looks at it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    pub backup_id: String,
    /// Where in its life it is.
    pub state: String,
    /// Its objects as far as they are discovered.
    #[serde(default)]
    pub objects: Vec<Object>,
    pub failure: Option<Value>,
    /// What it waits for.
    pub waiting: Option<Value>,
}

/// One object of a backup.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    pub object_type: String,
    pub label: String,
    /// Where in its life it is.
    pub state: String,
    /// Goes up when the object is read again from the beginning.
    #[serde(default)]
    pub generation: u32,
    pub records: u64,
    /// From 0 to 1; absent while it is unknown how many records there are.
    pub share_done: Option<f64>,
    /// Estimate of the seconds until it is exported.
    pub seconds_left: Option<u64>,
}

impl Backup {
    /// Whether it has ended, with success or not.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "failed" | "cancelled" | "expired")
    }
}

/// The backups of one account, for one signed-in user.
#[derive(Debug, Clone)]
pub struct Backups {
    api: Api,
    path: String,
}

impl Backups {
    /// A client for the account `account_id`. `api` sends the user's token.
    pub fn of(api: Api, account_id: &str) -> Self {
        Self { api, path: format!("/accounts/{account_id}/backups") }
    }

    /// Asks for a backup and returns its id.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn create(&self) -> Result<String> {
        let answer = self.api.post(&self.path, &json!({}))?.expect(202, "creating a backup")?;
        let id = answer.json()["backupId"].as_str().map(str::to_owned);
        id.ok_or_else(|| Failure::new("creating a backup gave no backupId"))
    }

    /// The backup as it is now.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn get(&self, backup_id: &str) -> Result<Backup> {
        let answer = self.api.get(&format!("{}/{backup_id}", self.path))?.expect(200, "reading a backup")?;
        serde_json::from_slice(&answer.body).or_failure(|| "the API shows a backup in an unknown form".to_owned())
    }

    /// Polls a backup until it has ended, and passes every answer to `see`.
    ///
    /// # Errors
    /// When the API refuses, when `see` fails, or when the backup has not ended after `patience`.
    pub fn watch(
        &self,
        backup_id: &str,
        patience: Duration,
        mut see: impl FnMut(&Backup) -> Result<()>,
    ) -> Result<Backup> {
        let deadline = Instant::now() + patience;
        loop {
            let backup = self.get(backup_id)?;
            see(&backup)?;
            if backup.has_ended() {
                return Ok(backup);
            }
            if Instant::now() > deadline {
                let (state, seconds) = (backup.state, patience.as_secs());
                return Err(Failure::new(format!("the backup is still {state} after {seconds} s")));
            }
            sleep(POLL);
        }
    }

    /// Downloads the archive of a completed backup to `file`, and returns its size in bytes.
    ///
    /// # Errors
    /// When the API or the storage refuses, or the file cannot be written.
    pub fn download(&self, backup_id: &str, file: &Path) -> Result<usize> {
        let archive = self.api.follow_link(&format!("{}/{backup_id}/download", self.path))?;
        if let Some(folder) = file.parent() {
            make_folder(folder)?;
        }
        fs::write(file, &archive).or_failure(|| format!("cannot write {}", file.display()))?;
        Ok(archive.len())
    }
}
