//! Creates an account, connects it to its CRM, and changes its settings: plan, share of the CRM's calls, and the
//! receivers of notifications.
//!
//! A connection is stored only after it was tested. First the CRM returns the token's portal. Then the audit log
//! records that the token is about to change. Then the token is stored in the secret store, together with its base URL,
//! and then everything else in the ledger. If this fails half-way, at most the token was replaced, by one of the same
//! portal. If the new token is for another base URL, nothing is sent to either URL until the change is made again. An
//! account stays with its first portal, since its backups are of that portal. If two first connections race with tokens
//! of different portals, one is refused, and discovery checks the portal again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::account::{Account, ApiVersion, CrmConnection, NotificationTargets};
use domain::audit::{Act, Secret};
use domain::budget::CallShare;
use domain::ids::AccountId;
use domain::notification::Notification;
use domain::ports::clock::Clock;
use domain::ports::crm::{CrmConnector, CrmError, CrmTarget};
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::ports::secrets::{CrmToken, CrmTokens, SecretsError, WebhookSecrets};
use domain::ports::webhook::{WebhookRefused, Webhooks};
use domain::tier::TierName;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::connection_gate::ConnectionGate;
use crate::contention::{self, Attempt};
use crate::{audit_log, notify, schedule};

/// A change of an account. A field that is None stays unchanged.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    pub connection: Option<ConnectionChange>,
    /// Share of the CRM's limit per ten seconds, in percent from 1 to 100.
    pub burst_percent: Option<u8>,
    /// Share of the CRM's limit per day, in percent from 1 to 100.
    pub daily_percent: Option<u8>,
    /// The account's plan. Only an operator changes it.
    pub tier: Option<TierName>,
    /// E-mail addresses that get notifications.
    pub email: Option<Vec<String>>,
    /// The account's own server that gets notifications.
    pub webhook: Option<WebhookChange>,
    /// Whether downloads, deletions and changes of targets need a fresh second factor.
    pub fresh_second_factor: Option<bool>,
}

impl AccountChange {
    /// Whether the change needs a fresh second factor in accounts with that setting: it changes where notifications go,
    /// or the setting itself.
    pub fn may_need_second_factor(&self) -> bool {
        self.email.is_some() || self.webhook.is_some() || self.fresh_second_factor.is_some()
    }

    /// The changed settings, for the audit log: their names, and the values of the plan and of switches.
    fn audit_target(&self, created: bool) -> Option<String> {
        let plan = self.tier.map(|tier| format!("plan {}", tier.as_str()));
        let fresh = self.fresh_second_factor.map(|is_set| format!("freshSecondFactor {is_set}"));
        let parts = [
            (created, "created"),
            (self.connection.is_some(), "crmConnection"),
            (self.burst_percent.is_some() || self.daily_percent.is_some(), "callShare"),
            (self.email.is_some(), "email"),
            (self.webhook.is_some(), "webhook"),
        ];
        let names = parts.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned());
        let all: Vec<_> = names.chain(plan).chain(fresh).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Changes everything but the connection, which has to be tested first.
    fn apply_to(&self, account: &mut Account) {
        account.call_share.burst_percent = self.burst_percent.unwrap_or(account.call_share.burst_percent);
        account.call_share.daily_percent = self.daily_percent.unwrap_or(account.call_share.daily_percent);
        account.tier = self.tier.unwrap_or(account.tier);
        account.fresh_second_factor = self.fresh_second_factor.unwrap_or(account.fresh_second_factor);
        let targets = &mut account.notification_targets;
        targets.email = self.email.clone().unwrap_or_else(|| targets.email.clone());
        match &self.webhook {
            Some(WebhookChange::Set { url, .. }) => targets.webhook = Some(url.clone()),
            Some(WebhookChange::Removed) => targets.webhook = None,
            None => {}
        }
    }
}

/// A change of the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookChange {
    /// The account gets no webhook.
    Removed,
    /// Notifications go to this URL. Another URL than before gets a new secret, since the operator of the old URL knows
    /// the old secret. The same URL gets one if `new_secret` is set.
    Set {
        /// An absolute https URL.
        url: String,
        /// Whether to make a new secret in any case.
        new_secret: bool,
    },
}

/// A change of the connection. The first connection needs a base URL and a token. Another base URL needs a token too,
/// since a stored token is only sent to the base URL that it was stored with.
#[derive(Debug, Clone, Default)]
pub struct ConnectionChange {
    /// Scheme, host and port, exactly as in the deployment's allow-list.
    pub base_url: Option<String>,
    /// The CRM API's version. The newest by default for a first connection.
    pub api_version: Option<ApiVersion>,
    pub token: Option<SecretString>,
}

/// Why an account was not changed. Nothing has changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    /// The deployment does not connect to that base URL.
    #[error("the base URL is not one of this deployment's")]
    BaseUrlNotAllowed,
    /// The account is not connected yet, so a base URL is required.
    #[error("a base URL is needed")]
    BaseUrlMissing,
    /// No stored token may be used with that base URL, so a token is required.
    #[error("a token is needed")]
    TokenMissing,
    /// The token belongs to another portal than the account.
    #[error("the token is of portal {given}, and the account is connected to portal {connected}")]
    PortalDiffers { connected: u64, given: u64 },
    /// The CRM did not confirm the connection.
    #[error(transparent)]
    Crm(#[from] CrmError),
    /// The webhook's URL is not allowed.
    #[error(transparent)]
    Webhook(#[from] WebhookRefused),
    /// The secret store failed. The token may have been stored.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The ledger failed. The change may have been made.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The account after a change.
#[derive(Debug, Clone)]
pub struct Changed {
    pub account: Account,
    /// Whether the change created it.
    pub created: bool,
    /// The new signing secret of webhooks, if it has changed. It is not returned again.
    pub webhook_secret: Option<SecretString>,
}

/// Creates, connects and changes accounts.
#[derive(Clone)]
pub struct ChangeAccount {
    pub ledger: Arc<dyn Ledger>,
    pub tokens: Arc<dyn CrmTokens>,
    /// Keeps the signing secrets of webhooks.
    pub webhook_secrets: Arc<dyn WebhookSecrets>,
    /// Decides which webhook URLs are allowed.
    pub webhooks: Arc<dyn Webhooks>,
    /// Makes a signing secret for webhooks.
    pub new_webhook_secret: fn() -> SecretString,
    pub queue: Arc<dyn WorkQueue>,
    pub connector: Arc<dyn CrmConnector>,
    pub clock: Arc<dyn Clock>,
    /// The base URLs that accounts may be connected to.
    pub base_urls: Vec<String>,
}

/// Loads an account.
///
/// # Errors
/// [`ChangeError::AccountUnknown`], [`ChangeError::Ledger`].
pub async fn read(ledger: &dyn Ledger, account: &AccountId) -> Result<Account, ChangeError> {
    let loaded = ledger::load::<Account>(ledger, &Account::key_of(account)).await?;
    loaded.map(|loaded| loaded.record).ok_or(ChangeError::AccountUnknown)
}

impl ChangeAccount {
    /// Changes the account of `act`, and creates it if it does not exist and `may_create` is set. Calls the CRM no
    /// longer than until `deadline`.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change(
        &self,
        act: &Act,
        may_create: bool,
        change: &AccountChange,
        deadline: Timestamp,
    ) -> Result<Changed, ChangeError> {
        let account = &act.account_id;
        let present = match read(&*self.ledger, account).await {
            Ok(present) => Some(present),
            Err(ChangeError::AccountUnknown) if may_create => None,
            Err(error) => return Err(error),
        };
        if let Some(WebhookChange::Set { url, .. }) = &change.webhook {
            self.webhooks.check(url).await?;
        }
        let connection = match &change.connection {
            Some(wanted) => Some(self.connect(act, present.as_ref(), wanted, deadline).await?),
            None => None,
        };
        // One secret for all tries, so that the returned secret is the stored one.
        let secret = NewSecret { secret: (self.new_webhook_secret)(), is_stored: AtomicBool::new(false) };
        let (changed, notification) =
            contention::retry(|| self.try_store(act, change, connection.as_ref(), &secret)).await?;
        if let Some(notification) = &notification {
            notify::announce_soon(&*self.queue, notification).await;
        }
        // The account is changed. The next change tries this again.
        if let Err(error) = self.webhook_secrets.tidy(account).await {
            tracing::warn!(%error, account.id = %account, "account.secret-not-moved");
        }
        tracing::info!(
            account.id = %account,
            account.created = changed.created,
            account.connected = connection.is_some(),
            "account.changed"
        );
        Ok(changed)
    }

    /// Tests the connection with a call to the CRM, and stores the token if it works.
    async fn connect(
        &self,
        act: &Act,
        present: Option<&Account>,
        wanted: &ConnectionChange,
        deadline: Timestamp,
    ) -> Result<CrmConnection, ChangeError> {
        let account = &act.account_id;
        let current = present.and_then(|present| present.crm_connection.as_ref());
        let target = self.target(current, wanted)?;
        let token = match &wanted.token {
            Some(token) => token.clone(),
            None => self.stored_token(account, &target).await?,
        };
        let gate = Arc::new(ConnectionGate::new(&self.ledger, &self.clock, present, deadline));
        let crm = self.connector.connect(&target, token.clone(), gate, deadline)?;
        let answer = crm.account().await?;
        same_portal(current, answer.portal_id)?;
        if wanted.token.is_some() {
            audit_log::record(&*self.ledger, &act.begins_to_change(Secret::CrmToken)).await?;
            self.tokens.store_token(account, &CrmToken::new(&target.base_url, token)).await?;
        }
        Ok(CrmConnection {
            base_url: target.base_url,
            api_version: target.api_version,
            portal_id: answer.portal_id,
            time_zone: answer.time_zone,
            call_limits: answer.call_limits,
            connected_at: self.clock.now(),
            fault: None,
        })
    }

    /// The account's token, if it was stored for the target's base URL.
    async fn stored_token(&self, account: &AccountId, target: &CrmTarget) -> Result<SecretString, ChangeError> {
        let stored = self.tokens.token(account).await?;
        let token = stored.as_ref().and_then(|stored| stored.for_base_url(&target.base_url));
        token.cloned().ok_or(ChangeError::TokenMissing)
    }

    fn target(&self, current: Option<&CrmConnection>, wanted: &ConnectionChange) -> Result<CrmTarget, ChangeError> {
        let base_url = wanted.base_url.clone().or_else(|| current.map(|current| current.base_url.clone()));
        let base_url = base_url.ok_or(ChangeError::BaseUrlMissing)?;
        if !self.base_urls.contains(&base_url) {
            return Err(ChangeError::BaseUrlNotAllowed);
        }
        let api_version = wanted.api_version.or_else(|| current.map(|current| current.api_version));
        Ok(CrmTarget { base_url, api_version: api_version.unwrap_or_default() })
    }

    async fn try_store(
        &self,
        act: &Act,
        change: &AccountChange,
        connection: Option<&CrmConnection>,
        secret: &NewSecret,
    ) -> Result<Attempt<(Changed, Option<Notification>)>, ChangeError> {
        let account = &act.account_id;
        let loaded: Option<Versioned<Account>> = ledger::load(&*self.ledger, &Account::key_of(account)).await?;
        let created = loaded.is_none();
        let now = self.clock.now();
        let mut next = loaded.as_ref().map_or_else(|| new_account(account, now), |loaded| loaded.record.clone());
        if let Some(connection) = connection {
            same_portal(next.crm_connection.as_ref(), connection.portal_id)?;
            next.crm_connection = Some(connection.clone());
        }
        change.apply_to(&mut next);
        let before = loaded.as_ref().map(|loaded| &loaded.record);
        let webhook_secret = self.webhook_secret(act, before, change.webhook.as_ref(), secret).await?;
        let write = loaded.map_or_else(|| Change::create(&next), |loaded| Change::replace(&loaded, &next));
        let mut changes = vec![write, Change::create(&act.succeeded(change.audit_target(created)))];
        let (of_schedule, notification) = schedule::follow_account(&*self.ledger, &next, now).await?;
        changes.extend(of_schedule);
        let stored = Changed { account: next, created, webhook_secret };
        Ok(contention::settle(self.ledger.commit(&changes).await, (stored, notification))?)
    }

    /// Stores `secret` for the webhook if it needs a new one, before the first notification is sent there. Every try
    /// stores it again: of two simultaneous changes, the one that commits last has also stored its secret last.
    async fn webhook_secret(
        &self,
        act: &Act,
        present: Option<&Account>,
        change: Option<&WebhookChange>,
        new: &NewSecret,
    ) -> Result<Option<SecretString>, ChangeError> {
        let Some(WebhookChange::Set { url, new_secret }) = change else { return Ok(None) };
        let is_known = present.is_some_and(|present| present.notification_targets.webhook.as_ref() == Some(url));
        if is_known && !new_secret && !new.is_stored.load(Ordering::Relaxed) {
            return Ok(None);
        }
        new.is_stored.store(true, Ordering::Relaxed);
        audit_log::record(&*self.ledger, &act.begins_to_change(Secret::WebhookSecret)).await?;
        self.webhook_secrets.store_webhook_secret(&act.account_id, &new.secret).await?;
        Ok(Some(new.secret.clone()))
    }
}

/// A secret made for a change, and whether a try of the change has stored it. If so, it is returned, even if another
/// change has set the same URL in between.
struct NewSecret {
    secret: SecretString,
    is_stored: AtomicBool,
}

fn new_account(account: &AccountId, now: Timestamp) -> Account {
    Account {
        account_id: account.clone(),
        created_at: now,
        crm_connection: None,
        call_share: CallShare::default(),
        tier: TierName::default(),
        notification_targets: NotificationTargets::default(),
        fresh_second_factor: false,
    }
}

fn same_portal(current: Option<&CrmConnection>, given: u64) -> Result<(), ChangeError> {
    match current {
        Some(current) if current.portal_id != given => {
            Err(ChangeError::PortalDiffers { connected: current.portal_id, given })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
