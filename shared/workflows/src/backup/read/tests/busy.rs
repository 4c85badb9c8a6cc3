//! D1: reading a backup while its chunks are read, committed and split.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use domain::chunk::{Advance, ExpectedRecords};
use domain::ids::RecordId;
use domain::object::Committed;
use domain::ports::crm::Cursor;
use domain::ports::ledger::{Change, DueList, Key, ListPage, Stored, Versioned};
use domain::trail::Trail;
use in_memory::MemoryLedger;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::samples::{self, NOW};

/// A worker's next step, with one of the chunks.
#[derive(Debug, Clone)]
enum Step {
    Read(usize, u64),
    Commit(usize),
    Split(usize),
}

/// A ledger in which workers take some steps just before each list is answered.
struct BusyLedger {
    ledger: MemoryLedger,
    steps: Mutex<VecDeque<Vec<Step>>>,
}

#[async_trait]
impl Ledger for BusyLedger {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        self.ledger.get(key).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        let steps = self.steps.lock().expect("not poisoned").pop_front();
        for step in steps.into_iter().flatten() {
            self.take(&step).await;
        }
        self.ledger.list(request).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        self.ledger.commit(changes).await
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.ledger.due(list, shard, now, limit).await
    }
}

impl BusyLedger {
    async fn new(steps: Vec<Vec<Step>>) -> (Self, BackupRef) {
        let backup = samples::exporting(1);
        let (object, chunk) = samples::discovered(&backup, "contacts", Some(1_000));
        let ledger = MemoryLedger::new();
        let changes = [Change::create(&backup), Change::create(&object), Change::create(&working(&chunk))];
        ledger.commit(&changes).await.expect("empty ledger");
        (Self { ledger, steps: Mutex::new(steps.into()) }, backup.reference())
    }

    async fn all<T: ledger::Record>(&self, prefix: &str) -> Vec<Versioned<T>> {
        let partition = Backup::partition(&samples::exporting(1).backup_id);
        ledger::list(&self.ledger, &partition, prefix).await.expect("readable")
    }

    async fn take(&self, step: &Step) {
        let chunks = self.all::<Chunk>(Chunk::PREFIX).await;
        let object = self.all::<ObjectExport>(ObjectExport::PREFIX).await.remove(0);
        let chosen = |which: usize| &chunks[which % chunks.len()];
        let changes = match step {
            Step::Read(which, records) => {
                let (chunk, before) = (chosen(*which), chosen(*which).record.reading);
                let reading = ReadSoFar {
                    records: before.records + records,
                    pages: before.pages + 1,
                    plain_bytes: before.plain_bytes + records * 10,
                };
                vec![Change::replace(chunk, &chunk.record.reading(1, reading).expect("leased"))]
            }
            Step::Commit(which) => commit(chosen(*which), &object),
            Step::Split(which) => split(chosen(*which), &object),
        };
        self.ledger.commit(&changes).await.expect("nobody else changes it");
    }
}

fn working(chunk: &Chunk) -> Chunk {
    chunk.activate(NOW).expect("waiting").lease("run", NOW, SignedDuration::from_mins(1)).expect("free")
}

fn commit(chunk: &Versioned<Chunk>, object: &Versioned<ObjectExport>) -> Vec<Change> {
    let read = chunk.record.reading;
    let last_id = RecordId(chunk.record.committed_to.0 + read.records);
    let step = Advance {
        lease: 1,
        from: chunk.record.cursor.clone(),
        to: Cursor::AfterId(last_id),
        trail: Trail::default(),
        last_id,
        rows: read.records,
        first_seen: None,
        end: None,
    };
    let ReadSoFar { records, pages, plain_bytes } = read;
    let added = Committed { records, pages, plain_bytes, ..Committed::default() };
    let next = object.record.commit(1, &added, NOW).expect("exporting");
    vec![Change::replace(chunk, &chunk.record.advance(&step).expect("leased")), Change::replace(object, &next)]
}

fn split(chunk: &Versioned<Chunk>, object: &Versioned<ObjectExport>) -> Vec<Change> {
    let (low, high) = (chunk.record.committed_to.0 + 10_000, chunk.record.upper.map_or(1 << 40, |upper| upper.0));
    let bound = RecordId(low.midpoint(high));
    let Ok((left, right)) =
        chunk.record.split(1, RecordId(low), &[bound], ExpectedRecords { above: 0, own: 0, each: 0 }, NOW)
    else {
        return Vec::new();
    };
    let counted = object.record.split(1, 1, NOW).expect("read by ranges");
    vec![Change::replace(chunk, &left), Change::create(&working(&right[0])), Change::replace(object, &counted)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<usize>(), 0_u64..50).prop_map(|(which, records)| Step::Read(which, records)),
        3 => any::<usize>().prop_map(Step::Commit),
        1 => any::<usize>().prop_map(Step::Split),
    ]
}

proptest! {
    /// D1: with any commits between the two lists, shown progress never goes back.
    #[test]
    fn progress_never_goes_back(steps in prop::collection::vec(prop::collection::vec(step(), 0..4), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (ledger, backup) = BusyLedger::new(steps).await;
            let (mut before, mut quiet) = ((0, Some(0.0), Some(0.0)), false);
            while !quiet {
                quiet = ledger.steps.lock().expect("not poisoned").is_empty();
                let progress = read(&ledger, &backup, NOW).await.expect("present");
                let object = &progress.objects[0];
                let shown = (object.records, object.share_done, progress.overall.share_done);
                assert!(
                    shown.0 >= before.0 && shown.1 >= before.1 && shown.2 >= before.2,
                    "{shown:?} after {before:?}"
                );
                before = shown;
                if quiet {
                    let chunks = ledger.all::<Chunk>(Chunk::PREFIX).await;
                    let reading: u64 = chunks.iter().map(|chunk| chunk.record.reading.plain_bytes).sum();
                    assert_eq!(object.bytes.saturating_sub(object.object.header_bytes), object.object.plain_bytes + reading);
                }
            }
        });
    }
}
