//! A small account of the sandbox CRM, and what a backup and a restore of it must come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::backup::{Backup, BackupState};
use domain::restore::RestoreState;
use domain::work::BackupRef;
use faults::{Exported, Pace, Settings, World, samples};
use hubspot::Connector;
use in_memory::MemoryLedger;
use sandbox_crm::{Faults, Portal, PortalConfig, RecordChanges, Sandbox, SandboxConfig, ScriptedFault};

/// The object that is damaged and restored.
pub(crate) const OBJECT: &str = "contacts";
/// The property that is damaged and restored.
pub(crate) const PROPERTY: &str = "jobtitle";

/// Live values of an object, by record and property.
type Values = BTreeMap<u64, BTreeMap<String, String>>;

/// An account and a deployment that it is connected to.
pub(crate) struct Account {
    // Stops when it is dropped.
    _sandbox: Sandbox,
    pub(crate) portal: Portal,
    pub(crate) world: World,
}

impl Account {
    /// Contacts over two pages with sensitive properties, companies, conversations, and a custom object.
    pub(crate) async fn new() -> Self {
        let config = PortalConfig {
            plan: sandbox_crm::Plan::Unlimited,
            custom_objects: vec![sandbox_crm::CustomObject { name: "machine".to_owned(), records: 3 }],
            ..PortalConfig::empty().with_records(OBJECT, 130).with_records("companies", 7)
        };
        Self::of(&config).await
    }

    /// An account with this `config`.
    pub(crate) async fn of(config: &PortalConfig) -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.expect("a free port");
        let portal = sandbox.add_portal(config).expect("a valid portal");
        let clock = Arc::new(samples::clock(Pace::Simulated));
        let connector = Connector::new(clock.clone()).expect("the system has certificate authorities");
        let address = (sandbox.base_url(), portal.token().to_owned());
        let world = World::with_client(
            Arc::new(MemoryLedger::new()),
            clock,
            Arc::new(connector),
            (&address.0, &address.1),
            Settings::default(),
        )
        .await;
        Self { _sandbox: sandbox, portal, world }
    }

    /// From now on the `nth` call, counted from 0, meets `fault`.
    pub(crate) fn script(&self, nth: u64, fault: ScriptedFault) {
        let skip = u32::try_from(nth).expect("a test makes few calls");
        self.portal.reset_calls();
        self.portal.set_faults(Faults { script: vec![ScriptedFault { skip, ..fault }], ..Faults::default() });
    }

    /// How many calls met what was scripted.
    pub(crate) fn struck(&self) -> usize {
        self.portal.calls().recent.iter().filter(|call| call.fault.is_some()).count()
    }

    pub(crate) async fn back_up(&self) -> (BackupRef, Backup) {
        let backup = self.world.request().await;
        let ended = self.world.to_the_end(&backup).await;
        (backup, ended)
    }

    /// The archive of a backup that must have completed.
    pub(crate) async fn archive(&self) -> (BackupRef, Exported) {
        let (backup, ended) = self.back_up().await;
        assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
        let archive = self.world.exported_for_anyone(&backup).await;
        (backup, archive)
    }

    /// Every live value of [`OBJECT`].
    pub(crate) fn values(&self) -> Values {
        let records = self.portal.truth(OBJECT, 0, usize::MAX).expect("an object of the portal");
        let live = records.into_iter().filter(|record| record.state == sandbox_crm::RecordState::Live);
        live.map(|record| (record.id, record.properties)).collect()
    }

    /// Gives every third record another value.
    pub(crate) fn damage(&self) {
        let ids: Vec<u64> = self.values().into_keys().step_by(3).collect();
        let damaged = |id| (id, BTreeMap::from([(PROPERTY.to_owned(), "damaged".to_owned())]));
        let changes = RecordChanges { update: ids.into_iter().map(damaged).collect(), ..RecordChanges::default() };
        self.portal.change_records(OBJECT, &changes).expect("an object of the portal");
    }

    /// Restores the property from the backup, as far as the CRM lets it, and returns how it ended.
    pub(crate) async fn restore(&self, backup: &BackupRef) -> RestoreState {
        let restore = self.world.ask_restore(backup, OBJECT, &[PROPERTY]).await.expect("accepted");
        let planned = self.world.restore_to_rest(&restore).await;
        if planned.state != RestoreState::Planned {
            return planned.state;
        }
        self.world.confirm(&restore).await.expect("confirmed");
        self.world.restore_to_rest(&restore).await.state
    }
}

/// The values of the restored property alone: what else the CRM changes with a write is its own matter.
pub(crate) fn restored(values: &Values) -> BTreeMap<u64, Option<String>> {
    values.iter().map(|(id, properties)| (*id, properties.get(PROPERTY).cloned())).collect()
}
