//! Searches: they count the records of an object and find record ids.

use bytes::Bytes;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Census, CrmError, CrmErrorKind};
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;
use jiff::Timestamp;
use serde::Serialize;

use crate::answers::{self, Unusable};
use crate::call::Answer;
use crate::client::HubSpot;
use crate::records::{Shape, read_records};
use crate::scan::Malformed;
use crate::standard_objects::{creation_properties, is_conversations};

/// The body of a search.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Search {
    filter_groups: Vec<FilterGroup>,
    sorts: Vec<Sort>,
    properties: Vec<String>,
    limit: u16,
    after: String,
}

#[derive(Serialize)]
struct FilterGroup {
    filters: Vec<Filter>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: String,
    operator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sort {
    property_name: &'static str,
    direction: &'static str,
}

impl Default for Search {
    /// Finds all records and shows one of them.
    fn default() -> Self {
        let properties = vec![RECORD_ID_COLUMN.to_owned()];
        Self { filter_groups: Vec::new(), sorts: Vec::new(), properties, limit: 1, after: "0".to_owned() }
    }
}

impl Search {
    /// The first `limit` ids above `after`, in ascending order.
    pub(crate) fn above(after: RecordId, limit: u16) -> Self {
        let above = Self::default().with(RECORD_ID_COLUMN, "GT", after.to_string());
        Self { limit, ..above.sorted("ASCENDING") }
    }

    /// Shows `properties` of up to `limit` records that have a value in one of them.
    pub(crate) fn having(properties: &[&str], limit: u16) -> Self {
        let group = |name: &&str| {
            let filter = Filter { property_name: (*name).to_owned(), operator: "HAS_PROPERTY", value: None };
            FilterGroup { filters: vec![filter] }
        };
        let shown = properties.iter().map(|&name| name.to_owned()).collect();
        Self { filter_groups: properties.iter().map(group).collect(), properties: shown, limit, ..Self::default() }
    }

    pub(crate) fn body(&self) -> Bytes {
        serde_json::to_vec(self).expect("a search is plain data").into()
    }

    /// The search with one more condition.
    fn with(mut self, property_name: &str, operator: &'static str, value: String) -> Self {
        let filter = Filter { property_name: property_name.to_owned(), operator, value: Some(value) };
        match self.filter_groups.first_mut() {
            Some(group) => group.filters.push(filter),
            None => self.filter_groups.push(FilterGroup { filters: vec![filter] }),
        }
        self
    }

    /// The search in order of record ids.
    fn sorted(mut self, direction: &'static str) -> Self {
        self.sorts = vec![Sort { property_name: RECORD_ID_COLUMN, direction }];
        self
    }
}

/// The result of a search without the values.
struct SearchAnswer {
    total: u64,
    ids: Vec<RecordId>,
}

impl SearchAnswer {
    fn read(answer: &Answer) -> Result<Self, Unusable> {
        let mut rows = RowBuffer::new(0);
        let page = answers::check_complete(read_records(&answer.body, Shape::Nested, &[], &mut rows)?)?;
        let total = page.total.ok_or(Malformed { at: answer.body.len() })?;
        Ok(Self { total, ids: rows.ids().to_vec() })
    }

    fn first(&self) -> Option<RecordId> {
        self.ids.first().copied()
    }
}

impl HubSpot {
    pub(crate) async fn count(&self, object: &ObjectType) -> Result<Option<Census>, CrmError> {
        let highest_first = Search::default().sorted("DESCENDING");
        self.search(object, &highest_first, |found| Census { records: found.total, highest_id: found.first() }).await
    }

    pub(crate) async fn count_range(
        &self,
        object: &ObjectType,
        after: RecordId,
        up_to: Option<RecordId>,
    ) -> Result<Option<u64>, CrmError> {
        let mut range = Search::default().with(RECORD_ID_COLUMN, "GT", after.to_string());
        if let Some(up_to) = up_to {
            range = range.with(RECORD_ID_COLUMN, "LTE", up_to.to_string());
        }
        self.search(object, &range, |found| found.total).await
    }

    pub(crate) async fn find_nth(
        &self,
        object: &ObjectType,
        after: RecordId,
        n: u16,
    ) -> Result<Option<RecordId>, CrmError> {
        let above = Search::default().with(RECORD_ID_COLUMN, "GT", after.to_string());
        // The cursor of a search is the number of results to skip; that of a list is not.
        let nth = Search { after: n.saturating_sub(1).to_string(), ..above.sorted("ASCENDING") };
        self.search(object, &nth, |found| found.first()).await.map(Option::flatten)
    }

    pub(crate) async fn count_created(&self, object: &ObjectType, since: Timestamp) -> Result<Option<u64>, CrmError> {
        let [usual, other] = creation_properties(object);
        match self.count_since(object, usual, since).await {
            Err(error) if error.kind == CrmErrorKind::Refused => {
                self.count_since(object, other, since).await.map_err(|_| error)
            }
            counted => counted,
        }
    }

    async fn count_since(
        &self,
        object: &ObjectType,
        property: &'static str,
        since: Timestamp,
    ) -> Result<Option<u64>, CrmError> {
        let created = Search::default().with(property, "GTE", since.as_millisecond().to_string());
        self.search(object, &created, |found| found.total).await
    }

    /// `None` if the object cannot be searched.
    async fn search<T: Send>(
        &self,
        object: &ObjectType,
        search: &Search,
        read: impl Fn(SearchAnswer) -> T + Send + Sync,
    ) -> Result<Option<T>, CrmError> {
        if is_conversations(object) {
            return Ok(None);
        }
        let call = self.endpoints.search(object, search.body());
        self.fetch(&call, SearchAnswer::read).await.map(|found| Some(read(found)))
    }
}
