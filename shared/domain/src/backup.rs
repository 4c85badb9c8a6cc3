//! A backup: one run, from the request to its archive.
//!
//! ```text
//! queued ─▶ discovering ─▶ exporting ─▶ assembling ─▶ completed        any of the first four ─▶ failed | cancelled
//! ```
//! The last three never change again; a backup that has ended is only noted as swept once what it needed while it ran
//! is removed. That an archive has expired is not a state but a matter of the time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ApiVersion;
use crate::chunk::QUEUE_GRACE;
use crate::ids::{AccountId, BackupId};
use crate::lease::{Leasing, NotLeased, Wait};
use crate::ports::ledger::{Key, Record};
use crate::ports::objects::{ETag, UploadId};
use crate::work::{BackupRef, Work};
use crate::{Failure, Refused};

/// How long an archive can be downloaded. The bucket's lifecycle rule says the same.
pub const ARCHIVE_LIFETIME: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A backup that is not done by then fails.
pub const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(6 * 24);

/// How long the ledger keeps a backup's chunks and segments, counted from its creation: long enough to look into what
/// went wrong.
pub const WORK_KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often recover-stalled looks at a backup whose objects are being exported.
const EXPORT_CHECK_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// Where a backup is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupState {
    /// Accepted; nobody has started.
    Queued,
    /// Object types and properties are being listed.
    Discovering,
    /// Records are being read.
    Exporting,
    /// The archive is being laid out.
    Assembling,
    /// The archive can be downloaded until it expires.
    Completed,
    /// It ended without an archive, for a reason that it names.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl BackupState {
    /// Whether it never changes again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Who asked for something, as their sign-in says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    /// The `sub` claim.
    pub subject: String,
    /// The `email` claim, where there is one.
    pub email: Option<String>,
}

/// The layout that an assembly has settled on; a rerun continues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assembly {
    /// The lease number of the run that settled it; part of the archive's key.
    pub attempt: u32,
    /// The unfinished upload, or None where the archive is small enough for one write.
    pub upload_id: Option<UploadId>,
    /// The time that the manifest states as `completedAt`, fixed so that a rerun makes the same bytes.
    pub planned_at: Timestamp,
}

/// A finished archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// The zip in object storage.
    pub storage_key: String,
    /// The manifest beside it.
    pub manifest_key: String,
    /// Which bytes the zip has.
    pub etag: ETag,
    /// The zip's size.
    pub bytes: u64,
    /// From then on it cannot be downloaded.
    pub expires_at: Timestamp,
}

/// One run of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The account.
    pub account_id: AccountId,
    /// The backup.
    pub backup_id: BackupId,
    /// The CRM's own id of the account.
    pub portal_id: u64,
    /// The CRM API's version that it was read with.
    pub api_version: ApiVersion,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Requester,
    /// Where it is.
    pub state: BackupState,
    /// Who does the step that only one run may do (discovery, assembly).
    pub leasing: Leasing,
    /// When such a step or the sweeping was last queued, or the export last checked.
    pub queued_at: Timestamp,
    /// Objects that are not exported, plus one while discovery goes on.
    pub open_objects: u32,
    /// The discovery that counts, in object storage.
    pub discovery_key: Option<String>,
    /// Whether any column is sensitive, once discovered.
    pub contains_sensitive_data: Option<bool>,
    /// The layout of the archive, once settled.
    pub assembly: Option<Assembly>,
    /// The archive, once completed.
    pub archive: Option<Archive>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// When it reached its last state.
    pub ended_at: Option<Timestamp>,
    /// When what was only needed while it ran was removed.
    pub swept_at: Option<Timestamp>,
}

/// What can happen to a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupEvent {
    /// The run under `lease` has listed the objects.
    Discovered {
        /// The lease.
        lease: u32,
        /// Where the list is.
        discovery_key: String,
        /// Whether any column is sensitive.
        contains_sensitive_data: bool,
    },
    /// An object and its first chunk are in the ledger.
    ObjectAdded,
    /// All objects of the discovery are in the ledger.
    DiscoveryFinished,
    /// An object is exported.
    ObjectExported,
    /// The run under `lease` has settled on a layout.
    AssemblyPlanned {
        /// The lease.
        lease: u32,
        /// The layout.
        assembly: Assembly,
    },
    /// A settled layout turned out unusable (its upload has ended); the next plan starts afresh.
    AssemblyDropped {
        /// The lease.
        lease: u32,
    },
    /// The archive is complete and checked.
    Completed {
        /// The lease.
        lease: u32,
        /// The archive.
        archive: Archive,
    },
    /// It cannot go on.
    Failed(Failure),
    /// Somebody wants it to end.
    Cancelled,
    /// The run under `lease` stops before its step is done.
    Released {
        /// The lease.
        lease: u32,
        /// What to wait for, if anything.
        wait: Option<Wait>,
    },
    /// Its step was queued again, or its export was checked.
    Requeued,
    /// It has ended, and what was only needed while it ran is removed.
    Swept,
}

impl Backup {
    /// A backup that was just accepted.
    pub fn accepted(
        backup: BackupRef,
        portal_id: u64,
        api_version: ApiVersion,
        created_by: Requester,
        now: Timestamp,
    ) -> Self {
        Self {
            account_id: backup.account_id,
            backup_id: backup.backup_id,
            portal_id,
            api_version,
            created_at: now,
            created_by,
            state: BackupState::Queued,
            leasing: Leasing::default(),
            queued_at: now,
            open_objects: 1,
            discovery_key: None,
            contains_sensitive_data: None,
            assembly: None,
            archive: None,
            failure: None,
            ended_at: None,
            swept_at: None,
        }
    }

    /// Its name.
    pub fn reference(&self) -> BackupRef {
        BackupRef { account_id: self.account_id.clone(), backup_id: self.backup_id.clone() }
    }

    /// The message for its next step that is not a chunk's or an object's, if it is at one.
    pub fn work(&self) -> Option<Work> {
        match self.state {
            BackupState::Queued | BackupState::Discovering => Some(Work::Discover { backup: self.reference() }),
            BackupState::Exporting => None,
            BackupState::Assembling => Some(Work::Assemble { backup: self.reference() }),
            BackupState::Completed | BackupState::Failed | BackupState::Cancelled => {
                self.swept_at.is_none().then(|| Work::Sweep { backup: self.reference() })
            }
        }
    }

    /// Since when its next step should have been worked on; None when nobody should.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.work().map(|_| self.leasing.overdue_since(self.queued_at, QUEUE_GRACE))
    }

    /// Whether its archive has been removed by now.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.archive.as_ref().is_some_and(|archive| archive.expires_at <= now)
    }

    /// Takes the lease for discovery or assembly.
    ///
    /// # Errors
    /// Ok(Err) says why the lease is not to be had; the outer [`Refused`] that the backup is at no such step.
    pub fn lease(
        &self,
        owner: &str,
        now: Timestamp,
        length: SignedDuration,
    ) -> Result<Result<Self, NotLeased>, Refused> {
        let state = match self.state {
            BackupState::Queued | BackupState::Discovering => BackupState::Discovering,
            BackupState::Assembling => BackupState::Assembling,
            _ => return Err(Refused::new("leasing a backup", "it is at no step that one run does")),
        };
        let leased = self.leasing.take(owner, now, length);
        Ok(leased.map(|leasing| Self { leasing, state, queued_at: now, ..self.clone() }))
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// [`Refused`] when the event does not belong to the present state; nothing has changed.
    pub fn apply(&self, event: BackupEvent, now: Timestamp) -> Result<Self, Refused> {
        use BackupEvent as Event;
        let to_sweep = self.state.is_terminal() && self.swept_at.is_none();
        if self.state.is_terminal() && !(to_sweep && matches!(event, Event::Requeued | Event::Swept)) {
            return Err(Refused::new("changing a backup", "it has ended"));
        }
        let mut next = self.clone();
        match event {
            Event::Discovered { lease, discovery_key, contains_sensitive_data } => {
                self.check("recording a discovery", BackupState::Discovering, Some(lease))?;
                if self.discovery_key.is_some() {
                    return Err(Refused::new("recording a discovery", "there is one already"));
                }
                next.discovery_key = Some(discovery_key);
                next.contains_sensitive_data = Some(contains_sensitive_data);
                next.leasing = self.leasing.progressed();
            }
            Event::ObjectAdded => {
                self.check("adding an object", BackupState::Discovering, None)?;
                next.open_objects += 1;
            }
            Event::DiscoveryFinished => {
                self.check("finishing discovery", BackupState::Discovering, None)?;
                next.state = BackupState::Exporting;
                next.leasing = self.leasing.progressed().released(None);
                next.queued_at = now;
                next.count_off(now);
            }
            Event::ObjectExported => {
                if !matches!(self.state, BackupState::Discovering | BackupState::Exporting) {
                    return Err(Refused::new("counting off an object", "the backup is not exporting"));
                }
                if self.open_objects == 0 {
                    return Err(Refused::new("counting off an object", "none is open"));
                }
                next.count_off(now);
            }
            Event::AssemblyPlanned { lease, assembly } => {
                self.check("planning the archive", BackupState::Assembling, Some(lease))?;
                if self.assembly.is_some() {
                    return Err(Refused::new("planning the archive", "there is a plan already"));
                }
                // Settling anew is no progress: an upload that keeps vanishing must run out of attempts.
                next.assembly = Some(assembly);
            }
            Event::AssemblyDropped { lease } => {
                self.check("dropping the archive's plan", BackupState::Assembling, Some(lease))?;
                next.assembly = None;
            }
            Event::Completed { lease, archive } => {
                self.check("completing a backup", BackupState::Assembling, Some(lease))?;
                next.archive = Some(archive);
                next.end(BackupState::Completed, now);
            }
            Event::Failed(failure) => {
                next.failure = Some(failure);
                next.end(BackupState::Failed, now);
            }
            Event::Cancelled => next.end(BackupState::Cancelled, now),
            Event::Released { lease, wait } => {
                if !self.leasing.is_held_by(lease) {
                    return Err(Refused::new("releasing a backup", "another run has taken it over"));
                }
                next.leasing = self.leasing.released(wait);
                next.queued_at = now;
            }
            Event::Requeued if self.work().is_some() => next.leasing = self.leasing.requeued(now),
            Event::Requeued => next.queued_at = now,
            Event::Swept => {
                if !to_sweep {
                    return Err(Refused::new("sweeping a backup", "it has not ended"));
                }
                next.swept_at = Some(now);
            }
        }
        Ok(next)
    }

    fn count_off(&mut self, now: Timestamp) {
        self.open_objects -= 1;
        if self.open_objects == 0 {
            self.state = BackupState::Assembling;
            self.leasing = self.leasing.progressed().released(None);
            self.queued_at = now;
        }
    }

    fn end(&mut self, state: BackupState, now: Timestamp) {
        self.state = state;
        self.leasing = self.leasing.released(None);
        self.queued_at = now;
        self.ended_at = Some(now);
    }

    fn check(&self, what: &'static str, state: BackupState, lease: Option<u32>) -> Result<(), Refused> {
        if self.state != state {
            return Err(Refused::new(what, "the backup is at another step"));
        }
        if lease.is_some_and(|number| !self.leasing.is_held_by(number)) {
            return Err(Refused::new(what, "another run has taken the step over"));
        }
        Ok(())
    }

    /// Sort-key prefix of all backups of an account; they list in order of creation.
    pub const PREFIX: &'static str = "BACKUP#";

    /// The ledger's key of a backup.
    pub fn key_of(backup: &BackupRef) -> Key {
        Key::new(format!("ACCOUNT#{}", backup.account_id), format!("{}{}", Self::PREFIX, backup.backup_id))
    }
}

impl Record for Backup {
    fn key(&self) -> Key {
        Self::key_of(&self.reference())
    }

    fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            BackupState::Queued | BackupState::Discovering | BackupState::Assembling => {
                Some(self.leasing.due_at(self.queued_at, QUEUE_GRACE))
            }
            BackupState::Exporting => Some(self.queued_at + EXPORT_CHECK_EVERY),
            BackupState::Completed | BackupState::Failed | BackupState::Cancelled => {
                self.swept_at.is_none().then(|| self.leasing.due_at(self.queued_at, QUEUE_GRACE))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn queued() -> Backup {
        let backup =
            BackupRef { account_id: AccountId::parse("1").expect("valid"), backup_id: BackupId::new(at(0), [1; 10]) };
        let by = Requester { subject: "s".into(), email: None };
        Backup::accepted(backup, 1, ApiVersion::V2026_09, by, at(0))
    }

    fn discovering() -> Backup {
        queued().lease("a", at(1), MINUTE).expect("right step").expect("free")
    }

    #[test]
    fn it_cannot_be_assembled_before_everything_was_added_and_exported() {
        let backup = discovering().apply(BackupEvent::ObjectAdded, at(2)).expect("discovering");
        let backup = backup.apply(BackupEvent::ObjectExported, at(3)).expect("exported early");
        assert_eq!(backup.state, BackupState::Discovering);
        let backup = backup.apply(BackupEvent::ObjectAdded, at(4)).expect("discovering");
        let backup = backup.apply(BackupEvent::DiscoveryFinished, at(5)).expect("discovering");
        assert_eq!((backup.state, backup.open_objects), (BackupState::Exporting, 1));
        let backup = backup.apply(BackupEvent::ObjectExported, at(6)).expect("exporting");
        assert_eq!(backup.state, BackupState::Assembling);
        assert!(backup.apply(BackupEvent::ObjectExported, at(7)).is_err());
    }

    #[test]
    fn an_account_without_any_object_is_assembled_at_once() {
        let backup = discovering().apply(BackupEvent::DiscoveryFinished, at(5)).expect("discovering");
        assert_eq!(backup.state, BackupState::Assembling);
    }

    #[test]
    fn what_has_ended_never_changes() {
        for end in [BackupEvent::Cancelled, BackupEvent::Failed(Failure::new("k", "s"))] {
            let ended = queued().apply(end, at(1)).expect("running");
            for event in [BackupEvent::Cancelled, BackupEvent::ObjectAdded] {
                assert!(ended.apply(event, at(2)).is_err());
            }
            assert!(ended.lease("a", at(3), MINUTE).is_err());
        }
    }

    #[test]
    fn what_has_ended_is_due_until_it_is_swept() {
        assert!(queued().apply(BackupEvent::Swept, at(1)).is_err(), "it is needed still");
        let ended = queued().apply(BackupEvent::Cancelled, at(1)).expect("running");
        assert!(matches!(ended.work(), Some(Work::Sweep { .. })));
        let queued_again = ended.apply(BackupEvent::Requeued, at(200)).expect("not swept");
        assert_eq!(queued_again.due_at(), Some(at(200) + QUEUE_GRACE));

        let swept = queued_again.apply(BackupEvent::Swept, at(201)).expect("not swept");
        assert_eq!((swept.work(), swept.due_at()), (None, None));
        assert_eq!((swept.state, swept.ended_at), (BackupState::Cancelled, Some(at(1))));
        assert!(swept.apply(BackupEvent::Requeued, at(202)).is_err());
        assert!(swept.apply(BackupEvent::Swept, at(202)).is_err());
    }

    #[test]
    fn a_run_that_lost_its_lease_changes_nothing() {
        let first = discovering();
        let second = first.lease("b", at(100), MINUTE).expect("right step").expect("ran out");
        let event = BackupEvent::Discovered { lease: 1, discovery_key: "k".into(), contains_sensitive_data: false };
        assert!(second.apply(event, at(101)).is_err());
        assert!(second.apply(BackupEvent::Released { lease: 1, wait: None }, at(101)).is_err());
    }
}
