//! The account's latest completed backup. The new backup names every object that this one contained and the new one
//! lacks.

use std::collections::{HashMap, HashSet};

use domain::account::Account;
use domain::backup::{Backup, BackupState};
use domain::gap::{self, Gap, Missing};
use domain::ids::ObjectType;
use domain::object::ObjectExport;
use domain::ports::ledger::{self, Ledger, LedgerError, ListRequest};

use crate::backup::dispatch;

/// Backups that are searched for a completed one.
const LOOK_BACK: u32 = 50;

/// The contents of the latest completed backup.
#[derive(Debug, Default)]
pub(super) struct LastBackup {
    objects: HashMap<ObjectType, ObjectExport>,
    gaps: Vec<Gap>,
}

impl LastBackup {
    /// Loads the latest one that completed before `backup`. Empty if there is none.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(super) async fn before(ledger: &dyn Ledger, backup: &Backup) -> Result<Self, LedgerError> {
        let request = ListRequest {
            partition: Account::key_of(&backup.account_id).partition,
            prefix: Backup::PREFIX.to_owned(),
            after: Some(format!("{}{}", Backup::PREFIX, backup.backup_id)),
            newest_first: true,
            limit: LOOK_BACK,
        };
        for stored in ledger.list(&request).await?.records {
            let earlier = ledger::read::<Backup>(stored)?.record;
            if earlier.state == BackupState::Completed && earlier.portal_id == backup.portal_id {
                let objects = dispatch::objects(ledger, &earlier.backup_id).await?;
                let named = objects.into_iter().map(|object| (object.definition.object_type.clone(), object));
                return Ok(Self { objects: named.collect(), gaps: earlier.gaps });
            }
        }
        Ok(Self::default())
    }

    /// Whether it had the same gap: the object, or, with None, all custom objects.
    pub(super) fn lacked(&self, object: Option<&ObjectType>) -> bool {
        self.gaps.iter().any(|gap| gap.missing == Missing::Object && gap.object_type.as_ref() == object)
    }

    /// Whether its properties of an object could not be listed either.
    pub(super) fn lacked_properties_of(&self, object: &ObjectType) -> bool {
        self.objects.get(object).is_some_and(|object| !object.gaps.is_empty())
    }

    /// Whether it contained sensitive values of an object.
    pub(super) fn held_sensitive_data_of(&self, object: &ObjectType) -> bool {
        self.objects.get(object).is_some_and(|object| object.contains_sensitive_data)
    }

    /// Adds a note to each of the `gaps` whose object it contained, and a gap for each object that it contained and
    /// that the CRM no longer lists.
    pub(super) fn compare(&self, mut gaps: Vec<Gap>, present: &HashSet<&ObjectType>) -> Vec<Gap> {
        let custom_refused = gaps.iter().any(|gap| gap.object_type.is_none());
        for gap in &mut gaps {
            gap.in_last_backup |= match &gap.object_type {
                Some(object) => self.objects.contains_key(object),
                None => self.objects.values().any(|object| object.definition.custom),
            };
        }
        let named: HashSet<ObjectType> = gaps.iter().filter_map(|gap| gap.object_type.clone()).collect();
        let mut vanished: Vec<&ObjectExport> = self
            .objects
            .iter()
            .filter(|(name, object)| {
                let refused = object.definition.custom && custom_refused;
                !present.contains(name) && !named.contains(*name) && !refused
            })
            .map(|(_, object)| object)
            .collect();
        vanished.sort_by(|a, b| a.definition.object_type.cmp(&b.definition.object_type));
        gaps.extend(vanished.into_iter().map(vanished_gap));
        gaps
    }
}

fn vanished_gap(object: &ObjectExport) -> Gap {
    let reason = "The CRM no longer lists this object type. It was deleted, or the token has lost the scope for it.";
    let definition = &object.definition;
    let gap = gap::of_object(Some(definition.object_type.clone()), &definition.label, reason.to_owned(), Vec::new());
    Gap { in_last_backup: true, ..gap }
}
