//! Logs: one JSON object per line on standard output, which CloudWatch Logs stores unchanged.
//!
//! Rules for all logging code:
//! - The message is the event's name in dotted words, subject first: `backup.failed`, `chunk.split`. Field names are
//!   dotted too (`backup.id`, `chunk.records`) and contain the unit if there is one (`lease.seconds`, `page.bytes`).
//! - A failure is logged once, by the code that handles it: as `error` if an operator must act, as `warn` if the system
//!   recovers by itself. Code that passes an error on does not log it.
//! - Never a request's or response's body, a token, a property value, a download link or an e-mail address. Ids of
//!   accounts, backups, objects and records are fine.
//! - The AWS SDK, the HTTP client and the Lambda runtime log only warnings and errors, at every `LOG_LEVEL`: their
//!   debug output contains headers and bodies.

use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{ConfigError, Environment};

/// Our own crates, which log at `LOG_LEVEL`. All others only log warnings and errors.
const OURS: [&str; 21] = [
    "account_api",
    "archive",
    "assemble_archive",
    "aws",
    "create_backup",
    "deliver_notifications",
    "discover_objects",
    "domain",
    "export_chunk",
    "http_api",
    "hubspot",
    "read_api",
    "recover_stalled",
    "restore_api",
    "restore_chunk",
    "runtime",
    "start_scheduled_backups",
    "webhook",
    "worker",
    "workflows",
    // The span around an invocation, which adds the request id to every line.
    "lambda_runtime::layers::trace",
];

/// Other crates whose names begin like ours. A filter matches prefixes, and the longest match wins.
const NAMED_ALIKE: [&str; 2] = ["aws_", "lambda_runtime"];

/// Starts logging at `LOG_LEVEL`, panics included. Every `main` calls this first.
///
/// # Errors
/// [`ConfigError`] if `LOG_LEVEL` is not a level.
pub fn init() -> Result<(), ConfigError> {
    let mut env = Environment::of_process();
    let level = env.log_level();
    let level = env.finish(|| level)?;
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    tracing_subscriber::registry().with(lines.with_filter(targets(level))).init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn targets(level: LevelFilter) -> Targets {
    let quiet = level.min(LevelFilter::WARN);
    let ours = OURS.map(|target| (target, level));
    Targets::new().with_default(quiet).with_targets(ours).with_targets(NAMED_ALIKE.map(|target| (target, quiet)))
}

/// Logs a panic's message only if it is a fixed text, because a formatted one can contain a value.
fn log_panic(info: &PanicHookInfo<'_>) {
    let text = info.payload().downcast_ref::<&'static str>().copied();
    let location = info.location().map(ToString::to_string);
    tracing::error!(panic.text = text, panic.location = location, "run.panicked");
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn only_our_crates_log_more_than_warnings() {
        let debug = targets(LevelFilter::DEBUG);
        assert!(debug.would_enable("workflows::backup::export", &Level::DEBUG));
        assert!(debug.would_enable("aws::ledger", &Level::DEBUG));
        for target in ["aws_smithy_runtime::client", "aws_sdk_s3", "hyper_util::client", "rustls", "lambda_runtime"] {
            assert!(!debug.would_enable(target, &Level::INFO), "{target}");
            assert!(debug.would_enable(target, &Level::WARN), "{target}");
        }
        assert!(!targets(LevelFilter::ERROR).would_enable("hyper", &Level::WARN));
    }
}
