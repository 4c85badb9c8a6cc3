//! One call to HubSpot: what is sent, a successful answer, and why there is none.

use bytes::Bytes;
use domain::budget::CallKind;
use domain::ports::crm::CrmError;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use crate::body::{MAX_ANSWER, MAX_PAGE};
use crate::body_room::BodyPlace;
use crate::documents;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::scan::Malformed;

/// A request, which may be sent several times.
#[derive(Debug)]
pub(crate) struct Call {
    /// Method and path template, for logs. Never the URL, which can contain cursors.
    pub(crate) endpoint: &'static str,
    /// The object of the call in a sentence, such as `the list of contacts`.
    pub(crate) about: String,
    pub(crate) kind: CallKind,
    pub(crate) path: String,
    pub(crate) query: Query,
    /// JSON. A call with a body is a POST.
    pub(crate) body: Option<Bytes>,
    /// Whether it changes records. HubSpot's messages about such a call can quote values.
    pub(crate) writes: bool,
    /// The scope to name if HubSpot answers 403 and names none.
    pub(crate) scope: String,
    /// The most bytes of an answer.
    pub(crate) longest_answer: usize,
}

impl Call {
    pub(crate) fn get(endpoint: &'static str, about: String, path: String, query: Query, scope: String) -> Self {
        let longest_answer = MAX_ANSWER;
        Self {
            endpoint,
            about,
            kind: CallKind::Ordinary,
            path,
            query,
            body: None,
            writes: false,
            scope,
            longest_answer,
        }
    }

    pub(crate) fn post(endpoint: &'static str, about: String, path: String, body: Bytes, scope: String) -> Self {
        Self { body: Some(body), ..Self::get(endpoint, about, path, Query::default(), scope) }
    }

    /// The same call, if it reads values of so many records. Only a single record may fill the whole memory for answers:
    /// several can be read in smaller calls.
    pub(crate) fn of_records(self, records: usize) -> Self {
        let longest_answer = if records > 1 { MAX_PAGE } else { MAX_ANSWER };
        Self { longest_answer, ..self }
    }
}

/// An answer with a status from 200 to 299.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The length of the body as it was sent, which may be compressed.
    pub(crate) wire_bytes: u64,
    /// Others may need the room of the body when the answer was read.
    pub(crate) _place: BodyPlace,
}

impl Answer {
    /// The body as a JSON document. Pages of records are read by [`crate::records`] instead.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        documents::read(&self.body)
    }
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// HubSpot refused the call, and would refuse it again.
    Refused(Refusal),
    /// The answer is longer than the call allows.
    TooLarge(CrmError),
    /// Any other error, after all retries that made sense.
    GaveUp(CrmError),
}

impl CallError {
    pub(crate) fn into_error(self, call: &Call) -> CrmError {
        match self {
            Self::Refused(refusal) => refusal.into_error(&call.about, &call.scope),
            Self::TooLarge(error) | Self::GaveUp(error) => error,
        }
    }
}

/// The decimal number in a header.
pub(crate) fn number_in<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
