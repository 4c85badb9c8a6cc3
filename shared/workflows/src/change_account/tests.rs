use domain::audit::SECRET_CHANGE_BEGUN;
use domain::ports::ledger::LedgerError;
use in_memory::faults::{Fault, Faults, Sweep};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue, MemoryWebhookSecrets, MemoryWebhooks};
use secrecy::ExposeSecret;

use super::*;
use crate::samples;

const HOOK: &str = "https://hooks.example.com/crm-backup";
const OTHER: &str = "https://hooks.example.org/other";

struct World {
    ledger: Arc<MemoryLedger>,
    webhooks: Arc<MemoryWebhooks>,
    secrets: Arc<MemoryWebhookSecrets>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn with_account() -> Self {
        let ledger = Arc::new(MemoryLedger::new());
        ledger.commit(&[Change::create(&samples::connected_account("42"))]).await.expect("empty ledger");
        Self {
            ledger,
            webhooks: Arc::new(MemoryWebhooks::new()),
            secrets: Arc::new(MemoryWebhookSecrets::new()),
            clock: Arc::new(ManualClock::at(samples::NOW)),
        }
    }

    fn connecting(&self) -> ChangeAccount {
        let queue = Arc::new(MemoryQueue::new(self.clock.clone()));
        ChangeAccount {
            webhooks: self.webhooks.clone(),
            webhook_secrets: self.secrets.clone(),
            ..samples::change_account(self.ledger.clone(), queue, self.clock.clone())
        }
    }

    async fn change(&self, change: &AccountChange) -> Result<Changed, ChangeError> {
        self.connecting().change(&samples::act("change-account"), false, change, samples::NOW).await
    }

    async fn account(&self) -> Account {
        read(&*self.ledger, &samples::account_id("42")).await.expect("there is one")
    }

    async fn is_told_that_a_secret_changes(&self) -> bool {
        let log = samples::audit_log(&*self.ledger).await;
        log.iter().any(|entry| {
            (entry.action.as_str(), entry.target.as_deref()) == (SECRET_CHANGE_BEGUN, Some("webhookSecret"))
        })
    }

    async fn stored_secret(&self) -> Option<String> {
        let stored = self.secrets.webhook_secret(&samples::account_id("42")).await.expect("readable");
        stored.map(|secret| secret.expose_secret().to_owned())
    }
}

fn webhook(url: &str, new_secret: bool) -> AccountChange {
    let webhook = Some(WebhookChange::Set { url: url.to_owned(), new_secret });
    AccountChange { webhook, ..AccountChange::default() }
}

fn secret_of(changed: &Changed) -> Option<String> {
    changed.webhook_secret.as_ref().map(|secret| secret.expose_secret().to_owned())
}

#[tokio::test]
async fn a_new_webhook_gets_a_secret_that_is_returned_once() {
    let world = World::with_account().await;

    let set = world.change(&webhook(HOOK, false)).await.expect("allowed");

    assert_eq!(world.account().await.notification_targets.webhook.as_deref(), Some(HOOK));
    assert!(secret_of(&set).is_some() && secret_of(&set) == world.stored_secret().await);
    let again = world.change(&webhook(HOOK, false)).await.expect("allowed");
    assert_eq!(secret_of(&again), None);
    assert_eq!(secret_of(&set), world.stored_secret().await, "the same secret goes on");
}

#[tokio::test]
async fn another_url_gets_another_secret_and_so_does_the_same_one_on_request() {
    let world = World::with_account().await;
    let mut secrets = Vec::new();
    for (url, new_secret) in [(HOOK, false), (OTHER, false), (OTHER, true)] {
        let changed = world.change(&webhook(url, new_secret)).await.expect("allowed");
        assert_eq!(secret_of(&changed), world.stored_secret().await);
        secrets.extend(secret_of(&changed));
    }
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 3);
    assert_eq!(world.account().await.notification_targets.webhook.as_deref(), Some(OTHER));
}

#[tokio::test]
async fn a_webhook_that_is_not_allowed_changes_nothing() {
    let world = World::with_account().await;
    world.change(&webhook(HOOK, false)).await.expect("allowed");
    let (account, secret) = (world.account().await, world.stored_secret().await);
    for why in [WebhookRefused::Private, WebhookRefused::Malformed, WebhookRefused::Unresolved] {
        world.webhooks.refuse(OTHER, why);
        let change = AccountChange { burst_percent: Some(1), ..webhook(OTHER, true) };
        let refused = world.change(&change).await;
        assert!(matches!(refused, Err(ChangeError::Webhook(refused)) if refused == why));
        assert_eq!((world.account().await, world.stored_secret().await), (account.clone(), secret.clone()));
    }
    assert!(world.webhooks.attempts().is_empty(), "a check sends nothing");
}

#[tokio::test]
async fn a_webhook_can_be_removed_and_other_settings_stay() {
    let world = World::with_account().await;
    let email = vec!["ops@example.com".to_owned()];
    let change = AccountChange { email: Some(email.clone()), ..webhook(HOOK, false) };
    world.change(&change).await.expect("allowed");

    world.change(&AccountChange { daily_percent: Some(25), ..AccountChange::default() }).await.expect("allowed");
    assert_eq!(world.account().await.notification_targets.webhook.as_deref(), Some(HOOK));
    let removed = AccountChange { webhook: Some(WebhookChange::Removed), ..AccountChange::default() };
    world.change(&removed).await.expect("allowed");

    let account = world.account().await;
    assert_eq!(account.notification_targets, NotificationTargets { email, webhook: None });
    assert_eq!(account.call_share.daily_percent, 25);
}

#[tokio::test]
async fn every_change_of_an_account_is_audited_and_a_refused_one_is_not() {
    let world = World::with_account().await;
    world.change(&webhook(HOOK, false)).await.expect("allowed");
    world.webhooks.refuse(OTHER, WebhookRefused::Private);
    world.change(&webhook(OTHER, false)).await.expect_err("private");
    let log = samples::audit_log(&*world.ledger).await;
    let entries: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.target.as_deref())).collect();
    let begun = (SECRET_CHANGE_BEGUN, Some("webhookSecret"));
    assert_eq!(entries, [begun, ("change-account", Some("webhook"))], "and not its path, which may be a secret");
}

#[tokio::test]
async fn only_an_operator_creates_an_unknown_account() {
    let world = World::with_account().await;
    let act = Act { account_id: samples::account_id("43"), ..samples::act("change-account") };
    let change = AccountChange { tier: Some(samples::tier("enterprise")), ..AccountChange::default() };
    let connecting = world.connecting();

    let refused = connecting.change(&act, false, &change, samples::NOW).await;
    assert!(matches!(refused, Err(ChangeError::AccountUnknown)));
    let created = connecting.change(&act, true, &change, samples::NOW).await.expect("an operator's");

    assert!(created.created);
    assert_eq!((created.account.tier.as_str(), &created.account.crm_connection), ("enterprise", &None));
    let plain = Act { account_id: samples::account_id("44"), ..samples::act("change-account") };
    let created =
        connecting.change(&plain, true, &AccountChange::default(), samples::NOW).await.expect("an operator's");
    assert_eq!(created.account.tier.as_str(), "starter", "the most restricted plan until somebody says otherwise");
}

/// With any fault, the account never sends to a URL before a secret was made for it, and no secret changes before the
/// audit log has an entry for the person who is about to change it.
#[tokio::test]
async fn the_secret_of_a_webhook_is_stored_before_its_url() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let sweep = Sweep::expecting(7);
        sweep
            .of(fault, async |faults| {
                let world = World::with_account().await;
                let worker = faults.worker();
                let connecting = ChangeAccount {
                    ledger: worker.wrap(world.ledger.clone()),
                    webhooks: worker.wrap(world.webhooks.clone()),
                    webhook_secrets: worker.wrap(world.secrets.clone()),
                    ..world.connecting()
                };
                let (act, change) = (samples::act("change-account"), webhook(HOOK, false));

                let changed = worker.run(connecting.change(&act, false, &change, samples::NOW)).await;

                let is_set = world.account().await.notification_targets.webhook.is_some();
                let has_secret = world.stored_secret().await.is_some();
                assert!(has_secret || !is_set, "{fault:?} at {:?}", faults.struck());
                assert!(
                    !has_secret || world.is_told_that_a_secret_changes().await,
                    "{fault:?} at {:?}",
                    faults.struck()
                );
                match changed {
                    Some(Ok(changed)) => assert_eq!((is_set, secret_of(&changed)), (true, world.stored_secret().await)),
                    Some(Err(ChangeError::Ledger(error))) => assert!(matches!(error, LedgerError::Unavailable(_))),
                    Some(Err(ChangeError::Webhook(_) | ChangeError::Secrets(_))) | None => {
                        assert!(!is_set || has_secret);
                    }
                    Some(Err(error)) => panic!("{error}"),
                }
                // Repeating the change, with a new secret in case the earlier one was not returned, ends with a known
                // secret.
                let again = world.change(&webhook(HOOK, true)).await.expect("no faults any more");
                assert_eq!(secret_of(&again), world.stored_secret().await);
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_simultaneous_webhook_changes_leave_a_url_with_its_own_secret() {
    for other in [OTHER, HOOK] {
        assert_the_stored_secret_is_told(other).await;
    }
}

/// Sets HOOK and, while that change is held at each of its calls in turn, `other`.
async fn assert_the_stored_secret_is_told(other: &str) {
    let counted = Faults::none();
    let worker = counted.worker();
    let world = World::with_account().await;
    let quiet = ChangeAccount {
        ledger: worker.wrap(world.ledger.clone()),
        webhook_secrets: worker.wrap(world.secrets.clone()),
        ..world.connecting()
    };
    quiet.change(&samples::act("change-account"), false, &webhook(HOOK, false), samples::NOW).await.expect("allowed");

    let sweep = Sweep::expecting(6).up_to(counted.calls());
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = World::with_account().await;
            let worker = faults.worker();
            let slow = ChangeAccount {
                ledger: worker.wrap(world.ledger.clone()),
                webhook_secrets: worker.wrap(world.secrets.clone()),
                ..world.connecting()
            };
            let act = samples::act("change-account");
            let change = webhook(HOOK, false);
            let fast = async {
                faults.until_struck().await;
                let changed = world.change(&webhook(other, false)).await.expect("allowed");
                faults.release();
                changed
            };

            let (slow, fast) = tokio::join!(slow.change(&act, false, &change, samples::NOW), fast);

            let stays = world.account().await.notification_targets.webhook;
            let slow = secret_of(&slow.expect("allowed"));
            let last =
                if stays.as_deref() == Some(HOOK) { slow.or_else(|| secret_of(&fast)) } else { secret_of(&fast) };
            assert_eq!(last, world.stored_secret().await, "{other}: {:?}", faults.struck());
        })
        .await;
}
