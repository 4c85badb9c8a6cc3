//! Arbitrary answers: error documents, answers to batches, and headers.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::budget::CallKind;
use domain::ids::RecordId;
use domain::ports::call_gate::RefusedPolicy;
use domain::rows::RowBuffer;
use fuzz::{Form, Target};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use crate::answers::{check_complete, missing_records};
use crate::call::number_in;
use crate::documents;
use crate::error_document::is_html;
use crate::records::{Shape, read_records};
use crate::refusal::{Refusal, policy};
use crate::retry::{Retries, RetryPolicy};
use crate::scan::Scanner;

const WORDS: &[&str] = &[
    "status",
    "error",
    "category",
    "message",
    "errors",
    "context",
    "ids",
    "id",
    "code",
    "name",
    "propertyName",
    "propertyNames",
    "properties",
    "requiredGranularScopes",
    "requiredScopes",
    "policyName",
    "DAILY",
    "SECONDLY",
    "VALIDATION_ERROR",
    "OBJECT_NOT_FOUND",
    "MISSING_SCOPES",
    "INTERNAL_ERROR",
    "COMPLETE",
    "results",
    "numErrors",
    "email",
    "größe, in cm",
    "crm.objects.contacts.read",
    "¶ value",
    "Property values were not valid: [{\"name\":\"email\",\"error\":\"INVALID_EMAIL\"}]",
    "Unable to infer object type from: 7",
];
const STATUSES: [u16; 9] = [400, 401, 403, 404, 409, 413, 414, 422, 500];

/// Sentences for users are one short line without links. They never repeat HubSpot's message about a write.
#[test]
fn fuzz_crm_refusal() {
    Target::new("crm_refusal", Form::Json, WORDS).fuzz(|body| {
        let names = BTreeSet::from(["email", "größe, in cm"]);
        let numbers = numbers_in(body);
        STATUSES.map(|status| {
            let read = Refusal::of_read(status, body);
            let absent = read.absent().map(<[RecordId]>::to_vec);
            assert!(
                absent.iter().flatten().all(|id| numbers.contains(&id.0)),
                "the document does not name this record"
            );
            let sentence = read.into_error("the list of x", "crm.objects.x.read").sentence;
            assert_is_line(&sentence, 2_600);
            assert!(!sentence.contains("://"), "{sentence}");
            let written = Refusal::of_write(status, body);
            assert_eq!(written.absent().map(<[RecordId]>::to_vec), absent, "reads and writes differ");
            assert!(!written.clone().into_error("an update of x", "").sentence.contains('¶'), "a value is quoted");
            let Ok(refusal) = written.into_write_refusal(&names) else { return (sentence.len().min(200), 0) };
            let is_word = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
            assert!((1..=60).contains(&refusal.code.len()) && refusal.code.chars().all(is_word), "{}", refusal.code);
            assert_is_line(&refusal.message, 300);
            let once: BTreeSet<&str> = refusal.properties.iter().map(String::as_str).collect();
            assert!(once.len() == refusal.properties.len() && once.is_subset(&names), "{:?}", refusal.properties);
            (sentence.len().min(200), 1 + refusal.code.len() * 4 + refusal.properties.len())
        })
    });
}

fn assert_is_line(text: &str, longest: usize) {
    assert!(text.chars().count() <= longest, "{} characters", text.chars().count());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// All numbers in a document, inside and outside of texts.
fn numbers_in(body: &[u8]) -> BTreeSet<u64> {
    let text = documents::read::<Value>(body).unwrap_or_default().to_string();
    text.split(|char: char| !char.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Documents have the same result as with `serde_json`. Half a surrogate pair and invalid UTF-8 become U+FFFD, as in
/// pages.
#[test]
fn fuzz_crm_document() {
    Target::new("crm_document", Form::Json, WORDS).fuzz(|body| {
        let read = documents::read::<Value>(body).ok();
        let bare = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let plain = serde_json::from_slice::<Value>(bare).ok();
        assert!(plain.is_none() || plain == read, "`serde_json` reads it differently");
        let text = String::from_utf8_lossy(bare);
        let scanned = Scanner::new(text.as_bytes()).and_then(|mut scan| {
            let value = scan.value()?;
            scan.finish()?;
            Ok(value)
        });
        if let Ok(crate::scan::Value::Text(literal)) = &scanned {
            let mut scratch = String::new();
            let decoded = literal.decode(&mut scratch).ok();
            assert_eq!(decoded, read.as_ref().and_then(Value::as_str), "pages read it differently");
        }
        assert!(scanned.is_ok() || read.is_none() || is_deep(&text), "pages refuse it");
        let entries = documents::entries::<Value>(body);
        (
            read.is_some(),
            plain.is_some(),
            scanned.is_ok(),
            entries.map_or(99, |entries| entries.len().min(16)),
            policy(CallKind::Search, body) == RefusedPolicy::Daily,
            is_html(body),
        )
    });
}

/// Whether a document may be nested deeper than [`Scanner`] accepts. Brackets inside texts count too.
fn is_deep(text: &str) -> bool {
    text.matches(['[', '{']).count() > 60
}

/// Each requested record of a batch is shown, absent, failed or unmentioned. It is absent only if the answer says so.
#[test]
fn fuzz_crm_batch() {
    Target::new("crm_batch", Form::Json, WORDS).fuzz(|body| {
        let asked = [1, 2, 3, 4, 7, 8].map(RecordId);
        let mut rows = RowBuffer::new(1);
        let Ok(page) = read_records(body, Shape::Nested, &["email"], &mut rows) else { return [9; 5] };
        let found = missing_records(&page, &asked, rows.ids());
        let mut all: Vec<RecordId> = [&found.absent[..], &found.failed, &found.unmentioned].concat();
        all.extend(asked.iter().filter(|id| rows.ids().contains(id)));
        all.sort_unstable();
        assert_eq!(all, asked, "a record has two results or none");
        let says_so = String::from_utf8_lossy(body).contains("OBJECT") || body.contains(&b'\\');
        let survivors = rows.ids().iter().any(|id| !asked.contains(id));
        assert!(found.absent.is_empty() || says_so || survivors, "a record counts as deleted");
        let complete = check_complete(page).is_ok();
        let errors = documents::read::<Value>(body)
            .is_ok_and(|document| document["errors"].as_array().is_some_and(|list| !list.is_empty()));
        assert!(!(complete && errors) || is_twice(body, "errors"), "an answer with errors is complete");
        [rows.len().min(8), found.absent.len(), found.failed.len(), found.unmentioned.len(), usize::from(complete)]
    });
}

/// Whether the document may contain a member twice, so that the other one counts.
fn is_twice(body: &[u8], name: &str) -> bool {
    String::from_utf8_lossy(body).matches(name).count() > 1 || body.contains(&b'\\')
}

/// Pauses from headers are finite, and the number of requests is limited.
#[test]
fn fuzz_crm_headers() {
    let words = [
        "0",
        "10",
        "86400",
        "18446744073709551615",
        "18446744073709551616",
        "-1",
        "+1",
        "1.5",
        " 7 ",
        "Wed, 21 Oct 2026 07:28:00 GMT",
    ];
    Target::new("crm_headers", Form::Bytes, &words).fuzz(|value| {
        let Ok(value) = HeaderValue::from_bytes(value) else { return (None, 0) };
        let asked: Option<u64> = number_in(&HeaderMap::from_iter([(RETRY_AFTER, value.clone())]), RETRY_AFTER.as_str());
        let text = value.to_str().map(str::trim).unwrap_or_default();
        assert_eq!(asked, text.parse().ok(), "the number differs");
        let window = Duration::from_millis(asked.unwrap_or_default());
        // Calls have the same limit.
        let asked = asked.map(|seconds| Duration::from_secs(seconds.min(86_400)));
        let mut retries = Retries::default();
        let mut sent = 1;
        while let Some(wait) =
            retries.after_failure(&RetryPolicy::default(), asked.unwrap_or_default(), 1.0, Duration::MAX)
        {
            assert!(wait >= asked.unwrap_or_default());
            sent += 1;
        }
        for policy in [RefusedPolicy::Rate, RefusedPolicy::Daily] {
            let mut retries = Retries::default();
            while retries.after_rate_limit(policy, None, window).1 {
                sent += 1;
            }
        }
        (asked, sent)
    });
}
