//! Tests of the client against the sandbox CRM: it reads all values of the CRM, and the CRM stores all values that it
//! writes.

mod reading;
mod trouble;
mod writing;

use std::sync::Arc;

use async_trait::async_trait;
use domain::account::ApiVersion;
use domain::budget::CallKind;
use domain::ids::ObjectType;
use domain::ports::call_gate::{CallGate, GateClosed, RefusedPolicy};
use domain::ports::clock::Clock;
use domain::ports::crm::{Crm, CrmConnector, CrmTarget};
use hubspot::Connector;
use jiff::{SignedDuration, Timestamp};
use sandbox_crm::{Plan, Portal, PortalConfig, Sandbox, SandboxConfig, TruthRecord};
use secrecy::SecretString;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A gate that admits every call at once.
struct OpenGate;

#[async_trait]
impl CallGate for OpenGate {
    async fn admit(&self, _: CallKind) -> Result<(), GateClosed> {
        Ok(())
    }
    async fn refused(&self, _: RefusedPolicy, _: SignedDuration) {}
    async fn daily_remaining(&self, _: u32) {}
}

struct Setup {
    sandbox: Sandbox,
    portal: Portal,
    crm: Arc<dyn Crm>,
}

impl Setup {
    async fn with(config: PortalConfig) -> Self {
        Self::speaking(ApiVersion::V2026_09, config).await
    }

    async fn speaking(api_version: ApiVersion, config: PortalConfig) -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.expect("a free port");
        let portal = sandbox.add_portal(&config).expect("a valid portal");
        let connector = Connector::new(Arc::new(SystemClock)).expect("the system has certificate authorities");
        let target = CrmTarget { base_url: sandbox.base_url(), api_version };
        let token = SecretString::from(portal.token());
        let deadline = Timestamp::now() + SignedDuration::from_mins(2);
        let crm = connector.connect(&target, token, Arc::new(OpenGate), deadline).expect("a usable target");
        Self { sandbox, portal, crm }
    }

    fn truth(&self, object: &ObjectType) -> Vec<TruthRecord> {
        self.portal.truth(object.as_str(), 0, 1_000_000).expect("the object exists")
    }
}

fn object(name: &str) -> ObjectType {
    ObjectType::parse(name).expect("valid")
}

fn unlimited(config: PortalConfig) -> PortalConfig {
    PortalConfig { plan: Plan::Unlimited, ..config }
}
