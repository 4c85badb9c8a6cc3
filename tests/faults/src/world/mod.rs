//! The use cases of a running backup, and everything that happens between them.

mod accounting;
mod delivery;
mod due;
mod restores;
mod telling;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::allowance::Allowance;
use domain::backup::Backup;
use domain::ids::AccountId;
use domain::object::ObjectExport;
use domain::ports::clock::Clock;
use domain::ports::crm::CrmConnector;
use domain::ports::ledger::{self, Ledger};
use domain::tier::TierName;
use domain::work::{BackupRef, Work};
use in_memory::faults::{Faults, Worker};
use in_memory::{MemoryQueue, MemoryStorage, MemoryTokens, lock};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use workflows::backup::cancel::{self, CancelError};
use workflows::backup::create::{BackupRequest, CreateBackup};
use workflows::backup::dispatch;
use workflows::change_account::{AccountChange, ChangeAccount, ChangeError, Changed, ConnectionChange};
use workflows::contention;
use workflows::run::Patience;

use self::telling::{Outlets, new_webhook_secret};
use crate::{Exported, Latent, Pace, SimulatedClock, SimulatedCrm, SimulatedObject, Storage};

/// More deliveries and waits than any backup of a test takes; a test with more does not end.
const MOST_STEPS: u32 = 30_000;

/// Where the account's CRM is.
pub const CRM: &str = "https://crm.test";

/// Another address of the same CRM.
pub const OTHER_CRM: &str = "https://other.crm.test";

/// The token that accounts are first connected with.
pub const TOKEN: &str = "token";

/// What makes an id unique.
fn random() -> [u8; 10] {
    std::array::from_fn(|_| fastrand::u8(..))
}

/// How messages are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    One,
    /// Twice, the second time after the first has been handled, and after everything that was queued before.
    TwoInARow,
    /// Twice at the same moment.
    TwoAtOnce,
}

/// What becomes of a message whose handling failed, or whose worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedMessages {
    /// It is delivered again when its visibility time-out is over.
    ComeBack,
    AreLost,
    /// It is set aside for an operator.
    AreSetAside,
}

/// What a world is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Workers at the same time, and the cap of an account.
    pub workers: usize,
    /// How messages are delivered.
    pub copies: Copies,
    /// What becomes of failed ones.
    pub failed: FailedMessages,
    /// How long a run of export-chunk may begin something new.
    pub export_run: SignedDuration,
    /// The same for assemble-archive.
    pub assemble_run: SignedDuration,
    /// The same for restore-chunk.
    pub restore_run: SignedDuration,
    /// How long the CRM is waited for.
    pub patience: Patience,
    /// What goes wrong at which call of a port.
    pub faults: Arc<Faults>,
    /// What the delays of the simulated ports follow from.
    pub seed: u64,
}

impl Default for Settings {
    /// One worker at a time, every message once, nothing wrong.
    fn default() -> Self {
        Self {
            workers: 1,
            copies: Copies::One,
            failed: FailedMessages::ComeBack,
            export_run: SignedDuration::from_secs(290),
            assemble_run: SignedDuration::from_secs(890),
            restore_run: SignedDuration::from_secs(290),
            patience: Patience { first_pause: Duration::from_secs(30), outage: SignedDuration::from_hours(24) },
            faults: Faults::none(),
            seed: 1,
        }
    }
}

/// A deployment with one account.
pub struct World {
    pub ledger: Arc<dyn Ledger>,
    /// Segments and archives, if they are in memory.
    pub blobs: Arc<MemoryStorage>,
    pub queue: Arc<MemoryQueue>,
    pub clock: Arc<SimulatedClock>,
    pub crm: SimulatedCrm,
    pub account: AccountId,
    /// What this world is like.
    pub settings: Settings,
    connector: Arc<dyn CrmConnector>,
    base_urls: Arc<[String]>,
    tokens: Arc<MemoryTokens>,
    outlets: Outlets,
    stored: Arc<dyn Storage>,
    storage: Arc<Latent<dyn Storage>>,
    runs: AtomicU64,
    delivered: Mutex<Vec<Work>>,
    recovered_at: Mutex<Timestamp>,
}

impl World {
    /// A deployment whose only account, a new one of the ledger, is connected to a CRM that holds `objects`.
    ///
    /// # Panics
    /// When the account cannot be connected.
    pub async fn new(
        ledger: Arc<dyn Ledger>,
        clock: SimulatedClock,
        objects: Vec<SimulatedObject>,
        settings: Settings,
    ) -> Self {
        let clock = Arc::new(clock);
        let crm = SimulatedCrm::new(clock.clone(), objects);
        Self::with_crm(ledger, clock, crm, settings).await
    }

    /// As [`World::new`], with a CRM that was made before.
    ///
    /// # Panics
    /// When the account cannot be connected.
    pub async fn with_crm(
        ledger: Arc<dyn Ledger>,
        clock: Arc<SimulatedClock>,
        crm: SimulatedCrm,
        settings: Settings,
    ) -> Self {
        let connector: Arc<dyn CrmConnector> = Arc::new(crm.clone());
        Self::with_connector(ledger, clock, (crm, connector), (CRM, TOKEN), settings).await
    }

    /// A world whose account is reached by another client: at `address`, with that token. Beside it is a simulated CRM
    /// without any object, which nobody calls.
    ///
    /// # Panics
    /// When the account cannot be connected.
    pub async fn with_client(
        ledger: Arc<dyn Ledger>,
        clock: Arc<SimulatedClock>,
        connector: Arc<dyn CrmConnector>,
        address: (&str, &str),
        settings: Settings,
    ) -> Self {
        let crm = SimulatedCrm::new(clock.clone(), Vec::new());
        Self::with_connector(ledger, clock, (crm, connector), address, settings).await
    }

    async fn with_connector(
        ledger: Arc<dyn Ledger>,
        clock: Arc<SimulatedClock>,
        (crm, connector): (SimulatedCrm, Arc<dyn CrmConnector>),
        (base_url, token): (&str, &str),
        settings: Settings,
    ) -> Self {
        if clock.pace() == Pace::Simulated {
            contention::repeat_pauses(settings.seed);
        }
        let now = clock.now();
        let time: Arc<dyn Clock> = clock.clone();
        let queue = match settings.copies {
            Copies::TwoInARow => MemoryQueue::delivering_twice(time),
            Copies::One | Copies::TwoAtOnce => MemoryQueue::new(time),
        };
        let blobs = Arc::new(MemoryStorage::new());
        let (pace, seed) = (clock.pace(), settings.seed);
        let account = AccountId::parse(&fastrand::u64(1..).to_string()).expect("digits");
        crm.watch(ledger.clone(), account.clone());
        let world = Self {
            ledger: Arc::new(Latent::new(ledger, pace, seed)),
            storage: Arc::new(Latent::new(blobs.clone() as Arc<dyn Storage>, pace, seed + 1)),
            stored: blobs.clone(),
            blobs,
            queue: Arc::new(queue),
            clock,
            crm,
            account,
            settings,
            connector,
            base_urls: [CRM, OTHER_CRM, base_url].map(str::to_owned).into(),
            tokens: Arc::new(MemoryTokens::new()),
            outlets: Outlets::default(),
            runs: 0.into(),
            delivered: Mutex::default(),
            recovered_at: now.into(),
        };
        let connected = world.connect(&Faults::none().worker(), base_url, Some(token)).await;
        connected.expect("the account is connected");
        world
    }

    /// The same with `storage` for segments and archives.
    #[must_use]
    pub fn with_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Arc::new(Latent::new(storage.clone(), self.clock.pace(), self.settings.seed + 1));
        self.stored = storage;
        self
    }

    /// Connects the account to its CRM at `base_url`, with the token that is stored if none is given, and gives it all
    /// of the CRM's limits and a plan that limits nothing. The world is reached through `worker`.
    ///
    /// # Errors
    /// As [`ChangeAccount::change`].
    ///
    /// # Panics
    /// Never: there is such a plan.
    pub async fn connect(
        &self,
        worker: &Arc<Worker>,
        base_url: &str,
        token: Option<&str>,
    ) -> Result<Changed, ChangeError> {
        let connect = ChangeAccount {
            ledger: worker.wrap(self.ledger.clone()),
            tokens: worker.wrap(self.tokens.clone()),
            webhook_secrets: worker.wrap(self.outlets.secrets.clone()),
            webhooks: worker.wrap(self.outlets.webhooks.clone()),
            new_webhook_secret,
            queue: worker.wrap(self.queue.clone()),
            connector: worker.wrap(self.connector.clone()),
            clock: self.clock.clone(),
            base_urls: self.base_urls.to_vec(),
        };
        let connection = ConnectionChange {
            base_url: Some(base_url.to_owned()),
            api_version: None,
            token: token.map(SecretString::from),
        };
        let change = AccountChange {
            connection: Some(connection),
            daily_percent: Some(100),
            tier: Some(TierName::parse("unlimited").expect("a plan")),
            ..AccountChange::default()
        };
        let deadline = self.clock.now() + SignedDuration::from_secs(20);
        connect.change(&self.act("change-account"), true, &change, deadline).await
    }

    /// Asks for a backup.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn request(&self) -> BackupRef {
        let create = CreateBackup { ledger: self.ledger.clone(), queue: self.queue.clone(), clock: self.clock.clone() };
        let request = BackupRequest { act: self.act("create-backup"), idempotency_key: None, random: random() };
        create.create(&request).await.expect("the backup is accepted").reference()
    }

    /// Cancels a backup. False when it had ended before.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn cancel(&self, backup: &BackupRef) -> bool {
        let act = self.act("cancel-backup");
        match cancel::cancel(&*self.ledger, &*self.queue, &*self.clock, backup, &act).await {
            Ok(_) => true,
            Err(CancelError::Ended(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Delivers messages, and lets time pass, until nothing is queued and nothing is due. Returns the backup.
    ///
    /// # Panics
    /// When that never happens, or the ledger does not answer.
    pub async fn to_the_end(&self, backup: &BackupRef) -> Backup {
        for _ in 0..MOST_STEPS {
            if !self.step().await {
                return self.backup(backup).await;
            }
        }
        panic!("no end is in sight: {:?} with {:?}", self.backup(backup).await, self.queue.queued());
    }

    /// Does what is next: what is due, the messages that can be received, or nothing until something can be done, or a
    /// write lands that nobody waits for any more. Returns whether there was anything to do.
    ///
    /// # Panics
    /// When the ledger does not answer, or a write has landed that should not have been made.
    pub async fn step(&self) -> bool {
        self.crm.assert_writes_were_allowed();
        self.recover_if_due().await;
        if self.deliver_some().await {
            return true;
        }
        let next = [self.queue.next_available_at(), self.next_recovery().await, self.crm.next_landing()];
        let Some(next) = next.into_iter().flatten().min() else { return false };
        self.clock.pass_until(next).await;
        true
    }

    /// Does what is next until `until`, as far as there is anything to do.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn go_on_until(&self, until: Timestamp) {
        while self.clock.now() < until {
            if !self.step().await {
                self.clock.pass_until(until).await;
            }
        }
    }

    /// The backup as it is now.
    ///
    /// # Panics
    /// When there is none, or the ledger does not answer.
    pub async fn backup(&self, backup: &BackupRef) -> Backup {
        let loaded = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(backup)).await.expect("the ledger answers");
        loaded.expect("the backup").record
    }

    /// The backup's objects as they are now.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn objects_of(&self, backup: &BackupRef) -> Vec<ObjectExport> {
        dispatch::objects(&*self.ledger, &backup.backup_id).await.expect("the ledger answers")
    }

    /// Whether the account may have another backup now.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn may_begin_another(&self) -> bool {
        let key = Allowance::key_of(&self.account);
        let loaded = ledger::load::<Allowance>(&*self.ledger, &key).await.expect("the ledger answers");
        loaded.is_none_or(|loaded| loaded.record.running.is_none())
    }

    /// How many messages were delivered so far.
    pub fn deliveries(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Every message that was delivered so far, in order.
    pub fn delivered(&self) -> Vec<Work> {
        lock(&self.delivered).clone()
    }

    /// Reads the archive of a completed backup back.
    ///
    /// # Panics
    /// When there is none, or it is not what it should be.
    pub async fn exported(&self, backup: &BackupRef) -> Exported {
        Exported::read(&*self.stored, &self.backup(backup).await).await
    }

    /// As [`World::exported`], and checks that any program can read the archive.
    ///
    /// # Panics
    /// When there is none, or it is not what it should be.
    pub async fn exported_for_anyone(&self, backup: &BackupRef) -> Exported {
        let exported = self.exported(backup).await;
        exported.check_zip(&*self.stored, &self.backup(backup).await).await;
        exported
    }
}

impl Drop for World {
    /// A write that should not have been made fails the test, even if the test does not check it.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.crm.assert_writes_were_allowed();
        }
    }
}
