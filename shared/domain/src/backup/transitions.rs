//! The legal transitions of a backup.

use jiff::{SignedDuration, Timestamp};

use super::{Archive, Assembly, Backup, BackupState, Deletion};
use crate::account::Requester;
use crate::gap::Gap;
use crate::lease::{NotLeased, Wait};
use crate::{Failure, Refused};

/// An event of a backup's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupEvent {
    /// The run with `lease` added an object and its first chunk to the ledger.
    ObjectAdded {
        lease: u32,
    },
    /// The run with `lease` added all objects to the ledger.
    DiscoveryFinished {
        lease: u32,
        contains_sensitive_data: bool,
        gaps: Vec<Gap>,
    },
    /// An object is exported.
    ObjectExported,
    /// The run with `lease` decided on a layout.
    AssemblyPlanned {
        lease: u32,
        assembly: Assembly,
    },
    /// The layout cannot be used because its upload has ended. The next one starts afresh.
    AssemblyDropped {
        lease: u32,
    },
    /// The archive is complete and checked.
    Completed {
        lease: u32,
        archive: Archive,
    },
    Failed(Failure),
    /// A user cancelled it.
    Cancelled,
    /// The run with `lease` ended before its step was done.
    Released {
        lease: u32,
        wait: Option<Wait>,
    },
    /// Its step was queued again, or its export was checked.
    Requeued,
    /// Its working files were removed after its end.
    Swept,
    /// The account was notified of the archive's expiry.
    ExpiryTold,
    /// A user deleted the archive.
    ArchiveDeleted(Requester),
}

impl Backup {
    /// Takes the lease for discovery or assembly.
    ///
    /// # Errors
    /// [`NotLeased`], and nothing is changed.
    pub fn lease(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        let state = match self.state {
            BackupState::Queued | BackupState::Discovering => BackupState::Discovering,
            BackupState::Assembling => BackupState::Assembling,
            _ => return Err(NotLeased::NoStep),
        };
        let leasing = self.leasing.take(owner, now, length)?;
        Ok(Self { leasing, state, queued_at: now, ..self.clone() })
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// [`Refused`] if the present state does not allow the event.
    pub fn apply(&self, event: BackupEvent, now: Timestamp) -> Result<Self, Refused> {
        use BackupEvent as Event;
        let to_sweep = self.state.is_terminal() && self.swept_at.is_none();
        let after_the_end = match event {
            Event::Requeued | Event::Swept => to_sweep,
            Event::ExpiryTold => self.expiry_notice_at().is_some(),
            Event::ArchiveDeleted(_) => self.usable_archive(now).is_ok(),
            _ => false,
        };
        if self.state.is_terminal() && !after_the_end {
            return Err(Refused::new("changing a backup", "it has ended"));
        }
        let mut next = self.clone();
        match event {
            Event::ObjectAdded { lease } => {
                self.check("adding an object", BackupState::Discovering, Some(lease))?;
                next.open_objects += 1;
                next.leasing = self.leasing.progressed();
            }
            Event::DiscoveryFinished { lease, contains_sensitive_data, gaps } => {
                self.check("finishing discovery", BackupState::Discovering, Some(lease))?;
                next.state = BackupState::Exporting;
                next.contains_sensitive_data = Some(contains_sensitive_data);
                next.gaps = gaps;
                next.leasing = self.leasing.progressed().released(None);
                next.queued_at = now;
                next.count_off(now);
            }
            Event::ObjectExported => {
                if !matches!(self.state, BackupState::Discovering | BackupState::Exporting) {
                    return Err(Refused::new("counting off an object", "the backup is not exporting"));
                }
                if self.open_objects == 0 {
                    return Err(Refused::fault("counting off an object", "no object is open"));
                }
                next.count_off(now);
            }
            Event::AssemblyPlanned { lease, assembly } => {
                self.check("planning the archive", BackupState::Assembling, Some(lease))?;
                if self.assembly.is_some() {
                    return Err(Refused::new("planning the archive", "there is a plan already"));
                }
                // A new layout is not progress: an upload that keeps vanishing must run out of attempts.
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
            Event::ExpiryTold | Event::ArchiveDeleted(_) if !self.state.is_terminal() => {
                return Err(Refused::new("changing an archive", "the backup has no archive yet"));
            }
            Event::ExpiryTold => next.expiry_told_at = Some(now),
            Event::ArchiveDeleted(by) => {
                next.deletion = Some(Deletion { at: now, by });
                next.swept_at = None;
                next.queued_at = now;
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
}
