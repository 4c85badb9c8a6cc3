//! Counts of calls, for tests.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::data::clock::time_text;
use crate::faults::Fault;
use crate::route::Endpoint;

/// How many of the latest calls are kept in full.
const RECENT: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub at_ms: i64,
    pub endpoint: Endpoint,
    /// The object's plural name, where the call was for one.
    pub object: Option<String>,
    /// The status that was answered; 0 where there was none (a hang).
    pub status: u16,
    /// Records in the answer.
    pub records: u32,
    /// Bytes of the answer's body, as they travel.
    pub bytes: u32,
    /// The cursor that was asked for.
    pub after: Option<String>,
    /// Characters of path and query.
    pub url_characters: u32,
    /// The fault that was applied.
    pub fault: Option<Fault>,
}

/// Counters of one endpoint and object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointCalls {
    /// All calls, accepted or refused.
    pub calls: u64,
    pub statuses: BTreeMap<u16, u64>,
    /// Records in answers with status 200.
    pub records: u64,
    /// Bytes of all answers' bodies, as they travelled.
    pub bytes: u64,
    /// Answers with status 200 by how many records they had.
    pub page_sizes: BTreeMap<u32, u64>,
}

/// One second of a portal's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// Calls that no limit refused, searches not included.
    pub admitted: u32,
    /// Searches that no limit refused.
    pub searches: u32,
    /// Calls that got 429, of either kind.
    pub refused: u32,
}

/// What was called in a portal since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallReport {
    pub total: u64,
    /// Calls that got 429.
    pub refused: u64,
    /// `refused / total`, 0 without calls.
    pub refused_share: f64,
    /// When the first call came, ISO 8601.
    pub first_call_at: Option<String>,
    /// When the last call came, ISO 8601.
    pub last_call_at: Option<String>,
    /// Per endpoint and object, as `list contacts`.
    pub endpoints: BTreeMap<String, EndpointCalls>,
    /// Second by second from the first call on.
    pub seconds: Vec<Second>,
    /// The latest calls, oldest first, at most 2,000.
    pub recent: Vec<Call>,
}

impl CallReport {
    /// The counters of an endpoint, over all objects or for one (by its plural name).
    pub fn of(&self, endpoint: Endpoint, object: Option<&str>) -> EndpointCalls {
        let prefix = endpoint_name(endpoint);
        let mut sum = EndpointCalls::default();
        for (name, calls) in &self.endpoints {
            let (of_endpoint, of_object) = name.split_once(' ').unwrap_or((name, ""));
            if of_endpoint != prefix || object.is_some_and(|object| object != of_object) {
                continue;
            }
            sum.calls += calls.calls;
            sum.records += calls.records;
            sum.bytes += calls.bytes;
            for (status, count) in &calls.statuses {
                *sum.statuses.entry(*status).or_default() += count;
            }
            for (size, count) in &calls.page_sizes {
                *sum.page_sizes.entry(*size).or_default() += count;
            }
        }
        sum
    }
}

/// Gathers what a [`CallReport`] shows.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    first_ms: Option<i64>,
    last_ms: i64,
    total: u64,
    refused: u64,
    endpoints: BTreeMap<(Endpoint, Option<String>), EndpointCalls>,
    seconds: Vec<Second>,
    recent: VecDeque<Call>,
}

impl CallLog {
    pub(crate) fn note(&mut self, call: Call) {
        let first = *self.first_ms.get_or_insert(call.at_ms);
        self.last_ms = self.last_ms.max(call.at_ms);
        let refused = call.status == 429;
        self.total += 1;
        self.refused += u64::from(refused);
        let counters = self.endpoints.entry((call.endpoint, call.object.clone())).or_default();
        counters.calls += 1;
        counters.bytes += u64::from(call.bytes);
        *counters.statuses.entry(call.status).or_default() += 1;
        if call.status == 200 {
            counters.records += u64::from(call.records);
            *counters.page_sizes.entry(call.records).or_default() += 1;
        }
        // Calls are noted when they end, so one may have begun before the first that was noted.
        let second = usize::try_from((call.at_ms - first).max(0) / 1_000).unwrap_or(0);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        let second = &mut self.seconds[second];
        match (refused, call.endpoint) {
            (true, _) => second.refused += 1,
            (false, Endpoint::Search) => second.searches += 1,
            (false, _) => second.admitted += 1,
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(call);
    }

    pub(crate) fn report(&self) -> CallReport {
        let name = |(endpoint, object): &(Endpoint, Option<String>)| match object {
            Some(object) => format!("{} {object}", endpoint_name(*endpoint)),
            None => endpoint_name(*endpoint),
        };
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
        let refused_share = if self.total == 0 { 0.0 } else { self.refused as f64 / self.total as f64 };
        CallReport {
            total: self.total,
            refused: self.refused,
            refused_share,
            first_call_at: self.first_ms.map(time_text),
            last_call_at: self.first_ms.map(|_| time_text(self.last_ms)),
            endpoints: self.endpoints.iter().map(|(key, calls)| (name(key), calls.clone())).collect(),
            seconds: self.seconds.clone(),
            recent: self.recent.iter().cloned().collect(),
        }
    }
}

/// As in JSON, such as `batchRead`.
fn endpoint_name(endpoint: Endpoint) -> String {
    serde_json::to_value(endpoint).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
