//! A HubSpot-compatible CRM to test against: deterministic data, limits, latency and faults.
//!
//! One server serves many *portals* (CRM accounts); the Bearer token of a call decides which. Records are computed from
//! a seed and cost no memory until they are written to. The server imitates HubSpot's paths of version 2026-09 and v3,
//! so HubSpot's own clients work against it.
//!
//! In a Rust test:
//! ```
//! # use sandbox_crm::{PortalConfig, Sandbox, SandboxConfig};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start(SandboxConfig::default()).await?;
//! let portal = sandbox.add_portal(&PortalConfig::empty().with_records("contacts", 250))?;
//! // … call sandbox.base_url() with portal.token() as the Bearer token …
//! assert_eq!(portal.calls().total, 0);
//! assert_eq!(portal.truth("contacts", 0, 1_000).map(|records| records.len()), Some(250));
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! As a program, `sandbox-crm --port 0` prints `listening on http://127.0.0.1:PORT`; it can then be controlled over
//! HTTP, without authentication. Its JSON has the fields of the structures here, in camel case:
//! ```text
//! POST   /_sandbox/portals                                  PortalConfig → {portalId, token, …}
//! GET    /_sandbox/portals/{id}                             {id} may be `default`
//! PATCH  /_sandbox/portals/{id}                             {faults, limits, latencyMs, scopes, tokenRevoked,
//!                                                            ignoredWrites, variants, conformance}
//! GET    /_sandbox/portals/{id}/calls?recent=100            CallReport; DELETE (or POST …/calls/reset) forgets them
//! GET    /_sandbox/portals/{id}/violations                  {checked, violations: {sentence: times}};
//!                                                            DELETE forgets them
//! GET    /_sandbox/portals/{id}/objects/{type}/records      TruthRecord per line, or ?format=csv (live records)
//! POST   /_sandbox/portals/{id}/objects/{type}/records      RecordChanges → {created: [ids]}
//! PUT    /_sandbox/portals/{id}/objects/{type}/properties/{name}   NewProperty; DELETE archives it
//! ```
//!
//! [`Faults`] are what goes wrong, and [`Variants`] are how accounts and answers differ from the usual case. Half a
//! surrogate, which no text here can hold, is written as the private character with the same last four digits:
//! U+10D83D in a value, a name or a label is sent as `\ud83d`.

mod api;
mod calls;
mod catalog;
mod config;
mod config_error;
pub mod conformance;
mod control;
mod data;
mod encoding;
mod faults;
mod gate;
mod json;
mod limits;
mod listener;
mod plan;
mod portal;
mod portals;
mod property;
mod property_set;
mod route;
mod schema;
mod server;
mod truth;
mod variants;

pub use calls::{Call, CallReport, EndpointCalls, Second};
pub use config::{
    ConditionalRequirement, CustomObject, IdSpacing, IgnoredWrites, LimitOverrides, PortalConfig, SandboxConfig,
};
pub use config_error::ConfigError;
pub use faults::{Churn, Cursors, Fault, Faults, ScriptedFault};
pub use plan::{Limits, Plan};
pub use portal::{Portal, Violations};
pub use property::{Choice, Kind, Sensitivity};
pub use property_set::PropertySet;
pub use route::Endpoint;
pub use server::{Sandbox, StartError};
pub use truth::{NewProperty, NewRecord, RecordChanges, RecordState, TruthRecord};
pub use variants::{
    CustomObjects, GoneIds, Profile, PropertyNames, Refusal, ScopeNames, SensitiveDefinitions, ThreadOrder, ThreadSort,
    Tickets, UnseenValues, Variants,
};
