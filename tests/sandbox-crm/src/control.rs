//! The control API under `/_sandbox`: makes portals, sets their faults, and shows their calls and records.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::config::{IgnoredWrites, LimitOverrides, PortalConfig};
use crate::faults::Faults;
use crate::portal::{Portal, Violations};
use crate::portals::Portals;
use crate::truth::{NewProperty, RecordChanges, RecordState, TruthRecord};
use crate::variants::Variants;

/// Records that are put into one chunk of a stream.
const CHUNK: usize = 500;

/// The control API's routes.
pub(crate) fn router() -> Router<Portals> {
    Router::new()
        .route("/health", get(health))
        .route("/portals", get(list_portals).post(add_portal))
        .route("/portals/{portal}", get(show_portal).patch(change_portal))
        .route("/portals/{portal}/calls", get(calls).delete(reset_calls))
        .route("/portals/{portal}/calls/reset", post(reset_calls))
        .route("/portals/{portal}/violations", get(violations).delete(reset_violations))
        .route("/portals/{portal}/objects/{object}/records", get(truth).post(change_records))
        .route("/portals/{portal}/objects/{object}/properties/{name}", put(define_property).delete(archive_property))
}

/// Errors of the control API.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn find(portals: &Portals, portal: &str) -> Result<Portal, Refused> {
    let found = match portal {
        "default" => portals.default_portal(),
        id => id.parse().ok().and_then(|id| portals.by_id(id)),
    };
    found.ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("there is no portal {portal}")))
}

fn no_object(object: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("there is no object {object}"))
}

/// JSON of any content type, with an error that names what is wrong. An empty body is an empty object.
fn parse<T: for<'a> Deserialize<'a>>(body: &Bytes) -> Result<T, Refused> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

fn summary(portal: &Portal) -> Value {
    let settings = portal.settings();
    let objects: serde_json::Map<String, Value> =
        portal.objects().into_iter().map(|(name, records)| (name, json!(records))).collect();
    json!({
        "portalId": portal.portal_id(),
        "token": portal.token(),
        "timeZone": portal.time_zone().1,
        "limits": settings.limits,
        "latencyMs": settings.latency_ms,
        "tokenRevoked": settings.revoked,
        "scopes": settings.scopes,
        "faults": settings.faults,
        "variants": settings.variants,
        "conformance": settings.conformance,
        "records": objects,
    })
}

async fn list_portals(State(portals): State<Portals>) -> Json<Value> {
    Json(portals.all().iter().map(summary).collect())
}

async fn add_portal(State(portals): State<Portals>, body: Bytes) -> Result<(StatusCode, Json<Value>), Refused> {
    let config: PortalConfig = parse(&body)?;
    let portal = portals.add(&config).map_err(|error| Refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    Ok((StatusCode::CREATED, Json(summary(&portal))))
}

async fn show_portal(State(portals): State<Portals>, Path(portal): Path<String>) -> Result<Json<Value>, Refused> {
    Ok(Json(summary(&find(&portals, &portal)?)))
}

/// Changes to a portal while the server runs; what is absent stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortalChange {
    faults: Option<Faults>,
    limits: Option<LimitOverrides>,
    latency_ms: Option<u64>,
    token_revoked: Option<bool>,
    ignored_writes: Option<IgnoredWrites>,
    variants: Option<Variants>,
    conformance: Option<bool>,
    #[serde(default)]
    scopes: ScopesChange,
}

/// A change of the token's scopes.
#[derive(Default)]
enum ScopesChange {
    /// They stay, since the field is absent.
    #[default]
    Keep,
    /// They become these, or, for null, all.
    Set(Option<Vec<String>>),
}

impl<'de> Deserialize<'de> for ScopesChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::Set)
    }
}

async fn change_portal(
    State(portals): State<Portals>,
    Path(portal): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let portal = find(&portals, &portal)?;
    let change: PortalChange = parse(&body)?;
    if let Some(faults) = change.faults {
        portal.set_faults(faults);
    }
    if let Some(limits) = change.limits {
        portal.set_limits(limits);
    }
    if let Some(latency_ms) = change.latency_ms {
        portal.set_latency_ms(latency_ms);
    }
    if let Some(revoked) = change.token_revoked {
        portal.set_revoked(revoked);
    }
    if let Some(ignored) = change.ignored_writes {
        portal.set_ignored_writes(ignored);
    }
    if let Some(variants) = change.variants {
        portal.set_variants(variants);
    }
    if let Some(conformance) = change.conformance {
        portal.set_conformance(conformance);
    }
    if let ScopesChange::Set(scopes) = change.scopes {
        portal.set_scopes(scopes);
    }
    Ok(Json(summary(&portal)))
}

#[derive(Deserialize)]
struct CallsQuery {
    /// How many of the latest calls to show in full.
    #[serde(default)]
    recent: usize,
}

async fn calls(
    State(portals): State<Portals>,
    Path(portal): Path<String>,
    Query(query): Query<CallsQuery>,
) -> Result<Response, Refused> {
    let mut report = find(&portals, &portal)?.calls();
    let surplus = report.recent.len().saturating_sub(query.recent);
    report.recent.drain(..surplus);
    Ok(Json(report).into_response())
}

async fn reset_calls(State(portals): State<Portals>, Path(portal): Path<String>) -> Result<StatusCode, Refused> {
    find(&portals, &portal)?.reset_calls();
    Ok(StatusCode::NO_CONTENT)
}

async fn violations(State(portals): State<Portals>, Path(portal): Path<String>) -> Result<Json<Violations>, Refused> {
    Ok(Json(find(&portals, &portal)?.violations()))
}

async fn reset_violations(State(portals): State<Portals>, Path(portal): Path<String>) -> Result<StatusCode, Refused> {
    find(&portals, &portal)?.reset_violations();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Ndjson,
    Csv,
}

#[derive(Deserialize)]
struct TruthQuery {
    /// `ndjson` (default; every record with its state) or `csv` (live records, the id first, all properties).
    format: Option<Format>,
}

async fn truth(
    State(portals): State<Portals>,
    Path((portal, object)): Path<(String, String)>,
    Query(query): Query<TruthQuery>,
) -> Result<Response, Refused> {
    let portal = find(&portals, &portal)?;
    let mut columns = portal.property_names(&object).ok_or_else(|| no_object(&object))?;
    columns.retain(|column| column != "hs_object_id");
    let format = query.format.unwrap_or(Format::Ndjson);
    let (content_type, head) = match format {
        Format::Ndjson => ("application/x-ndjson", Vec::new()),
        Format::Csv => ("text/csv; charset=utf-8", csv_lines(std::iter::once(csv_head(&columns)))),
    };
    let render = move |records: &[TruthRecord]| match format {
        Format::Ndjson => ndjson_lines(records),
        Format::Csv => {
            let live = records.iter().filter(|record| record.state == RecordState::Live);
            csv_lines(live.map(|record| csv_row(record, &columns)))
        }
    };
    let chunks = futures_util::stream::unfold(Some((0, head)), move |state| {
        let next = state.map(|(after, mut chunk)| {
            let records = portal.truth(&object, after, CHUNK).unwrap_or_default();
            chunk.extend(render(&records));
            (chunk, records.last().map(|record| (record.id, Vec::new())))
        });
        async move { next.map(|(chunk, state)| (Ok::<_, std::convert::Infallible>(Bytes::from(chunk)), state)) }
    });
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(chunks)).into_response())
}

fn ndjson_lines(records: &[TruthRecord]) -> Vec<u8> {
    let mut lines = Vec::new();
    for record in records {
        // Writing a map of texts to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut lines, record);
        lines.push(b'\n');
    }
    lines
}

fn csv_head(columns: &[String]) -> Vec<String> {
    std::iter::once("hs_object_id".to_owned()).chain(columns.iter().cloned()).collect()
}

fn csv_row(record: &TruthRecord, columns: &[String]) -> Vec<String> {
    let value = |column: &String| record.properties.get(column).cloned().unwrap_or_default();
    std::iter::once(record.id.to_string()).chain(columns.iter().map(value)).collect()
}

fn csv_lines(rows: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    for row in rows {
        // Writing to a Vec cannot fail, and all rows are equally long.
        let _ = writer.write_record(&row);
    }
    writer.into_inner().unwrap_or_default()
}

async fn change_records(
    State(portals): State<Portals>,
    Path((portal, object)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let portal = find(&portals, &portal)?;
    let changes: RecordChanges = parse(&body)?;
    let created = portal.change_records(&object, &changes).ok_or_else(|| no_object(&object))?;
    Ok(Json(json!({"created": created})))
}

async fn define_property(
    State(portals): State<Portals>,
    Path((portal, object, name)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    let portal = find(&portals, &portal)?;
    let definition: NewProperty = parse(&body)?;
    if portal.define_property(&object, &name, &definition) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_object(&object))
    }
}

async fn archive_property(
    State(portals): State<Portals>,
    Path((portal, object, name)): Path<(String, String, String)>,
) -> Result<StatusCode, Refused> {
    if find(&portals, &portal)?.archive_property(&object, &name) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused(StatusCode::NOT_FOUND, format!("{object} has no property {name}")))
    }
}
