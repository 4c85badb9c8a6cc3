//! What HubSpot says when it refuses a call, and what we tell people.

use std::time::Duration;

use domain::ports::call_gate::RefusedPolicy;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::WriteRefusal;
use jiff::SignedDuration;
use serde_json::Value;

use crate::write_refusal;

/// Characters of HubSpot's own message that an error repeats.
const MESSAGE_CHARS: usize = 200;
/// Scopes that an error names at most.
const MAX_SCOPES: usize = 20;

/// A refusal that no retry can mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) details: Details,
    /// 404, or 400 with nothing but its message to tell by.
    unknown_object: bool,
    /// What was wrong with the values of a write, if that was it.
    about_values: Option<Box<WriteRefusal>>,
}

/// What was understood of an error document. Everything may be missing: proxies answer with HTML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Details {
    /// HubSpot's word for the error, such as `VALIDATION_ERROR`.
    pub(crate) category: Option<String>,
    /// One line without links, cut. None for a write, as it could quote a property value.
    pub(crate) message: Option<String>,
    /// The scopes of which one or more are missing, with status 403.
    pub(crate) scopes: Vec<String>,
}

impl Details {
    fn of(document: &Value) -> Self {
        Self {
            category: word(document, "category"),
            message: text(document, "message").map(message_line).filter(|line| !line.is_empty()),
            scopes: scopes_of(document),
        }
    }
}

/// An error document, whatever it is.
fn document_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Which limit an answer with status 429 is about.
pub(crate) fn policy(body: &[u8]) -> RefusedPolicy {
    match word(&document_of(body), "policyName") {
        Some(name) if name.to_ascii_uppercase().contains("DAILY") => RefusedPolicy::Daily,
        _ => RefusedPolicy::Rate,
    }
}

/// A member of a document that is a text.
pub(crate) fn text<'v>(document: &'v Value, name: &str) -> Option<&'v str> {
    document.get(name).and_then(Value::as_str)
}

/// Letters, digits and `_ - .` of a member that is a word.
pub(crate) fn word(document: &Value, name: &str) -> Option<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let word: String = text(document, name)?.chars().filter(|&c| word(c)).take(60).collect();
    Some(word).filter(|word| !word.is_empty())
}

fn message_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().filter(|word| !word.contains("://")).collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS).collect()
}

/// The scopes that an error document names. Seen are `errors[].context.requiredGranularScopes` (new names),
/// `requiredScopes` (names from before 2022, told only when there are no new ones), and names inside the message.
fn scopes_of(document: &Value) -> Vec<String> {
    let mut scopes = Vec::new();
    collect(document, &mut scopes, |name| name.eq_ignore_ascii_case("requiredGranularScopes"));
    if scopes.is_empty() {
        collect(document, &mut scopes, |name| name.to_ascii_lowercase().ends_with("scopes"));
    }
    if scopes.is_empty() {
        let message = document.get("message").and_then(Value::as_str).unwrap_or_default();
        let words = message.split(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | ',' | '(' | ')' | '"' | '\''));
        scopes.extend(words.map(|word| word.trim_end_matches('.')).filter(|word| is_scope(word)).map(str::to_owned));
    }
    scopes.sort();
    scopes.dedup();
    scopes.truncate(MAX_SCOPES);
    scopes
}

fn is_scope(word: &str) -> bool {
    let read_or_write = word.split('.').any(|part| matches!(part, "read" | "write"));
    is_scope_like(word) && (read_or_write && word.contains('.') || word.starts_with("crm."))
}

fn is_scope_like(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    (1..=100).contains(&word.len()) && word.bytes().all(allowed)
}

/// All texts in lists whose member name is `wanted`, at any depth.
fn collect(value: &Value, found: &mut Vec<String>, wanted: impl Fn(&str) -> bool + Copy) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found, wanted)),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::Array(items) if wanted(name) => {
                        let names = items.iter().filter_map(Value::as_str).filter(|name| is_scope_like(name));
                        found.extend(names.map(str::to_owned));
                    }
                    _ => collect(member, found, wanted),
                }
            }
        }
        _ => {}
    }
}

impl Refusal {
    /// The refusal of a call that changes nothing.
    pub(crate) fn of_read(status: u16, body: &[u8]) -> Self {
        let document = document_of(body);
        let unknown_object = is_about_unknown_object(status, &document);
        Self { status, details: Details::of(&document), unknown_object, about_values: None }
    }

    /// The refusal of a call that writes values. HubSpot's own words are kept for [`Refusal::into_write_refusal`] only.
    pub(crate) fn of_write(status: u16, body: &[u8]) -> Self {
        let mut document = document_of(body);
        let about_records = status == 404 && is_about_records(&document);
        let unknown_object = !about_records && is_about_unknown_object(status, &document);
        // 413: all of them together may be too long, and fewer of them not.
        let about_values = (about_records || matches!(status, 400 | 409 | 413 | 422) && !unknown_object)
            .then(|| Box::new(write_refusal::read(&document, &format!("HTTP_{status}"))));
        if let Some(members) = document.as_object_mut() {
            members.remove("message");
        }
        Self { status, details: Details::of(&document), unknown_object, about_values }
    }

    /// What was wrong with the values that were to be written.
    ///
    /// # Errors
    /// The refusal itself, when it is about something else.
    pub(crate) fn into_write_refusal(mut self) -> Result<WriteRefusal, Self> {
        self.about_values.take().map(|refusal| *refusal).ok_or(self)
    }

    /// Whether scopes are what was missing.
    pub(crate) fn lacks_scopes(&self) -> bool {
        self.status == 403 && self.details.is_about_scopes()
    }

    /// The error of a refused call to `endpoint`, which needs `scope` if the CRM did not say which.
    pub(crate) fn into_error(self, endpoint: &str, scope: &str) -> CrmError {
        let Self { status, details, unknown_object, .. } = self;
        match status {
            401 => error(
                CrmErrorKind::TokenRefused,
                "HubSpot refuses the token (401): it is wrong, expired or revoked. Connect the account again with a \
                 valid token."
                    .to_owned(),
            ),
            403 if details.is_about_scopes() => {
                let scopes = if details.scopes.is_empty() { vec![scope.to_owned()] } else { details.scopes };
                missing_scopes(scopes)
            }
            _ if unknown_object => error(
                CrmErrorKind::NotFound,
                format!("HubSpot found nothing at {endpoint} ({status}): this account has no such object type."),
            ),
            403 => error(CrmErrorKind::Forbidden, details.sentence(endpoint, status)),
            _ => error(CrmErrorKind::Refused, details.sentence(endpoint, status)),
        }
    }
}

fn is_about_unknown_object(status: u16, document: &Value) -> bool {
    let message = text(document, "message").unwrap_or_default();
    status == 404 || status == 400 && message.trim_start().starts_with("Unable to infer object type")
}

/// Whether single records are what was not found, such as one that was deleted a moment ago.
fn is_about_records(document: &Value) -> bool {
    let names_ids = |error: &Value| error.get("context").is_some_and(|context| context.get("ids").is_some());
    let errors = document.get("errors").and_then(Value::as_array).into_iter().flatten();
    text(document, "category") == Some("OBJECT_NOT_FOUND") || errors.chain([document]).any(names_ids)
}

impl Details {
    /// A 403 is about scopes unless it names another reason.
    fn is_about_scopes(&self) -> bool {
        !self.scopes.is_empty() || self.category.as_deref().is_none_or(|category| category == "MISSING_SCOPES")
    }

    fn sentence(&self, endpoint: &str, status: u16) -> String {
        let category = self.category.as_deref().map_or(String::new(), |category| format!(", {category}"));
        let message = self.message.as_deref().map_or(String::new(), |message| format!(": {message}"));
        format!("HubSpot refuses {endpoint} ({status}{category}){message}")
    }
}

/// The token lacks scopes. HubSpot names several for one call when any of them would do.
pub(crate) fn missing_scopes(scopes: Vec<String>) -> CrmError {
    let sentence = match scopes.as_slice() {
        [one] => format!("The HubSpot token lacks the scope {one}. Add it to the app in HubSpot and try again."),
        several => format!(
            "The HubSpot token lacks one or more of these scopes: {}. Add them to the app in HubSpot and try again.",
            several.join(", ")
        ),
    };
    error(CrmErrorKind::MissingScopes(scopes), sentence)
}

/// The CRM failed for longer than the retries.
pub(crate) fn unavailable(endpoint: &str, why: &str, sent: u32, retry_after: Duration) -> CrmError {
    let retry_after = SignedDuration::try_from(retry_after).unwrap_or(SignedDuration::MAX);
    error(
        CrmErrorKind::Unavailable { retry_after },
        format!("HubSpot does not answer {endpoint} properly ({why}, calls sent: {sent}). Try again later."),
    )
}

/// The CRM kept answering something else than its API promises.
pub(crate) fn malformed(endpoint: &str, sent: u32) -> CrmError {
    error(
        CrmErrorKind::Malformed,
        format!(
            "HubSpot's answers to {endpoint} are cut off or not what its API promises (calls sent: {sent}). Try again later."
        ),
    )
}

/// An error from its two parts.
pub(crate) fn error(kind: CrmErrorKind, sentence: String) -> CrmError {
    CrmError { kind, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> CrmError {
        Refusal::of_read(status, body.as_bytes()).into_error("GET /x", "crm.objects.deals.read")
    }

    fn scopes(body: &str) -> Vec<String> {
        match refusal(403, body).kind {
            CrmErrorKind::MissingScopes(scopes) => scopes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn missing_scopes_are_named_in_every_known_shape() {
        let granular = r#"{"status":"error","category":"MISSING_SCOPES","errors":[{"message":"one of these is needed",
            "context":{"requiredScopes":["contacts"],"requiredGranularScopes":["crm.objects.contacts.read"]}}]}"#;
        assert_eq!(scopes(granular), ["crm.objects.contacts.read"]);
        let old = r#"{"category":"MISSING_SCOPES","errors":[{"context":{"requiredScopes":["tickets","contacts"]}}]}"#;
        assert_eq!(scopes(old), ["contacts", "tickets"]);
        let message = r#"{"message":"needs any of [crm.schemas.custom.read, crm.objects.custom.read.v2]. See https://developers.hubspot.com/read"}"#;
        assert_eq!(scopes(message), ["crm.objects.custom.read.v2", "crm.schemas.custom.read"]);
    }

    #[test]
    fn a_403_that_names_no_scope_names_what_the_call_needs() {
        assert_eq!(scopes("<html>Forbidden</html>"), ["crm.objects.deals.read"]);
        assert_eq!(scopes(r#"{"category":"MISSING_SCOPES"}"#), ["crm.objects.deals.read"]);
    }

    #[test]
    fn a_403_for_another_reason_is_a_refusal() {
        let error = refusal(403, r#"{"category":"BANNED","message":"This account is suspended."}"#);
        assert_eq!(error.kind, CrmErrorKind::Refused);
        assert_eq!(error.sentence, "HubSpot refuses GET /x (403, BANNED): This account is suspended.");
    }

    #[test]
    fn an_unknown_object_type_is_told_from_other_refusals() {
        let unknown = refusal(400, r#"{"message":"Unable to infer object type from: p1_boat"}"#);
        assert_eq!(unknown.kind, CrmErrorKind::NotFound);
        assert_eq!(refusal(404, "").kind, CrmErrorKind::NotFound);
        assert_eq!(refusal(400, r#"{"message":"limit is too high"}"#).kind, CrmErrorKind::Refused);
    }

    #[test]
    fn messages_are_cut_and_hold_no_links() {
        let long = format!(r#"{{"message":"see https://example.com/?token=1 \n {}"}}"#, "x".repeat(1_000));
        let error = refusal(400, &long);
        assert!(error.sentence.len() < 250 && !error.sentence.contains("example.com"), "{error}");
    }

    #[test]
    fn the_daily_limit_is_told_from_the_others() {
        let policy_of = |name: &str| policy(format!(r#"{{"policyName":"{name}"}}"#).as_bytes());
        assert_eq!(policy_of("DAILY"), RefusedPolicy::Daily);
        assert_eq!(policy_of("TEN_SECONDLY_ROLLING"), RefusedPolicy::Rate);
        assert_eq!(policy(b""), RefusedPolicy::Rate);
    }
}
