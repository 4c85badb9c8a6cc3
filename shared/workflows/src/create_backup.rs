//! Accepting a request for a backup.
//!
//! One transaction takes the account's allowance and writes the backup, so of two requests at the same moment one wins
//! and the other is told which backup runs. The message to discover-objects comes after it: if that is lost,
//! recover-stalled sends it again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::account::Account;
use domain::allowance::{Allowance, IdempotentRequest};
use domain::backup::{Backup, Requester};
use domain::ids::{AccountId, BackupId};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};
use jiff::SignedDuration;

use crate::contention::{self, Attempt};

/// How long a client's key is remembered.
const KEY_REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A client's name for one request, under which repeating it makes no second backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A key that is not 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct MalformedKey;

impl IdempotencyKey {
    /// # Errors
    /// [`MalformedKey`].
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(MalformedKey) }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A wish for a backup, by somebody who may have one.
#[derive(Debug, Clone)]
pub struct Request {
    /// The account.
    pub account_id: AccountId,
    /// Who wishes it.
    pub requester: Requester,
    /// The client's key, where it gave one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Makes the new backup's id unique.
    pub random: [u8; 10],
}

/// Why there is no new backup. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    /// The account has no CRM connection.
    #[error("the account is not connected to a CRM")]
    NotConnected,
    /// A backup of the account is running.
    #[error("the backup {0} is running")]
    Running(BackupId),
    /// The ledger failed. The backup may have been made; the same request with the same key tells.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Accepts requests for backups.
#[derive(Clone)]
pub struct CreateBackup {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Takes the new backup's first work.
    pub queue: Arc<dyn WorkQueue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl CreateBackup {
    /// Makes a backup, or finds the one that an earlier request with the same key has made, in whatever state it is.
    ///
    /// # Errors
    /// [`CreateError`].
    pub async fn create(&self, request: &Request) -> Result<Backup, CreateError> {
        let new = BackupRef {
            account_id: request.account_id.clone(),
            backup_id: BackupId::new(self.clock.now(), request.random),
        };
        let backup = match contention::retry(|| self.try_create(request, &new)).await {
            // The commit may have been made although its answer was lost.
            Err(CreateError::Ledger(LedgerError::Unavailable(why))) => {
                self.load(&new).await?.ok_or(LedgerError::Unavailable(why))?
            }
            other => other?,
        };
        if backup.backup_id == new.backup_id {
            tracing::info!(account.id = %new.account_id, backup.id = %new.backup_id, "backup.accepted");
            if let Err(error) = self.queue.send(&[Work::Discover { backup: new.clone() }], Duration::ZERO).await {
                tracing::warn!(%error, backup.id = %new.backup_id, "backup.discovery-not-queued");
            }
        }
        Ok(backup)
    }

    async fn try_create(&self, request: &Request, new: &BackupRef) -> Result<Attempt<Backup>, CreateError> {
        let account: Versioned<Account> =
            ledger::load(&*self.ledger, &Account::key_of(&new.account_id)).await?.ok_or(CreateError::AccountUnknown)?;
        let remembered = self.remembered(request).await?;
        if let Some(before) = self.made_before(remembered.as_ref()).await? {
            return Ok(Attempt::Settled(before));
        }
        let connection = account.record.crm_connection.as_ref().ok_or(CreateError::NotConnected)?;
        let take_allowance = match self.take_allowance(new).await? {
            Ok(change) => change,
            // A commit of ours was made although its answer said otherwise or was lost.
            Err(running) if running == new.backup_id => {
                return Ok(self.load(new).await?.map_or(Attempt::Lost, Attempt::Settled));
            }
            Err(running) => return Err(CreateError::Running(running)),
        };
        let (requester, now) = (request.requester.clone(), self.clock.now());
        let backup = Backup::accepted(new.clone(), connection.portal_id, connection.api_version, requester, now);
        // The portal that the backup is of must still be the account's when it is accepted.
        let mut changes = vec![Change::unchanged(&account), take_allowance, Change::create(&backup)];
        changes.extend(request.idempotency_key.as_ref().map(|key| {
            let note = IdempotentRequest {
                account_id: new.account_id.clone(),
                idempotency_key: key.0.clone(),
                backup_id: new.backup_id.clone(),
                forget_at: now + KEY_REMEMBERED,
            };
            remembered.as_ref().map_or_else(|| Change::create(&note), |old| Change::replace(old, &note))
        }));
        Ok(contention::settle(self.ledger.commit(&changes).await, backup)?)
    }

    /// The change that takes the account's allowance, or the backup that has it.
    async fn take_allowance(&self, new: &BackupRef) -> Result<Result<Change, BackupId>, LedgerError> {
        let key = Allowance::key_of(&new.account_id);
        let Some(loaded) = ledger::load::<Allowance>(&*self.ledger, &key).await? else {
            let taken = Allowance::free(new.account_id.clone()).take(&new.backup_id);
            return Ok(taken.map(|taken| Change::create(&taken)));
        };
        Ok(loaded.record.take(&new.backup_id).map(|taken| Change::replace(&loaded, &taken)))
    }

    async fn remembered(&self, request: &Request) -> Result<Option<Versioned<IdempotentRequest>>, LedgerError> {
        let Some(IdempotencyKey(key)) = &request.idempotency_key else { return Ok(None) };
        ledger::load(&*self.ledger, &IdempotentRequest::key_of(&request.account_id, key)).await
    }

    /// The backup of a remembered request. The ledger forgets late, so the time counts and not the presence.
    async fn made_before(
        &self,
        remembered: Option<&Versioned<IdempotentRequest>>,
    ) -> Result<Option<Backup>, LedgerError> {
        let now = self.clock.now();
        let Some(note) = remembered.map(|note| &note.record).filter(|note| note.forget_at > now) else {
            return Ok(None);
        };
        self.load(&BackupRef { account_id: note.account_id.clone(), backup_id: note.backup_id.clone() }).await
    }

    async fn load(&self, backup: &BackupRef) -> Result<Option<Backup>, LedgerError> {
        let loaded = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(backup)).await?;
        Ok(loaded.map(|loaded| loaded.record))
    }
}

#[cfg(test)]
mod tests {
    use domain::backup::{BackupEvent, BackupState};
    use in_memory::faults::{Fault, Faults};
    use in_memory::{ManualClock, MemoryLedger, MemoryQueue};

    use super::*;
    use crate::ending;
    use crate::samples;

    struct World {
        ledger: Arc<MemoryLedger>,
        queue: Arc<MemoryQueue>,
        clock: Arc<ManualClock>,
    }

    impl World {
        async fn with_connected_account() -> Self {
            let clock = Arc::new(ManualClock::at(samples::NOW));
            let world =
                Self { ledger: Arc::new(MemoryLedger::new()), queue: Arc::new(MemoryQueue::new(clock.clone())), clock };
            let account = samples::connected_account("42");
            world.ledger.commit(&[Change::create(&account)]).await.expect("empty ledger");
            world
        }

        fn create(&self) -> CreateBackup {
            CreateBackup { ledger: self.ledger.clone(), queue: self.queue.clone(), clock: self.clock.clone() }
        }

        async fn backups(&self) -> Vec<Backup> {
            let found = ledger::list::<Backup>(&*self.ledger, "ACCOUNT#42", Backup::PREFIX).await.expect("readable");
            found.into_iter().map(|loaded| loaded.record).collect()
        }

        async fn end(&self, backup: &Backup) {
            let (ledger, queue, clock) = (&*self.ledger, &*self.queue, &*self.clock);
            ending::end(ledger, queue, clock, &backup.reference(), BackupEvent::Cancelled).await.expect("running");
        }
    }

    fn request(random: u8, key: Option<&str>) -> Request {
        Request {
            account_id: samples::account_id("42"),
            requester: samples::requester(),
            idempotency_key: key.map(|key| IdempotencyKey::parse(key).expect("visible")),
            random: [random; 10],
        }
    }

    #[tokio::test]
    async fn an_accepted_backup_is_queued_for_discovery() {
        let world = World::with_connected_account().await;

        let backup = world.create().create(&request(1, None)).await.expect("nothing is running");

        assert_eq!((backup.state, backup.portal_id), (BackupState::Queued, samples::PORTAL));
        assert_eq!(world.queue.receive(), Some(Work::Discover { backup: backup.reference() }));
        assert_eq!(world.backups().await, [backup]);
    }

    #[tokio::test]
    async fn of_two_requests_at_the_same_moment_one_wins_and_the_other_is_told() {
        let world = World::with_connected_account().await;
        // The slow one has read account and allowance when the fast one begins, and commits after it.
        let faults = Faults::at(3, Fault::CallHeld);
        let slow = CreateBackup { ledger: faults.worker().wrap(world.ledger.clone()), ..world.create() };
        let slow_request = request(1, None);
        let fast = async {
            faults.until_struck().await;
            let won = world.create().create(&request(2, None)).await;
            faults.release();
            won
        };

        let (lost, won) = tokio::join!(slow.create(&slow_request), fast);

        let won = won.expect("it was first");
        assert!(matches!(lost, Err(CreateError::Running(running)) if running == won.backup_id));
        assert_eq!(world.backups().await, [won]);
    }

    #[tokio::test]
    async fn a_key_makes_one_backup_whatever_became_of_it_and_is_forgotten_after_a_day() {
        let world = World::with_connected_account().await;
        let create = world.create();
        let first = create.create(&request(1, Some("k"))).await.expect("nothing is running");
        assert_eq!(create.create(&request(2, Some("k"))).await.expect("made before"), first);
        world.end(&first).await;
        world.clock.advance(SignedDuration::from_hours(23));
        let again = create.create(&request(3, Some("k"))).await.expect("made before");
        assert_eq!((&again.backup_id, again.state), (&first.backup_id, BackupState::Cancelled));

        // The ledger still has the note a day later; it counts no more.
        world.clock.advance(SignedDuration::from_hours(1));
        let new = create.create(&request(4, Some("k"))).await.expect("nothing is running");

        assert_ne!(new.backup_id, first.backup_id);
        assert_eq!(create.create(&request(5, Some("k"))).await.expect("made before"), new);
        let discoveries = world.queue.queued().iter().filter(|m| matches!(m.work, Work::Discover { .. })).count();
        assert_eq!((world.backups().await.len(), discoveries), (2, 2));
    }

    #[tokio::test]
    async fn accounts_that_are_unknown_or_not_connected_have_no_backups() {
        let world = World::with_connected_account().await;
        let unknown = Request { account_id: samples::account_id("43"), ..request(1, None) };
        assert!(matches!(world.create().create(&unknown).await, Err(CreateError::AccountUnknown)));
        let account = Account { crm_connection: None, ..samples::connected_account("43") };
        world.ledger.commit(&[Change::create(&account)]).await.expect("new account");
        assert!(matches!(world.create().create(&unknown).await, Err(CreateError::NotConnected)));
        assert!(world.queue.queued().is_empty());
    }

    #[tokio::test]
    async fn whatever_fails_on_the_way_repeating_the_request_makes_one_backup() {
        for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
            for nth in 1.. {
                let world = World::with_connected_account().await;
                let faults = Faults::at(nth, fault);
                let mut answer = None;
                for random in 0..5 {
                    let worker = faults.worker();
                    let create = CreateBackup {
                        ledger: worker.wrap(world.ledger.clone()),
                        queue: worker.wrap(world.queue.clone()),
                        clock: world.clock.clone(),
                    };
                    answer = worker.run(create.create(&request(random, Some("k")))).await.and_then(Result::ok);
                    if answer.is_some() {
                        break;
                    }
                }
                assert_eq!(world.backups().await, [answer.expect("at last")], "{fault:?} at {:?}", faults.struck());
                if faults.struck().is_empty() {
                    break;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_lost_answer_to_the_commit_is_no_failure() {
        let world = World::with_connected_account().await;
        // Account, allowance, commit.
        let faults = Faults::at(3, Fault::AnswerLost);
        let ledger = faults.worker().wrap(world.ledger.clone());
        let create = CreateBackup { ledger, ..world.create() };

        let backup = create.create(&request(1, None)).await.expect("it was made");

        assert_eq!(faults.struck()[0].call, "Ledger::commit");
        assert_eq!(world.backups().await, [backup]);
        assert_eq!(world.queue.queued().len(), 1);
    }

    #[test]
    fn keys_are_visible_ascii_of_limited_length() {
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
        for bad in ["", "a b", "ä", "a\n", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(bad), Err(MalformedKey));
        }
    }
}
