//! What a request wants to change about an account.

use domain::account::ApiVersion;
use lambda::fields::Fields;
use lambda::problem::Problem;
use workflows::connect_account::{AccountChange, ConnectionChange};

/// Longer than any URL on an allow-list.
const LONGEST_URL: usize = 200;
/// HubSpot's own tokens have fewer than 100 characters; access tokens of its apps are longer.
const LONGEST_TOKEN: usize = 4_096;

const API_VERSIONS: [(&str, ApiVersion); 2] =
    [(ApiVersion::V2026_09.as_str(), ApiVersion::V2026_09), (ApiVersion::V3.as_str(), ApiVersion::V3)];

/// Reads `{crmConnection: {baseUrl, token, apiVersion}, callShare: {burstPercent, dailyPercent}}`, of which everything
/// may be absent and then stays as it is.
///
/// # Errors
/// A 422 problem that names every field at fault.
pub(crate) fn parse(mut body: Fields) -> Result<AccountChange, Problem> {
    let mut faults = Vec::new();
    let mut change = AccountChange::default();
    if let Some(mut connection) = body.object("crmConnection", &mut faults) {
        change.connection = Some(ConnectionChange {
            base_url: connection.text("baseUrl", LONGEST_URL, &mut faults),
            api_version: connection.choice("apiVersion", &API_VERSIONS, &mut faults),
            token: connection.secret("token", LONGEST_TOKEN, &mut faults),
        });
        connection.finish(&mut faults);
    }
    if let Some(mut share) = body.object("callShare", &mut faults) {
        change.burst_percent = share.whole_number("burstPercent", 1..=100, &mut faults);
        change.daily_percent = share.whole_number("dailyPercent", 1..=100, &mut faults);
        share.finish(&mut faults);
    }
    body.finish(&mut faults);
    if faults.is_empty() { Ok(change) } else { Err(Problem::input_invalid(faults)) }
}
