//! A CRM whose every answer follows from its objects, a script and the time.

mod calls;
mod journal;
mod model;
mod object;
mod oracle;
mod sending;
mod trouble;
mod values;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

use domain::budget::CallLimits;
use domain::ids::{AccountId, ObjectType, RecordId};
use domain::ports::call_gate::CallGate;
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmError, CrmErrorKind, CrmTarget};
use domain::ports::ledger::Ledger;
use in_memory::lock;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

pub use self::journal::{Entry, Happened};
pub use self::object::{Change, Cursors, Otherwise, SimulatedObject};
use self::oracle::{Oracle, Writer};
use self::sending::Client;
pub use self::trouble::{LATEST_LANDING, Moment, Period, Trouble};
pub use self::writes::{Edit, PropertyRules};
use crate::{SimulatedClock, Table};

/// What a call takes, unless the CRM is slower.
const LATENCY: SignedDuration = SignedDuration::from_millis(300);

/// One account of a CRM. Clones are the same account.
#[derive(Debug, Clone)]
pub struct SimulatedCrm {
    clock: Arc<SimulatedClock>,
    state: Arc<Mutex<State>>,
    /// What every write is held against, if anything.
    oracle: Arc<OnceLock<Oracle>>,
    /// What a call takes.
    latency: SignedDuration,
}

#[derive(Debug)]
struct State {
    portal_id: u64,
    time_zone: String,
    limits: CallLimits,
    objects: Vec<SimulatedObject>,
    /// Why the CRM does not list the objects that the account has defined itself, if it does not.
    custom_refused: Option<CrmErrorKind>,
    troubles: Vec<(Period, Trouble)>,
    /// What people do just before a call, to which object.
    script: Vec<(Moment, ObjectType, Edit)>,
    calls: BTreeMap<&'static str, u64>,
    /// Calls that met trouble.
    struck: u64,
    reached: BTreeSet<(String, String)>,
    /// When writes land whose client has not been answered.
    landings: Vec<Timestamp>,
    /// Writes that should not have been made, in a sentence each.
    wrongs: Vec<String>,
    longest_blind: SignedDuration,
}

impl State {
    fn object(&mut self, object: &ObjectType) -> Result<&mut SimulatedObject, CrmError> {
        let found = self.objects.iter_mut().find(|found| found.definition.object_type == *object);
        found.ok_or_else(|| trouble::not_found(object))
    }

    /// Counts a call, makes the edits that come just before it, and returns the trouble that it meets.
    fn called(&mut self, name: &'static str, at: &(String, String), now: Timestamp) -> Option<Trouble> {
        self.reached.insert(at.clone());
        self.objects.iter_mut().for_each(|object| object.tell_time(now));
        *self.calls.entry(name).or_default() += 1;
        let nth = self.calls.values().sum();
        let of_method = self.calls.get(name).copied().unwrap_or(0);
        let due: Vec<_> = self.script.extract_if(.., |(moment, ..)| moment.is(nth, name, of_method)).collect();
        for (_, object, edit) in due {
            if let Ok(object) = self.object(&object) {
                object.edit(edit);
            }
        }
        let present = self.troubles.iter().find(|(period, _)| period.contains(nth, (name, of_method), now));
        let present = present.map(|(_, trouble)| *trouble);
        self.struck += u64::from(present.is_some());
        present
    }
}

impl SimulatedCrm {
    /// A CRM in a good state that holds `objects`. Its limits are so high that the call budget costs hardly any time.
    pub fn new(clock: Arc<SimulatedClock>, objects: Vec<SimulatedObject>) -> Self {
        let state = State {
            portal_id: 7_654_321,
            time_zone: "Europe/Berlin".to_owned(),
            limits: CallLimits::in_ten_seconds(10_000_000, 1_000_000_000),
            objects,
            custom_refused: None,
            troubles: Vec::new(),
            script: Vec::new(),
            calls: BTreeMap::new(),
            struck: 0,
            reached: BTreeSet::new(),
            landings: Vec::new(),
            wrongs: Vec::new(),
            longest_blind: SignedDuration::ZERO,
        };
        Self { clock, state: Arc::new(Mutex::new(state)), oracle: Arc::default(), latency: LATENCY }
    }

    /// The same CRM, whose calls take this long.
    #[must_use]
    pub fn with_latency(self, latency: SignedDuration) -> Self {
        Self { latency, ..self }
    }

    /// Other limits, as the CRM will name them from now on.
    #[must_use]
    pub fn with_limits(self, limits: CallLimits) -> Self {
        lock(&self.state).limits = limits;
        self
    }

    /// From now on the token belongs to another portal.
    pub fn become_portal(&self, portal_id: u64) {
        lock(&self.state).portal_id = portal_id;
    }

    /// Holds every write from now on against what `ledger` says of the account's restores: one of them holds the
    /// restore lock, a run of it may still write, and none begins a batch once the restore was stopped or has failed.
    pub fn watch(&self, ledger: Arc<dyn Ledger>, account: AccountId) {
        // One that is watched already stays so.
        let _ = self.oracle.set(Oracle::new(ledger, account));
    }

    /// Whether every write so far was one that may be made.
    ///
    /// # Panics
    /// When one was not.
    pub fn assert_writes_were_allowed(&self) {
        let wrongs = std::mem::take(&mut lock(&self.state).wrongs);
        assert!(wrongs.is_empty(), "{}", wrongs.join(" "));
    }

    /// When the next write lands whose client has got no answer.
    pub fn next_landing(&self) -> Option<Timestamp> {
        lock(&self.state).landings.iter().min().copied()
    }

    /// The longest time between reading a value and overwriting it.
    pub fn longest_blind(&self) -> SignedDuration {
        lock(&self.state).longest_blind
    }

    /// Every call in `period` meets `trouble`.
    ///
    /// # Panics
    /// When a write would land later than a restore counts on.
    pub fn trouble(&self, period: Period, trouble: Trouble) {
        assert!(!matches!(trouble, Trouble::Late(after) if after > LATEST_LANDING), "{trouble:?} is too late");
        lock(&self.state).troubles.push((period, trouble));
    }

    /// From now on the CRM does not list the objects that the account has defined itself.
    pub fn refuse_custom_objects(&self, kind: Option<CrmErrorKind>) {
        lock(&self.state).custom_refused = kind;
    }

    /// The account gives an object type up.
    pub fn remove_object(&self, object: &str) {
        lock(&self.state).objects.retain(|found| found.definition.object_type.as_str() != object);
    }

    /// Changes an object, such as its script or the scopes that it needs.
    ///
    /// # Panics
    /// When there is no such object.
    pub fn change<T>(&self, object: &str, change: impl FnOnce(&mut SimulatedObject) -> T) -> T {
        let mut state = lock(&self.state);
        let found = state.objects.iter_mut().find(|found| found.definition.object_type.as_str() == object);
        let found = found.expect("an object of this CRM");
        found.tell_time(self.clock.now());
        change(found)
    }

    /// Gives a record of an object a value, beside all calls and unchecked.
    ///
    /// # Panics
    /// When there is no such object.
    pub fn edit(&self, object: &str, id: RecordId, property: &str, value: &str) {
        self.change(object, |object| object.edit(Edit::value(id, property, value)));
    }

    /// Does `edit` to an object just before the call at `moment` is answered.
    ///
    /// # Panics
    /// When there is no such object.
    pub fn edit_at(&self, moment: Moment, object: &str, edit: Edit) {
        let object = self.change(object, |object| object.definition.object_type.clone());
        lock(&self.state).script.push((moment, object, edit));
    }

    /// Ends all trouble and forgets the edits before calls. Returns how many edits it forgets.
    pub fn calm(&self) -> usize {
        let mut state = lock(&self.state);
        state.troubles.clear();
        std::mem::take(&mut state.script).len()
    }

    /// How often a method of [`Crm`] has been called, such as `page`.
    pub fn calls(&self, method: &str) -> u64 {
        lock(&self.state).calls.get(method).copied().unwrap_or(0)
    }

    /// How many calls have met trouble.
    pub fn struck(&self) -> u64 {
        lock(&self.state).struck
    }

    /// How often any method of [`Crm`] has been called.
    pub fn all_calls(&self) -> u64 {
        lock(&self.state).calls.values().sum()
    }

    /// At which base URLs it has been called, and with which tokens there.
    pub fn reached(&self) -> BTreeSet<(String, String)> {
        lock(&self.state).reached.clone()
    }

    /// What an archive of all that the CRM holds now must hold, by file name.
    pub fn truth(&self) -> BTreeMap<String, Table> {
        let state = lock(&self.state);
        let filled = state.objects.iter().filter(|object| object.count() > 0);
        filled.map(|object| (format!("{}.csv", object.definition.object_type), object.table())).collect()
    }
}

impl CrmConnector for SimulatedCrm {
    fn connect(
        &self,
        target: &CrmTarget,
        token: SecretString,
        gate: Arc<dyn CallGate>,
        deadline: Timestamp,
    ) -> Result<Arc<dyn Crm>, CrmError> {
        let sends_to = (target.base_url.clone(), token.expose_secret().to_owned());
        let writer = Arc::new(Mutex::new(Writer::default()));
        Ok(Arc::new(Client { crm: self.clone(), gate, sends_to, deadline, writer }))
    }
}
