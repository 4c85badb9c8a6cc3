//! Reports that take several runs, and those that cannot be made.

use std::sync::Arc;

use domain::account::ApiVersion;
use domain::account::Requester;
use domain::ids::{ObjectType, RecordId, RestoreId};
use domain::lease::Leasing;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::{BlobReader, BlobSweeper, BlobWriter, MultipartUploads};
use domain::restore::difference::{Comparison, Difference};
use domain::restore::import::Import;
use domain::restore::outcome::{Fate, OutcomeCounts, ValueOutcome};
use domain::restore::plan::{PlanCounts, PlannedRecord, PropertyCounts, Skipped, WhySkipped};
use domain::restore::property::RestoredProperty;
use domain::restore::slice::{OutcomeFile, PlanSegment, Position, RestoreSlice, SliceState};
use domain::restore::{Decision, Plan, Restore, RestoreRequest, RestoreSource, RestoreState};
use domain::storage_keys;
use domain::work::RestoreRef;
use faults::{FailedMessages, Pace, Settings, World, samples};
use in_memory::MemoryLedger;
use in_memory::faults::{Fault, Faults, Sweep};
use jiff::SignedDuration;
use serde_json::json;

use crate::zombies::until_frozen;

/// How large a report is, and how it is made.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Objects that it is made of.
    pub(crate) sources: u32,
    /// Rows that come from each.
    pub(crate) rows: u32,
    /// Length of the value that stands in each row.
    pub(crate) length: usize,
    /// How long a run may begin something new.
    pub(crate) run: SignedDuration,
    pub(crate) faults: Arc<Faults>,
    pub(crate) failed: FailedMessages,
}

impl Setup {
    /// 18 MB, which is an upload of two parts; one run.
    fn large() -> Self {
        let run = SignedDuration::from_secs(290);
        let faults = Faults::none();
        Self { sources: 9, rows: 20, length: 100_000, run, faults, failed: FailedMessages::ComeBack }
    }

    /// The same; a run does no more than one source.
    fn in_short_runs() -> Self {
        Self { run: SignedDuration::ZERO, ..Self::large() }
    }

    /// A few lines that go into no part.
    fn small_in_short_runs() -> Self {
        Self { length: 10, ..Self::in_short_runs() }
    }
}

/// A restore whose last step but one is done: what is left is its report.
pub(crate) struct Reporting {
    pub(crate) world: World,
    pub(crate) restore: RestoreRef,
}

fn somebody() -> Requester {
    Requester { subject: "somebody".to_owned(), email: None }
}

pub(crate) fn refused(id: u64, length: usize) -> ValueOutcome {
    let fate = Fate::Failed { code: "READ_ONLY_VALUE".to_owned(), message: "It is read-only.".to_owned(), now: None };
    ValueOutcome { id: RecordId(id), property: 0, before: "x".repeat(length), target: "t".to_owned(), fate }
}

fn skipped(id: u64, length: usize) -> PlannedRecord {
    let difference = Difference { property: 0, before: "x".repeat(length), target: "t".to_owned() };
    let skipped = vec![Skipped { difference, why: WhySkipped::CannotBeSet }];
    PlannedRecord { skipped, unreadable: false, ..PlannedRecord::unreadable(RecordId(id)) }
}

pub(crate) fn lines<T: serde::Serialize>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut lines = Vec::new();
    for value in values {
        serde_json::to_writer(&mut lines, &value).expect("JSON");
        lines.push(b'\n');
    }
    lines
}

impl Reporting {
    /// A restore that is being concluded: every value of its plan was refused.
    pub(crate) async fn errors(setup: &Setup) -> Self {
        let reporting = Self::without_sources(setup, RestoreState::Concluding).await;
        for place in 0..setup.sources {
            let ids = (0..setup.rows).map(|nth| u64::from(place * setup.rows + nth));
            let key = storage_keys::outcome(&reporting.restore, 0, place, 1);
            reporting.put(&key, lines(ids.map(|id| refused(id, setup.length)))).await;
        }
        reporting
    }

    /// A restore whose plan is summed up: it leaves every value as it is.
    async fn skipped(setup: &Setup) -> Self {
        let reporting = Self::without_sources(setup, RestoreState::Summarising).await;
        for place in 0..setup.sources {
            let ids = (0..setup.rows).map(|nth| u64::from(place * setup.rows + nth));
            let key = storage_keys::plan_segment(&reporting.restore, 0, place, 1);
            reporting.put(&key, lines(ids.map(|id| skipped(id, setup.length)))).await;
        }
        reporting
    }

    pub(crate) async fn without_sources(setup: &Setup, state: RestoreState) -> Self {
        let settings = Settings {
            faults: setup.faults.clone(),
            failed: setup.failed,
            restore_run: setup.run,
            ..Settings::default()
        };
        let ledger = Arc::new(MemoryLedger::new());
        let world = World::new(ledger, samples::clock(Pace::Simulated), Vec::new(), settings).await;
        Self::in_world(world, setup, state).await
    }

    pub(crate) async fn in_world(world: World, setup: &Setup, state: RestoreState) -> Self {
        let now = world.clock.now();
        let restore = RestoreRef { account_id: world.account.clone(), restore_id: RestoreId::new(now, [7; 10]) };
        let reporting = Self { world, restore };
        let values = u64::from(setup.sources) * u64::from(setup.rows);
        let counts = |counts| PlanCounts { properties: vec![counts], ..PlanCounts::default() };
        let concludes = state == RestoreState::Concluding;
        let counts = if concludes {
            counts(PropertyCounts { set: values, ..PropertyCounts::default() })
        } else {
            counts(PropertyCounts { cannot_be_set: values, ..PropertyCounts::default() })
        };
        let plan = Plan {
            counts: counts.clone(),
            slices_to_apply: 1,
            calls: 1,
            samples_key: String::new(),
            skipped_key: None,
            made_at: now,
        };
        let request = RestoreRequest {
            restore: reporting.restore.clone(),
            portal_id: 7,
            api_version: ApiVersion::V2026_09,
            source: RestoreSource::Backup { backup_id: domain::ids::BackupId::new(now, [2; 10]) },
            object_type: ObjectType::parse("contacts").expect("valid"),
            label: "Contact".to_owned(),
            properties: vec!["city".to_owned()],
            by: somebody(),
        };
        let decision = Decision { by: somebody(), at: now };
        let record = Restore {
            state,
            leasing: Leasing { last_number: 1, ..Leasing::default() },
            slices: 1,
            defined_by: Some(1),
            plan: concludes.then_some(plan),
            confirmation: concludes.then_some(decision),
            ..Restore::accepted(request, now)
        };
        let slice = RestoreSlice {
            state: if concludes { SliceState::Done } else { SliceState::Planned },
            leasing: Leasing { last_number: 1, ..Leasing::default() },
            segments: if concludes {
                Vec::new()
            } else {
                vec![PlanSegment { attempt: 1, changed: 0, skips: true }; setup.sources as usize]
            },
            plan: counts,
            written_to: Position::default(),
            outcomes: if concludes {
                vec![OutcomeFile { attempt: 1, failures: true }; setup.sources as usize]
            } else {
                Vec::new()
            },
            outcome: OutcomeCounts { values_failed: if concludes { values } else { 0 }, ..OutcomeCounts::default() },
            ..RestoreSlice::waiting(&reporting.restore, 0, 0, values, now)
        };
        let changes = [Change::create(&record), Change::create(&slice)];
        reporting.world.ledger.commit(&changes).await.expect("a new restore");
        let city = RestoredProperty {
            name: "city".to_owned(),
            label: "City".to_owned(),
            kind: "string".to_owned(),
            obstacle: None,
            values_unknown: false,
            comparison: Comparison::Exact,
            options: Vec::new(),
            forward_only: false,
            side_effect: None,
        };
        let values =
            json!({"from": "archive", "storageKey": "k", "etag": "e", "columns": 2, "columnOf": [1], "parts": []});
        let definition = json!({"properties": [city], "values": values}).to_string();
        reporting.put(&storage_keys::restore_definition(&reporting.restore, 1), definition.into_bytes()).await;
        reporting
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.world.blobs.write_new(key, bytes.into(), "application/json").await.expect("a new object");
    }

    /// Lets the report be made. Returns its bytes.
    async fn made(&self) -> Vec<u8> {
        self.to_the_end().await;
        let key = self.key().await.expect("there is a report");
        self.world.blobs.read(&key, None).await.expect("in storage").to_vec()
    }

    pub(crate) async fn to_the_end(&self) {
        let work = self.world.restore(&self.restore).await.work().expect("at a step");
        self.world.queue.send(&[work], std::time::Duration::ZERO).await.expect("memory takes it");
        self.world.restore_to_rest(&self.restore).await;
    }

    async fn key(&self) -> Option<String> {
        match self.world.import(&self.restore).await {
            Some(import) => import.errors_key,
            None => self.world.restore(&self.restore).await.plan.and_then(|plan| plan.skipped_key),
        }
    }

    async fn import(&self) -> Import {
        self.world.import(&self.restore).await.expect("it has written")
    }

    /// Goes on until at least `sources` sources are in the report.
    async fn until_done(&self, sources: u64) {
        let work = self.world.restore(&self.restore).await.work().expect("at a step");
        self.world.queue.send(&[work], std::time::Duration::ZERO).await.expect("memory takes it");
        while self.world.restore(&self.restore).await.report.is_none_or(|report| report.done < sources) {
            self.world.deliver_one().await;
        }
    }

    fn assert_nothing_is_left(&self, what: &str) {
        assert_eq!((self.world.blobs.open_uploads(), self.world.queue.queued().len()), (0, 0), "{what}");
    }
}

/// R6: a report that was not made before one run's end was silently given up.
#[tokio::test(start_paused = true)]
async fn a_report_takes_as_many_runs_as_it_needs_and_has_the_same_bytes() {
    let one_run = Reporting::errors(&Setup::large()).await;
    let expected = one_run.made().await;
    assert!(expected.len() > 18_000_000);
    assert_eq!(expected.split_inclusive(|byte| *byte == b'\n').count(), 1 + 180);

    let many = Reporting::errors(&Setup::in_short_runs()).await;
    let before = many.world.deliveries();
    assert!(many.made().await == expected, "the same bytes");
    assert!(many.world.deliveries() - before > 9, "a run for each source");
    many.assert_nothing_is_left("after many runs");
    let import = many.import().await;
    assert_eq!(
        (import.state, import.outcome.values_failed, import.errors_missing),
        (RestoreState::Completed, 180, None)
    );
    assert_eq!(many.world.restore(&many.restore).await.report, None);
}

#[tokio::test(start_paused = true)]
async fn what_a_plan_leaves_as_it_is_is_listed_over_several_runs_too() {
    for (calm, short) in [
        (Setup::large(), Setup::in_short_runs()),
        (Setup { length: 10, ..Setup::large() }, Setup::small_in_short_runs()),
    ] {
        let expected = Reporting::skipped(&calm).await.made().await;
        let many = Reporting::skipped(&short).await;
        assert!(many.made().await == expected, "the same bytes");
        assert_eq!(many.world.restore(&many.restore).await.state, RestoreState::Planned);
        many.assert_nothing_is_left("after many runs");
    }
}

/// Goes through the calls of a report, `stride` at a time; `expected` faults of each kind strike. Its bytes stay the
/// same.
async fn same_bytes_whatever_strikes(setup: Setup, stride: u64, expected: u64) {
    let calm = Reporting::errors(&Setup { run: Setup::large().run, ..setup.clone() }).await.made().await;
    for (place, fault) in (0..).zip([Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies]) {
        let mut failed = [FailedMessages::ComeBack, FailedMessages::AreLost].into_iter().cycle();
        let sweep = Sweep::expecting(expected).every(stride).after(place);
        sweep
            .of(fault, async |faults| {
                let failed = failed.next().expect("endless");
                let reporting = Reporting::errors(&Setup { faults: faults.clone(), failed, ..setup.clone() }).await;
                let (made, what) = (reporting.made().await, format!("{:?}", faults.struck()));
                assert!(made == calm, "{} bytes of {} after {what}", made.len(), calm.len());
                reporting.assert_nothing_is_left(&what);
                let import = reporting.import().await;
                assert_eq!((import.state, import.values_not_tried), (RestoreState::Completed, 0), "{what}");
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_costs_no_row_of_a_report_and_doubles_none() {
    same_bytes_whatever_strikes(Setup { sources: 4, ..Setup::small_in_short_runs() }, 1, 65).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_many_calls_of_an_upload_costs_no_row_and_leaves_no_upload_behind() {
    same_bytes_whatever_strikes(Setup { sources: 4, rows: 15, length: 200_000, ..Setup::in_short_runs() }, 5, 14).await;
}

/// A run is frozen until others have finished the report, and then goes on.
#[tokio::test(start_paused = true)]
async fn a_late_run_changes_nothing_in_a_report() {
    let setup = Setup { sources: 4, rows: 15, length: 200_000, ..Setup::in_short_runs() };
    let expected = Reporting::errors(&Setup { run: Setup::large().run, ..setup.clone() }).await.made().await;
    let sweep = Sweep::expecting(9).every(8);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let reporting = Reporting::errors(&Setup { faults: faults.clone(), ..setup.clone() }).await;
            let world = &reporting.world;
            let work = world.restore(&reporting.restore).await.work().expect("at a step");
            world.queue.send(&[work], std::time::Duration::ZERO).await.expect("memory takes it");
            let Some(late) = until_frozen(world).await else { return };
            world.restore_to_rest(&reporting.restore).await;
            let import = reporting.import().await;
            faults.release();
            late.await;
            world.restore_to_rest(&reporting.restore).await;
            assert_eq!(reporting.import().await, import, "{:?}", faults.struck());
            let key = import.errors_key.expect("there is a report");
            assert!(world.blobs.read(&key, None).await.expect("in storage") == expected, "{:?}", faults.struck());
            reporting.assert_nothing_is_left(&format!("{:?}", faults.struck()));
        })
        .await;
}

/// The sources of a report are gone: the import gives the reason, and counts what it knows.
#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_made_is_missed_in_plain_words() {
    let gone = |reporting: &Reporting| storage_keys::outcome(&reporting.restore, 0, 7, 1);
    let unreadable = Reporting::errors(&Setup::in_short_runs()).await;
    unreadable.world.blobs.tamper(&gone(&unreadable), "{\"id\":");
    let absent = Reporting::errors(&Setup::in_short_runs()).await;
    absent.world.blobs.sweep(&gone(&absent)).await.expect("memory answers");
    for reporting in [unreadable, absent] {
        reporting.to_the_end().await;
        let import = reporting.import().await;
        assert_eq!((import.state, import.errors_key.as_ref()), (RestoreState::Completed, None));
        assert!(import.not_restored().is_any() && import.outcome.values_failed == 180);
        let why = import.errors_missing.expect("it says why");
        assert!(why.contains("has expired, or cannot be read"), "{why}");
        reporting.assert_nothing_is_left("no part is left");
    }
}

/// The lifecycle rules end uploads, and remove plans, after some days.
#[tokio::test(start_paused = true)]
async fn a_report_whose_beginning_is_gone_begins_again() {
    let expected = Reporting::errors(&Setup::large()).await.made().await;
    for what in ["upload", "rest", "other sources"] {
        let reporting = Reporting::errors(&Setup::in_short_runs()).await;
        reporting.until_done(6).await;
        let (world, objects) = (&reporting.world, &reporting.world.blobs);
        assert_eq!(objects.open_uploads(), 1, "a part is there");
        match what {
            "upload" => drop(objects.abort_all("restores/").await),
            "rest" => drop(objects.sweep("plans/").await),
            _ => {
                // As if a version before had put them into another order, in which these rows come first.
                let key = Restore::key_of(&reporting.restore);
                let loaded = ledger::load::<Restore>(&*world.ledger, &key)
                    .await
                    .expect("the ledger answers")
                    .expect("the restore");
                let mut other = loaded.record.clone();
                let report = other.report.as_mut().expect("half made");
                (report.sources, report.done) = ("0-9-abc".to_owned(), 3);
                world.ledger.commit(&[Change::replace(&loaded, &other)]).await.expect("nobody else writes");
            }
        }
        assert!(reporting.made().await == expected, "{what}");
        reporting.assert_nothing_is_left(what);
    }
}

/// A run has completed the report and died before its commit.
#[tokio::test(start_paused = true)]
async fn a_report_that_a_dead_run_has_finished_is_not_made_again() {
    let expected = Reporting::errors(&Setup::large()).await.made().await;
    let reporting = Reporting::errors(&Setup::in_short_runs()).await;
    reporting.until_done(9).await;
    let report = reporting.world.restore(&reporting.restore).await.report.expect("half made");
    let (objects, upload) = (&reporting.world.blobs, report.upload_id.expect("a part"));
    let mut parts = objects.parts(&report.key, &upload).await.expect("memory answers").expect("an upload");
    let rest = objects.read(&report.rest_key.expect("less than a part"), None).await.expect("in storage");
    parts.push(objects.write_part(&report.key, &upload, report.parts + 1, rest).await.expect("memory takes it"));
    objects.complete_new(&report.key, &upload, &parts).await.expect("memory takes it");
    assert!(reporting.made().await == expected);
    assert_eq!(objects.keys(&storage_keys::restore_errors_prefix(&reporting.restore)), [report.key]);
}
