//! An answer before limits and faults change it.

use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// Records in it, for the counters.
    pub(crate) records: u32,
    /// Whole seconds for Retry-After.
    pub(crate) retry_after: Option<u32>,
    /// Whether the body is compressed.
    pub(crate) is_gzip: bool,
}

impl Reply {
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, value.to_string().into_bytes(), 0)
    }

    /// A JSON document that is bytes already, with so many records.
    pub(crate) fn bytes(status: u16, body: Vec<u8>, records: usize) -> Self {
        Self {
            status,
            content_type: "application/json;charset=utf-8",
            body,
            records: u32::try_from(records).unwrap_or(u32::MAX),
            retry_after: None,
            is_gzip: false,
        }
    }

    /// An answer with status 204 and no body.
    pub(crate) fn empty() -> Self {
        Self::bytes(204, Vec::new(), 0)
    }

    /// The ids of its results.
    pub(crate) fn ids(&self) -> Vec<u64> {
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let id = |result: &Value| result["id"].as_str()?.parse().ok();
        let results = document["results"].as_array().into_iter().flatten();
        if document["id"].is_null() { results.filter_map(id).collect() } else { id(&document).into_iter().collect() }
    }

    /// A page such as a proxy in front of the CRM answers.
    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!("<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>");
        Self { content_type: "text/html", ..Self::bytes(status, body.into_bytes(), 0) }
    }
}
