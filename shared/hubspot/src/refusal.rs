//! HubSpot's refusals: what they are about, and their sentences for users.

use std::collections::BTreeSet;

use domain::budget::CallKind;
use domain::ids::RecordId;
use domain::ports::call_gate::RefusedPolicy;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::WriteRefusal;
use serde_json::Value;

use crate::answers;
use crate::error_document::{self, identifier, one_line_without_links, text};
use crate::write_refusal;

/// The most characters of HubSpot's message that an error repeats.
const MESSAGE_CHARS: usize = 200;
/// The most scopes that an error names.
const MAX_SCOPES: usize = 20;

/// The refusal of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) details: Details,
    /// The object type does not exist: status 404, or 400 with a certain message.
    unknown_object: bool,
    /// The records that the refusal names, if it is about records that do not exist.
    absent: Option<Vec<RecordId>>,
    /// The document, if it is about the values or the records of a write.
    about_values: Option<Box<Value>>,
}

/// The useful members of an error document. All may be missing, since proxies answer with HTML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Details {
    /// HubSpot's category of the error, such as `VALIDATION_ERROR`.
    pub(crate) category: Option<String>,
    /// One short line without links. `None` for a write, since it could quote a value.
    pub(crate) message: Option<String>,
    /// The scopes in HubSpot's spelling. With status 403, one or more of them are missing.
    pub(crate) scopes: Vec<String>,
}

impl Details {
    fn of(document: &Value) -> Self {
        let message = text(document, "message").map(|message| one_line_without_links(message, MESSAGE_CHARS));
        Self {
            category: identifier(document, "category"),
            message: message.filter(|line| !line.is_empty()),
            scopes: scopes_of(document),
        }
    }
}

/// The limit behind an answer with status 429 to a call of this kind. Searches have a limit of their own (`SECONDLY`).
/// Other calls neither use it up nor wait for it.
pub(crate) fn policy(kind: CallKind, body: &[u8]) -> RefusedPolicy {
    let name = identifier(&error_document::read(body), "policyName").unwrap_or_default().to_ascii_uppercase();
    match kind {
        _ if name.contains("DAILY") => RefusedPolicy::Daily,
        CallKind::Search if !name.starts_with("TEN_SECONDLY") => RefusedPolicy::Searches,
        CallKind::Search | CallKind::Ordinary => RefusedPolicy::Rate,
    }
}

/// The scopes in an error document. HubSpot puts them into `errors[].context.requiredGranularScopes` (new names), into
/// `requiredScopes` (names from before 2022, used only without new ones), or into the message.
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

/// Collects the texts of all lists whose member name is `wanted`, at any depth.
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
        let document = error_document::read(body);
        let absent = answers::absent_in_refusal(status, &document);
        let unknown_object = is_about_unknown_object(status, &document);
        Self { status, details: Details::of(&document), unknown_object, absent, about_values: None }
    }

    /// The refusal of a call that writes values. Only [`Refusal::into_write_refusal`] may use HubSpot's message.
    pub(crate) fn of_write(status: u16, body: &[u8]) -> Self {
        let mut document = error_document::read(body);
        let absent = answers::absent_in_refusal(status, &document);
        let unknown_object = absent.is_none() && is_about_unknown_object(status, &document);
        // 413: fewer values may not be too long.
        let about_values = absent.is_some() || matches!(status, 400 | 409 | 413 | 422) && !unknown_object;
        let about_values = about_values.then(|| Box::new(document.clone()));
        if let Some(members) = document.as_object_mut() {
            members.remove("message");
        }
        Self { status, details: Details::of(&document), unknown_object, absent, about_values }
    }

    /// The refusal of the values of a write, which has properties with these names.
    ///
    /// # Errors
    /// The refusal itself, if it is about something else.
    pub(crate) fn into_write_refusal(mut self, names: &BTreeSet<&str>) -> Result<WriteRefusal, Self> {
        let document = self.about_values.take().ok_or(self.status);
        match document {
            Ok(document) => Ok(write_refusal::read(&document, &format!("HTTP_{}", self.status), names)),
            Err(_) => Err(self),
        }
    }

    /// The records that the refusal names as absent. `None` if it is not about records.
    pub(crate) fn absent(&self) -> Option<&[RecordId]> {
        self.absent.as_deref()
    }

    /// Whether the same call may succeed a moment later. A call `with_body` may be about certain records.
    pub(crate) fn may_be_temporary(&self, with_body: bool) -> bool {
        matches!(self.status, 401 | 403 | 404) && !(with_body && self.absent.is_some())
    }

    /// Whether the URL may have been too long. A proxy in front of HubSpot answers with status 414 or 431, or with 400
    /// and an HTML page or no body; HubSpot's own 400 has a category or a message. Status 520 is a failure that may be
    /// temporary, after which records are read by their ids.
    pub(crate) fn is_about_length(&self) -> bool {
        let message = self.details.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        let names_length = message.contains("too long") || message.contains("too large");
        let is_empty = self.details.category.is_none() && message.is_empty();
        matches!(self.status, 414 | 431) || self.status == 400 && (names_length || is_empty)
    }

    /// Whether the token lacks scopes.
    pub(crate) fn lacks_scopes(&self) -> bool {
        self.status == 403 && self.details.is_about_scopes()
    }

    /// The error of a refused call. `about` is its object in a sentence. `scope` is named if the CRM names no scope
    /// that HubSpot's settings have.
    pub(crate) fn into_error(self, about: &str, scope: &str) -> CrmError {
        let Self { status, details, unknown_object, .. } = self;
        match status {
            401 => CrmError::new(
                CrmErrorKind::TokenRefused,
                "HubSpot refuses the token (401): it is wrong, expired or revoked. Connect the account again with a \
                 valid token."
                    .to_owned(),
            ),
            403 if details.is_about_scopes() && !(scope.is_empty() && details.scopes.is_empty()) => {
                lacking(details.scopes, scope, about)
            }
            _ if unknown_object => CrmError::new(
                CrmErrorKind::NotFound,
                format!(
                    "HubSpot found nothing when asked for {about} ({status}): this account has no such object type."
                ),
            ),
            403 => CrmError::new(CrmErrorKind::Forbidden, details.sentence(about, status)),
            _ => CrmError::new(CrmErrorKind::Refused, details.sentence(about, status)),
        }
    }
}

fn is_about_unknown_object(status: u16, document: &Value) -> bool {
    let message = text(document, "message").unwrap_or_default();
    status == 404 || status == 400 && message.trim_start().starts_with("Unable to infer object type")
}

impl Details {
    /// Whether a 403 is about scopes: it names some, has their category, or is empty. More scopes do not help if a user
    /// lacks a permission, or the API is not public.
    fn is_about_scopes(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        let closed = message.contains("available for public use") || message.contains("requires one of");
        match self.category.as_deref() {
            _ if closed => false,
            _ if !self.scopes.is_empty() => true,
            None => message.is_empty() || message.contains("scope"),
            Some(category) => category == "MISSING_SCOPES",
        }
    }

    fn sentence(&self, about: &str, status: u16) -> String {
        let category = self.category.as_deref().map_or(String::new(), |category| format!(", {category}"));
        let message = self.message.as_deref().map_or(String::new(), |message| format!(": {message}"));
        format!("HubSpot refuses {about} ({status}{category}){message}")
    }
}

/// Whether HubSpot's settings have a scope with this name. Refusals also contain other names, such as
/// `custom-object-read`.
fn can_be_ticked(scope: &str) -> bool {
    scope == "e-commerce" || !scope.contains('-')
}

/// The token lacks the scopes in HubSpot's `words`. If its settings have none of these, the error names `scope`
/// instead.
fn lacking(words: Vec<String>, scope: &str, about: &str) -> CrmError {
    let (known, others): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| can_be_ticked(word));
    // Without a known scope, the error repeats HubSpot's words.
    let scopes = match (known.is_empty(), scope.is_empty()) {
        (false, _) => known,
        (true, false) => vec![scope.to_owned()],
        (true, true) => others.clone(),
    };
    let words = if others.is_empty() { String::new() } else { format!(" (in HubSpot's words {})", others.join(", ")) };
    let (names, them) = match scopes.as_slice() {
        [one] => (format!("the scope {one}{words}"), "it"),
        several => (format!("one or more of the scopes {}{words}", several.join(", ")), "them"),
    };
    let sentence = format!(
        "The HubSpot token lacks {names}, which {about} needs. Add {them} to the app in HubSpot and try again."
    );
    CrmError::new(CrmErrorKind::MissingScopes(scopes), sentence)
}

#[cfg(test)]
mod tests;
