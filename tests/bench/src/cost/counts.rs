//! What functions asked AWS for, by what AWS bills.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ledger;

/// One request of a function, and its answer.
pub(super) struct Observed<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// `X-Amz-Target` of services with a JSON protocol.
    pub(super) target: Option<&'a str>,
    /// Whether an upload copies what S3 has already.
    pub(super) copies: bool,
    pub(super) request: &'a [u8],
    pub(super) answer: &'a [u8],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct LedgerUse {
    pub(super) calls: u64,
    pub(super) read_units: f64,
    pub(super) write_units: f64,
}

/// The requests of some time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    /// By purpose. The audit log's table is apart by its sort keys.
    pub(super) ledger: BTreeMap<String, LedgerUse>,
    /// By kind.
    pub(super) s3: BTreeMap<&'static str, u64>,
    pub(super) sqs: u64,
    pub(super) secrets: u64,
    pub(super) events: u64,
    pub(super) emails: u64,
    /// Requests for which there is no rule. Figures with any would be too low.
    pub(super) unknown: BTreeSet<String>,
}

/// Kinds of S3 requests that are billed as reads.
pub(super) const S3_READS: [&str; 2] = ["GetObject", "HeadObject"];
/// Kinds that cost nothing.
pub(super) const S3_FREE: [&str; 2] = ["DeleteObject", "AbortMultipartUpload"];

impl Counts {
    pub(super) fn note(&mut self, observed: &Observed<'_>) {
        let Some(target) = observed.target else { return self.note_by_path(observed) };
        let (service, operation) = target.rsplit_once('.').unwrap_or((target, ""));
        match service {
            "DynamoDB_20120810" => self.note_ledger(operation, observed),
            // 64 KB of messages are one request. Messages here are hints of a few hundred bytes.
            "AmazonSQS" => self.sqs += 1,
            "secretsmanager" => self.secrets += 1,
            "AWSEvents" => {
                let request: Value = serde_json::from_slice(observed.request).unwrap_or_default();
                self.events += request["Entries"].as_array().map_or(1, |entries| entries.len() as u64);
            }
            _ => drop(self.unknown.insert(target.to_owned())),
        }
    }

    fn note_ledger(&mut self, operation: &str, observed: &Observed<'_>) {
        let [request, answer] =
            [observed.request, observed.answer].map(|body| serde_json::from_slice(body).unwrap_or(Value::Null));
        let Some(units) = ledger::units_of(operation, &request, &answer) else {
            self.unknown.insert(format!("DynamoDB {operation}"));
            return;
        };
        for units in units {
            let used = self.ledger.entry(units.purpose).or_default();
            used.calls += 1;
            used.read_units += units.read;
            used.write_units += units.write;
        }
    }

    fn note_by_path(&mut self, observed: &Observed<'_>) {
        if observed.path.starts_with("/v2/email") {
            self.emails += 1;
            return;
        }
        let has = |name: &str| observed.query.split('&').any(|part| part.split('=').next() == Some(name));
        let kind = match observed.method {
            "PUT" if observed.copies => "UploadPartCopy",
            "PUT" if has("uploadId") => "UploadPart",
            "PUT" => "PutObject",
            "POST" if has("uploads") => "CreateMultipartUpload",
            "POST" if has("uploadId") => "CompleteMultipartUpload",
            "POST" if has("delete") => "DeleteObject",
            "DELETE" if has("uploadId") => "AbortMultipartUpload",
            "DELETE" => "DeleteObject",
            "GET" if has("list-type") || has("uploads") || has("uploadId") => "List",
            "GET" => "GetObject",
            "HEAD" => "HeadObject",
            method => {
                self.unknown.insert(format!("{method} {}", observed.path));
                return;
            }
        };
        *self.s3.entry(kind).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn s3(method: &'static str, query: &'static str, copies: bool) -> Counts {
        let mut counts = Counts::default();
        let path = "/bucket/key";
        counts.note(&Observed { method, path, query, target: None, copies, request: b"", answer: b"" });
        counts
    }

    #[test]
    fn requests_to_s3_are_told_apart_as_they_are_billed() {
        for (method, query, copies, kind) in [
            ("PUT", "", false, "PutObject"),
            ("PUT", "partNumber=1&uploadId=a", false, "UploadPart"),
            ("PUT", "partNumber=1&uploadId=a", true, "UploadPartCopy"),
            ("POST", "uploads", false, "CreateMultipartUpload"),
            ("POST", "uploadId=a", false, "CompleteMultipartUpload"),
            ("DELETE", "uploadId=a", false, "AbortMultipartUpload"),
            ("POST", "delete=", false, "DeleteObject"),
            ("GET", "list-type=2", false, "List"),
            ("GET", "", false, "GetObject"),
            ("HEAD", "", false, "HeadObject"),
        ] {
            let counts = s3(method, query, copies);
            assert_eq!(counts.s3.keys().collect::<Vec<_>>(), [&kind], "{method} {query}");
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let mut counts = s3("PATCH", "", false);
        let observed = |target, request| Observed {
            method: "POST",
            path: "/",
            query: "",
            target: Some(target),
            copies: false,
            request,
            answer: b"{}",
        };
        counts.note(&observed("DynamoDB_20120810.Scan", b"{}"));
        counts.note(&observed("AmazonSQS.SendMessageBatch", b"{}"));
        let events = json!({ "Entries": [{}, {}] }).to_string();
        counts.note(&observed("AWSEvents.PutEvents", events.as_bytes()));
        assert_eq!((counts.sqs, counts.events), (1, 2));
        assert_eq!(counts.unknown.len(), 2, "{:?}", counts.unknown);
    }
}
