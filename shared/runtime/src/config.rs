//! Configuration from the environment.
//!
//! Each function reads only the variables that it uses, with [`Environment`]. All faults are reported at once, with the
//! variables' names and without their values.
//!
//! | variable | value |
//! |---|---|
//! | `LEDGER_TABLE`, `AUDIT_TABLE` | names of the ledger's tables: `AUDIT_TABLE` for the audit log, `LEDGER_TABLE` for all other records |
//! | `AUDIT_RETENTION_DAYS` | how long the audit log keeps its entries, 1 to 3,650 |
//! | `ARCHIVE_BUCKET` | name of the bucket for archives and segments |
//! | `DISCOVER_QUEUE_URL`, `EXPORT_QUEUE_URL`, `ASSEMBLE_QUEUE_URL`, `RESTORE_QUEUE_URL`, `NOTIFY_QUEUE_URL` | the work queues |
//! | `DEAD_LETTER_QUEUE_URLS` | comma-separated list of the dead-letter queues |
//! | `EVENT_BUS` | name of the bus for domain events |
//! | `EMAIL_SENDER` | sender address of e-mails; none are sent if absent |
//! | `API_URL` | URL of the HTTP API, without a trailing slash |
//! | `WEBHOOK_SECRET_PREFIX` | prefix of the names of the secrets in which earlier versions kept the keys that sign webhooks |
//! | `WEBHOOK_PRIVATE_TARGETS` | comma-separated list of private `host:port` that webhooks may reach; none if absent |
//! | `DELIVERY_RETRY_BASE_SECONDS` | first pause before a delivery is tried again, 1 to 3,600 |
//! | `CRM_TOKEN_PREFIX` | prefix of the names of the secrets with CRM tokens |
//! | `CRM_BASE_URLS` | comma-separated list of the CRM base URLs that may be used: scheme, host and port |
//! | `TOKEN_AUDIENCE` | the `aud` that callers' ID tokens must have |
//! | `FEDERATED_PROVIDERS` | comma-separated list of the user pool's identity providers whose users need no second factor; none if absent |
//! | `ISSUER_ENFORCES_SECOND_FACTOR` | `true` if the issuer requires a second factor of its own users, else `false` |
//! | `EXPORT_RUNS_PER_BACKUP` | how many runs may read one backup at the same time, 1 to 1,000 |
//! | `RESTORE_CONCURRENCY` | in how many places parts of restores are worked on at the same time, for all accounts, 2 to 1,000 |
//! | `CRM_RETRY_BASE_SECONDS` | first pause before a call to the CRM is tried again, 0.001 to 60 |
//! | `CRM_OUTAGE_PATIENCE_HOURS` | how long work waits for a CRM that is down, 1 to 120 |
//! | `DOWNLOAD_LINK_SECONDS` | how long a download link is valid, 1 to 43,200 |
//! | `LOG_LEVEL` | `error`, `warn`, `info`, `debug` or `trace`; `info` if absent |

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use aws::LedgerTables;
use http::Uri;
use jiff::SignedDuration;
use tracing::level_filters::LevelFilter;

/// The environment lacks variables or has invalid ones. Names each of them.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the function's configuration is wrong: {}", self.faults.join("; "))
    }
}

// A `main` that returns an error prints it this way.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// Reads environment variables and collects their faults.
///
/// ```
/// # use runtime::config::{ConfigError, Environment};
/// #[derive(Debug)]
/// struct Config {
///     archive_bucket: String,
/// }
/// # let variables = [("ARCHIVE_BUCKET", "bucket")];
/// # fn read(mut env: Environment) -> Result<Config, ConfigError> {
/// let archive_bucket = env.archive_bucket();
/// env.finish(|| Some(Config { archive_bucket: archive_bucket? }))
/// # }
/// # assert_eq!(read(Environment::of(variables)).unwrap().archive_bucket, "bucket");
/// # assert!(read(Environment::of([])).unwrap_err().to_string().contains("ARCHIVE_BUCKET"));
/// ```
#[derive(Debug)]
pub struct Environment {
    variables: HashMap<String, String>,
    faults: Vec<String>,
}

impl Environment {
    /// The variables of this process. A variable that is not Unicode counts as absent.
    pub fn of_process() -> Self {
        let unicode = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self { variables: unicode.collect(), faults: Vec::new() }
    }

    /// Only these variables, for tests.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Self { variables, faults: Vec::new() }
    }

    /// The value that `build` makes of the values read. All of them are present if there was no fault.
    ///
    /// # Errors
    /// [`ConfigError`] naming every variable at fault.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, ConfigError> {
        let value = if self.faults.is_empty() { build() } else { None };
        value.ok_or(ConfigError { faults: self.faults })
    }

    /// `LEDGER_TABLE` and `AUDIT_TABLE`.
    pub fn ledger_tables(&mut self) -> Option<LedgerTables> {
        let (ledger, audit_log) = (self.text("LEDGER_TABLE"), self.text("AUDIT_TABLE"));
        Some(LedgerTables { ledger: ledger?, audit_log: audit_log? })
    }

    /// `AUDIT_RETENTION_DAYS`.
    pub fn audit_retention(&mut self) -> Option<SignedDuration> {
        let days = self.whole_number("AUDIT_RETENTION_DAYS", 1..=3_650);
        days.map(|days| SignedDuration::from_hours(i64::from(days) * 24))
    }

    /// `ARCHIVE_BUCKET`.
    pub fn archive_bucket(&mut self) -> Option<String> {
        self.text("ARCHIVE_BUCKET")
    }

    /// `DISCOVER_QUEUE_URL`.
    pub fn discover_queue_url(&mut self) -> Option<String> {
        self.text("DISCOVER_QUEUE_URL")
    }

    /// `EXPORT_QUEUE_URL`.
    pub fn export_queue_url(&mut self) -> Option<String> {
        self.text("EXPORT_QUEUE_URL")
    }

    /// `ASSEMBLE_QUEUE_URL`.
    pub fn assemble_queue_url(&mut self) -> Option<String> {
        self.text("ASSEMBLE_QUEUE_URL")
    }

    /// `RESTORE_QUEUE_URL`.
    pub fn restore_queue_url(&mut self) -> Option<String> {
        self.text("RESTORE_QUEUE_URL")
    }

    /// `NOTIFY_QUEUE_URL`.
    pub fn notify_queue_url(&mut self) -> Option<String> {
        self.text("NOTIFY_QUEUE_URL")
    }

    /// `DEAD_LETTER_QUEUE_URLS`: at least one.
    pub fn dead_letter_queue_urls(&mut self) -> Option<Vec<String>> {
        self.parsed("DEAD_LETTER_QUEUE_URLS", "a comma-separated list of URLs", list)
    }

    /// `EVENT_BUS`.
    pub fn event_bus(&mut self) -> Option<String> {
        self.text("EVENT_BUS")
    }

    /// `EMAIL_SENDER`; `Some(None)` if it is absent or empty.
    pub fn email_sender(&mut self) -> Option<Option<String>> {
        const NAME: &str = "EMAIL_SENDER";
        if self.is_unset(NAME) {
            return Some(None);
        }
        self.parsed(NAME, "an e-mail address", |text| text.contains('@').then(|| Some(text.to_owned())))
    }

    /// `API_URL`.
    pub fn api_url(&mut self) -> Option<String> {
        self.parsed("API_URL", "a URL without a trailing slash", |text| {
            let is_url = text.starts_with("https://") || text.starts_with("http://");
            (is_url && !text.ends_with('/')).then(|| text.to_owned())
        })
    }

    /// `WEBHOOK_SECRET_PREFIX`.
    pub fn webhook_secret_prefix(&mut self) -> Option<String> {
        self.text("WEBHOOK_SECRET_PREFIX")
    }

    /// `WEBHOOK_PRIVATE_TARGETS`; no targets if it is absent or empty.
    pub fn webhook_private_targets(&mut self) -> Option<Vec<String>> {
        const NAME: &str = "WEBHOOK_PRIVATE_TARGETS";
        if self.is_unset(NAME) {
            return Some(Vec::new());
        }
        self.parsed(NAME, "a comma-separated list of host:port", list)
    }

    /// `DELIVERY_RETRY_BASE_SECONDS`.
    pub fn delivery_retry_base(&mut self) -> Option<Duration> {
        let seconds = self.whole_number("DELIVERY_RETRY_BASE_SECONDS", 1..=3_600);
        seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// `CRM_TOKEN_PREFIX`.
    pub fn crm_token_prefix(&mut self) -> Option<String> {
        self.text("CRM_TOKEN_PREFIX")
    }

    /// `CRM_BASE_URLS`: at least one. HTTP without TLS is only allowed for a CRM on the same machine, because every
    /// request contains the token.
    pub fn crm_base_urls(&mut self) -> Option<Vec<String>> {
        const WANTED: &str = "a comma-separated list of URLs such as https://api.hubapi.com, without a path";
        self.parsed("CRM_BASE_URLS", WANTED, |text| {
            let urls = text.split(',').map(|url| url.trim().to_owned());
            urls.map(|url| is_base_url(&url).then_some(url)).collect()
        })
    }

    /// `TOKEN_AUDIENCE`.
    pub fn token_audience(&mut self) -> Option<String> {
        self.text("TOKEN_AUDIENCE")
    }

    /// `FEDERATED_PROVIDERS`; no providers if it is absent or empty.
    pub fn federated_providers(&mut self) -> Option<Vec<String>> {
        const NAME: &str = "FEDERATED_PROVIDERS";
        if self.is_unset(NAME) {
            return Some(Vec::new());
        }
        self.parsed(NAME, "a comma-separated list of names", list)
    }

    /// `ISSUER_ENFORCES_SECOND_FACTOR`.
    pub fn issuer_enforces_second_factor(&mut self) -> Option<bool> {
        self.parsed("ISSUER_ENFORCES_SECOND_FACTOR", "true or false", |text| text.parse().ok())
    }

    /// `EXPORT_RUNS_PER_BACKUP`.
    pub fn export_runs_per_backup(&mut self) -> Option<u32> {
        self.whole_number("EXPORT_RUNS_PER_BACKUP", 1..=1_000)
    }

    /// `RESTORE_CONCURRENCY`.
    pub fn restore_concurrency(&mut self) -> Option<u32> {
        self.whole_number("RESTORE_CONCURRENCY", 2..=1_000)
    }

    /// `CRM_RETRY_BASE_SECONDS`.
    pub fn crm_retry_base(&mut self) -> Option<Duration> {
        self.parsed("CRM_RETRY_BASE_SECONDS", "a number of seconds from 0.001 to 60", |text| {
            let seconds = text.parse().ok().filter(|seconds| (0.001..=60.0).contains(seconds));
            seconds.map(Duration::from_secs_f64)
        })
    }

    /// `CRM_OUTAGE_PATIENCE_HOURS`.
    pub fn crm_outage_patience(&mut self) -> Option<SignedDuration> {
        let hours = self.whole_number("CRM_OUTAGE_PATIENCE_HOURS", 1..=120);
        hours.map(|hours| SignedDuration::from_hours(hours.into()))
    }

    /// `DOWNLOAD_LINK_SECONDS`.
    pub fn download_link_validity(&mut self) -> Option<Duration> {
        self.whole_number("DOWNLOAD_LINK_SECONDS", 1..=43_200).map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// `LOG_LEVEL`.
    pub(crate) fn log_level(&mut self) -> Option<LevelFilter> {
        if !self.variables.contains_key("LOG_LEVEL") {
            return Some(LevelFilter::INFO);
        }
        self.parsed("LOG_LEVEL", "error, warn, info, debug or trace", |text| {
            Some(match text.to_ascii_lowercase().as_str() {
                "error" => LevelFilter::ERROR,
                "warn" => LevelFilter::WARN,
                "info" => LevelFilter::INFO,
                "debug" => LevelFilter::DEBUG,
                "trace" => LevelFilter::TRACE,
                _ => return None,
            })
        })
    }

    fn is_unset(&self, name: &str) -> bool {
        self.variables.get(name).is_none_or(|text| text.trim().is_empty())
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.parsed(name, "a text", |text| Some(text.to_owned()))
    }

    fn whole_number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(name, &wanted, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    fn parsed<T>(&mut self, name: &str, wanted: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.variables.get(name).map_or("", |text| text.trim());
        if text.is_empty() {
            self.faults.push(format!("{name} is not set"));
            return None;
        }
        let value = parse(text);
        if value.is_none() {
            self.faults.push(format!("{name} is not {wanted}"));
        }
        value
    }
}

/// The items between commas; `None` if one is empty.
fn list(text: &str) -> Option<Vec<String>> {
    let items = text.split(',').map(|item| item.trim().to_owned());
    items.map(|item| (!item.is_empty()).then_some(item)).collect()
}

fn is_base_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let local = matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]");
    // Compared as written, so each URL has one spelling: no user, no path, no trailing slash.
    let exact = format!("{scheme}://{authority}") == text && !authority.as_str().contains('@');
    exact && (scheme == "https" || (scheme == "http" && local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_every_variable_at_fault_and_no_value() {
        let mut env = Environment::of([
            ("ARCHIVE_BUCKET", "bucket"),
            ("EXPORT_RUNS_PER_BACKUP", "many"),
            ("CRM_RETRY_BASE_SECONDS", "-1"),
            ("LEDGER_TABLE", "  "),
        ]);
        let read = (env.archive_bucket(), env.export_runs_per_backup(), env.crm_retry_base(), env.ledger_tables());
        assert_eq!(read, (Some("bucket".to_owned()), None, None, None));
        let error = env.finish(|| Some(())).expect_err("three faults").to_string();
        let unset = ["LEDGER_TABLE is not set", "AUDIT_TABLE is not set"];
        for name in ["EXPORT_RUNS_PER_BACKUP", "CRM_RETRY_BASE_SECONDS"].into_iter().chain(unset) {
            assert!(error.contains(name), "{error}");
        }
        assert!(!error.contains("many") && !error.contains("ARCHIVE_BUCKET"), "{error}");
    }

    #[test]
    fn base_urls_use_tls_or_this_machine_and_have_no_path() {
        let read = |text| Environment::of([("CRM_BASE_URLS", text)]).crm_base_urls();
        let good = "https://api.hubapi.com, http://127.0.0.1:4010,http://localhost:4010";
        assert_eq!(read(good).map(|urls| urls.len()), Some(3));
        for bad in ["https://api.hubapi.com/", "http://api.hubapi.com", "api.hubapi.com", "https://a@b.example", ","] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_log_level_has_a_default_and_is_checked() {
        assert_eq!(Environment::of([]).log_level(), Some(LevelFilter::INFO));
        assert_eq!(Environment::of([("LOG_LEVEL", "WARN")]).log_level(), Some(LevelFilter::WARN));
        assert_eq!(Environment::of([("LOG_LEVEL", "loud")]).log_level(), None);
    }
}
