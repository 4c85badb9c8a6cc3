//! Backups to try everything on.

use std::sync::Arc;

use domain::backup::BackupState;
use domain::ids::RecordId;
use domain::ports::ledger::Ledger;
use faults::crm::Cursors;
use faults::{Exported, FailedMessages, Settings, SimulatedObject, World, samples};
use in_memory::faults::{Faults, Sweep};
use jiff::SignedDuration;

use crate::worlds::{assert_consistent, assert_one_archive, assert_tidy, assert_true, in_memory, on_ledger};

/// What is backed up, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) workers: usize,
    /// How long a run of export-chunk may begin something new.
    pub(crate) run_seconds: i64,
    pub(crate) objects: fn() -> Vec<SimulatedObject>,
}

/// One worker, so that the same calls are made every time; objects that take several runs.
pub(crate) const SMALL: Case = Case {
    workers: 1,
    run_seconds: 3,
    objects: || {
        let mut objects = samples::one_of_everything();
        objects[0] = samples::many_contacts(950, Cursors::Ids);
        objects
    },
};

/// So small that every call can be tried on a ledger that is reached over the network.
pub(crate) const TINY: Case = Case {
    workers: 1,
    run_seconds: 290,
    objects: || vec![SimulatedObject::new("contacts", &["email"], [7, 8, 4_000], samples::beginning())],
};

/// Several workers that split an object among them.
pub(crate) const SPLIT: Case =
    Case { workers: 4, run_seconds: 6, objects: || vec![samples::many_contacts(6_000, Cursors::Ids)] };

/// Eleven objects, four at a time.
pub(crate) const SIDE_BY_SIDE: Case = Case { workers: 4, run_seconds: 2, ..SMALL };

/// A fallback to one worker half-way.
pub(crate) const FALLBACK: Case =
    Case { workers: 2, run_seconds: 6, objects: || vec![samples::many_contacts(950, Cursors::Opaque)] };

/// A list that ends too early and leaves a record out: the object is gone on with, then read again.
pub(crate) const ONCE_MORE: Case = Case {
    workers: 1,
    run_seconds: 1,
    objects: || {
        let mut contacts = samples::many_contacts(550, Cursors::Ids);
        let ids = samples::clumpy_ids(550);
        contacts.unlisted = [RecordId(ids[40])].into();
        contacts.list_ends_at = Some(RecordId(ids[320]));
        vec![contacts]
    },
};

impl Case {
    pub(crate) fn settings(self, faults: Arc<Faults>, failed: FailedMessages) -> Settings {
        let export_run = SignedDuration::from_secs(self.run_seconds);
        Settings { workers: self.workers, export_run, faults, failed, ..Settings::default() }
    }

    /// A sweep over its calls, `stride` at a time, in which at least `expected` faults strike.
    pub(crate) fn sweep(self, stride: u64, expected: u64) -> Sweep {
        let sweep = Sweep::expecting(expected).every(stride);
        // Workers that split an object do not always need the same number of calls.
        if self.workers > 1 { sweep.where_calls_vary() } else { sweep }
    }

    /// Its settings when nothing goes wrong.
    pub(crate) fn settings_calm(self) -> Settings {
        self.settings(Faults::none(), FailedMessages::ComeBack)
    }

    pub(crate) async fn in_memory(self, faults: Arc<Faults>, failed: FailedMessages) -> World {
        in_memory((self.objects)(), self.settings(faults, failed)).await
    }

    /// A world in memory in which the CRM is the only one that may make trouble.
    pub(crate) async fn calm(self) -> World {
        self.in_memory(Faults::none(), FailedMessages::ComeBack).await
    }

    pub(crate) async fn on(self, ledger: Arc<dyn Ledger>, faults: Arc<Faults>, failed: FailedMessages) -> World {
        on_ledger(ledger, (self.objects)(), self.settings(faults, failed)).await
    }
}

/// The archive of a run, which must have ended well and left nothing else.
pub(crate) async fn archive_of(world: &World) -> Exported {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?} {:?}", ended.failure, world.settings.faults.struck());
    assert_consistent(world, &backup).await;
    assert_one_archive(world, &ended);
    assert_tidy(world, &backup).await;
    world.exported(&backup).await
}

/// The archive of a run in which nothing goes wrong, which must hold what the CRM holds.
pub(crate) async fn calm_archive(world: &World) -> Exported {
    let archive = archive_of(world).await;
    assert_true(world, &archive);
    archive
}
