//! What an answer about records means. For each requested record, an answer contains its values, or proves that it does
//! not exist, or does neither. In the last case the record is unknown and must never count as deleted or empty. This
//! module judges lists, batch reads and searches.

use std::collections::HashSet;

use domain::ids::RecordId;
use serde_json::Value;

use crate::documents;
use crate::records::Page;
use crate::scan::Malformed;

/// Why an answer with a good status cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// It breaks the rules of the API.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It reports that the CRM failed for some or all of the records.
    #[error("the CRM failed for some of the records")]
    InPart,
}

/// The category of an error about records that do not exist.
const NOT_FOUND: &str = "OBJECT_NOT_FOUND";

/// Categories of errors inside the CRM, which say nothing about the request.
const TEMPORARY: [&str; 5] = ["INTERNAL_ERROR", "RATE_LIMIT", "RATE_LIMITS", "SERVICE_UNAVAILABLE", "TIMEOUT"];

/// Requested records that are not in the answer to a batch read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MissingRecords {
    /// The answer says that they do not exist.
    pub(crate) absent: Vec<RecordId>,
    /// The CRM failed for them, so they may exist.
    pub(crate) failed: Vec<RecordId>,
    /// The answer does not mention them.
    pub(crate) unmentioned: Vec<RecordId>,
}

/// Judges the answer to a batch read of the ids `asked`. `shown` are the ids of the records in the answer.
pub(crate) fn missing_records(page: &Page, asked: &[RecordId], shown: &[RecordId]) -> MissingRecords {
    if shown == asked {
        return MissingRecords::default();
    }
    let known: HashSet<RecordId> = shown.iter().copied().collect();
    let missing: Vec<RecordId> = asked.iter().copied().filter(|id| !known.contains(id)).collect();
    if missing.is_empty() {
        return MissingRecords::default();
    }
    let errors = errors_of(page);
    let mut absent = HashSet::new();
    let mut failed = HashSet::new();
    let mut all_failed = !is_complete(page) || errors.is_empty() && page.error_count.is_some_and(|count| count > 0);
    for error in &errors {
        let ids = ids_in(error);
        if is_not_found(error) {
            absent.extend(ids);
        } else if ids.is_empty() {
            all_failed = true;
        } else {
            failed.extend(ids);
        }
    }
    let mut found = MissingRecords::default();
    for id in missing {
        if failed.contains(&id) {
            found.failed.push(id);
        } else if absent.contains(&id) {
            found.absent.push(id);
        } else if all_failed {
            found.failed.push(id);
        } else {
            found.unmentioned.push(id);
        }
    }
    // A record with an id that was not requested is the survivor of a merge. It accounts for the merged record.
    let survivors = known.iter().filter(|id| !asked.contains(id)).count();
    if survivors >= found.unmentioned.len() {
        found.absent.append(&mut found.unmentioned);
    }
    found
}

/// Whether an error is inside the CRM and may be over soon. Then it says nothing about the request.
pub(crate) fn is_temporary(error: &Value) -> bool {
    let category = error.get("category").and_then(Value::as_str);
    category.is_some_and(|category| TEMPORARY.contains(&category))
}

/// Returns the page of a list or a search if it is complete.
///
/// # Errors
/// [`Unusable::InPart`] if it is not. This is temporary, so the call must be sent again.
pub(crate) fn check_complete(page: Page) -> Result<Page, Unusable> {
    let errors = !errors_of(&page).is_empty() || page.error_count.is_some_and(|count| count > 0);
    if is_complete(&page) && !errors { Ok(page) } else { Err(Unusable::InPart) }
}

/// The ids in the refusal of a whole call, if the refusal is about records. `None` if it is about something else.
pub(crate) fn absent_in_refusal(status: u16, document: &Value) -> Option<Vec<RecordId>> {
    let errors = document.get("errors").and_then(Value::as_array).into_iter().flatten();
    let all: Vec<&Value> = std::iter::once(document).chain(errors).collect();
    let about_records = all.iter().any(|error| is_not_found(error) || !ids_in(error).is_empty());
    let message = document.get("message").and_then(Value::as_str).unwrap_or_default();
    if status != 404 || !about_records || message.contains("infer object type") {
        return None;
    }
    let mut named: Vec<RecordId> = all.iter().flat_map(|error| ids_in(error)).collect();
    let words = message.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    named.extend(words.filter_map(|word| RecordId::parse(word).ok()));
    Some(named)
}

fn is_complete(page: &Page) -> bool {
    page.status.as_deref().is_none_or(|status| status == "COMPLETE")
}

fn errors_of(page: &Page) -> Vec<Value> {
    let errors = page.errors.as_deref().and_then(|json| documents::read::<Value>(json.as_bytes()).ok());
    match errors {
        Some(Value::Array(errors)) => errors,
        Some(Value::Null) | None => Vec::new(),
        Some(other) => vec![other],
    }
}

fn is_not_found(error: &Value) -> bool {
    ["category", "errorType", "code"].iter().any(|name| error.get(name).and_then(Value::as_str) == Some(NOT_FOUND))
}

/// The ids in an error.
pub(crate) fn ids_in(error: &Value) -> Vec<RecordId> {
    let context = error.get("context");
    let lists = ["ids", "id"].into_iter().filter_map(|name| context?.get(name));
    let ids = lists.flat_map(|list| match list {
        Value::Array(ids) => ids.as_slice(),
        id => std::slice::from_ref(id),
    });
    ids.filter_map(documents::text_of).filter_map(|id| RecordId::parse(&id).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(ids: &[u64]) -> Vec<RecordId> {
        ids.iter().copied().map(RecordId).collect()
    }

    fn page(status: Option<&str>, errors: &Value) -> Page {
        let errors = (!errors.is_null()).then(|| errors.to_string());
        Page { status: status.map(str::to_owned), errors, ..Page::default() }
    }

    fn judged(page: &Page, shown: &[u64]) -> [Vec<u64>; 3] {
        let found = missing_records(page, &ids(&[1, 2, 3, 4]), &ids(shown));
        [found.absent, found.failed, found.unmentioned].map(|ids| ids.into_iter().map(|id| id.0).collect())
    }

    fn error(category: &str, ids: &[&str]) -> Value {
        json!({ "status": "error", "category": category, "context": { "ids": ids } })
    }

    /// A1: a record is absent only if an error says that it was not found.
    #[test]
    fn only_a_not_found_error_makes_a_record_absent() {
        let complete = |errors| page(Some("COMPLETE"), &errors);
        assert!(judged(&complete(Value::Null), &[1, 2, 3, 4]).iter().all(Vec::is_empty));
        assert_eq!(judged(&complete(Value::Null), &[4, 2]), [vec![], vec![], vec![1, 3]]);
        let mixed = json!([error("OBJECT_NOT_FOUND", &["1"]), error("INTERNAL_ERROR", &["3"])]);
        assert_eq!(judged(&complete(mixed), &[2]), [vec![1], vec![3], vec![4]]);
        let nameless = json!([error("OBJECT_NOT_FOUND", &["1"]), { "category": "RATE_LIMIT" }]);
        assert_eq!(judged(&complete(nameless), &[2]), [vec![1], vec![3, 4], vec![]]);
        let unknown = json!([{ "status": "error", "context": { "ids": [2, "3"] } }]);
        assert_eq!(judged(&complete(unknown), &[1, 4]), [vec![], vec![2, 3], vec![]]);
    }

    /// A1: an unfinished batch read has failed for the records that it does not show.
    #[test]
    fn records_missing_from_an_unfinished_batch_are_unknown() {
        for status in ["PENDING", "PROCESSING", "CANCELED"] {
            assert_eq!(judged(&page(Some(status), &Value::Null), &[1, 2]), [vec![], vec![3, 4], vec![]]);
        }
        let counted = Page { error_count: Some(2), ..page(Some("COMPLETE"), &Value::Null) };
        assert_eq!(judged(&counted, &[1, 2]), [vec![], vec![3, 4], vec![]]);
    }

    /// A1: the survivor of a merge accounts for the record that was merged into it.
    #[test]
    fn a_survivor_accounts_for_a_merged_record() {
        assert_eq!(judged(&Page::default(), &[1, 2, 3, 77]), [vec![4], vec![], vec![]]);
        assert_eq!(judged(&Page::default(), &[1, 2, 77]), [vec![], vec![], vec![3, 4]]);
    }

    /// B1: a 404 is about records if it contains their ids or the category of missing records.
    #[test]
    fn a_refusal_about_records_is_recognised() {
        let refused = |document: Value| absent_in_refusal(404, &document);
        assert_eq!(refused(error("OBJECT_NOT_FOUND", &["5", "6"])), Some(ids(&[5, 6])));
        assert_eq!(
            refused(json!({ "category": "OBJECT_NOT_FOUND", "message": "no objects 5, 6." })),
            Some(ids(&[5, 6]))
        );
        assert_eq!(refused(json!({ "category": "OBJECT_NOT_FOUND" })), Some(vec![]));
        assert_eq!(
            refused(json!({ "category": "OBJECT_NOT_FOUND", "message": "Unable to infer object type from: 7" })),
            None
        );
        assert_eq!(refused(json!({ "message": "nothing here" })), None);
        assert_eq!(refused(Value::Null), None);
        assert_eq!(absent_in_refusal(400, &error("OBJECT_NOT_FOUND", &["5"])), None);
    }
}
