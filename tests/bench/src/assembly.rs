//! Assembling a large archive: how much of it passes through the worker. Nearly all of it should be copied inside
//! object storage.
//!
//! Two backups with the same segments are put into the deployed stack's storage and ledger, all exported. The first is
//! assembled here, through ports that count; the second by the deployed function, whose memory is measured.

mod counted;
mod exported;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws::{Aws, LedgerTables, QueueUrls, S3Storage, SystemClock};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::Credentials;
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use dev_stack::stack::{Running, Stack};
use domain::backup::{Backup, BackupState};
use domain::ports::ledger::{self, Ledger};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Builder;
use workflows::backup::assemble::Assemble;
use workflows::run::Run;

use self::counted::CountedObjects;
use crate::export;
use crate::figure::Figure;
use crate::function_use::FunctionUse;
use crate::sample::{number, percent};

/// At least so many bytes of segments.
const ARCHIVE_BYTES: u64 = 1 << 30;
/// How long the deployed function may take.
const PATIENCE: Duration = Duration::from_mins(5);
const FUNCTION: &str = "assemble-archive";

/// The stack's parts, as its functions see them.
struct Parts {
    ledger: Arc<dyn Ledger>,
    queue: Arc<dyn WorkQueue>,
    objects: S3Storage,
}

/// Takes the figures.
///
/// # Errors
/// When an archive is not made.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("assembly: an archive of one object, 1 GiB in segments of 16 MiB …");
    let mut running = export::bring_up(places, &["--records", "contacts=1", "--custom-objects", ""])?;
    let runtime = Builder::new_current_thread().enable_all().build().or_failure(|| "no runtime".to_owned())?;
    runtime.block_on(measure(&mut running))
}

async fn measure(running: &mut Running) -> Result<Vec<Figure>> {
    let stack = running.stack().clone();
    let parts = connect(&stack).await;
    eprintln!("assembly: writing segments …");
    let [first, second] = exported::two_backups(&parts, &stack.account_id, ARCHIVE_BYTES).await?;
    eprintln!("assembly: assembling, counting bytes …");
    let counted = Arc::new(CountedObjects::new(parts.objects.clone()));
    let began = Instant::now();
    assemble(&parts, &counted, &first).await?;
    let took = began.elapsed();
    let bytes = archive_bytes(&parts, &first).await?.ok_or_else(|| Failure::new("the archive was not made"))?;
    let moved = counted.moved();
    eprintln!("assembly: assembling by the deployed function …");
    let (function_took, peaks) = assemble_deployed(running, &parts, &second).await?;
    let how = format!(
        "{:.0} MiB of archive; Assemble over S3 ports that count, against the emulator's S3",
        number(bytes) / f64::from(1 << 20)
    );
    let share = percent(number(moved), number(bytes));
    let peak = peaks.of(FUNCTION).ok_or_else(|| Failure::new(format!("no process of {FUNCTION} was seen")))?;
    let deployed = "the same archive by the deployed release build";
    Ok(vec![
        Figure::new("assembly: share of bytes through the worker", share, "%", how.clone()).at_most(2.0),
        Figure::new("assembly: bytes through the worker", number(moved) / f64::from(1 << 20), "MiB", how.clone()),
        Figure::new("assembly: time", took.as_secs_f64(), "s", how),
        Figure::new(
            "assembly: time, deployed",
            function_took.as_secs_f64(),
            "s",
            format!("{deployed}, queue included"),
        ),
        Figure::new(format!("assembly: memory of {FUNCTION}"), peak, "MiB", format!("{deployed}, VmHWM"))
            .at_most(128.0),
    ])
}

async fn connect(stack: &Stack) -> Parts {
    // Emulators take any credentials.
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(&stack.emulator_url)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "bench"));
    let aws = Aws::load_with(loader).await;
    let queue = |name: &str| stack.queues.get(name).cloned();
    let urls = QueueUrls {
        discover: queue("discover"),
        export: queue("export"),
        assemble: queue("assemble"),
        notify: queue("notify"),
        ..QueueUrls::default()
    };
    Parts {
        ledger: Arc::new(
            aws.ledger(LedgerTables { ledger: stack.table.clone(), audit_log: stack.audit_table.clone() }),
        ),
        queue: Arc::new(aws.queues(urls)),
        objects: aws.storage(&stack.bucket),
    }
}

async fn assemble(parts: &Parts, objects: &Arc<CountedObjects>, backup: &BackupRef) -> Result<()> {
    let assemble = Assemble {
        ledger: parts.ledger.clone(),
        queue: parts.queue.clone(),
        clock: Arc::new(SystemClock),
        reader: objects.clone(),
        writer: objects.clone(),
        uploads: objects.clone(),
        sweeper: Arc::new(parts.objects.clone()),
    };
    let stopped_at = Timestamp::now() + SignedDuration::from_mins(10);
    let run = Run { owner: "bench".to_owned(), ends: stopped_at - SignedDuration::from_secs(10), stopped_at };
    assemble.run(backup, &run).await.or_failure(|| "the archive was not made".to_owned())
}

async fn assemble_deployed(
    running: &mut Running,
    parts: &Parts,
    backup: &BackupRef,
) -> Result<(Duration, FunctionUse)> {
    let mut peaks = FunctionUse::default();
    let began = Instant::now();
    let work = [Work::Assemble { backup: backup.clone() }];
    parts.queue.send(&work, Duration::ZERO).await.or_failure(|| "the queue took no message".to_owned())?;
    while archive_bytes(parts, backup).await?.is_none() {
        if began.elapsed() > PATIENCE {
            return Err(Failure::new(format!("{FUNCTION} took longer than {} s", PATIENCE.as_secs())));
        }
        running.check_running()?;
        peaks.look(running.stack())?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = began.elapsed();
    peaks.look(running.stack())?;
    Ok((took, peaks))
}

/// The size of a backup's archive; None before the archive exists.
async fn archive_bytes(parts: &Parts, backup: &BackupRef) -> Result<Option<u64>> {
    let loaded = ledger::load::<Backup>(&*parts.ledger, &Backup::key_of(backup)).await;
    let backup = loaded.or_failure(|| "the ledger".to_owned())?.ok_or_else(|| Failure::new("the backup has gone"))?;
    if backup.record.state == BackupState::Failed {
        return Err(Failure::new(format!("the backup failed: {:?}", backup.record.failure)));
    }
    Ok(backup.record.archive.map(|archive| archive.bytes))
}
