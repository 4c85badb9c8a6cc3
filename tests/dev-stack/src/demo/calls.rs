//! The calls that a backup sent to the CRM, beside those that the CRM allowed in that time.

use std::collections::BTreeMap;
use std::time::Duration;

use dev_stack::api::Api;
use dev_stack::failure::{OrFailure, Result};
use dev_stack::stack::Stack;
use serde::Deserialize;

/// The sandbox's count of calls; see `CallReport` of `sandbox-crm`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Calls {
    refused: u64,
    endpoints: BTreeMap<String, EndpointCalls>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct EndpointCalls {
    calls: u64,
}

impl Calls {
    /// All calls so far.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub(super) fn so_far(stack: &Stack) -> Result<Self> {
        let answer = Api::new(&stack.sandbox_url).get("/_sandbox/portals/default/calls?recent=0")?;
        serde_json::from_value(answer.json()).or_failure(|| "the sandbox's call report".to_owned())
    }

    /// Searches have a limit of their own.
    fn sent(&self, searches: bool) -> u64 {
        let counted = self.endpoints.iter().filter(|(name, _)| name.starts_with("search") == searches);
        counted.map(|(_, endpoint)| endpoint.calls).sum()
    }
}

/// What a backup that `took` so long did with the limit of its account.
///
/// # Errors
/// When the API does not answer.
pub(super) fn account_for(stack: &Stack, before: &Calls, after: &Calls, took: Duration) -> Result<String> {
    let answer = stack.api().with_token(&stack.super_admin.id_token).get(&format!("/accounts/{}", stack.account_id))?;
    let per_ten_seconds = answer.json()["crmConnection"]["callLimits"]["perTenSeconds"].as_u64().unwrap_or_default();
    let made = after.sent(false) - before.sent(false);
    let searches = after.sent(true) - before.sent(true);
    Ok(sentence(made, searches, after.refused - before.refused, per_ten_seconds, took))
}

fn sentence(made: u64, searches: u64, refused: u64, per_ten_seconds: u64, took: Duration) -> String {
    let allowed = per_ten_seconds * u64::try_from(took.as_millis()).unwrap_or(u64::MAX) / 10_000;
    let at_the_limit = made * 10_000 / per_ten_seconds.max(1);
    format!(
        "{made} calls and {searches} searches, {refused} refused; the CRM allows {per_ten_seconds} calls in ten \
         seconds, {allowed} in this time. At the limit the calls take {}.{} s.",
        at_the_limit / 1_000,
        at_the_limit % 1_000 / 100
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_says_what_was_called_and_what_the_limit_allows() {
        let said = sentence(330, 25, 1, 190, Duration::from_secs(20));
        assert!(said.starts_with("330 calls and 25 searches, 1 refused"), "{said}");
        assert!(said.contains("190 calls in ten seconds, 380 in this time"), "{said}");
        assert!(said.ends_with("the calls take 17.3 s."), "{said}");
    }
}
