//! Problem documents for the errors of the use cases.

use domain::lease::WaitReason;
use domain::ports::crm::{CrmError, CrmErrorKind};
use http_api::problem::{FieldFault, Problem, catalogue};
use http_api::representation::shown;
use jiff::Timestamp;
use workflows::change_account::ChangeError;
use workflows::notify::inbox::InboxError;
use workflows::schedule::ScheduleError;

const TOKEN: &str = "crmConnection.token";
const WEBHOOK: &str = "notificationTargets.webhook.url";
const BASE_URL: &str = "crmConnection.baseUrl";
/// The shortest `Retry-After` after a CRM did not answer, in seconds.
const TRY_AGAIN: u64 = 10;

/// A super admin may change all settings except the plan.
pub(crate) fn plan_is_the_operators() -> Problem {
    Problem::new(
        catalogue::FORBIDDEN,
        "Only an operator may set an account's plan. Ask the operator of this deployment.",
    )
    .fault("plan", "Remove it from the body.")
}

pub(crate) fn of_schedule(error: ScheduleError) -> Problem {
    match error {
        ScheduleError::AccountUnknown => Problem::account_unknown(),
        ScheduleError::NotConnected => Problem::account_not_connected(),
        ScheduleError::NotInPlan(plan) => Problem::new(
            catalogue::SCHEDULE_NOT_IN_PLAN,
            format!(
                "The account's plan '{plan}' does not include schedules. Start backups by hand, or ask an operator for \
                 another plan."
            ),
        ),
        ScheduleError::Ledger(error) => error.into(),
    }
}

pub(crate) fn of_inbox(error: InboxError) -> Problem {
    match error {
        InboxError::AccountUnknown => Problem::account_unknown(),
        InboxError::Unknown => Problem::notification_unknown(),
        InboxError::Ledger(error) => error.into(),
    }
}

pub(crate) fn of_change(error: ChangeError, base_urls: &[String], now: Timestamp) -> Problem {
    match error {
        ChangeError::AccountUnknown => Problem::account_unknown(),
        ChangeError::BaseUrlNotAllowed => Problem::new(
            catalogue::BASE_URL_NOT_ALLOWED,
            format!("This deployment connects to {} only.", base_urls.join(", ")),
        )
        .fault(BASE_URL, "It must be one of `allowed`, spelled exactly the same.")
        .member("allowed", base_urls.to_vec()),
        ChangeError::BaseUrlMissing => Problem::input_invalid(vec![FieldFault::new(
            BASE_URL,
            "It is missing. The account is not connected yet, so the base URL is required.",
        )]),
        ChangeError::TokenMissing => Problem::input_invalid(vec![FieldFault::new(
            TOKEN,
            "It is missing, and no token is stored for this base URL.",
        )]),
        ChangeError::PortalDiffers { connected, given } => Problem::new(
            catalogue::PORTAL_DIFFERS,
            format!(
                "The token belongs to portal {given}, but the account and its backups belong to portal {connected}."
            ),
        )
        .fault(TOKEN, "It must belong to the account's portal."),
        ChangeError::Webhook(refused) => {
            Problem::new(catalogue::WEBHOOK_NOT_ALLOWED, format!("Webhooks cannot be sent to this URL: {refused}."))
                .fault(WEBHOOK, "It must be an https URL of a server on the public internet.")
        }
        ChangeError::Crm(error) => of_crm(&error, now),
        ChangeError::Secrets(error) => error.into(),
        ChangeError::Ledger(error) => error.into(),
    }
}

fn of_crm(error: &CrmError, now: Timestamp) -> Problem {
    let sentence = error.sentence.as_str();
    match &error.kind {
        CrmErrorKind::TokenRefused => {
            Problem::new(catalogue::CRM_TOKEN_REFUSED, sentence).fault(TOKEN, "The CRM rejects it (401).")
        }
        CrmErrorKind::MissingScopes(scopes) | CrmErrorKind::HiddenValues(scopes) => {
            Problem::new(catalogue::CRM_SCOPES_MISSING, sentence)
                .fault(TOKEN, "It lacks the scopes in `scopes`.")
                .member("scopes", scopes.clone())
        }
        CrmErrorKind::Unavailable { retry_after } => {
            let asked = u64::try_from(retry_after.as_secs()).unwrap_or(0);
            Problem::new(catalogue::CRM_UNAVAILABLE, sentence).retry_after(asked.max(TRY_AGAIN)).caused_by(error)
        }
        CrmErrorKind::NoBudget { until, reason } => limit_used_up(*until, *reason, now).caused_by(error),
        CrmErrorKind::Forbidden | CrmErrorKind::NotFound | CrmErrorKind::Refused | CrmErrorKind::Malformed => {
            Problem::new(catalogue::CRM_ANSWER_UNUSABLE, sentence).caused_by(error)
        }
    }
}

/// A limit of the CRM prevented the call. Names the limit, when it ends, and what to do.
fn limit_used_up(until: Timestamp, reason: WaitReason, now: Timestamp) -> Problem {
    let (limit, detail) = match reason {
        WaitReason::DailyLimit => (
            "day",
            format!(
                "The CRM's daily call limit is used up by this and other apps of the CRM account, so the token cannot \
                 be checked. Nothing was changed. Send the same request again after {until:.0}. The CRM resets the \
                 limit at midnight in the time zone of the CRM account."
            ),
        ),
        _ => (
            "ten-seconds",
            format!(
                "The CRM's call limit for ten seconds is used up, so the token cannot be checked. Nothing was changed. \
                 Send the same request again after {until:.0}."
            ),
        ),
    };
    let left = u64::try_from(until.duration_since(now).as_secs()).unwrap_or(0);
    let problem = Problem::new(catalogue::CRM_LIMIT_USED_UP, detail).retry_after(left + 1);
    problem.member("limit", limit).member("until", shown(until).to_string())
}

#[cfg(test)]
mod tests {
    use domain::ports::ledger::LedgerError;
    use domain::ports::secrets::SecretsError;
    use domain::ports::webhook::WebhookRefused;
    use expect_test::expect_file;
    use http_api::testing::shown as as_text;
    use jiff::SignedDuration;

    use super::*;

    /// The documents as people read them. After a wanted change: `UPDATE_EXPECT=1 cargo test -p account-api problems`.
    #[test]
    fn problem_documents_read_as_in_the_snapshot() {
        let now = Timestamp::UNIX_EPOCH;
        let until = now + SignedDuration::from_secs(7);
        let crm = |kind| ChangeError::Crm(CrmError::new(kind, "What HubSpot answered, and what to do.".to_owned()));
        let changes = [
            ChangeError::AccountUnknown,
            ChangeError::BaseUrlNotAllowed,
            ChangeError::BaseUrlMissing,
            ChangeError::TokenMissing,
            ChangeError::PortalDiffers { connected: 7, given: 8 },
            ChangeError::Webhook(WebhookRefused::Malformed),
            ChangeError::Webhook(WebhookRefused::Unresolved),
            ChangeError::Webhook(WebhookRefused::Private),
            crm(CrmErrorKind::TokenRefused),
            crm(CrmErrorKind::MissingScopes(vec!["tickets".to_owned()])),
            crm(CrmErrorKind::Forbidden),
            crm(CrmErrorKind::Unavailable { retry_after: SignedDuration::from_secs(30) }),
            crm(CrmErrorKind::NoBudget { until, reason: WaitReason::DailyLimit }),
            crm(CrmErrorKind::NoBudget { until, reason: WaitReason::RateLimit }),
            ChangeError::Secrets(SecretsError::ConnectionChanging),
            ChangeError::Ledger(LedgerError::Unavailable("timed out".to_owned())),
        ];
        let base_urls = ["https://api.hubapi.com".to_owned(), "https://api-eu1.hubapi.com".to_owned()];
        let documents = [plan_is_the_operators()]
            .into_iter()
            .chain(changes.into_iter().map(|error| of_change(error, &base_urls, now)))
            .chain([of_schedule(ScheduleError::NotInPlan("starter")), of_inbox(InboxError::Unknown)]);
        expect_file!["../tests/snapshots/problems.txt"].assert_eq(&as_text(documents));
    }
}
