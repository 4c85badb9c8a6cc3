//! What must be true when no work is left: no lock is held, no upload is open, no work is overdue, storage has no object
//! that no record names, and each event was sent once.

use std::collections::BTreeSet;

use domain::backup::Backup;
use domain::ports::clock::Clock;
use domain::ports::ledger::{DUE_SHARDS, DueList, Stored};
use domain::restore::RestoreState;
use domain::storage_keys;
use domain::work::RestoreRef;
use jiff::SignedDuration;

use super::history::History;
use super::plan::Failed;
use super::walk::Walk;
use crate::crm::Happened;

/// Notices that archives expire are due later than anything else.
const ANY_TIME: SignedDuration = SignedDuration::from_hours(24 * 400);

impl Walk<'_> {
    /// Nothing is left over.
    pub(super) async fn assert_tidy(&self) {
        let world = &self.world;
        assert_eq!(world.queue.queued(), [], "messages are left over");
        assert!(world.may_begin_another().await, "the allowance is not free");
        assert!(world.lock_is_free().await, "the restore lock is not free");
        assert_eq!(world.blobs.open_uploads(), 0, "uploads are left open");
        self.assert_storage();
        self.assert_nothing_due().await;
        self.assert_no_lease();
        self.assert_writes_belong();
        for backup in &self.backups {
            world.assert_backup_told(backup).await;
        }
        for restore in &self.asked {
            self.assert_restore_told(restore).await;
        }
        let notifications = world.notifications().await;
        let most = self.backups.len() + self.asked.len();
        assert!(
            self.plan.failed == Failed::AreSetAside || notifications.len() <= most,
            "an event was sent twice: {notifications:?}"
        );
    }

    /// The account is notified once of the end of a restore, and the audit log has each decision once.
    async fn assert_restore_told(&self, restore: &RestoreRef) {
        let record = self.world.restore(restore).await;
        if record.state == RestoreState::Planned {
            return;
        }
        self.world.assert_restore_told(restore).await;
        let log = self.world.audit_log().await;
        let of = |action: &str| {
            let of_it = log.iter().filter(|entry| entry.target.as_deref() == Some(restore.restore_id.as_str()));
            of_it.filter(|entry| entry.action == action).count()
        };
        let expected = (usize::from(record.confirmation.is_some()), usize::from(record.state == RestoreState::Stopped));
        let found = (of("confirm-restore"), of("stop-restore"));
        assert!(found.0 == expected.0 && found.1 >= expected.1, "decisions are not in the audit log: {found:?}");
    }

    /// Everything in storage belongs to a backup or a restore, and work is swept.
    fn assert_storage(&self) {
        let keys = self.world.blobs.keys("");
        let restores = self.asked.iter().map(|restore| restore.restore_id.as_str());
        let owners: Vec<&str> = self.backups.iter().map(|backup| backup.backup_id.as_str()).chain(restores).collect();
        // A run whose request for another sweep failed is not asked again if its message is lost as well. The lifecycle
        // rule removes what it has written.
        let may_stay = self.plan.failed != Failed::ComeBack && self.plan.has_port_faults();
        let unswept = |key: &&String| key.starts_with(storage_keys::SEGMENTS) && !may_stay;
        let strange = |key: &&String| unswept(key) || !owners.iter().any(|owner| key.contains(owner));
        let strange: Vec<&String> = keys.iter().filter(strange).take(3).collect();
        assert!(strange.is_empty(), "objects are left in storage: {strange:?}");
    }

    async fn assert_nothing_due(&self) {
        let world = &self.world;
        for shard in 0..DUE_SHARDS {
            let until = world.clock.now() + ANY_TIME;
            let due = world.ledger.due(DueList::Work, shard, until, 1_000).await.expect("the ledger answers");
            let strange: Vec<_> = due.iter().filter(|key| !key.sort.starts_with(Backup::PREFIX)).collect();
            assert!(strange.is_empty(), "something is due for ever: {strange:?}");
        }
    }

    /// No lease that is recorded anywhere is alive. A run that finds its backup cancelled or failed leaves its chunk's
    /// lease to expire: nobody reads that chunk again.
    fn assert_no_lease(&self) {
        let (now, all) = (self.world.clock.now(), self.ledger.all());
        let is_broken_off = |stored: &&Stored| {
            stored.key.sort.starts_with(Backup::PREFIX) && stored.body["state"].as_str() != Some("completed")
        };
        let broken_off: BTreeSet<&str> = all.iter().filter(is_broken_off).map(|backup| &*backup.key.sort).collect();
        for stored in all.iter().filter(|stored| !broken_off.contains(&*stored.key.partition)) {
            let ends = &stored.body["leasing"]["lease"]["expiresAt"];
            let ends = ends.as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
            assert!(ends.is_none_or(|ends| ends <= now), "a lease is alive: {:?}", stored.key);
        }
    }

    /// Every value that was sent to the CRM was sent between the confirmation and the end of a restore of that object.
    fn assert_writes_belong(&self) {
        for (place, object) in self.plan.objects.iter().enumerate() {
            let history = History::of(&self.world.crm, object.name.object_type());
            let written = self.carried.iter().filter(|carried| carried.object == place);
            let spans: Vec<_> = written.map(|carried| carried.wrote).collect();
            let journal = history.object().journal();
            let strange = journal.iter().enumerate().find(|(nth, entry)| {
                matches!(entry.what, Happened::Sent { .. })
                    && !spans.iter().any(|(from, to)| (*from..*to).contains(nth))
            });
            assert!(strange.is_none(), "a value was written beside all restores: {strange:?}");
        }
    }
}
