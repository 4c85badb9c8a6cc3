//! The errors of this crate that are not a refusal, and their sentences.

use std::time::Duration;

use domain::ids::ObjectType;
use domain::ports::crm::{CrmError, CrmErrorKind};
use jiff::SignedDuration;

/// Records of `object` have sensitive values, and the CRM does not show them to this token.
pub(crate) fn hidden_values(object: &ObjectType, scopes: Vec<String>) -> CrmError {
    let help = if scopes.is_empty() {
        "HubSpot has no scope for them. Ask HubSpot's support which app may read them".to_owned()
    } else {
        format!("Add {} to the app in HubSpot and try again", scopes.join(" and "))
    };
    let sentence = format!("HubSpot hides sensitive values of {object} from this token. {help}.");
    CrmError::new(CrmErrorKind::HiddenValues(scopes), sentence)
}

/// The token lacks scopes. HubSpot names several for one call if any of them would do.
pub(crate) fn missing_scopes(scopes: Vec<String>) -> CrmError {
    let sentence = match scopes.as_slice() {
        [one] => format!("The HubSpot token lacks the scope {one}. Add it to the app in HubSpot and try again."),
        several => format!(
            "The HubSpot token lacks one or more of these scopes: {}. Add them to the app in HubSpot and try again.",
            several.join(", ")
        ),
    };
    CrmError::new(CrmErrorKind::MissingScopes(scopes), sentence)
}

/// The CRM failed until the last retry.
pub(crate) fn unavailable(about: &str, why: &str, sent: u32, retry_after: Duration) -> CrmError {
    let retry_after = SignedDuration::try_from(retry_after).unwrap_or(SignedDuration::MAX);
    let sentence = format!(
        "HubSpot does not answer properly when asked for {about} ({why}, calls sent: {sent}). Try again later."
    );
    CrmError::new(CrmErrorKind::Unavailable { retry_after }, sentence)
}

/// Every answer of the CRM broke the rules of its API.
pub(crate) fn malformed(about: &str, sent: u32) -> CrmError {
    let sentence =
        format!("HubSpot's answers for {about} are cut off or malformed (calls sent: {sent}). Try again later.");
    CrmError::new(CrmErrorKind::Malformed, sentence)
}

/// The answer is longer than `most` bytes.
pub(crate) fn too_large(about: &str, most: usize) -> CrmError {
    let most = most >> 20;
    let sentence = format!(
        "HubSpot's answer for {about} is longer than {most} MiB, the limit of this service. Tell the operator."
    );
    CrmError::new(CrmErrorKind::Malformed, sentence)
}
