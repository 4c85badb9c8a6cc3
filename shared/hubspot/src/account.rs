//! The details of an account, and the limits of its calls.

use domain::budget::CallLimits;
use domain::ports::crm::{CrmAccount, CrmError};
use jiff::SignedDuration;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use crate::call::number_in;
use crate::client::HubSpot;
use crate::documents;
use crate::endpoints::Endpoints;
use crate::retry::Retries;
use crate::scan::Malformed;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountDetails {
    /// A number, or a text that contains one.
    portal_id: Value,
    time_zone: String,
}

impl HubSpot {
    pub(crate) async fn details(&self) -> Result<CrmAccount, CrmError> {
        let call = Endpoints::account();
        // A user waits for the answer.
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
}

/// The limits of the lowest plan, free and starter.
const LOWEST: CallLimits =
    CallLimits { per_window: 100, window: WINDOW, per_day: 250_000, searches_per_second: SEARCHES_PER_SECOND };
const WINDOW: SignedDuration = SignedDuration::from_secs(10);
const WINDOWS_OF_A_DAY: u32 = 8_640;

/// The same in all plans: no header names it.
const SEARCHES_PER_SECOND: u32 = 5;

/// The limits in the headers, or the lowest plan's if there are none. If the headers name a rate but no daily limit, as
/// for public apps, the rate is the only limit.
fn limits_of(headers: &HeaderMap) -> CallLimits {
    let max: Option<u64> = number_in(headers, "x-hubspot-ratelimit-max");
    let interval: u64 = number_in(headers, "x-hubspot-ratelimit-interval-milliseconds").unwrap_or(10_000);
    let per_window = max.map(|max| max.saturating_mul(10_000) / interval.max(1));
    let per_window = per_window.and_then(|max| u32::try_from(max).ok()).filter(|&max| max > 0);
    let per_day = number_in(headers, "x-hubspot-ratelimit-daily").filter(|&daily| daily > 0);
    let has_daily_limit = headers.contains_key("x-hubspot-ratelimit-daily");
    let of_rate = per_window.filter(|_| !has_daily_limit).map(|rate| rate.saturating_mul(WINDOWS_OF_A_DAY));
    let per_day = per_day.or(of_rate);
    CallLimits {
        per_window: per_window.unwrap_or(LOWEST.per_window),
        per_day: per_day.unwrap_or(LOWEST.per_day),
        ..LOWEST
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
        (limits.per_ten_seconds(), limits.per_day)
    }

    #[test]
    fn limits_come_from_the_headers_or_from_the_lowest_plan() {
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
        // C3: limits of no known plan, and those of a public app, which has no daily limit.
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
