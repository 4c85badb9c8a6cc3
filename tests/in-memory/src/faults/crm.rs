//! The CRM behind faults. Its failures are those that a later run may be spared.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ids::{ObjectType, RecordId};
use domain::ports::call_gate::CallGate;
use domain::ports::crm::{
    Census, Crm, CrmAccount, CrmConnector, CrmError, CrmErrorKind, CrmTarget, ListedProperties, PageEnd, PageRequest,
};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, PropertyDefinition, RecordUpdate};
use domain::ports::crm_model::CrmModel;
use domain::property::ObjectDefinition;
use domain::rows::RowBuffer;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::Faulty;

fn unavailable(sentence: String) -> CrmError {
    CrmError::new(CrmErrorKind::Unavailable { retry_after: SignedDuration::ZERO }, sentence)
}

impl<T: CrmConnector + ?Sized> CrmConnector for Faulty<T> {
    fn connect(
        &self,
        target: &CrmTarget,
        token: SecretString,
        gate: Arc<dyn CallGate>,
        deadline: Timestamp,
    ) -> Result<Arc<dyn Crm>, CrmError> {
        // Nothing is sent yet, so nothing can go wrong on the way.
        Ok(self.worker.wrap(self.port.connect(target, token, gate, deadline)?))
    }
}

#[async_trait]
impl<T: Crm + ?Sized> Crm for Faulty<T> {
    async fn account(&self) -> Result<CrmAccount, CrmError> {
        self.call("Crm::account", self.port.account(), unavailable).await
    }

    fn model(&self) -> &dyn CrmModel {
        // Nothing is sent.
        self.port.model()
    }

    async fn custom_object_types(&self) -> Result<Vec<ObjectDefinition>, CrmError> {
        self.call("Crm::custom_object_types", self.port.custom_object_types(), unavailable).await
    }

    async fn properties(&self, object: &ObjectType) -> Result<ListedProperties, CrmError> {
        self.call("Crm::properties", self.port.properties(object), unavailable).await
    }

    async fn definitions(&self, object: &ObjectType) -> Result<Vec<PropertyDefinition>, CrmError> {
        self.call("Crm::definitions", self.port.definitions(object), unavailable).await
    }

    async fn page(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        self.call("Crm::page", self.port.page(request, rows), unavailable).await
    }

    async fn existing(&self, object: &ObjectType, ids: &[RecordId]) -> Result<Vec<(RecordId, Timestamp)>, CrmError> {
        self.call("Crm::existing", self.port.existing(object, ids), unavailable).await
    }

    async fn read_batch(&self, request: &BatchRead<'_>, rows: &mut RowBuffer) -> Result<Vec<RecordId>, CrmError> {
        self.call("Crm::read_batch", self.port.read_batch(request, rows), unavailable).await
    }

    async fn update_batch(&self, object: &ObjectType, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError> {
        let unanswered = |sentence| unavailable(sentence).or_landed(true);
        self.call("Crm::update_batch", self.port.update_batch(object, updates), unanswered).await
    }

    async fn census(&self, object: &ObjectType) -> Result<Option<Census>, CrmError> {
        self.call("Crm::census", self.port.census(object), unavailable).await
    }

    async fn count_in(
        &self,
        object: &ObjectType,
        after: RecordId,
        up_to: Option<RecordId>,
    ) -> Result<Option<u64>, CrmError> {
        self.call("Crm::count_in", self.port.count_in(object, after, up_to), unavailable).await
    }

    async fn nth_after(&self, object: &ObjectType, after: RecordId, n: u16) -> Result<Option<RecordId>, CrmError> {
        self.call("Crm::nth_after", self.port.nth_after(object, after, n), unavailable).await
    }

    async fn created_since(&self, object: &ObjectType, since: Timestamp) -> Result<Option<u64>, CrmError> {
        self.call("Crm::created_since", self.port.created_since(object, since), unavailable).await
    }
}
