//! What HubSpot says about an account and how many records it has.

use std::time::Duration;

use bytes::Bytes;
use domain::budget::CallLimits;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Census, CrmAccount, CrmError, CrmErrorKind};
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answers::{self, Unusable};
use crate::batches::check_has_batches;
use crate::by_id::Selection;
use crate::call::{Answer, number};
use crate::connector::HubSpot;
use crate::documents;
use crate::endpoints::{Endpoints, is_conversations};
use crate::records::{Shape, read_records};
use crate::refusal;
use crate::retry::Retries;
use crate::scan::Malformed;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountDetails {
    /// A number, or a text that is one.
    portal_id: Value,
    time_zone: String,
}

/// The body of a search that is after a count or a single id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Search {
    filter_groups: Vec<FilterGroup>,
    sorts: Vec<Sort>,
    properties: Vec<String>,
    limit: u8,
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
    /// All records, of which one is shown.
    fn default() -> Self {
        let properties = vec![RECORD_ID_COLUMN.to_owned()];
        Self { filter_groups: Vec::new(), sorts: Vec::new(), properties, limit: 1, after: "0".to_owned() }
    }
}

impl Search {
    /// The first `limit` ids above `after`, in their order.
    pub(crate) fn above(after: RecordId, limit: u8) -> Self {
        let above = Self::default().with(RECORD_ID_COLUMN, "GT", after.to_string());
        Self { limit, ..above.sorted("ASCENDING") }
    }

    /// Up to `limit` records that have a value in any of `properties`, which are shown.
    pub(crate) fn having(properties: &[&str], limit: u8) -> Self {
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

    /// Records that also fulfil this.
    fn with(mut self, property_name: &str, operator: &'static str, value: String) -> Self {
        let filter = Filter { property_name: property_name.to_owned(), operator, value: Some(value) };
        match self.filter_groups.first_mut() {
            Some(group) => group.filters.push(filter),
            None => self.filter_groups.push(FilterGroup { filters: vec![filter] }),
        }
        self
    }

    /// In order of record id.
    fn sorted(mut self, direction: &'static str) -> Self {
        self.sorts = vec![Sort { property_name: RECORD_ID_COLUMN, direction }];
        self
    }
}

/// What a search tells beside its records' values.
struct SearchAnswer {
    total: u64,
    ids: Vec<RecordId>,
}

impl SearchAnswer {
    fn read(answer: &Answer) -> Result<Self, Unusable> {
        let mut rows = RowBuffer::new(0);
        let page = answers::whole(read_records(&answer.body, Shape::Nested, &[], &mut rows)?)?;
        let total = page.total.ok_or(Malformed { at: answer.body.len() })?;
        Ok(Self { total, ids: rows.ids().to_vec() })
    }

    fn first(&self) -> Option<RecordId> {
        self.ids.first().copied()
    }
}

impl HubSpot {
    pub(crate) async fn details(&self) -> Result<CrmAccount, CrmError> {
        let call = Endpoints::account();
        // Somebody waits for the answer.
        let retries = Retries::default().with_second_looks(1);
        let details = self
            .try_fetch(&call, retries, |answer| {
                let details: AccountDetails = answer.json()?;
                let portal_id = documents::text_of(&details.portal_id).and_then(|id| id.parse().ok());
                Ok(CrmAccount {
                    portal_id: portal_id.ok_or(Malformed { at: 0 })?,
                    time_zone: details.time_zone,
                    call_limits: limits_of(&answer.headers),
                })
            })
            .await;
        details.map_err(|error| error.into_error(&call))
    }

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
        // Unlike that of a list, the cursor of a search is the number of results to pass over.
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

    /// None where there is no search.
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

    pub(crate) async fn existing_of(
        &self,
        object: &ObjectType,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Timestamp)>, CrmError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        check_has_batches(object)?;
        // The time of its creation stands beside a record's properties.
        let columns = &["createdAt"];
        let wanted = Selection { object, properties: &[RECORD_ID_COLUMN], columns, shape: Shape::Flat };
        let mut rows = RowBuffer::new(columns.len());
        let found = self.read_by_id(wanted, ids, &mut rows).await?;
        let about = format!("{object} by their ids");
        if !found.unreadable.is_empty() {
            return Err(refusal::unavailable(&about, "it fails for single records", 1, Duration::ZERO));
        }
        let asked = rows.ids().iter().enumerate().filter(|(_, id)| ids.contains(id));
        let created = asked.map(|(row, id)| Some((*id, rows.value(row, 0).parse().ok()?)));
        created.collect::<Option<_>>().ok_or_else(|| refusal::malformed(&about, 1))
    }
}

/// The property that holds the time of a record's creation, and the one that does in other objects. No document lists
/// which object has which, and a search by a property that does not exist is refused.
fn creation_properties(object: &ObjectType) -> [&'static str; 2] {
    match object.as_str() {
        "contacts" | "companies" | "deals" | "tickets" | "products" => ["createdate", "hs_createdate"],
        _ => ["hs_createdate", "createdate"],
    }
}

/// Stretches of ten seconds in a day.
const TEN_SECONDS_OF_A_DAY: u32 = 8_640;

/// The limits that the headers name, the lowest plan's where they name none. Where they name a rate and say nothing of a
/// day, as for public apps, the rate is the only limit.
fn limits_of(headers: &HeaderMap) -> CallLimits {
    let lowest = CallLimits::LOWEST;
    let max: Option<u64> = number(headers, "x-hubspot-ratelimit-max");
    let interval: u64 = number(headers, "x-hubspot-ratelimit-interval-milliseconds").unwrap_or(10_000);
    let per_ten_seconds = max.map(|max| max.saturating_mul(10_000) / interval.max(1));
    let per_ten_seconds = per_ten_seconds.and_then(|max| u32::try_from(max).ok()).filter(|&max| max > 0);
    let per_day = number(headers, "x-hubspot-ratelimit-daily").filter(|&daily| daily > 0);
    let tells_of_days = headers.contains_key("x-hubspot-ratelimit-daily");
    let of_rate = per_ten_seconds.filter(|_| !tells_of_days).map(|rate| rate.saturating_mul(TEN_SECONDS_OF_A_DAY));
    let per_day = per_day.or(of_rate);
    CallLimits {
        per_ten_seconds: per_ten_seconds.unwrap_or(lowest.per_ten_seconds),
        per_day: per_day.unwrap_or(lowest.per_day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(headers: &[(&'static str, &str)]) -> (u32, u32) {
        let headers = headers.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), value.parse().expect("a header value"))
        });
        let limits = limits_of(&headers.collect());
        (limits.per_ten_seconds, limits.per_day)
    }

    #[test]
    fn limits_come_from_the_headers_and_else_from_the_lowest_plan() {
        let named = [
            ("x-hubspot-ratelimit-max", "190"),
            ("x-hubspot-ratelimit-interval-milliseconds", "10000"),
            ("x-hubspot-ratelimit-daily", "1000000"),
        ];
        assert_eq!(limits(&named), (190, 1_000_000));
        assert_eq!(
            limits(&[("x-hubspot-ratelimit-max", "15"), ("x-hubspot-ratelimit-interval-milliseconds", "1000")]),
            (150, 1_296_000)
        );
        // C3: limits that no plan has, and a public app's, which has none per day.
        for (max, daily, expected) in [
            ("250", Some("2000000"), (250, 2_000_000)),
            ("190", Some("1000000"), (190, 1_000_000)),
            ("110", None, (110, 950_400)),
        ] {
            let named = [("x-hubspot-ratelimit-max", max)].into_iter();
            let named: Vec<_> = named.chain(daily.map(|daily| ("x-hubspot-ratelimit-daily", daily))).collect();
            assert_eq!(limits(&named), expected);
        }
        assert_eq!(limits(&[]), (100, 250_000));
        assert_eq!(limits(&[("x-hubspot-ratelimit-max", "0"), ("x-hubspot-ratelimit-daily", "many")]), (100, 250_000));
    }
}
