//! A request as handlers see it (API Gateway, payload format 2.0).

use std::borrow::Cow;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::audit::Act;
use http::{HeaderMap, Method};
use jiff::SignedDuration;
use runtime::deadline::Deadline;
use workflows::idempotency::IdempotencyKey;

use crate::caller::{Authorised, Caller, Right};
use crate::fields::Fields;
use crate::problem::{Problem, catalogue};
use crate::routes::{self, MatchedRoute};
use crate::trace::Trace;

/// The longest body of a request, in bytes: enough for the names of all properties that one restore may have.
pub const LONGEST_BODY: usize = 256 * 1024;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The parts of a request that handlers use.
#[derive(Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: SentBody,
    verified_subject: Option<String>,
    trace: Trace,
    /// Until when the handler may work.
    pub deadline: Deadline,
}

impl Request {
    /// Reads API Gateway's event. The body is read later: a caller who may not send it gets a 403, valid or not.
    pub(crate) fn from_event(event: ApiGatewayV2httpRequest, deadline: Deadline, kept_for: SignedDuration) -> Self {
        let context = event.request_context;
        let body = SentBody { text: event.body.unwrap_or_default(), is_base64: event.is_base64_encoded };
        let mut claims = context.authorizer.and_then(|authorizer| authorizer.jwt).map(|jwt| jwt.claims);
        let query = event.query_string_parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            method: context.http.method,
            path: event.raw_path.unwrap_or_default(),
            query: query.collect(),
            headers: event.headers,
            body,
            verified_subject: claims.as_mut().and_then(|claims| claims.remove("sub")),
            trace: Trace::new(context.http.source_ip, kept_for),
            deadline,
        }
    }

    /// The action of `caller`, for the audit log.
    ///
    /// # Errors
    /// See [`routes::find`].
    pub fn act(&self, caller: &Authorised) -> Result<Act, Problem> {
        let action = self.route()?.operation.slug();
        Ok(self.trace.act(caller.account_id.clone(), caller.requester.clone(), action))
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(crate) fn verified_subject(&self) -> Option<&str> {
        self.verified_subject.as_deref()
    }

    /// The route of its method and path.
    ///
    /// # Errors
    /// See [`routes::find`].
    pub fn route(&self) -> Result<MatchedRoute<'_>, Problem> {
        routes::find(&self.method, &self.path)
    }

    /// The sender.
    ///
    /// # Errors
    /// See [`Caller::of`].
    pub fn caller(&self, audience: &str) -> Result<Caller, Problem> {
        Caller::of(&self.headers, self.verified_subject.as_deref(), audience)
    }

    /// The sender, who must have `right` to the account of the route. Parameters are checked afterwards, so only an
    /// authorised caller learns what is wrong with them.
    ///
    /// # Errors
    /// See [`Caller::of`], [`Caller::authorise`] and [`Request::check_parameters`].
    pub fn authorised(&self, audience: &str, route: &MatchedRoute<'_>, right: Right) -> Result<Authorised, Problem> {
        let caller = self.caller(audience)?.authorise(route.account, right)?;
        self.check_parameters(route)?;
        Ok(caller)
    }

    /// Checks that the route takes every query parameter of the request. A misspelt one must not be ignored silently.
    ///
    /// # Errors
    /// A 400 problem that names the unknown parameters.
    pub fn check_parameters(&self, route: &MatchedRoute<'_>) -> Result<(), Problem> {
        let known = route.operation.parameters();
        let given = self.query.iter().map(|(name, _)| name.as_str());
        let unknown: Vec<_> = given.filter(|name| !known.contains(name)).collect();
        if unknown.is_empty() { Ok(()) } else { Err(Problem::parameters_unknown(&unknown, known)) }
    }

    /// The value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header; `None` also if it is not ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the request has the header, readable or not.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The key under which the client may repeat the request.
    ///
    /// # Errors
    /// A 400 problem if the key is malformed.
    pub fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        if !self.has_header(IDEMPOTENCY_KEY) {
            return Ok(None);
        }
        let key = self.header(IDEMPOTENCY_KEY).and_then(|text| IdempotencyKey::parse(text).ok());
        let malformed = || Problem::parameter_invalid(IDEMPOTENCY_KEY, "It must be 1 to 255 visible ASCII characters.");
        key.map(Some).ok_or_else(malformed)
    }

    /// The fields of the body. PUT and PATCH need a body; without one, any other request has no fields.
    ///
    /// # Errors
    /// A problem if the body is longer than [`LONGEST_BODY`] (413), missing, or not a JSON object (400).
    pub fn fields(&self) -> Result<Fields, Problem> {
        let body = self.body.bytes()?;
        if body.is_empty() && matches!(self.method, Method::PUT | Method::PATCH) {
            let detail = "The body is empty. Send a JSON object with the changes.";
            return Err(Problem::new(catalogue::JSON_MALFORMED, detail));
        }
        Fields::parse(&body)
    }

    /// Checks that the request has no body, or an empty object as body.
    ///
    /// # Errors
    /// A problem if the body is too long, not a JSON object, or has fields.
    pub fn no_fields(&self) -> Result<(), Problem> {
        let mut faults = Vec::new();
        self.fields()?.finish(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(Problem::input_invalid(faults)) }
    }
}

/// A body as API Gateway passes it on.
#[derive(Debug)]
struct SentBody {
    text: String,
    is_base64: bool,
}

impl SentBody {
    fn bytes(&self) -> Result<Cow<'_, [u8]>, Problem> {
        // Base64 writes three bytes as four characters.
        let longest = if self.is_base64 { LONGEST_BODY.div_ceil(3) * 4 } else { LONGEST_BODY };
        if self.text.len() > longest {
            return Err(body_too_large());
        }
        let bytes = if self.is_base64 {
            Cow::Owned(BASE64_STANDARD.decode(&self.text).map_err(|error| Problem::internal(&error))?)
        } else {
            Cow::Borrowed(self.text.as_bytes())
        };
        if bytes.len() > LONGEST_BODY { Err(body_too_large()) } else { Ok(bytes) }
    }
}

fn body_too_large() -> Problem {
    Problem::new(catalogue::BODY_TOO_LARGE, format!("The body has more than {LONGEST_BODY} bytes."))
}
