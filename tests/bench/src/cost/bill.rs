//! What AWS would bill for what was counted.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use dev_stack::invocations::Invocations;

use super::counts::Counts;
use super::prices;
use crate::figure::Figure;
use crate::sample::number;

/// How long a function that ends a backup, or writes its last words, may run on after the API has shown the end.
const SETTLE: Duration = Duration::from_secs(8);
/// SQS requests that an invocation by a queue takes: one that receives its messages, and one that deletes them.
const REQUESTS_PER_MESSAGE: f64 = 2.0;
/// Functions that queues invoke.
const OF_QUEUES: [&str; 5] =
    ["discover-objects", "export-chunk", "assemble-archive", "restore-chunk", "deliver-notifications"];
/// Receives of a queue without messages, each minute: five pollers that wait 20 s each ("Using Lambda with Amazon SQS",
/// Lambda developer guide).
const EMPTY_RECEIVES: f64 = 15.0;

const HOW: &str = "deployed stack, release builds; requests counted between functions and emulator";
const PRICED: &str = "at list prices of us-east-1";

/// What happened in some time.
pub(super) struct Bill {
    pub(super) counts: Counts,
    pub(super) invocations: BTreeMap<String, Invocations>,
}

/// Waits until the last functions of some work have ended.
pub(crate) fn settle() {
    thread::sleep(SETTLE);
}

/// Dollars for an archive of `bytes` that is kept for 14 of 30 days.
pub(super) fn storage(bytes: u64) -> f64 {
    number(bytes) / 1e9 * prices::GB_MONTH * 14.0 / 30.0
}

impl Bill {
    pub(super) fn dollars(&self) -> f64 {
        self.lines().iter().map(|line| line.dollars).sum()
    }

    /// The sum, as a figure.
    pub(super) fn sum(&self, name: &str) -> Figure {
        Figure::new(format!("{name}: sum"), self.dollars(), "$", PRICED)
    }

    /// The sum of a month like `watched`, with the polls of queues that are empty.
    pub(super) fn of_a_month(&self, watched: Duration, month: Duration) -> Figure {
        let polls = number(OF_QUEUES.len() as u64) * EMPTY_RECEIVES * month.as_secs_f64() / 60.0 * prices::SQS_REQUEST;
        let sum = self.dollars() * month.as_secs_f64() / watched.as_secs_f64() + polls;
        let how = "the same for 30 days, with the polls of five empty queues; without the key, alarms and metrics";
        Figure::new("cost, a month without work", sum, "$", how)
    }

    /// Every line of the bill with its amount.
    pub(super) fn figures(&self, name: &str) -> Vec<Figure> {
        let lines = self.lines().into_iter().filter(|line| line.amount > 0.0);
        lines
            .map(|line| {
                let how = format!("${:.6} {PRICED}; {HOW}", line.dollars);
                Figure::new(format!("{name}: {}", line.name), line.amount, line.unit, how)
            })
            .collect()
    }

    fn lines(&self) -> Vec<Line> {
        let Counts { ledger, s3, sqs, secrets, events, emails, .. } = &self.counts;
        let mut lines: Vec<Line> = self.invocations.iter().map(|(function, of)| gb_seconds(function, of)).collect();
        let invoked: u64 = self.invocations.values().map(|of| of.invocations).sum();
        lines.push(Line::of("invocations", number(invoked), "", prices::INVOCATION));
        for (purpose, used) in ledger {
            lines.push(Line::of(format!("ledger reads, {purpose}"), used.read_units, "units", prices::READ_UNIT));
            lines.push(Line::of(format!("ledger writes, {purpose}"), used.write_units, "units", prices::WRITE_UNIT));
        }
        lines.extend(s3.iter().map(|(kind, count)| {
            let price = if super::counts::S3_READS.contains(kind) {
                prices::S3_READ
            } else if super::counts::S3_FREE.contains(kind) {
                0.0
            } else {
                prices::S3_WRITE
            };
            Line::of(format!("S3 {kind}"), number(*count), "", price)
        }));
        let by_queues = self.invocations.iter().filter(|(function, _)| OF_QUEUES.contains(&function.as_str()));
        let received: f64 = by_queues.map(|(_, of)| number(of.invocations) * REQUESTS_PER_MESSAGE).sum();
        lines.push(Line::of("SQS requests", number(*sqs) + received, "", prices::SQS_REQUEST));
        lines.push(Line::of("Secrets Manager requests", number(*secrets), "", prices::SECRETS_REQUEST));
        lines.push(Line::of("events on the bus", number(*events), "", prices::EVENT));
        lines.push(Line::of("e-mails", number(*emails), "", prices::EMAIL));
        lines
    }
}

/// One line of a bill.
struct Line {
    name: String,
    amount: f64,
    unit: &'static str,
    dollars: f64,
}

impl Line {
    fn of(name: impl Into<String>, amount: f64, unit: &'static str, price: f64) -> Self {
        Self { name: name.into(), amount, unit, dollars: amount * price }
    }
}

fn gb_seconds(function: &str, of: &Invocations) -> Line {
    let amount = number(of.billed_millis) / 1_000.0 * number(of.memory_megabytes) / 1_024.0;
    Line::of(function, amount, "GB-s", prices::GB_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_the_sum_of_its_lines() {
        let one = Invocations { invocations: 10, billed_millis: 8_000, memory_megabytes: 512 };
        let counts =
            Counts { secrets: 3, s3: [("PutObject", 2), ("AbortMultipartUpload", 9)].into(), ..Counts::default() };
        let bill = Bill { counts, invocations: [("export-chunk".to_owned(), one)].into() };
        let expected = 4.0 * prices::GB_SECOND
            + 10.0 * prices::INVOCATION
            + 20.0 * prices::SQS_REQUEST
            + 3.0 * prices::SECRETS_REQUEST
            + 2.0 * prices::S3_WRITE;
        assert!((bill.dollars() - expected).abs() < 1e-12, "{} {expected}", bill.dollars());
    }
}
