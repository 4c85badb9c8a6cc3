//! One CRM account: its objects, limits, faults and counters.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::api::reply::Reply;
use crate::calls::{Call, CallLog, CallReport};
use crate::catalog::{CONVERSATIONS, STANDARD};
use crate::config::{ConditionalRequirement, IgnoredWrites, LimitOverrides, PortalConfig};
use crate::config_error::ConfigError;
use crate::conformance::{self, Exchange};
use crate::data::base::Base;
use crate::data::layout::Layout;
use crate::data::loaded::{LoadedFile, read_folder};
use crate::data::overlay::Presence;
use crate::data::random::{hash_of, mix};
use crate::data::store::{Changes, Store};
use crate::faults::{CallFacts, FaultState, Faults, ScriptedFault};
use crate::limits::{CallKind, Left, Limiter, Policy};
use crate::plan::Limits;
use crate::schema::Schema;
use crate::variants::Variants;

/// What may change while the server runs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whether the token has been revoked.
    pub(crate) revoked: bool,
    /// None is all scopes.
    pub(crate) scopes: Option<HashSet<String>>,
    pub(crate) limits: Limits,
    pub(crate) latency_ms: u64,
    pub(crate) faults: Faults,
    pub(crate) variants: Variants,
    pub(crate) conformance: bool,
    pub(crate) conditional_requirements: Vec<ConditionalRequirement>,
    pub(crate) ignored_writes: IgnoredWrites,
}

/// Different sentences about calls that are kept.
const MOST_SENTENCES: usize = 500;

/// The result of checking calls and answers against what is known of HubSpot's API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violations {
    /// The number of calls that were checked.
    pub checked: u64,
    /// What was wrong, and how often; at most 500 sentences.
    pub violations: BTreeMap<String, u64>,
}

/// A handle on one portal; clones are the same portal.
#[derive(Debug, Clone)]
pub struct Portal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    portal_id: u64,
    token: String,
    seed: u64,
    time_zone: TimeZone,
    time_zone_name: String,
    stores: Vec<Store>,
    settings: RwLock<Arc<Settings>>,
    limiter: Mutex<Limiter>,
    faults: Mutex<FaultState>,
    calls: Mutex<CallLog>,
    violations: Mutex<Violations>,
    /// Cursors that were handed out, by object and id.
    handed_out: Mutex<HashSet<(u64, u64)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Portal {
    pub(crate) fn new(portal_id: u64, token: String, config: &PortalConfig) -> Result<Self, ConfigError> {
        let time_zone =
            TimeZone::get(&config.time_zone).map_err(|_| ConfigError::TimeZone(config.time_zone.clone()))?;
        if config.archived_per_mille.saturating_add(config.merged_per_mille) > 900 {
            return Err(ConfigError::TooManyHidden);
        }
        let mut stores = match &config.load {
            Some(folder) => loaded_stores(portal_id, config, folder)?,
            None => generated_stores(portal_id, config)?,
        };
        for (object, names) in &config.required_properties {
            let store = stores.iter_mut().find(|store| store.schema().answers_to(object));
            let store = store.ok_or_else(|| ConfigError::UnknownObject(object.clone()))?;
            let mut schema = Schema::clone(&store.schema());
            schema.required.extend(names.iter().cloned());
            store.set_schema(schema);
        }
        let settings = Settings {
            revoked: false,
            scopes: config.scopes.as_ref().map(|scopes| scopes.iter().cloned().collect()),
            limits: config.call_limits(),
            latency_ms: config.latency_ms,
            faults: config.faults.clone(),
            variants: config.behaviour(),
            conformance: config.conformance,
            conditional_requirements: config.conditional_requirements.clone(),
            ignored_writes: config.ignored_writes.clone(),
        };
        let mut limiter = Limiter::new(time_zone.clone());
        if let Some(used) = config.limits.used_today {
            limiter.set_used_today(used, Timestamp::now());
        }
        let inner = Inner {
            portal_id,
            token,
            seed: config.seed,
            time_zone,
            time_zone_name: config.time_zone.clone(),
            stores,
            limiter: Mutex::new(limiter),
            faults: Mutex::new(FaultState::new(config.seed, &settings.faults)),
            settings: RwLock::new(Arc::new(settings)),
            calls: Mutex::default(),
            violations: Mutex::default(),
            handed_out: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The CRM's id of the account.
    pub fn portal_id(&self) -> u64 {
        self.inner.portal_id
    }

    /// The Bearer token that belongs to it.
    pub fn token(&self) -> &str {
        &self.inner.token
    }

    pub(crate) fn seed(&self) -> u64 {
        self.inner.seed
    }

    pub(crate) fn time_zone(&self) -> (&TimeZone, &str) {
        (&self.inner.time_zone, &self.inner.time_zone_name)
    }

    pub(crate) fn stores(&self) -> &[Store] {
        &self.inner.stores
    }

    /// The object that `text` names, in any of the ways that the CRM accepts.
    pub(crate) fn store(&self, text: &str) -> Option<&Store> {
        self.inner.stores.iter().find(|store| store.schema().answers_to(text))
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.inner.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.inner.settings.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut settings));
    }

    /// Replaces what goes wrong; scripts and churn start counting afresh.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.inner.faults) = FaultState::new(self.inner.seed, &faults);
        self.change(|settings| settings.faults = faults);
    }

    /// Replaces how the portal behaves.
    pub fn set_variants(&self, variants: Variants) {
        self.change(|settings| settings.variants = variants);
    }

    /// Changes the limits that `overrides` names; the others stay.
    pub fn set_limits(&self, overrides: LimitOverrides) {
        self.change(|settings| settings.limits = overrides.over(settings.limits));
        if let Some(used) = overrides.used_today {
            lock(&self.inner.limiter).set_used_today(used, Timestamp::now());
        }
    }

    /// Sets how long every admitted call takes at least, in milliseconds.
    pub fn set_latency_ms(&self, latency_ms: u64) {
        self.change(|settings| settings.latency_ms = latency_ms);
    }

    /// Replaces the properties that writes leave unchanged without an error.
    pub fn set_ignored_writes(&self, ignored: IgnoredWrites) {
        self.change(|settings| settings.ignored_writes = ignored);
    }

    /// Sets the scopes that the token has; None is all of them.
    pub fn set_scopes(&self, scopes: Option<Vec<String>>) {
        self.change(|settings| settings.scopes = scopes.map(|scopes| scopes.into_iter().collect()));
    }

    /// Revokes the token, or takes that back. Calls with a revoked token get 401.
    pub fn set_revoked(&self, revoked: bool) {
        self.change(|settings| settings.revoked = revoked);
    }

    /// What was called since the start or the last reset.
    pub fn calls(&self) -> CallReport {
        lock(&self.inner.calls).report()
    }

    /// Forgets what was called.
    pub fn reset_calls(&self) {
        *lock(&self.inner.calls) = CallLog::default();
    }

    /// Switches on or off whether calls and answers are checked against what is known of HubSpot's API.
    pub fn set_conformance(&self, conformance: bool) {
        self.change(|settings| settings.conformance = conformance);
    }

    /// What was wrong with calls and answers since the start or the last reset.
    pub fn violations(&self) -> Violations {
        lock(&self.inner.violations).clone()
    }

    /// Forgets what was wrong.
    pub fn reset_violations(&self) {
        *lock(&self.inner.violations) = Violations::default();
    }

    /// Checks a call and its answer against what is known of HubSpot's API.
    pub(crate) fn hold(&self, exchange: &Exchange) {
        let found = conformance::violations(std::slice::from_ref(exchange));
        let mut kept = lock(&self.inner.violations);
        kept.checked += 1;
        for sentence in found {
            if kept.violations.len() < MOST_SENTENCES || kept.violations.contains_key(&sentence) {
                *kept.violations.entry(sentence).or_default() += 1;
            }
        }
    }

    pub(crate) fn note(&self, call: Call) {
        lock(&self.inner.calls).note(call);
    }

    pub(crate) fn admit(&self, kind: CallKind) -> (Result<(), Policy>, Left) {
        let limits = self.settings().limits;
        lock(&self.inner.limiter).admit(kind, &limits, Instant::now(), Timestamp::now())
    }

    /// The fault of a call, before the call is answered.
    pub(crate) fn next_fault(&self, call: &CallFacts<'_>) -> Option<ScriptedFault> {
        let settings = self.settings();
        lock(&self.inner.faults).next(&settings.faults, call)
    }

    /// The fault of a call because of the records that its answer would have.
    pub(crate) fn poisoned(&self, call: &CallFacts<'_>, reply: &Reply) -> Option<ScriptedFault> {
        let settings = self.settings();
        lock(&self.inner.faults).next_poisoned(&settings.faults, call, || reply.ids())
    }

    /// Remembers that `id` was handed out as a cursor of `object`.
    pub(crate) fn hand_out(&self, object: &str, id: u64) {
        lock(&self.inner.handed_out).insert((hash_of(object), id));
    }

    /// Whether `id` was handed out as a cursor of `object`.
    pub(crate) fn was_handed_out(&self, object: &str, id: u64) -> bool {
        lock(&self.inner.handed_out).contains(&(hash_of(object), id))
    }

    /// Archives and creates records after a list page of `store`, where that is due.
    pub(crate) fn churn(&self, store: &Store) {
        let settings = self.settings();
        let Some(churn) = &settings.faults.churn else { return };
        let mut state = lock(&self.inner.faults);
        if !state.churns_now(&settings.faults, &store.schema().name) {
            return;
        }
        let random = state.random();
        let (last, records) = {
            let reading = store.read();
            let base = reading.base();
            (reading.all_before(u64::MAX).next().map_or(0, |view| view.id), base.len())
        };
        for _ in 0..churn.delete {
            let from = random.below(last.max(1));
            let found = {
                let reading = store.read();
                reading.live_after(from).next().map(|view| view.id)
            };
            if let Some(id) = found {
                store.write().hide(id, Presence::Archived(crate::data::clock::now()));
            }
        }
        for _ in 0..churn.touch {
            let from = random.below(last.max(1));
            let found = {
                let reading = store.read();
                reading.live_after(from).next().map(|view| view.id)
            };
            if let Some(id) = found {
                store.write().update(id, &Changes::new());
            }
        }
        for _ in 0..churn.create {
            // Beyond the base, so that no two records are alike.
            let template = records + 1 + random.below(1 << 40);
            store.write().create(&Changes::new(), Some(template));
        }
    }
}

fn object_seed(config: &PortalConfig, object: &str) -> u64 {
    mix(config.seed, hash_of(object))
}

fn generated_stores(portal_id: u64, config: &PortalConfig) -> Result<Vec<Store>, ConfigError> {
    if let Some(unknown) = config.records.keys().find(|name| STANDARD.iter().all(|object| object.name != **name)) {
        return Err(ConfigError::UnknownObject(unknown.clone()));
    }
    let standard = STANDARD.iter().map(|object| {
        let records = config.records.get(object.name).copied().unwrap_or(0);
        generated(Schema::standard(object, config.property_set), records, config)
    });
    let mut stores: Vec<Store> = standard.collect();
    for object in &config.custom_objects {
        let schema = custom_schema(portal_id, config, &object.name, None)?;
        if stores.iter().any(|store| store.schema().answers_to(&object.name)) {
            return Err(ConfigError::CustomObjectName(object.name.clone()));
        }
        stores.push(generated(schema, object.records, config));
    }
    Ok(stores)
}

fn generated(schema: Schema, records: u64, config: &PortalConfig) -> Store {
    // Threads can be neither archived nor merged here.
    let hides = schema.name != CONVERSATIONS;
    let share = |per_mille: u32| if hides { records * u64::from(per_mille) / 1_000 } else { 0 };
    let (archived, merged) = (share(config.archived_per_mille), share(config.merged_per_mille));
    let seed = object_seed(config, &schema.name);
    let layout = Layout::new(seed, records + archived + merged, config.ids);
    Store::new(schema, Base::Generated { seed, layout }, archived, merged)
}

fn loaded_stores(portal_id: u64, config: &PortalConfig, folder: &Path) -> Result<Vec<Store>, ConfigError> {
    let mut files = read_folder(folder)?;
    let mut stores = Vec::new();
    for object in STANDARD {
        let store = match files.iter().position(|file| file.object == object.name) {
            Some(at) => {
                let LoadedFile { columns, records, .. } = files.remove(at);
                Store::new(Schema::standard_loaded(object, &columns), Base::Loaded(records), 0, 0)
            }
            None => generated(Schema::standard(object, config.property_set), 0, config),
        };
        stores.push(store);
    }
    for LoadedFile { object, columns, records } in files {
        let schema = custom_schema(portal_id, config, &object, Some(&columns))?;
        stores.push(Store::new(schema, Base::Loaded(records), 0, 0));
    }
    Ok(stores)
}

fn custom_schema(
    portal_id: u64,
    config: &PortalConfig,
    name: &str,
    columns: Option<&[String]>,
) -> Result<Schema, ConfigError> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_word);
    if !is_name || STANDARD.iter().any(|object| object.name == name) {
        return Err(ConfigError::CustomObjectName(name.to_owned()));
    }
    let number = 30_000_000 + object_seed(config, name) % 9_000_000;
    Ok(Schema::custom(portal_id, number, name, config.property_set, columns))
}
