//! Restores in a world: asking for them, deciding about them, and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ports::ledger::{self, ListRequest};
use domain::restore::Restore;
use domain::restore::import::Import;
use domain::restore::lock::RestoreLock;
use domain::restore::slice::RestoreSlice;
use domain::work::{BackupRef, RestoreRef};
use workflows::restore::ask::{AskError, AskRestore, UndoWish, Wish};
use workflows::restore::decide::{DecideError, DecideRestore};
use workflows::restore::review::{self, Review};

use super::{World, random};

impl World {
    fn asks(&self) -> AskRestore {
        AskRestore {
            ledger: self.ledger.clone(),
            reader: self.storage.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            crm: Arc::new(self.crm.clone()),
        }
    }

    fn decides(&self) -> DecideRestore {
        DecideRestore { ledger: self.ledger.clone(), queue: self.queue.clone(), clock: self.clock.clone() }
    }

    /// Asks for a restore of `properties` of an object.
    ///
    /// # Errors
    /// As [`AskRestore::from_backup`].
    pub async fn ask_restore(
        &self,
        backup: &BackupRef,
        object: &str,
        properties: &[&str],
    ) -> Result<RestoreRef, AskError> {
        let wish = Wish {
            act: self.act("create-restore"),
            backup_id: backup.backup_id.clone(),
            object_type: object.to_owned(),
            properties: properties.iter().map(|&property| property.to_owned()).collect(),
            idempotency_key: None,
            random: random(),
        };
        Ok(self.asks().from_backup(&wish).await?.reference())
    }

    /// Asks for the undo of a restore.
    ///
    /// # Errors
    /// As [`AskRestore::undo`].
    pub async fn ask_undo(&self, restore: &RestoreRef, include_edited: bool) -> Result<RestoreRef, AskError> {
        let wish = UndoWish {
            restore: restore.clone(),
            act: self.act("undo-restore"),
            include_edited,
            idempotency_key: None,
            random: random(),
        };
        Ok(self.asks().undo(&wish).await?.reference())
    }

    /// Confirms a plan.
    ///
    /// # Errors
    /// As [`DecideRestore::confirm`].
    pub async fn confirm(&self, restore: &RestoreRef) -> Result<Restore, DecideError> {
        self.decides().confirm(restore, &self.act("confirm-restore"), None).await
    }

    /// Stops a restore that writes.
    ///
    /// # Errors
    /// As [`DecideRestore::stop`].
    pub async fn stop(&self, restore: &RestoreRef) -> Result<Restore, DecideError> {
        self.decides().stop(restore, &self.act("stop-restore")).await
    }

    /// Calls a restore off that has written nothing.
    ///
    /// # Errors
    /// As [`DecideRestore::cancel`].
    pub async fn call_off(&self, restore: &RestoreRef) -> Result<Restore, DecideError> {
        self.decides().cancel(restore, &self.act("cancel-restore")).await
    }

    /// Delivers messages, and lets time pass, until nothing is queued and nothing is due. Returns the restore.
    ///
    /// # Panics
    /// When that never happens, or the ledger does not answer.
    pub async fn restore_to_rest(&self, restore: &RestoreRef) -> Restore {
        for _ in 0..super::MOST_STEPS {
            if !self.step().await {
                return self.restore(restore).await;
            }
        }
        panic!("no end is in sight: {:?} with {:?}", self.restore(restore).await, self.queue.queued());
    }

    /// The restore as it is now.
    ///
    /// # Panics
    /// When there is none, or the ledger does not answer.
    pub async fn restore(&self, restore: &RestoreRef) -> Restore {
        let loaded = ledger::load::<Restore>(&*self.ledger, &Restore::key_of(restore)).await;
        loaded.expect("the ledger answers").expect("the restore").record
    }

    /// What users see of a restore.
    ///
    /// # Panics
    /// When a port does not answer.
    pub async fn review(&self, restore: &RestoreRef) -> Review {
        let reviewed = review::restore(&*self.ledger, &*self.stored, &*self.clock, restore).await;
        reviewed.expect("the ports answer")
    }

    /// The import of a restore.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn import(&self, restore: &RestoreRef) -> Option<Import> {
        let key = Import::key_of(&restore.account_id, &restore.restore_id);
        let loaded = ledger::load::<Import>(&*self.ledger, &key).await.expect("the ledger answers");
        loaded.map(|loaded| loaded.record)
    }

    /// A restore's slices.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn slices(&self, restore: &RestoreRef) -> Vec<RestoreSlice> {
        let partition = RestoreSlice::partition(&restore.restore_id);
        let slices = ledger::list::<RestoreSlice>(&*self.ledger, &partition, RestoreSlice::PREFIX).await;
        slices.expect("the ledger answers").into_iter().map(|slice| slice.record).collect()
    }

    /// Whether no restore of the account may write.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn lock_is_free(&self) -> bool {
        let loaded = ledger::load::<RestoreLock>(&*self.ledger, &RestoreLock::key_of(&self.account)).await;
        loaded.expect("the ledger answers").is_none_or(|loaded| loaded.record.held_by.is_none())
    }

    /// How many imports the account has.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn imports(&self) -> usize {
        let request = ListRequest {
            partition: format!("ACCOUNT#{}", self.account),
            prefix: Import::PREFIX.to_owned(),
            after: None,
            newest_first: false,
            limit: 1_000,
        };
        self.ledger.list(&request).await.expect("the ledger answers").records.len()
    }

    /// The lines of the CSV of what a restore has not restored, without the header: record, property, old value, backup
    /// value, reason. Empty where there is no such file.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn errors(&self, restore: &RestoreRef) -> Vec<Vec<String>> {
        match self.import(restore).await.and_then(|import| import.errors_key) {
            Some(key) => self.report(&key).await,
            None => Vec::new(),
        }
    }

    /// The lines of a report, without the header.
    ///
    /// # Panics
    /// When it cannot be read.
    pub(super) async fn report(&self, key: &str) -> Vec<Vec<String>> {
        let bytes = self.stored.read(key, None).await.expect("the report");
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let lines = reader.records().map(|line| line.expect("a line").iter().map(str::to_owned).collect());
        lines.collect()
    }

    /// The present values of an object's properties by record and property, empty ones left out.
    pub fn values(&self, object: &str, properties: &[&str]) -> BTreeMap<(u64, String), String> {
        self.crm.change(object, |object| {
            let ids = object.ids();
            let named = ids.iter().flat_map(|id| properties.iter().map(move |&property| (*id, property)));
            let value = |id, name| object.value(id, name).filter(|value| !value.is_empty());
            let valued = named.filter_map(|(id, name)| Some(((id.0, name.to_owned()), value(id, name)?)));
            valued.collect()
        })
    }
}
