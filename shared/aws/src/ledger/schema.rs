//! The table's attributes, and the conversion between items and the port's types.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ports::ledger::{Change, DUE_SHARDS, DueList, Key, LedgerError, Stored, due_shard};
use jiff::Timestamp;

use super::json;

/// The table's partition key.
pub const PARTITION: &str = "partition";
/// The table's sort key.
pub const SORT: &str = "sort";
/// Counts the commits of the item.
pub const VERSION: &str = "version";
/// A random name of the commit that wrote the item.
pub const WRITER: &str = "writer";
/// The format of the record's fields.
pub const FORMAT: &str = "format";
/// The record's fields, as a map.
pub const RECORD: &str = "record";
/// Partition key of the index [`DUE_INDEX`].
pub const DUE_SHARD: &str = "dueShard";
/// Sort key of the index [`DUE_INDEX`]: milliseconds since 1970.
pub const DUE_AT: &str = "dueAt";
/// The time-to-live attribute: seconds since 1970.
pub const FORGET_AT: &str = "forgetAt";
/// The sparse index of due records.
pub const DUE_INDEX: &str = "due";

pub(super) type Item = HashMap<String, AttributeValue>;

/// The item that `change` writes with the fields `body`.
pub(super) fn item(change: &Change, body: &serde_json::Value, writer: &str) -> Item {
    let mut item = key_attributes(&change.key);
    item.insert(VERSION.to_owned(), number(change.expected.unwrap_or(0) + 1));
    item.insert(WRITER.to_owned(), AttributeValue::S(writer.to_owned()));
    item.insert(FORMAT.to_owned(), number(change.format));
    item.insert(RECORD.to_owned(), json::to_attribute(body));
    if let Some(at) = change.due_at {
        item.insert(DUE_SHARD.to_owned(), number(due_partition(change.due_in, due_shard(&change.key))));
        item.insert(DUE_AT.to_owned(), number(due_millisecond(at)));
    }
    if let Some(at) = change.forget_at {
        item.insert(FORGET_AT.to_owned(), number(at.as_second() + i64::from(at.subsec_nanosecond() > 0)));
    }
    item
}

/// The index partition of a shard of a list. Fixed: after a change, due records are hidden until they are written
/// again.
pub(super) fn due_partition(list: DueList, shard: u8) -> u8 {
    match list {
        DueList::Work => shard,
        DueList::Schedules => DUE_SHARDS + shard,
    }
}

/// Rounded up, so that no record is listed before it is due.
fn due_millisecond(at: Timestamp) -> i64 {
    let into_millisecond = at.as_nanosecond().rem_euclid(1_000_000);
    at.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(i64::MAX) + i64::from(into_millisecond > 0)
}

pub(super) fn key_attributes(key: &Key) -> Item {
    HashMap::from([
        (PARTITION.to_owned(), AttributeValue::S(key.partition.clone())),
        (SORT.to_owned(), AttributeValue::S(key.sort.clone())),
    ])
}

pub(super) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// The key of an item.
pub(super) fn key(item: &Item) -> Result<Key, LedgerError> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    match (text(PARTITION), text(SORT)) {
        (Some(partition), Some(sort)) => Ok(Key::new(partition, sort)),
        _ => Err(LedgerError::Unreadable("?".to_owned(), "its key is not two texts".to_owned())),
    }
}

/// An item as the port returns it.
pub(super) fn stored(mut item: Item) -> Result<Stored, LedgerError> {
    let key = key(&item)?;
    let unreadable = |why: &str| LedgerError::Unreadable(format!("{}/{}", key.partition, key.sort), why.to_owned());
    let version = item.get(VERSION).and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok());
    let version = version.ok_or_else(|| unreadable("it has no version"))?;
    // Items of versions without formats have the first one.
    let format = item.get(FORMAT).map_or(Some(1), |value| value.as_n().ok().and_then(|text| text.parse().ok()));
    let format = format.ok_or_else(|| unreadable("its format is not a number"))?;
    let record = item.remove(RECORD).ok_or_else(|| unreadable("it has no fields"))?;
    let body = json::from_attribute(record).map_err(|e| unreadable(&e.to_string()))?;
    Ok(Stored { key, version, body, format })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_without_a_format_has_the_first_one() {
        let change = Change {
            key: Key::new("p", "s"),
            expected: None,
            body: None,
            format: 3,
            due_at: None,
            due_in: DueList::Work,
            forget_at: None,
        };
        let mut written = item(&change, &serde_json::json!({}), "w");
        assert_eq!(stored(written.clone()).expect("readable").format, 3);
        written.insert(FORMAT.to_owned(), AttributeValue::S("three".to_owned()));
        assert!(matches!(stored(written.clone()), Err(LedgerError::Unreadable(..))));
        written.remove(FORMAT);
        assert_eq!(stored(written).expect("readable").format, 1);
    }

    #[test]
    fn due_times_are_never_rounded_down() {
        let at = |nanosecond| Timestamp::from_nanosecond(nanosecond).expect("in range");
        assert_eq!(due_millisecond(at(5_000_000)), 5);
        assert_eq!(due_millisecond(at(5_000_001)), 6);
        assert_eq!(due_millisecond(at(-1)), 0);
    }
}
