//! Metrics in CloudWatch's embedded metric format: one JSON line on standard output becomes data points, without a call
//! to CloudWatch. `FunctionName` is the only dimension: CloudWatch charges for a metric per value of a dimension, such
//! as each account.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "CrmBackup";

/// A metric and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// Calls sent to the CRM.
    Calls(u64),
    /// Calls that the CRM refused with 429; included in `Calls`.
    CallsRefused(u64),
    /// Records per second that one run has exported, compared or restored.
    RecordsPerSecond(f64),
    /// Age in seconds of the oldest stalled work; 0 if no work is stalled.
    OldestStalledSeconds(f64),
    /// Share of an account's daily call budget that is used, in percent.
    BudgetUse(f64),
}

impl Metric {
    /// Name, CloudWatch unit and value.
    fn parts(self) -> (&'static str, &'static str, Value) {
        match self {
            Self::Calls(calls) => ("Calls", "Count", calls.into()),
            Self::CallsRefused(calls) => ("CallsRefused", "Count", calls.into()),
            Self::RecordsPerSecond(rate) => ("RecordsPerSecond", "Count/Second", rate.into()),
            Self::OldestStalledSeconds(age) => ("OldestStalledSeconds", "Seconds", age.into()),
            Self::BudgetUse(percent) => ("BudgetUse", "Percent", percent.into()),
        }
    }
}

/// Writes `metrics` as data points at the current time, each name at most once.
pub fn emit(metrics: &[Metric]) {
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    println!("{}", line(&function, metrics, Timestamp::now()));
}

fn line(function: &str, metrics: &[Metric], now: Timestamp) -> Value {
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|metric| {
            let (name, unit, _) = metric.parts();
            json!({"Name": name, "Unit": unit})
        })
        .collect();
    let mut members = Map::new();
    for metric in metrics {
        let (name, _, value) = metric.parts();
        members.insert(name.to_owned(), value);
    }
    members.insert("FunctionName".to_owned(), function.into());
    members.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": definitions}],
        }),
    );
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_defines_every_metric_it_contains() {
        let now = Timestamp::from_millisecond(1_800_000_000_123).expect("in range");
        let line = line("export", &[Metric::Calls(40), Metric::BudgetUse(12.5)], now);
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_800_000_000_123_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "CrmBackup",
                        "Dimensions": [["FunctionName"]],
                        "Metrics": [{"Name": "Calls", "Unit": "Count"}, {"Name": "BudgetUse", "Unit": "Percent"}],
                    }],
                },
                "FunctionName": "export",
                "Calls": 40,
                "BudgetUse": 12.5,
            })
        );
    }
}
