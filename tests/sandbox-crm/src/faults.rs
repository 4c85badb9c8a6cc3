//! Things that go wrong: at random (but seeded) rates, or by script.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::random::Random;
use crate::route::Endpoint;

/// One thing that goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// 429 for no visible reason and without Retry-After.
    TooManyRequests,
    /// 500 in the CRM's error shape.
    InternalError,
    /// 502 with an HTML body, as from the edge.
    BadGateway,
    /// 503 with an HTML body, as from the edge.
    ServiceUnavailable,
    Locked,
    /// 477 with Retry-After: 2.
    Migrating,
    /// 401, as if the token had just expired.
    TokenExpired,
    /// The connection is reset in the middle of the body.
    Reset,
    /// 200, with a body that ends in the middle and a matching length.
    TruncatedJson,
    /// No answer for the configured time, then the connection is reset.
    Hang,
    /// 504 with an HTML body, as from the edge.
    GatewayTimeout,
    /// 404 with an HTML body, as from the edge.
    NotFoundPage,
    /// 404 `OBJECT_NOT_FOUND` in the CRM's error shape; for a batch read with its ids.
    ObjectNotFound,
    /// 200 with an HTML body, as from the edge.
    HtmlPage,
    /// 200 with an error document.
    ErrorDocument,
    MissingScopes,
    UnnamedScopes,
    Uncategorised,
    Forbidden,
    MissingPermission,
    BlockPage,
    /// Some records of a batch or a list are in `errors` instead of `results`, and a batch update does not change them.
    /// See `ids`, `status` and `category` of [`ScriptedFault`].
    PartialErrors,
    /// Some records are in neither `results` nor `errors`, and a batch update does not change them. See `ids`.
    LeftOut,
    /// As `LeftOut`, and the status of a batch is PENDING.
    Pending,
    /// As `LeftOut`, and the status of a batch is PROCESSING.
    Processing,
    /// As `LeftOut`, and the status of a batch is CANCELED.
    Canceled,
    /// A page of a list without records, with a cursor that was never there before.
    EmptyPage,
    /// A byte-order mark before the document.
    ByteOrderMark,
    /// So much white space before the document that it has 129 MiB.
    Oversized,
    /// Ids of records are numbers.
    NumericIds,
    /// `properties` of some records is null. See `ids`.
    NullProperties,
    /// Entries of a list of definitions lack the members that `members` names.
    LackingMembers,
}

/// How the CRM treats `after` in lists of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cursors {
    /// The last record's id, to start after; any number can be started from.
    Ids,
    /// The last record's id plus one, to start at, as HubSpot's guide shows it; any number can be started from.
    #[default]
    NextId,
    /// A text that is no id and can only be handed back; a number gets 400.
    Opaque,
    /// The last record's id, but a number that was not handed out before starts from the beginning.
    Restart,
    /// The last record's id, but a number that was not handed out before gets 400.
    Refuse,
    /// The last record's id, but a number that was not handed out before silently skips some records.
    Skip,
    /// The number of records passed, which looks like a small id.
    Offsets,
}

/// A fault that happens to certain calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedFault {
    pub fault: Fault,
    /// Only to calls of this endpoint.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
    /// Only to calls for this object, by its plural name.
    #[serde(default)]
    pub object: Option<String>,
    /// So many such calls pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// So many calls are hit; without end when it is null.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// Only to calls for more records than this: the `limit` of a list or search, the inputs of a batch.
    #[serde(default)]
    pub above: Option<u32>,
    /// Only to calls that would answer values of one of these records. Lists and searches for ids alone pass.
    #[serde(default)]
    pub poison: Vec<u64>,
    /// The records that it happens to, where it happens to some; every second of the call's when empty.
    #[serde(default)]
    pub ids: Vec<u64>,
    /// The status of the answer, for `partialErrors`; 207 when absent.
    #[serde(default)]
    pub status: Option<u16>,
    /// The category of the errors, for `partialErrors` and `errorDocument`; `INTERNAL_ERROR` if absent.
    #[serde(default)]
    pub category: Option<String>,
    /// The members that `lackingMembers` takes away.
    #[serde(default)]
    pub members: Vec<String>,
}

impl ScriptedFault {
    /// `fault`, to the next call.
    pub const fn once(fault: Fault) -> Self {
        Self {
            fault,
            endpoint: None,
            object: None,
            skip: 0,
            times: once(),
            above: None,
            poison: Vec::new(),
            ids: Vec::new(),
            status: None,
            category: None,
            members: Vec::new(),
        }
    }

    fn concerns(&self, call: &CallFacts<'_>) -> bool {
        self.endpoint.is_none_or(|wanted| wanted == call.endpoint)
            && self.object.as_deref().is_none_or(|wanted| Some(wanted) == call.object)
            && self.above.is_none_or(|above| call.size.is_some_and(|size| size > above))
    }

    /// Counts a call that it concerns; whether it is hit.
    fn counts(&self, matched: &mut u32) -> bool {
        let passed = *matched;
        *matched = matched.saturating_add(1);
        passed >= self.skip && self.times.is_none_or(|times| passed - self.skip < times)
    }
}

/// What a script can choose calls by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallFacts<'a> {
    pub(crate) endpoint: Endpoint,
    /// The object's plural name.
    pub(crate) object: Option<&'a str>,
    /// Records that it asks for.
    pub(crate) size: Option<u32>,
    /// Whether it reads more of records than their ids.
    pub(crate) reads_values: bool,
}

// serde's `default` needs a function.
#[expect(clippy::unnecessary_wraps, reason = "the field it fills is optional")]
const fn once() -> Option<u32> {
    Some(1)
}

/// Records that disappear and appear while a client lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Churn {
    /// Only for these objects; all when empty.
    #[serde(default)]
    pub objects: Vec<String>,
    /// After every so many list pages of an object…
    pub every_pages: u32,
    /// …so many of its records are archived…
    #[serde(default)]
    pub delete: u32,
    /// …so many are created…
    #[serde(default)]
    pub create: u32,
    /// …and so many are changed, or, being threads, get a message.
    #[serde(default)]
    pub touch: u32,
    /// So many times per object at most.
    #[serde(default)]
    pub times: Option<u32>,
}

/// All faults of a portal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Faults {
    /// The share of calls, from 0 to 1, that each fault happens to.
    pub rates: BTreeMap<Fault, f64>,
    /// Faults for certain calls. They are looked at in this order, before the rates.
    pub script: Vec<ScriptedFault>,
    /// How `after` is treated.
    pub cursors: Cursors,
    /// So many of a page's last records come again on the next page, where cursors are opaque and pages longer.
    pub repeats: u32,
    /// Records that disappear and appear.
    pub churn: Option<Churn>,
    /// How long a hang lasts, in milliseconds; two minutes when absent, longer than any sensible client waits.
    pub hang_ms: Option<u64>,
    /// How long searches neither find what was created nor miss what was archived, in milliseconds.
    pub search_lag_ms: u64,
}

impl Faults {
    /// How long a hang lasts if its script sets no time.
    pub(crate) const LONGEST_HANG_MS: u64 = 120_000;
}

/// The state of a portal's faults.
#[derive(Debug)]
pub(crate) struct FaultState {
    random: Random,
    /// Calls that each scripted fault has matched.
    matched: Vec<u32>,
    /// List pages served and churns done, per object.
    churned: BTreeMap<String, (u32, u32)>,
}

impl FaultState {
    pub(crate) fn new(seed: u64, faults: &Faults) -> Self {
        Self { random: Random::new(seed ^ 0xFA_0175), matched: vec![0; faults.script.len()], churned: BTreeMap::new() }
    }

    /// The fault of the next call, before the call is answered.
    pub(crate) fn next(&mut self, faults: &Faults, call: &CallFacts<'_>) -> Option<ScriptedFault> {
        let mut hit = None;
        for (scripted, matched) in faults.script.iter().zip(&mut self.matched) {
            if scripted.poison.is_empty() && scripted.concerns(call) && scripted.counts(matched) && hit.is_none() {
                hit = Some(scripted.clone());
            }
        }
        hit.or_else(|| self.by_chance(faults).map(ScriptedFault::once))
    }

    /// The fault of a call because of the records in its answer.
    pub(crate) fn next_poisoned(
        &mut self,
        faults: &Faults,
        call: &CallFacts<'_>,
        answered: impl Fn() -> Vec<u64>,
    ) -> Option<ScriptedFault> {
        if !call.reads_values {
            return None;
        }
        let mut hit = None;
        for (scripted, matched) in faults.script.iter().zip(&mut self.matched) {
            let poisoned = || answered().iter().any(|id| scripted.poison.contains(id));
            let concerns = !scripted.poison.is_empty() && scripted.concerns(call) && poisoned();
            if concerns && scripted.counts(matched) && hit.is_none() {
                hit = Some(scripted.clone());
            }
        }
        hit
    }

    fn by_chance(&mut self, faults: &Faults) -> Option<Fault> {
        if faults.rates.is_empty() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "53 bits are as many as a share needs")]
        let mut left = (self.random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        for (fault, rate) in &faults.rates {
            if left < *rate {
                return Some(*fault);
            }
            left -= rate;
        }
        None
    }

    /// Whether records of `object` change after the page that has just been served.
    pub(crate) fn churns_now(&mut self, faults: &Faults, object: &str) -> bool {
        let Some(churn) = &faults.churn else { return false };
        if !churn.objects.is_empty() && !churn.objects.iter().any(|name| name == object) {
            return false;
        }
        let (pages, done) = self.churned.entry(object.to_owned()).or_default();
        *pages += 1;
        let is_due = pages.is_multiple_of(churn.every_pages.max(1)) && churn.times.is_none_or(|times| *done < times);
        *done += u32::from(is_due);
        is_due
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(object: Option<&str>) -> CallFacts<'_> {
        CallFacts { endpoint: Endpoint::List, object, size: Some(100), reads_values: true }
    }

    #[test]
    fn a_script_hits_the_calls_that_it_names() {
        let faults: Faults = serde_json::from_str(
            r#"{"script": [{"fault": "badGateway", "endpoint": "list", "object": "contacts", "skip": 2}]}"#,
        )
        .expect("valid");
        let mut state = FaultState::new(1, &faults);
        assert_eq!(state.next(&faults, &list(Some("deals"))), None);
        let mut next = || state.next(&faults, &list(Some("contacts"))).map(|hit| hit.fault);
        let hits: Vec<_> = (0..5).map(|_| next()).collect();
        assert_eq!(hits, [None, None, Some(Fault::BadGateway), None, None]);
    }

    #[test]
    fn a_script_tells_calls_by_their_size_and_by_their_records() {
        let faults: Faults = serde_json::from_str(
            r#"{"script": [{"fault": "gatewayTimeout", "above": 25, "times": null},
                           {"fault": "internalError", "poison": [7], "times": null}]}"#,
        )
        .expect("valid");
        let mut state = FaultState::new(1, &faults);
        let few = CallFacts { size: Some(25), ..list(None) };
        assert_eq!(state.next(&faults, &list(None)).map(|hit| hit.fault), Some(Fault::GatewayTimeout));
        assert_eq!(state.next(&faults, &few), None);
        let mut poisoned = |call, ids: &[u64]| state.next_poisoned(&faults, call, || ids.to_vec()).is_some();
        assert!(poisoned(&few, &[6, 7]) && !poisoned(&few, &[6, 8]));
        assert!(!poisoned(&CallFacts { reads_values: false, ..few }, &[7]));
    }

    #[test]
    fn rates_are_kept_and_repeat_with_the_seed() {
        let faults = Faults { rates: [(Fault::Locked, 0.1), (Fault::Reset, 0.05)].into(), ..Faults::default() };
        let run = || {
            let mut state = FaultState::new(9, &faults);
            (0..10_000).map(|_| state.next(&faults, &list(None)).map(|hit| hit.fault)).collect::<Vec<_>>()
        };
        let hits = run();
        let count = |fault| hits.iter().filter(|hit| **hit == Some(fault)).count();
        assert!((850..1_150).contains(&count(Fault::Locked)));
        assert!((400..600).contains(&count(Fault::Reset)));
        assert_eq!(hits, run());
    }
}
