//! `sandbox-crm`: the server as a program.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sandbox_crm::{CustomObject, Faults, Plan, PortalConfig, Profile, PropertySet, Sandbox, SandboxConfig, Variants};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

/// A HubSpot-compatible CRM to test against, on 127.0.0.1.
///
/// Prints one line, "listening on http://127.0.0.1:PORT", once it accepts calls. Ends on SIGTERM or Ctrl-C. More
/// portals, faults, counters and all records are available under /_sandbox while it runs.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Seed from which the records are computed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Records per standard object, such as contacts=5000,deals=200; other objects have none
    #[arg(long, value_name = "OBJECT=COUNT,...", value_parser = counts)]
    records: Option<BTreeMap<String, u64>>,
    /// Custom objects with their records, such as machine=120,contract=0; none: an empty text
    #[arg(long, value_name = "NAME=COUNT,...", value_parser = counts)]
    custom_objects: Option<BTreeMap<String, u64>>,
    /// Properties of the objects: standard, tiny, odd (names with commas, quotes, umlauts …), odd:1000 or wide:1000 (on
    /// contacts), or columns:200/60 (of which 60 are set)
    #[arg(long, default_value = "standard")]
    properties: PropertySet,
    /// Subscription, which decides the call limits: free, starter, professional, enterprise or unlimited
    #[arg(long, default_value = "professional")]
    plan: Plan,
    /// An account as HubSpot sells it, free, starter, professional or enterprise: decides the limits, and all but
    /// enterprise have neither custom objects nor tickets
    #[arg(long)]
    profile: Option<Profile>,
    /// Paid increases of the limits: 250 calls per 10 s, and 1,000,000 more a day with each
    #[arg(long, default_value_t = 0)]
    limit_increases: u32,
    /// Faults, as JSON or the name of a JSON file, such as '{"cursors": "opaque"}'
    #[arg(long, value_name = "JSON|FILE", value_parser = document::<Faults>)]
    faults: Option<Faults>,
    /// How the CRM behaves where accounts differ, as JSON or the name of a JSON file, such as '{"gzip": false}'
    #[arg(long, value_name = "JSON|FILE", value_parser = document::<Variants>)]
    variants: Option<Variants>,
    /// Check every call and answer against what is known of HubSpot's API; see /_sandbox/portals/{id}/violations
    #[arg(long)]
    conformance: bool,
    /// Shortest time that an admitted call takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// IANA time zone of the account, at whose midnight the daily limit resets
    #[arg(long, default_value = "America/New_York")]
    time_zone: String,
    /// Serve a folder of CSV files instead: one file per object, the record id in the first column, every other
    /// column a property; files that are not named like standard objects become custom objects
    #[arg(long, value_name = "DIR")]
    load: Option<PathBuf>,
    /// The only Bearer token that is accepted, besides those of portals made later; without it, any token is
    #[arg(long)]
    token: Option<String>,
}

type Counts = BTreeMap<String, u64>;

fn counts(text: &str) -> Result<Counts, String> {
    let parse = |pair: &str| {
        let (name, count) = pair.split_once('=').ok_or_else(|| format!("'{pair}' is not NAME=COUNT"))?;
        let count = count.replace('_', "").parse().map_err(|_| format!("'{count}' is not a number"))?;
        Ok((name.trim().to_owned(), count))
    };
    text.split(',').filter(|pair| !pair.is_empty()).map(parse).collect()
}

/// JSON, or the name of a file that holds some.
fn document<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| format!("cannot read {text}: {error}"))?
    };
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

impl Arguments {
    fn config(self) -> SandboxConfig {
        let usual = PortalConfig::default();
        let custom =
            |counts: Counts| counts.into_iter().map(|(name, records)| CustomObject { name, records }).collect();
        let default_portal = PortalConfig {
            seed: self.seed,
            records: self.records.unwrap_or(usual.records),
            custom_objects: self.custom_objects.map_or(usual.custom_objects, custom),
            property_set: self.properties,
            plan: self.plan,
            profile: self.profile,
            limit_increases: self.limit_increases,
            faults: self.faults.unwrap_or_default(),
            variants: self.variants.unwrap_or_default(),
            conformance: self.conformance,
            latency_ms: self.latency_ms,
            time_zone: self.time_zone,
            load: self.load,
            token: self.token.clone(),
            ..usual
        };
        SandboxConfig { port: self.port, default_portal, known_tokens_only: self.token.is_some() }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("sandbox-crm: {sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    // Before the port is announced, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let sandbox = Sandbox::start(arguments.config()).await.map_err(|error| error.to_string())?;
    println!("listening on {}", sandbox.base_url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    sandbox.shutdown().await;
    Ok(())
}
