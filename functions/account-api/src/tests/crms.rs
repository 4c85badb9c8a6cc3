//! The CRM of these tests.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::budget::CallLimits;
use domain::ids::{ObjectType, RecordId};
use domain::lease::WaitReason;
use domain::ports::call_gate::CallGate;
use domain::ports::crm::{
    Census, Crm, CrmAccount, CrmConnector, CrmError, CrmErrorKind, CrmTarget, ListedProperties, PageEnd, PageRequest,
};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, PropertyDefinition, RecordUpdate};
use domain::ports::crm_model::CrmModel;
use domain::property::ObjectDefinition;
use domain::rows::RowBuffer;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

/// A CRM whose tokens name their portal (`portal-7`) or an error, and which records all connections.
#[derive(Default)]
pub(super) struct Crms {
    pub(super) asked: Mutex<Vec<(CrmTarget, String)>>,
}

struct Connected(String);

impl CrmConnector for Crms {
    fn connect(
        &self,
        target: &CrmTarget,
        token: SecretString,
        _: Arc<dyn CallGate>,
        _: Timestamp,
    ) -> Result<Arc<dyn Crm>, CrmError> {
        let token = token.expose_secret().to_owned();
        self.asked.lock().expect("not poisoned").push((target.clone(), token.clone()));
        Ok(Arc::new(Connected(token)))
    }
}

fn refusal(kind: CrmErrorKind) -> CrmError {
    CrmError::new(kind, "The CRM said no.".to_owned())
}

#[async_trait]
impl Crm for Connected {
    async fn account(&self) -> Result<CrmAccount, CrmError> {
        match self.0.as_str() {
            "revoked" => Err(refusal(CrmErrorKind::TokenRefused)),
            "narrow" => Err(refusal(CrmErrorKind::MissingScopes(vec!["oauth".to_owned()]))),
            "garbled" => Err(refusal(CrmErrorKind::Malformed)),
            "down" => Err(refusal(CrmErrorKind::Unavailable { retry_after: SignedDuration::from_secs(30) })),
            "spent" => {
                let until = "2026-11-22T23:00:00Z".parse().expect("a time");
                Err(refusal(CrmErrorKind::NoBudget { until, reason: WaitReason::DailyLimit }))
            }
            "hasty" => {
                let until = "2026-11-22T17:00:07Z".parse().expect("a time");
                Err(refusal(CrmErrorKind::NoBudget { until, reason: WaitReason::RateLimit }))
            }
            token => {
                let portal_id = token.strip_prefix("portal-").and_then(|id| id.parse().ok());
                let portal_id = portal_id.ok_or_else(|| refusal(CrmErrorKind::TokenRefused))?;
                let call_limits = CallLimits::in_ten_seconds(190, 625_000);
                Ok(CrmAccount { portal_id, time_zone: "Europe/Berlin".to_owned(), call_limits })
            }
        }
    }

    fn model(&self) -> &dyn CrmModel {
        unreachable!("connecting asks for the account only")
    }
    async fn custom_object_types(&self) -> Result<Vec<ObjectDefinition>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn properties(&self, _: &ObjectType) -> Result<ListedProperties, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn definitions(&self, _: &ObjectType) -> Result<Vec<PropertyDefinition>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn page(&self, _: &PageRequest<'_>, _: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn existing(&self, _: &ObjectType, _: &[RecordId]) -> Result<Vec<(RecordId, Timestamp)>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn read_batch(&self, _: &BatchRead<'_>, _: &mut RowBuffer) -> Result<Vec<RecordId>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn update_batch(&self, _: &ObjectType, _: &[RecordUpdate]) -> Result<BatchUpdate, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn census(&self, _: &ObjectType) -> Result<Option<Census>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn count_in(&self, _: &ObjectType, _: RecordId, _: Option<RecordId>) -> Result<Option<u64>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn nth_after(&self, _: &ObjectType, _: RecordId, _: u16) -> Result<Option<RecordId>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
    async fn created_since(&self, _: &ObjectType, _: Timestamp) -> Result<Option<u64>, CrmError> {
        unreachable!("connecting asks for the account only")
    }
}
