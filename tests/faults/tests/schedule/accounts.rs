//! Accounts whose schedules are on, and what must be true of each once its backup has started.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use domain::account::Requester;
use domain::account::{Account, ApiVersion, CrmConnection, NotificationTargets};
use domain::allowance::Allowance;
use domain::audit::AuditEntry;
use domain::backup::{Backup, BackupState};
use domain::budget::{CallLimits, CallShare};
use domain::ids::{AccountId, BackupId};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, MAX_CHANGES};
use domain::ports::queue::WorkQueue;
use domain::schedule::{Cadence, LatestRun, Schedule};
use domain::tier::TierName;
use domain::work::Work;
use futures_util::stream::{self, StreamExt};
use in_memory::{ManualClock, MemoryQueue};
use jiff::{SignedDuration, Timestamp};
use workflows::schedule::StartScheduled;

/// Requests to the ledger that are under way at the same time.
const AT_ONCE: usize = 16;

/// Each account is three records.
const ACCOUNTS_PER_COMMIT: usize = MAX_CHANGES / 3;

const WEEK: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Accounts by numbers that no other accounts have.
pub(crate) fn accounts(numbers: Range<u64>) -> Vec<AccountId> {
    numbers.map(|number| AccountId::parse(&number.to_string()).expect("digits")).collect()
}

/// When a schedule is due for the first time that was switched on at `at`, in a week without a change of clocks.
pub(crate) fn due_after(at: Timestamp) -> Timestamp {
    at + WEEK
}

/// Puts connected accounts into the ledger whose weekly schedules were switched on at `at`, a full minute.
pub(crate) async fn switch_on(ledger: &dyn Ledger, accounts: &[AccountId], at: Timestamp) {
    let commits = accounts.chunks(ACCOUNTS_PER_COMMIT).map(|some| async move {
        let changes: Vec<_> = some.iter().flat_map(|account| records(account, at)).collect();
        ledger.commit(&changes).await.expect("new accounts");
    });
    stream::iter(commits).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

fn records(account_id: &AccountId, at: Timestamp) -> [Change; 3] {
    let connection = CrmConnection {
        base_url: "https://crm.test".to_owned(),
        api_version: ApiVersion::default(),
        portal_id: 7_000_001,
        time_zone: "Europe/Berlin".to_owned(),
        call_limits: CallLimits::in_ten_seconds(100, 250_000),
        connected_at: at,
        fault: None,
    };
    let by = Requester { subject: "somebody".to_owned(), email: None };
    let schedule = Schedule::off(account_id.clone()).switched_on(Cadence::Week, &by, &connection.time_zone, at);
    let account = Account {
        account_id: account_id.clone(),
        created_at: at,
        crm_connection: Some(connection),
        call_share: CallShare::default(),
        tier: TierName::parse("enterprise").expect("a plan"),
        notification_targets: NotificationTargets::default(),
        fresh_second_factor: false,
    };
    [Change::create(&account), Change::create(&schedule), Change::create(&Allowance::free(account_id.clone()))]
}

pub(crate) fn starter(ledger: Arc<dyn Ledger>, queue: Arc<dyn WorkQueue>, clock: &Arc<ManualClock>) -> StartScheduled {
    StartScheduled {
        ledger,
        queue,
        clock: clock.clone(),
        random: || std::array::from_fn(|_| fastrand::u8(..)),
        audit_kept_for: SignedDuration::from_hours(24 * 400),
    }
}

/// When a round that begins now has to end.
pub(crate) fn ends(clock: &ManualClock) -> Timestamp {
    clock.now() + SignedDuration::from_mins(15)
}

/// Every account, and no other, has one message that begins a backup. The queue is empty afterwards.
pub(crate) fn assert_one_message_each(queue: &MemoryQueue, accounts: &[AccountId]) -> BTreeMap<AccountId, BackupId> {
    let mut begun = BTreeMap::new();
    while let Some(work) = queue.receive() {
        let Work::Discover { backup } = work else { panic!("{work:?}") };
        let before = begun.insert(backup.account_id.clone(), backup.backup_id);
        assert_eq!(before, None, "account {} has two messages", backup.account_id);
    }
    assert!(begun.len() == accounts.len() && accounts.iter().all(|account| begun.contains_key(account)));
    begun
}

/// Every account has one backup, which its schedule, its allowance and its audit log know of. Returns which.
pub(crate) async fn assert_one_backup_each(
    ledger: &dyn Ledger,
    accounts: &[AccountId],
    due: Timestamp,
) -> BTreeMap<AccountId, BackupId> {
    let backups =
        accounts.iter().map(|account| async move { (account.clone(), the_backup(ledger, account, due).await) });
    stream::iter(backups).buffer_unordered(AT_ONCE).collect().await
}

async fn the_backup(ledger: &dyn Ledger, account: &AccountId, due: Timestamp) -> BackupId {
    let partition = format!("ACCOUNT#{account}");
    let backups = ledger::list::<Backup>(ledger, &partition, Backup::PREFIX).await.expect("the ledger answers");
    let [backup] = &backups[..] else { panic!("account {account} has {} backups", backups.len()) };
    assert_eq!(backup.record.state, BackupState::Queued);
    let id = &backup.record.backup_id;

    let schedule = ledger::load::<Schedule>(ledger, &Schedule::key_of(account)).await.expect("the ledger answers");
    let schedule = schedule.expect("a schedule").record;
    assert!(matches!(&schedule.latest, Some(LatestRun::Started { backup_id, .. }) if backup_id == id), "{schedule:?}");
    assert_eq!(schedule.on.expect("still on").next_run_at, due_after(due));

    let allowance = ledger::load::<Allowance>(ledger, &Allowance::key_of(account)).await.expect("the ledger answers");
    assert_eq!(allowance.expect("an allowance").record.running.as_ref(), Some(id));

    let log =
        ledger::list::<AuditEntry>(ledger, &AuditEntry::partition(account), "").await.expect("the ledger answers");
    let log: Vec<_> = log.iter().map(|entry| (entry.record.action.as_str(), entry.record.target.as_deref())).collect();
    assert_eq!(log, [("start-scheduled-backup", Some(id.as_str()))]);
    id.clone()
}
