//! Logs: one JSON object a line on standard output, which CloudWatch Logs takes as it is.
//!
//! Rules for everything that logs:
//! - An event is named by its message in dotted words, thing first: `backup.failed`, `chunk.split`. Fields are dotted
//!   too (`backup.id`, `chunk.records`) and carry their unit where they have one (`lease.seconds`, `page.bytes`).
//! - A failure is logged once, where it is dealt with: as `error` when somebody has to look, as `warn` when the system
//!   deals with it itself. Whoever passes an error on does not log it.
//! - Never a request's or response's body, a token, a property value, a download link or an e-mail address. Ids of
//!   accounts, backups, objects and records are fine.
//! - The AWS SDK, the HTTP client and the Lambda runtime log warnings and errors only, at every `LOG_LEVEL`: their
//!   debug output holds headers and bodies.

use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{ConfigError, Environment};

/// Our own crates, which log at `LOG_LEVEL`. Everything else is quiet.
const OURS: [&str; 19] = [
    "account_api",
    "archive",
    "assemble_archive",
    "aws",
    "create_backup",
    "deliver_notifications",
    "discover_objects",
    "domain",
    "export_chunk",
    "hubspot",
    "lambda",
    "read_api",
    "recover_stalled",
    "restore_api",
    "restore_chunk",
    "start_scheduled_backups",
    "webhook",
    "workflows",
    // The span around an invocation, which gives every line its request id.
    "lambda_runtime::layers::trace",
];

/// Targets are matched by how they begin and the longest match counts, so what merely begins like ours is named too.
const NAMED_ALIKE: [&str; 2] = ["aws_", "lambda_runtime"];

/// Starts logging at `LOG_LEVEL`, panics included. The first thing that a function's `main` does.
///
/// # Errors
/// [`ConfigError`] when `LOG_LEVEL` is none.
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

/// A panic's message is logged only where it is a fixed text, since a formatted one can hold a value.
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
    fn the_sdk_stays_quiet_at_every_level_and_our_crates_do_not() {
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
