//! Which problem document each error of the use cases becomes.

use domain::ports::crm::{CrmError, CrmErrorKind};
use lambda::problem::{FieldFault, Problem, catalogue};
use workflows::connect_account::ConnectError;

const TOKEN: &str = "crmConnection.token";
const BASE_URL: &str = "crmConnection.baseUrl";
/// Seconds after which connecting to a CRM that did not answer makes sense again at the earliest.
const TRY_AGAIN: u64 = 10;

pub(crate) fn of_connect(error: ConnectError, base_urls: &[String]) -> Problem {
    match error {
        ConnectError::AccountUnknown => Problem::account_unknown(),
        ConnectError::BaseUrlNotAllowed => Problem::new(
            catalogue::BASE_URL_NOT_ALLOWED,
            format!("This deployment connects to {} only.", base_urls.join(", ")),
        )
        .fault(BASE_URL, "It must be one of `allowed`, exactly as written there.")
        .member("allowed", base_urls.to_vec()),
        ConnectError::BaseUrlMissing => Problem::input_invalid(vec![FieldFault::new(
            BASE_URL,
            "It is missing, and the account is not connected yet.",
        )]),
        ConnectError::TokenMissing => {
            Problem::input_invalid(vec![FieldFault::new(TOKEN, "It is missing, and none is stored for this base URL.")])
        }
        ConnectError::PortalDiffers { connected, given } => Problem::new(
            catalogue::PORTAL_DIFFERS,
            format!("The token belongs to portal {given}, but the account and its backups are of portal {connected}."),
        )
        .fault(TOKEN, "It must belong to the account's portal."),
        ConnectError::Crm(error) => of_crm(&error),
        ConnectError::Secrets(error) => error.into(),
        ConnectError::Ledger(error) => error.into(),
    }
}

fn of_crm(error: &CrmError) -> Problem {
    let sentence = error.sentence.as_str();
    match &error.kind {
        CrmErrorKind::TokenRefused => {
            Problem::new(catalogue::CRM_TOKEN_REFUSED, sentence).fault(TOKEN, "The CRM refuses it (401).")
        }
        CrmErrorKind::MissingScopes(scopes) => Problem::new(catalogue::CRM_SCOPES_MISSING, sentence)
            .fault(TOKEN, "It lacks the scopes in `scopes`.")
            .member("scopes", scopes.clone()),
        CrmErrorKind::Unavailable { retry_after } => {
            let asked = u64::try_from(retry_after.as_secs()).unwrap_or(0);
            Problem::new(catalogue::CRM_UNAVAILABLE, sentence).retry_after(asked.max(TRY_AGAIN)).caused_by(error)
        }
        CrmErrorKind::NoBudget { .. } => {
            Problem::new(catalogue::CRM_UNAVAILABLE, sentence).retry_after(TRY_AGAIN).caused_by(error)
        }
        CrmErrorKind::NotFound | CrmErrorKind::Refused | CrmErrorKind::Malformed => {
            Problem::new(catalogue::CRM_ANSWER_UNUSABLE, sentence).caused_by(error)
        }
    }
}
