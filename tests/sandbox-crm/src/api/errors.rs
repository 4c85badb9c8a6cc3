//! Errors in the CRM's own shape.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::reply::Reply;
use crate::data::random::mix;
use crate::limits::Policy;

/// One of the faults that an error names.
#[derive(Debug, Clone)]
pub(crate) struct Detail {
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) context: (&'static str, Vec<String>),
}

/// A call that is refused.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// The CRM's word for it; empty where it has none.
    pub(crate) category: &'static str,
    pub(crate) message: String,
    pub(crate) details: Vec<Detail>,
    /// Name and values of what the whole error is about.
    pub(crate) context: Option<(&'static str, Vec<String>)>,
}

/// A correlation id, different every time.
pub(crate) fn correlation_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (high, low) = (mix(number, 1), mix(number, 2));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xFFFF, high & 0xFFF);
    format!("{a:08x}-{b:04x}-4{c:03x}-a{:03x}-{:012x}", low >> 52, low & 0xFFFF_FFFF_FFFF)
}

impl ApiError {
    pub(crate) fn new(status: u16, category: &'static str, message: impl Into<String>) -> Self {
        Self { status, category, message: message.into(), details: Vec::new(), context: None }
    }

    /// 400: something in the request is not right.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "VALIDATION_ERROR", message)
    }

    /// 400: no such object type.
    pub(crate) fn unknown_object(object: &str) -> Self {
        Self::invalid(format!("Unable to infer object type from: {object}"))
    }

    /// 404: no such record, property or schema.
    pub(crate) fn not_found() -> Self {
        Self::new(404, "OBJECT_NOT_FOUND", "resource not found")
    }

    /// 404: some or all records of a batch do not exist; which ones, if the answer has them.
    pub(crate) fn records_not_found(ids: Option<Vec<String>>) -> Self {
        Self { context: ids.map(|ids| ("ids", ids)), ..Self::not_found() }
    }

    /// 404: no such endpoint.
    pub(crate) fn unknown_path(path: &str) -> Self {
        Self::new(404, "OBJECT_NOT_FOUND", format!("No endpoint answers at {path} with this method"))
    }

    /// 401 without any token.
    pub(crate) fn no_token() -> Self {
        Self::new(
            401,
            "INVALID_AUTHENTICATION",
            "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more \
             details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        )
    }

    /// 401 with a token that is wrong, expired or revoked.
    pub(crate) fn bad_token() -> Self {
        Self::new(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call is expired or was revoked.")
    }

    /// 403: the token lacks scopes.
    pub(crate) fn missing_scopes(scopes: Vec<String>) -> Self {
        let error = Self::new(
            403,
            "MISSING_SCOPES",
            "This app hasn't been granted all required scopes to make this call. Read more about required scopes \
             here: https://developers.hubspot.com/scopes.",
        );
        Self { context: Some(("requiredGranularScopes", scopes)), ..error }
    }

    pub(crate) fn value(&self) -> Value {
        let mut document = Map::new();
        document.insert("status".to_owned(), json!("error"));
        document.insert("message".to_owned(), json!(self.message));
        document.insert("correlationId".to_owned(), json!(correlation_id()));
        if !self.category.is_empty() {
            document.insert("category".to_owned(), json!(self.category));
        }
        if let Some((name, values)) = &self.context {
            document.insert("context".to_owned(), json!({*name: values}));
        }
        if !self.details.is_empty() {
            let errors: Vec<Value> = self.details.iter().map(Detail::value).collect();
            document.insert("errors".to_owned(), json!(errors));
        }
        if self.category == "MISSING_SCOPES" {
            document.insert("links".to_owned(), json!({"scopes": "https://developers.hubspot.com/scopes"}));
        }
        Value::Object(document)
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::json(self.status, &self.value())
    }
}

impl Detail {
    fn value(&self) -> Value {
        let mut value = json!({"message": self.message, "context": {self.context.0: self.context.1}});
        if let (Some(code), Value::Object(map)) = (self.code, &mut value) {
            map.insert("code".to_owned(), json!(code));
        }
        value
    }
}

/// 429: a limit is used up.
pub(crate) fn rate_limit(policy: Policy, portal_id: u64) -> Reply {
    let message = match policy {
        Policy::TenSecondlyRolling => "You have reached your ten_secondly_rolling limit.",
        Policy::Secondly => "You have reached your secondly limit.",
        Policy::Daily => "You have reached your daily limit.",
    };
    let document = json!({
        "status": "error",
        "message": message,
        "errorType": "RATE_LIMIT",
        "correlationId": correlation_id(),
        "policyName": policy.name(),
        "groupName": format!("publicapi:private-apps-api-calls-{portal_id}"),
    });
    Reply::json(429, &document)
}
