//! DynamoDB request units of one call, from its request and its answer, by AWS's rules.
//!
//! "Read and write operations" and "DynamoDB item sizes and formats" in the DynamoDB developer guide say what counts: a
//! read unit for each 4 KB of a strongly consistent read, a write unit for each KB of an item, twice as many in
//! transactions, and a write unit for each change of an index, whose projection here is keys only.

use serde_json::Value;

/// Units of one call, and what it was for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Units {
    /// What the records are: the beginning of their sort key.
    pub(super) purpose: String,
    pub(super) read: f64,
    pub(super) write: f64,
}

const READ_BYTES: usize = 4 * 1024;
const WRITE_BYTES: usize = 1024;
/// The sort key of the index, which only records have that are due some day.
const INDEXED: &str = "dueAt";

/// The units of a call to `operation`, one entry for each item of a write. None if the operation is not known here.
pub(super) fn units_of(operation: &str, request: &Value, answer: &Value) -> Option<Vec<Units>> {
    Some(match operation {
        "GetItem" => {
            let read = blocks(size_of_item(&answer["Item"]), READ_BYTES) * consistency(request);
            vec![Units { purpose: purpose_of(&request["Key"]), read, write: 0.0 }]
        }
        "Query" => {
            let items = answer["Items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let read = blocks(items.iter().map(size_of_item).sum(), READ_BYTES) * consistency(request);
            vec![Units { purpose: purpose_of_query(request), read, write: 0.0 }]
        }
        "PutItem" => vec![put(&request["Item"], 1.0)],
        "TransactWriteItems" => {
            let items = request["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
            let of = |item: &Value| match (&item["Put"]["Item"], &item["ConditionCheck"]["Key"]) {
                (Value::Null, key) => Units { purpose: purpose_of(key), read: 0.0, write: 2.0 },
                (item, _) => put(item, 2.0),
            };
            items.iter().map(of).collect()
        }
        _ => return None,
    })
}

fn put(item: &Value, factor: f64) -> Units {
    let index = if item.get(INDEXED).is_some() { 1.0 } else { 0.0 };
    Units { purpose: purpose_of(item), read: 0.0, write: blocks(size_of_item(item), WRITE_BYTES) * factor + index }
}

fn consistency(request: &Value) -> f64 {
    if request["ConsistentRead"] == true { 1.0 } else { 0.5 }
}

/// Started blocks, at least one: a call for nothing costs a unit too.
fn blocks(bytes: usize, each: usize) -> f64 {
    crate::sample::number(bytes.div_ceil(each).max(1) as u64)
}

/// The sort key up to the first `#`, in small letters. The call budget has a partition of its own.
fn purpose_of(key: &Value) -> String {
    word(key["sort"]["S"].as_str().unwrap_or("?"))
}

fn purpose_of_query(request: &Value) -> String {
    if let Some(index) = request["IndexName"].as_str() {
        return format!("index {index}");
    }
    let values = request["ExpressionAttributeValues"].as_object();
    let texts = values.into_iter().flatten().filter_map(|(_, value)| value["S"].as_str());
    // Partitions begin with what their records belong to; the other value is the beginning of a sort key.
    let (partitions, sorts): (Vec<_>, Vec<_>) = texts
        .partition(|text| ["ACCOUNT#", "BACKUP#", "RESTORE#", "AUDIT#", "BUDGET#"].iter().any(|p| text.starts_with(p)));
    sorts.first().or(partitions.first()).map_or_else(|| "?".to_owned(), |text| word(text))
}

fn word(text: &str) -> String {
    text.split('#').next().unwrap_or_default().to_lowercase()
}

fn size_of_item(item: &Value) -> usize {
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

/// Texts count their bytes, numbers about half of their digits, lists and maps three bytes and one for each entry.
fn size_of_value(value: &Value) -> usize {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else { return 0 };
    match (kind.as_str(), inner) {
        ("S", Value::String(text)) => text.len(),
        ("N", Value::String(digits)) => digits.len().div_ceil(2) + 1,
        ("B", Value::String(base64)) => base64.len() * 3 / 4,
        ("M", Value::Object(map)) => {
            3 + map.iter().map(|(name, value)| 1 + name.len() + size_of_value(value)).sum::<usize>()
        }
        ("L", Value::Array(list)) => 3 + list.iter().map(|value| 1 + size_of_value(value)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(sort: &str, bytes: usize) -> Value {
        json!({ "partition": { "S": "BACKUP#1" }, "sort": { "S": sort }, "text": { "S": "x".repeat(bytes) } })
    }

    fn only(units: Option<Vec<Units>>) -> (String, f64, f64) {
        let [Units { purpose, read, write }] = &units.expect("known")[..] else { panic!("one item") };
        (purpose.clone(), *read, *write)
    }

    #[test]
    fn reads_cost_by_four_kilobytes_and_half_where_they_may_be_old() {
        let request = json!({ "Key": item("CHUNK#a", 0), "ConsistentRead": true });
        let answer = json!({ "Item": item("CHUNK#a", 5_000) });
        assert_eq!(only(units_of("GetItem", &request, &answer)), ("chunk".to_owned(), 2.0, 0.0));
        let query = json!({ "ExpressionAttributeValues": { ":a": { "S": "BACKUP#1" }, ":b": { "S": "CHUNK#" } } });
        assert_eq!(only(units_of("Query", &query, &json!({ "Items": [] }))), ("chunk".to_owned(), 0.5, 0.0));
    }

    #[test]
    fn writes_cost_by_kilobyte_twice_in_transactions_and_once_for_the_index() {
        let request = json!({ "Item": item("BACKUP#b", 1_500) });
        assert_eq!(only(units_of("PutItem", &request, &Value::Null)), ("backup".to_owned(), 0.0, 2.0));
        let mut indexed = item("CHUNK#a", 10);
        indexed["dueAt"] = json!({ "N": "1" });
        let check = json!({ "ConditionCheck": { "Key": item("BACKUP#b", 0) } });
        let request = json!({ "TransactItems": [{ "Put": { "Item": indexed } }, check] });
        let units = units_of("TransactWriteItems", &request, &Value::Null).expect("known");
        assert_eq!(units.iter().map(|one| one.write).collect::<Vec<_>>(), [3.0, 2.0]);
    }

    #[test]
    fn an_operation_without_a_rule_is_not_free() {
        assert_eq!(units_of("BatchGetItem", &Value::Null, &Value::Null), None);
    }
}
