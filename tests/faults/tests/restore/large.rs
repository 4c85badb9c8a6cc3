//! A million records: reports are complete, and making them takes no more memory than for few.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use domain::ports::storage::{
    BlobInfo, BlobReader, BlobSweeper, BlobWriter, CopySource, ETag, MultipartUploads, StorageError, UploadId,
    UploadedPart,
};
use domain::restore::outcome::{Fate, ValueOutcome};
use domain::restore::{RestoreState, slice::SliceState};
use faults::{FailedMessages, Pace, Settings, World, samples};
use in_memory::faults::Faults;
use in_memory::{MemoryLedger, MemoryStorage};
use jiff::SignedDuration;

use crate::reports::{Reporting, Setup as Report, lines, refused};
use crate::scenario::{OBJECT, Scenario, Setup};

/// One record in this number is refused.
const REFUSED_EVERY: usize = 20;

/// How many records are restored: `usually`, unless `RESTORE_RECORDS` is set.
fn records(usually: u64) -> u64 {
    std::env::var("RESTORE_RECORDS").ok().and_then(|records| records.parse().ok()).unwrap_or(usually)
}

/// Every city is one that the CRM takes, or one that it does not.
fn cities(world: &World) {
    for (place, id) in world.crm.change(OBJECT, |object| object.ids()).into_iter().enumerate() {
        let city = if place % REFUSED_EVERY == 0 { "Atlantis" } else { "Berlin" };
        world.crm.edit(OBJECT, id, "city", city);
    }
}

fn all_nowhere(world: &World) {
    for id in world.crm.change(OBJECT, |object| object.ids()) {
        world.crm.edit(OBJECT, id, "city", "Nowhere");
    }
}

/// R6: the whole way, with runs that end after one source as soon as the report is made.
#[tokio::test(start_paused = true)]
async fn every_refused_value_of_many_records_is_listed_over_many_runs() {
    let records = records(50_000);
    let setup = Setup { records, workers: 2, prepare: cities, damage: all_nowhere, ..Setup::default() };
    let mut scenario = Scenario::in_memory(setup).await;
    scenario.world.crm.change(OBJECT, |object| object.refuse("city", Some("Atlantis"), "INVALID_OPTION"));
    let restore = scenario.planned().await;
    scenario.world.confirm(&restore).await.expect("planned");
    while scenario.world.slices(&restore).await.iter().any(|slice| slice.state != SliceState::Done) {
        scenario.world.deliver_one().await;
    }
    scenario.world.settings.restore_run = SignedDuration::ZERO;
    let before = scenario.world.deliveries();
    scenario.rest_until(&restore, RestoreState::Completed).await;
    let runs = scenario.world.deliveries() - before;
    assert!(runs >= 5, "{runs} runs");
    let refused = records.div_ceil(REFUSED_EVERY as u64);
    let outcome = scenario.world.import(&restore).await.expect("it wrote").outcome;
    assert_eq!((outcome.values_failed, outcome.values_restored), (refused, records - refused));
    assert_eq!(scenario.world.errors(&restore).await.len() as u64, refused);
    scenario.assert_tidy(&restore, 1).await;
}

/// Values of one outcome object.
const LINES: u64 = 4_000;
/// Those of them that were refused.
const ROWS: u64 = LINES / REFUSED_EVERY as u64;
/// The length of a value that was refused.
const LENGTH: usize = 8_000;

/// Storage that makes outcomes up when they are read, and keeps of a report only which rows its parts have. So the
/// memory of the process is that of the run that makes the report.
#[derive(Debug)]
struct MadeUp {
    others: Arc<MemoryStorage>,
    parts: Mutex<BTreeMap<u16, Part>>,
    /// The latest rows that filled no part. No reader needs the ones before.
    rest: Mutex<Option<(String, Bytes)>>,
    completed: Mutex<Option<(u64, u64)>>,
}

#[derive(Debug, Clone)]
struct Part {
    ids: Vec<u32>,
    size: u64,
}

/// The records of a report's rows, in order.
fn ids(csv: &[u8]) -> Vec<u32> {
    let lines = csv.split(|byte| *byte == b'\n');
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.split(',').next()?.parse().ok()).collect()
}

impl MadeUp {
    fn over(others: Arc<MemoryStorage>) -> Self {
        Self { others, parts: Mutex::default(), rest: Mutex::default(), completed: Mutex::default() }
    }

    fn outcomes(file: u64) -> Bytes {
        let written = |id| ValueOutcome { fate: Fate::Written { after: None }, ..refused(id, 5) };
        let outcomes = (file * LINES..(file + 1) * LINES)
            .map(|id| if id.is_multiple_of(REFUSED_EVERY as u64) { refused(id, LENGTH) } else { written(id) });
        lines(outcomes).into()
    }

    /// Rows and bytes of the report, once it is there.
    fn report(&self) -> Option<(u64, u64)> {
        *self.completed.lock().expect("not poisoned")
    }
}

#[async_trait]
impl BlobReader for MadeUp {
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError> {
        self.others.head(key).await
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        if let Some((_, file)) = key.split_once("/outcomes/00000/") {
            return Ok(Self::outcomes(file[..6].parse().expect("a number")));
        }
        let rest = self.rest.lock().expect("not poisoned").clone().filter(|(at, _)| at == key);
        match rest {
            Some((_, bytes)) => Ok(bytes),
            None => self.others.read(key, range).await,
        }
    }

    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError> {
        self.others.read_source(source).await
    }
}

#[async_trait]
impl BlobWriter for MadeUp {
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError> {
        if !key.contains("/report.") {
            return self.others.write_new(key, bytes, content_type).await;
        }
        *self.rest.lock().expect("not poisoned") = Some((key.to_owned(), bytes));
        Ok(ETag("\"rest\"".to_owned()))
    }
}

#[async_trait]
impl MultipartUploads for MadeUp {
    async fn begin(&self, _: &str, _: &str) -> Result<UploadId, StorageError> {
        Ok(UploadId("upload".to_owned()))
    }

    async fn write_part(&self, _: &str, _: &UploadId, number: u16, bytes: Bytes) -> Result<UploadedPart, StorageError> {
        let part = Part { ids: ids(&bytes), size: bytes.len() as u64 };
        self.parts.lock().expect("not poisoned").insert(number, part);
        Ok(UploadedPart { number, etag: ETag("\"part\"".to_owned()), size: bytes.len() as u64 })
    }

    async fn copy_part(&self, key: &str, _: &UploadId, _: u16, _: &CopySource) -> Result<UploadedPart, StorageError> {
        Err(StorageError::Refused(format!("nobody copies into {key}")))
    }

    async fn parts(&self, _: &str, _: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError> {
        let parts = self.parts.lock().expect("not poisoned");
        let etag = || ETag("\"part\"".to_owned());
        Ok(Some(parts.iter().map(|(&number, part)| UploadedPart { number, etag: etag(), size: part.size }).collect()))
    }

    async fn complete_new(&self, _: &str, _: &UploadId, named: &[UploadedPart]) -> Result<ETag, StorageError> {
        let parts = std::mem::take(&mut *self.parts.lock().expect("not poisoned"));
        assert_eq!(parts.len(), named.len(), "all parts are named");
        let rows = parts.values().flat_map(|part| &part.ids);
        let expected = (0_u32..).step_by(REFUSED_EVERY);
        let rows = rows.zip(expected).inspect(|(found, expected)| assert_eq!(*found, expected)).count() as u64;
        let bytes = parts.values().map(|part| part.size).sum();
        *self.completed.lock().expect("not poisoned") = Some((rows, bytes));
        Ok(ETag("\"report\"".to_owned()))
    }

    async fn abort(&self, _: &str, _: &UploadId) -> Result<(), StorageError> {
        Ok(())
    }

    async fn abort_all(&self, _: &str) -> Result<u64, StorageError> {
        Ok(0)
    }
}

#[async_trait]
impl BlobSweeper for MadeUp {
    async fn sweep(&self, prefix: &str) -> Result<u64, StorageError> {
        self.others.sweep(prefix).await
    }
}

/// The most memory that this process has had, in KiB; None where the system does not tell.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Makes a report in runs of `run`. Returns its bytes and the number of runs.
async fn reported(records: u64, run: SignedDuration) -> (u64, u64) {
    let sources = u32::try_from(records / LINES).expect("not so many");
    let rows = u32::try_from(ROWS).expect("few");
    let setup = Report { sources, rows, length: LENGTH, run, faults: Faults::none(), failed: FailedMessages::ComeBack };
    let settings = Settings { restore_run: run, ..Settings::default() };
    let ledger = Arc::new(MemoryLedger::new());
    let world = World::new(ledger, samples::clock(Pace::Simulated), Vec::new(), settings).await;
    let storage = Arc::new(MadeUp::over(world.blobs.clone()));
    let world = world.with_storage(storage.clone());
    let reporting = Reporting::in_world(world, &setup, RestoreState::Concluding).await;
    let before = reporting.world.deliveries();
    reporting.to_the_end().await;
    let (found, bytes) = storage.report().expect("there is a report");
    assert_eq!(found, u64::from(sources) * ROWS, "a row for each refused value");
    (bytes, reporting.world.deliveries() - before)
}

/// R6: the report of many records of which 5% were refused, in many runs and in one, takes no more memory than that of
/// few. Memory is that of a process of its own. [benchmarks.md](../../../../docs/benchmarks.md) says what a million
/// takes.
#[test]
fn a_report_of_many_records_takes_no_more_memory_than_that_of_few() {
    let program = std::env::current_exe().expect("this program");
    let alone = ["--exact", "large::memory_of_reports", "--ignored", "--nocapture"];
    let status = std::process::Command::new(program).args(alone).status().expect("it can be started");
    assert!(status.success(), "{status}");
}

#[tokio::test(start_paused = true)]
#[ignore = "measures the memory of the whole process, so it is started in one of its own"]
async fn memory_of_reports() {
    const FEW: u64 = 80_000;
    let records = records(200_000);
    for run in [SignedDuration::ZERO, SignedDuration::from_secs(290)] {
        reported(FEW, run).await;
        let few = peak();
        let (bytes, runs) = reported(records, run).await;
        let many = peak();
        assert!(runs >= records / LINES || !run.is_zero(), "{runs} runs");
        let (Some(few), Some(many)) = (few, many) else { return };
        println!("{records} records, {bytes} bytes in {runs} runs: {many} KiB at most, {few} KiB for {FEW} records");
        assert!(many - few < few / 4, "{few} KiB for few, {many} for many");
    }
}
