//! Handles a call: finds its portal, checks the limits, and applies faults and latency.

use std::io;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::errors::{ApiError, correlation_id, rate_limit};
use crate::api::reply::Reply;
use crate::api::{ApiRequest, answer, damaged};
use crate::calls::Call;
use crate::conformance::{Answered, Exchange};
use crate::data::clock::now;
use crate::encoding::{accepts_gzip, compressed, with_half_surrogates};
use crate::faults::{CallFacts, Fault, Faults, ScriptedFault};
use crate::limits::{CallKind, Left};
use crate::listener::Cut;
use crate::plan::Limits;
use crate::portal::Portal;
use crate::portals::Portals;
use crate::route::{Endpoint, route};

/// Larger bodies are refused; no batch comes near it.
const LARGEST_BODY: usize = 32 * 1024 * 1024;
/// How long the first half of a body may take to reach the client before the connection is cut.
const HALF_BODY: Duration = Duration::from_millis(30);

/// Answers any call that is not for the control API.
pub(crate) async fn serve(
    State(portals): State<Portals>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response<Body> {
    let arrival = (Instant::now(), now());
    let (parts, body) = request.into_parts();
    // Some clients send a GET with a body; it must be read in any case for the connection to go on.
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return respond(Reply::html(413, "Payload Too Large"), None, Body::from);
    };
    let portal = match bearer(&parts.headers) {
        None => return respond(ApiError::no_token().reply(), None, Body::from),
        Some(token) => portals.by_token(token),
    };
    let Some(portal) = portal else {
        return respond(ApiError::bad_token().reply(), None, Body::from);
    };
    Visit { portal, cut, parts, body, arrival }.answer().await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// One call in a portal.
struct Visit {
    portal: Portal,
    cut: Cut,
    parts: Parts,
    body: Bytes,
    /// On the clock that only goes forward, and in milliseconds since 1970.
    arrival: (Instant, i64),
}

impl Visit {
    async fn answer(self) -> Response<Body> {
        let route = route(&self.parts.method, self.parts.uri.path());
        let endpoint = route.endpoint;
        let object = route.object.and_then(|object| self.portal.store(object)).map(|store| store.schema().name.clone());
        let settings = self.portal.settings();
        if self.url_characters() > settings.limits.url_characters {
            return self.end(endpoint, object, Reply::html(414, "Request-URI Too Large"), None, None);
        }
        if settings.revoked {
            return self.end(endpoint, object, ApiError::bad_token().reply(), None, None);
        }
        let kind = if endpoint == Endpoint::Search { CallKind::Search } else { CallKind::Ordinary };
        let (admitted, left) = self.portal.admit(kind);
        // Searches come without limit headers.
        let limits = (settings.limits, left, settings.variants.daily_headers);
        let left = (kind == CallKind::Ordinary).then_some(limits);
        if let Err(policy) = admitted {
            let reply = rate_limit(policy, self.portal.portal_id());
            return self.end(endpoint, object, reply, left, None);
        }
        let facts = self.facts(endpoint, object.as_deref(), &settings.faults);
        let mut fault = self.portal.next_fault(&facts);
        let mut reply = self.reply(endpoint, fault.clone()).await;
        if fault.is_none() && settings.faults.script.iter().any(|scripted| !scripted.poison.is_empty()) {
            fault = self.portal.poisoned(&facts, &reply);
            if fault.is_some() {
                reply = self.reply(endpoint, fault.clone()).await;
            }
        }
        let fault = fault.map(|scripted| scripted.fault);
        sleep_until(self.arrival.0 + Duration::from_millis(settings.latency_ms)).await;
        if fault == Some(Fault::Hang) {
            return self.hang(endpoint, object, reply, settings.faults.hang_ms).await;
        }
        self.end(endpoint, object, reply, left, fault)
    }

    /// The features of the call that scripted faults can match.
    fn facts<'a>(&self, endpoint: Endpoint, object: Option<&'a str>, faults: &Faults) -> CallFacts<'a> {
        let plain = CallFacts { endpoint, object, size: None, reads_values: false };
        if faults.script.is_empty() {
            return plain;
        }
        let request = self.request();
        match endpoint {
            Endpoint::List | Endpoint::Threads => {
                let usual = if endpoint == Endpoint::List { 10 } else { 100 };
                let size = request.parameter("limit").map_or(Some(usual), |limit| limit.parse().ok());
                CallFacts { size, reads_values: request.property_names().into_iter().any(is_value), ..plain }
            }
            _ => {
                let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
                let inputs = body["inputs"].as_array().map(Vec::len);
                let size = inputs.map_or_else(|| body["limit"].as_u64(), |inputs| Some(inputs as u64));
                let mut names =
                    body["properties"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
                let reads = matches!(endpoint, Endpoint::BatchRead | Endpoint::Search | Endpoint::Get);
                let reads_values = reads && (names.any(is_value) || request.property_names().into_iter().any(is_value));
                CallFacts { size: size.and_then(|size| u32::try_from(size).ok()), reads_values, ..plain }
            }
        }
    }

    fn request(&self) -> ApiRequest {
        let host = self.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let query = Query::<Vec<(String, String)>>::try_from_uri(&self.parts.uri);
        ApiRequest {
            path: self.parts.uri.path().to_owned(),
            query: query.map(|Query(query)| query).unwrap_or_default(),
            origin: format!("http://{host}"),
            body: self.body.clone(),
        }
    }

    /// The answer with its fault applied, except for faults of the transfer.
    async fn reply(&self, endpoint: Endpoint, fault: Option<ScriptedFault>) -> Reply {
        let request = self.request();
        let (portal, method) = (self.portal.clone(), self.parts.method.clone());
        let work = move || {
            let route = route(&method, &request.path);
            match &fault {
                Some(fault) => damaged(&portal, route, &request, fault),
                None => answer(&portal, route, &request),
            }
        };
        if endpoint == Endpoint::Search {
            // A search may look at every record.
            let failed = |_| ApiError::new(500, "INTERNAL_ERROR", "internal error").reply();
            return tokio::task::spawn_blocking(work).await.unwrap_or_else(failed);
        }
        work()
    }

    fn url_characters(&self) -> u32 {
        let length = self.parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
        u32::try_from(length).unwrap_or(u32::MAX)
    }

    /// Answers nothing for so long, then resets the connection. The call is noted before, because the client may hang
    /// up.
    async fn hang(
        self,
        endpoint: Endpoint,
        object: Option<String>,
        reply: Reply,
        hang_ms: Option<u64>,
    ) -> Response<Body> {
        let cut = self.cut.clone();
        let response = self.end(endpoint, object, reply, None, Some(Fault::Hang));
        sleep(Duration::from_millis(hang_ms.unwrap_or(Faults::LONGEST_HANG_MS))).await;
        cut.cut();
        response
    }

    /// Notes the call and turns the reply into a response, damaged if a fault strikes it.
    fn end(
        self,
        endpoint: Endpoint,
        object: Option<String>,
        mut reply: Reply,
        left: Option<ShownLimits>,
        fault: Option<Fault>,
    ) -> Response<Body> {
        let url_characters = self.url_characters();
        let Self { portal, cut, parts, body, arrival } = self;
        let query = parts.uri.query().unwrap_or_default();
        let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
        let settings = portal.settings();
        if settings.conformance {
            portal.hold(&exchange(&parts, &body, &reply, fault));
        }
        with_half_surrogates(&mut reply.body);
        if fault == Some(Fault::TruncatedJson) {
            reply.body.truncate(reply.body.len() * 2 / 3);
        }
        if settings.variants.gzip && accepts_gzip(&parts.headers) {
            reply = compressed(reply);
        }
        portal.note(Call {
            at_ms: arrival.1,
            endpoint,
            object,
            status: if fault == Some(Fault::Hang) { 0 } else { reply.status },
            records: reply.records,
            bytes: u32::try_from(reply.body.len()).unwrap_or(u32::MAX),
            after: after.map(str::to_owned),
            url_characters,
            fault,
        });
        if fault != Some(Fault::Reset) {
            return respond(reply, left, Body::from);
        }
        let length = reply.body.len();
        let mut response = respond(reply, left, |body| half_then_cut(body, cut));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        response
    }
}

/// A call and its answer. An answer that a fault made or damaged is left out.
fn exchange(parts: &Parts, body: &Bytes, reply: &Reply, fault: Option<Fault>) -> Exchange {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let answered =
        || Answered { status: reply.status, content_type: reply.content_type.to_owned(), body: reply.body.clone() };
    Exchange {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: content_type.map(str::to_owned),
        body: body.to_vec(),
        answer: fault.is_none().then(answered),
    }
}

/// A body whose second half never comes.
fn half_then_cut(body: Vec<u8>, cut: Cut) -> Body {
    let mut half = Bytes::from(body);
    half.truncate(half.len() / 2);
    let stream = futures_util::stream::unfold(Some(half), move |half| {
        let cut = cut.clone();
        async move {
            let Some(half) = half else {
                sleep(HALF_BODY).await;
                cut.cut();
                return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None));
            };
            Some((Ok(half), None))
        }
    });
    Body::from_stream(stream)
}

/// The limits, what is left of them, and whether the answer shows the daily one.
type ShownLimits = (Limits, Left, bool);

/// Whether a property is more than the record's id.
fn is_value(name: &str) -> bool {
    name != "hs_object_id"
}

/// The response to a reply; `body` decides what becomes of its bytes.
fn respond(reply: Reply, left: Option<ShownLimits>, body: impl FnOnce(Vec<u8>) -> Body) -> Response<Body> {
    let mut response = Response::new(body(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    let mut number = |name: &'static str, value: u64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    };
    if let Some((limits, left, tells_daily)) = left {
        number("x-hubspot-ratelimit-max", u64::from(limits.per_ten_seconds));
        number("x-hubspot-ratelimit-remaining", u64::from(left.in_ten_seconds));
        number("x-hubspot-ratelimit-interval-milliseconds", 10_000);
        if tells_daily {
            number("x-hubspot-ratelimit-daily", u64::from(limits.per_day));
            number("x-hubspot-ratelimit-daily-remaining", u64::from(left.today));
        }
    }
    if let Some(seconds) = reply.retry_after {
        number("retry-after", u64::from(seconds));
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if reply.is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(id) = HeaderValue::from_str(&correlation_id()) {
        headers.insert(HeaderName::from_static("x-hubspot-correlation-id"), id);
    }
    response
}
