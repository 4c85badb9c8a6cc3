//! B3: many requests for plans at the same time.

use std::sync::Arc;

use async_trait::async_trait;
use domain::account::Account;
use domain::backup::Backup;
use domain::ids::{AccountId, BackupId, RestoreId};
use domain::ports::ledger::{self, Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use domain::restore::open_plans::{MOST_OPEN_PLANS, OpenPlans};
use domain::restore::{Restore, RestoreState};
use domain::storage_keys;
use domain::work::Work;
use futures_util::future::join_all;
use http_api::testing::account::{ADMIN, account, account_id, now};
use http_api::testing::{ApiCall, described, document};
use in_memory::MemoryLedger;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::samples::{backup, ended, manifest, planned, planning, queued};
use super::{RESTORES, World, handler, is, path, problem};

/// The ledger in memory, where others get their turn before each call.
struct Interleaved(Arc<MemoryLedger>);

#[async_trait]
impl Ledger for Interleaved {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        tokio::task::yield_now().await;
        self.0.get(key).await
    }
    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        tokio::task::yield_now().await;
        self.0.list(request).await
    }
    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        tokio::task::yield_now().await;
        self.0.commit(changes).await
    }
    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.0.due(list, shard, now, limit).await
    }
}

/// With a backup of account 42.
async fn with_backup() -> World {
    let world = World::connected().await;
    world.put(&backup()).await;
    world.write(&backup().archive.expect("an archive").manifest_key, &manifest(&backup())).await;
    world
}

fn wish(backup: &Backup) -> Value {
    json!({"backupId": backup.backup_id, "objectType": "contacts", "properties": ["phone"]})
}

/// The ids that a 409 names.
fn named(problem: &Value) -> Vec<String> {
    is(problem, 409, "too-many-plans");
    serde_json::from_value(problem["restoreIds"].clone()).expect("ids")
}

#[tokio::test]
async fn of_a_thousand_requests_at_once_three_get_a_plan_and_the_others_learn_which() {
    let world = with_backup().await;
    let ledger = Arc::new(Interleaved(world.ledger.clone()));
    let handler = handler(ledger, &world.objects, &world.queue, &world.clock);
    let send = || {
        let call = ApiCall::new("POST", RESTORES).by(ADMIN).body(&wish(&backup()).to_string());
        call.answered_by(|request| handler.handle(request))
    };

    let answers = join_all((0..1_000).map(|_| send())).await;

    let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 202);
    assert_eq!((accepted.len(), refused.len()), (MOST_OPEN_PLANS, 1_000 - MOST_OPEN_PLANS));
    let mut ids: Vec<Value> = accepted.iter().map(|answer| document(answer)["restoreId"].clone()).collect();
    ids.sort_by_key(ToString::to_string);
    for refused in refused {
        described::check("POST", RESTORES, refused);
        let mut open = named(&problem(refused));
        open.sort();
        assert_eq!(json!(open), json!(ids));
    }
    let restores = world.ledger.all().into_iter().filter(|stored| stored.key.sort.starts_with(Restore::PREFIX));
    assert_eq!((restores.count(), world.queue.queued().len()), (MOST_OPEN_PLANS, MOST_OPEN_PLANS));
}

#[tokio::test]
async fn another_account_is_not_concerned() {
    let world = with_backup().await;
    for _ in 0..20 {
        world.post(RESTORES, &wish(&backup())).await;
    }
    let other = AccountId::parse("43").expect("digits");
    let mut theirs = Backup { account_id: other.clone(), ..backup() };
    let manifest_key = storage_keys::manifest(&theirs.reference(), 1);
    world.write(&manifest_key, &manifest(&backup())).await;
    theirs.archive.as_mut().expect("completed").manifest_key = manifest_key;
    world.put(&theirs).await;
    world.put(&Account { account_id: other, ..account(true) }).await;

    let path = "/accounts/43/restores";
    let admin = |call: ApiCall| call.by(&["43:super-admin"]).body(&wish(&theirs).to_string());
    let answer = world.answer("POST", path, admin).await;

    assert_eq!(answer.status(), 202, "{}", answer.body());
    let before = world.queue.queued().len() - 1;
    assert_eq!(before, MOST_OPEN_PLANS, "as many messages are in front of theirs");
}

#[tokio::test]
async fn a_place_is_free_as_soon_as_a_plan_is_made_or_given_up() {
    for end in [RestoreState::Planned, RestoreState::Cancelled, RestoreState::Failed] {
        let world = with_backup().await;
        for _ in 0..MOST_OPEN_PLANS {
            assert_eq!(world.post(RESTORES, &wish(&backup())).await.status(), 202);
        }
        let open = named(&world.refused(RESTORES, &wish(&backup())).await);
        let first = open_restore(&world).await;
        world.replace(&Restore { state: end, ..first.clone() }).await;

        let fourth = world.post(RESTORES, &wish(&backup())).await;

        assert_eq!(fourth.status(), 202, "{}", fourth.body());
        let mut expected: Vec<_> = open.into_iter().filter(|id| id != first.restore_id.as_str()).collect();
        expected.push(document(&fourth)["restoreId"].as_str().expect("an id").to_owned());
        assert_eq!(named(&world.refused(RESTORES, &wish(&backup())).await), expected);
    }
}

/// The restore whose plan was asked for first.
async fn open_restore(world: &World) -> Restore {
    let Some(Work::Restore { restore }) = world.queue.receive() else { panic!("no plan is queued") };
    let stored = world.ledger.get(&Restore::key_of(&restore)).await.expect("readable").expect("present");
    ledger::read::<Restore>(stored).expect("readable").record
}

#[tokio::test]
async fn an_undo_counts_as_a_plan() {
    let (world, original) = (with_backup().await, ended(1, RestoreState::Completed));
    world.put(&original).await;
    for _ in 0..MOST_OPEN_PLANS - 1 {
        assert_eq!(world.post(RESTORES, &wish(&backup())).await.status(), 202);
    }
    let undo = format!("{}/undo", path(&original));
    assert_eq!(world.post(&undo, &json!({})).await.status(), 202);
    assert_eq!(named(&world.refused(RESTORES, &wish(&backup())).await).len(), MOST_OPEN_PLANS);

    let another = ended(2, RestoreState::Completed);
    world.put(&another).await;
    let refused = world.refused(&format!("{}/undo", path(&another)), &json!({})).await;
    assert_eq!(named(&refused).len(), MOST_OPEN_PLANS);
}

/// The version before this one kept no record of open plans.
#[tokio::test]
async fn plans_that_an_earlier_version_has_accepted_are_counted() {
    let world = with_backup().await;
    for restore in [queued(1), planning(2), planned(3), ended(4, RestoreState::Failed)] {
        world.put(&restore).await;
    }
    assert_eq!(world.post(RESTORES, &wish(&backup())).await.status(), 202);
    let open = named(&world.refused(RESTORES, &wish(&backup())).await);
    assert_eq!(open[..2], [queued(1), planning(2)].map(|restore| restore.restore_id.to_string()));
}

#[tokio::test]
async fn restores_that_are_gone_or_unreadable_hold_their_places_for_two_days_at_most() {
    let world = with_backup().await;
    let ids: Vec<RestoreId> = (1..=4).map(|nth| queued(nth).restore_id).collect();
    world.put(&OpenPlans { account_id: account_id(), restores: ids }).await;
    // The first one is gone; a later version has written the others.
    for nth in 2..=4 {
        let change = Change { format: 99, ..Change::create(&queued(nth)) };
        world.ledger.commit(&[change]).await.expect("new");
    }
    assert_eq!(named(&world.refused(RESTORES, &wish(&backup())).await).len(), 3);

    world.clock.advance(SignedDuration::from_hours(23));
    assert_eq!(named(&world.refused(RESTORES, &wish(&backup())).await).len(), 3);
    // The archive of the backup has expired by then, so another one is restored.
    world.clock.advance(SignedDuration::from_hours(24));
    let later = later_backup();
    world.put(&later).await;
    world.write(&later.archive.as_ref().expect("completed").manifest_key, &manifest(&later)).await;
    assert_eq!(world.post(RESTORES, &wish(&later)).await.status(), 202);
}

fn later_backup() -> Backup {
    let earlier = backup();
    let backup_id = BackupId::new(now() + SignedDuration::from_hours(40), [8; 10]);
    let mut later = Backup { backup_id, ..earlier };
    let reference = later.reference();
    let archive = later.archive.as_mut().expect("completed");
    archive.expires_at = now() + SignedDuration::from_hours(100);
    archive.manifest_key = storage_keys::manifest(&reference, 1);
    later
}
