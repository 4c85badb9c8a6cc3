//! The calls of the simulated CRM.

use async_trait::async_trait;
use domain::budget::CallKind;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Census, Crm, CrmAccount, CrmError, ListedProperties, PageEnd, PageRequest};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, PropertyDefinition, RecordUpdate};
use domain::ports::crm_model::CrmModel;
use domain::property::ObjectDefinition;
use domain::rows::RowBuffer;
use in_memory::lock;
use jiff::Timestamp;

use super::{Client, trouble};

#[async_trait]
impl Crm for Client {
    async fn account(&self) -> Result<CrmAccount, CrmError> {
        self.call("account", CallKind::Ordinary, |state, _| {
            Ok(CrmAccount { portal_id: state.portal_id, time_zone: state.time_zone.clone(), call_limits: state.limits })
        })
        .await
    }

    fn model(&self) -> &dyn CrmModel {
        &self.crm
    }

    async fn custom_object_types(&self) -> Result<Vec<ObjectDefinition>, CrmError> {
        self.call("custom_object_types", CallKind::Ordinary, |state, _| {
            if let Some(kind) = &state.custom_refused {
                return Err(trouble::refused(kind.clone()));
            }
            let custom = state.objects.iter().filter(|object| object.definition.custom);
            Ok(custom.map(|object| object.definition.clone()).collect())
        })
        .await
    }

    async fn properties(&self, object: &ObjectType) -> Result<ListedProperties, CrmError> {
        self.call("properties", CallKind::Ordinary, |state, _| {
            let object = state.object(object)?;
            object.check_scopes()?;
            if !object.hidden_values.is_empty() {
                return Err(trouble::values_hidden(&object.hidden_values));
            }
            let (properties, refused) = (object.properties.clone(), object.refused_properties.clone());
            Ok(ListedProperties { properties, refused })
        })
        .await
    }

    async fn definitions(&self, object: &ObjectType) -> Result<Vec<PropertyDefinition>, CrmError> {
        self.call("definitions", CallKind::Ordinary, |state, _| state.object(object)?.definitions()).await
    }

    async fn page(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        self.call("page", CallKind::Ordinary, |state, now| state.object(request.object)?.page(request, rows, now)).await
    }

    async fn existing(&self, object: &ObjectType, ids: &[RecordId]) -> Result<Vec<(RecordId, Timestamp)>, CrmError> {
        self.call("existing", CallKind::Ordinary, |state, _| {
            let object = state.object(object)?;
            Ok(ids.iter().filter_map(|id| Some((*id, object.created(*id)?))).collect())
        })
        .await
    }

    async fn read_batch(&self, request: &BatchRead<'_>, rows: &mut RowBuffer) -> Result<Vec<RecordId>, CrmError> {
        self.call("read_batch", CallKind::Ordinary, |state, now| {
            lock(&self.writer).reads(request.ids, now);
            state.object(request.object)?.read_batch(request, rows)
        })
        .await
    }

    async fn update_batch(&self, object: &ObjectType, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError> {
        self.write(object, updates).await
    }

    async fn census(&self, object: &ObjectType) -> Result<Option<Census>, CrmError> {
        self.call("census", CallKind::Search, |state, _| Ok(state.object(object)?.census())).await
    }

    async fn count_in(
        &self,
        object: &ObjectType,
        after: RecordId,
        up_to: Option<RecordId>,
    ) -> Result<Option<u64>, CrmError> {
        self.call("count_in", CallKind::Search, |state, _| {
            let object = state.object(object)?;
            let inside = object.indexed_above(after.0).take_while(|id| up_to.is_none_or(|up_to| *id <= up_to)).count();
            Ok(object.counted.then_some(inside as u64))
        })
        .await
    }

    async fn nth_after(&self, object: &ObjectType, after: RecordId, n: u16) -> Result<Option<RecordId>, CrmError> {
        self.call("nth_after", CallKind::Search, |state, _| {
            let object = state.object(object)?;
            Ok(object.indexed_above(after.0).nth(usize::from(n) - 1).filter(|_| object.counted))
        })
        .await
    }

    async fn created_since(&self, object: &ObjectType, since: Timestamp) -> Result<Option<u64>, CrmError> {
        self.call("created_since", CallKind::Search, |state, _| Ok(state.object(object)?.created_since(since))).await
    }
}
