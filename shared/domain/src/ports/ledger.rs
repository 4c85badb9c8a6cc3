//! The ledger: the table of all records.
//!
//! Each record has a key and a version. A commit is one transaction: every record that it changes must still have the
//! version that was loaded (or must not exist yet), or nothing changes. So a state change is: load, apply a pure
//! transition, commit, and on a conflict load again. Races are decided here and nowhere else.
//!
//! During a deployment, functions of two versions work on one ledger. So members that a later version has added are
//! kept when a record is replaced (see [`unknown`](crate::unknown)), and a record in a later version's form is
//! unreadable for a while ([`LedgerError::Unreadable`]).
//!
//! Contract, tested by one suite against every implementation: loads and lists see every commit that has returned.
//! Commits are atomic and isolated. Versions only grow. The due list may lag by moments.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::format::Format;
use crate::unknown::Unknown;

/// The most records that one transaction can change.
pub const MAX_CHANGES: usize = 100;

/// The number of index partitions of due work. Fixed: after a change, due records are hidden until they are written
/// again.
pub const DUE_SHARDS: u8 = 8;

/// The prefix of the audit log's partitions. Its records are only created: no implementation replaces one.
pub const AUDIT_PARTITIONS: &str = "AUDIT#";

/// The prefix of the partitions with the audit log's entries about strangers. A record of them counts the requests of a
/// minute, so it is replaced.
pub const STRANGER_PARTITIONS: &str = "STRANGERS#";

/// A list of due records. Each list belongs to one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DueList {
    /// Overdue work, for recover-stalled.
    #[default]
    Work,
    /// Schedules whose next run is due, for start-scheduled-backups.
    Schedules,
}

impl DueList {
    /// All lists, for callers that go through each of them.
    pub const ALL: [Self; 2] = [Self::Work, Self::Schedules];
}

/// The key of a record. Records of one partition list in order of `sort`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub partition: String,
    pub sort: String,
}

impl Key {
    /// A key of these two parts.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }
}

/// A type of record in the ledger.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// The versions of its form. See `docs/stored-records.md`.
    const FORMAT: Format = Format::FIRST;

    /// Its key, which never changes.
    fn key(&self) -> Key;

    /// When a function should look at it. None if it is not due.
    fn due_at(&self) -> Option<Timestamp> {
        None
    }

    /// The list of due records that it is in. The same for all records of a type.
    fn due_in(&self) -> DueList {
        DueList::Work
    }

    /// When the ledger may delete it. None for never.
    fn forget_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A record as it was loaded, with its version. A change of it is refused if the stored version is another one by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    pub record: T,
    pub version: u64,
    /// The format that it is stored in.
    format: u32,
    /// Members that a later version has added.
    unknown: Unknown,
}

/// The change of one record in a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub key: Key,
    /// The version that the record must have now. None: it must not exist.
    pub expected: Option<u64>,
    /// The new record. None: the record must have the expected version and stays unchanged.
    pub body: Option<serde_json::Value>,
    /// The format of the body.
    pub format: u32,
    pub due_at: Option<Timestamp>,
    pub due_in: DueList,
    pub forget_at: Option<Timestamp>,
}

impl Change {
    /// Whether it replaces a record of the audit log. Every implementation refuses this.
    pub fn rewrites_the_audit_log(&self) -> bool {
        self.key.partition.starts_with(AUDIT_PARTITIONS) && self.expected.is_some() && self.body.is_some()
    }

    /// Creates a record that must not exist yet.
    ///
    /// # Panics
    /// When the record does not serialise to JSON, which is a fault of its type.
    pub fn create<T: Record>(record: &T) -> Self {
        Self::write(record, body_of(record), T::FORMAT.writes, None)
    }

    /// Replaces a record that must still be as it was loaded. Members that a later version has added stay.
    ///
    /// # Panics
    /// When the record does not serialise to JSON, which is a fault of its type.
    pub fn replace<T: Record>(loaded: &Versioned<T>, record: &T) -> Self {
        debug_assert_eq!(loaded.record.key(), record.key(), "a record keeps its key");
        let body = loaded.unknown.with::<T>(body_of(record));
        // A record in a later format that the present code reads does not go back to an earlier one.
        Self::write(record, body, T::FORMAT.writes.max(loaded.format), Some(loaded.version))
    }

    /// Changes nothing, but fails the transaction unless the record is still as it was loaded.
    pub fn unchanged<T: Record>(loaded: &Versioned<T>) -> Self {
        Self {
            key: loaded.record.key(),
            expected: Some(loaded.version),
            body: None,
            format: loaded.format,
            due_at: None,
            due_in: DueList::Work,
            forget_at: None,
        }
    }

    fn write<T: Record>(record: &T, body: serde_json::Value, format: u32, expected: Option<u64>) -> Self {
        Self {
            key: record.key(),
            expected,
            body: Some(body),
            format,
            due_at: record.due_at(),
            due_in: record.due_in(),
            forget_at: record.forget_at(),
        }
    }
}

fn body_of<T: Record>(record: &T) -> serde_json::Value {
    serde_json::to_value(record).expect("ledger records are plain data")
}

/// A record as an implementation returns it. [`load`] and [`list`] give it a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub key: Key,
    pub version: u64,
    /// The record as JSON.
    pub body: serde_json::Value,
    /// The format of the body. 1 if none is stored.
    pub format: u32,
}

/// A part of a partition to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    pub partition: String,
    /// Only records whose sort key begins with this.
    pub prefix: String,
    /// Only records after this sort key, in the direction of the list.
    pub after: Option<String>,
    /// Highest sort key first.
    pub newest_first: bool,
    pub limit: u32,
}

/// Some of the requested records.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage {
    pub records: Vec<Stored>,
    /// Whether more may follow the last one.
    pub more: bool,
}

/// Stores records. The module describes the contract.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// # Errors
    /// [`LedgerError`]. An absent record is None and not an error.
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError>;

    /// # Errors
    /// [`LedgerError`].
    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError>;

    /// Makes all changes or none: at most [`MAX_CHANGES`], each of another record.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if a record was not as expected. Then nothing has changed. After
    /// [`LedgerError::Unavailable`] the changes may have been made or not: load again.
    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError>;

    /// Keys of records of one shard (0 to [`DUE_SHARDS`] − 1) of `list` whose due time is at or before `now`, earliest
    /// first.
    ///
    /// # Errors
    /// [`LedgerError`].
    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError>;
}

/// A call to the ledger failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Another commit changed a record first. Load again.
    #[error("another commit changed a record first")]
    Conflict,
    /// The ledger gave no usable answer. A retry can help.
    #[error("the ledger is unavailable: {0}")]
    Unavailable(String),
    /// The ledger never accepts this: too many or too large records, or one record twice.
    #[error("the ledger refused: {0}")]
    Refused(String),
    /// A record does not have the expected form. Most likely a later version wrote it: a retry helps once that version
    /// is deployed everywhere.
    #[error("the ledger's record {0} is unreadable: {1}")]
    Unreadable(String, String),
}

/// The index partition of a key's due time: FNV-1a over its partition and sort key, so that it never changes.
pub fn due_shard(key: &Key) -> u8 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.partition.bytes().chain([b'#']).chain(key.sort.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    u8::try_from(hash % u64::from(DUE_SHARDS)).unwrap_or(0)
}

/// Loads one record.
///
/// # Errors
/// [`LedgerError`]. An absent record is None and not an error.
pub async fn load<T: Record>(ledger: &dyn Ledger, key: &Key) -> Result<Option<Versioned<T>>, LedgerError> {
    ledger.get(key).await?.map(read).transpose()
}

/// Lists all records of a partition whose sort key begins with `prefix`, in order.
///
/// # Errors
/// [`LedgerError`].
pub async fn list<T: Record>(
    ledger: &dyn Ledger,
    partition: &str,
    prefix: &str,
) -> Result<Vec<Versioned<T>>, LedgerError> {
    list_each(ledger, partition, prefix).await?.into_iter().collect()
}

/// As [`list`], but each unreadable record is an error of its own.
///
/// # Errors
/// [`LedgerError`], except [`LedgerError::Unreadable`].
pub async fn list_each<T: Record>(
    ledger: &dyn Ledger,
    partition: &str,
    prefix: &str,
) -> Result<Vec<Result<Versioned<T>, LedgerError>>, LedgerError> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let request = ListRequest {
            partition: partition.to_owned(),
            prefix: prefix.to_owned(),
            after: after.take(),
            newest_first: false,
            limit: 1_000,
        };
        let page = ledger.list(&request).await?;
        after = page.records.last().map(|stored| stored.key.sort.clone());
        all.extend(page.records.into_iter().map(read));
        if !page.more || after.is_none() {
            return Ok(all);
        }
    }
}

/// Reads a stored record as its type.
///
/// # Errors
/// [`LedgerError::Unreadable`].
pub fn read<T: Record>(stored: Stored) -> Result<Versioned<T>, LedgerError> {
    let Stored { key, version, body, format } = stored;
    let unreadable = |why: String| LedgerError::Unreadable(format!("{}/{}", key.partition, key.sort), why);
    T::FORMAT.check(format).map_err(|newer| unreadable(newer.to_string()))?;
    let record = T::deserialize(&body).map_err(|error| unreadable(error.to_string()))?;
    let unknown = Unknown::of(&body, &record);
    Ok(Versioned { record, version, format, unknown })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Sample {
        name: String,
    }

    impl Record for Sample {
        const FORMAT: Format = Format { writes: 2, reads: 3 };

        fn key(&self) -> Key {
            Key::new("p", "s")
        }
    }

    fn stored(format: u32) -> Stored {
        Stored { key: Key::new("p", "s"), version: 1, body: json!({ "name": "a", "later": { "x": [1] } }), format }
    }

    #[test]
    fn a_replaced_record_keeps_members_that_a_later_version_has_added() {
        let loaded = read::<Sample>(stored(1)).expect("readable");
        let change = Change::replace(&loaded, &Sample { name: "b".to_owned() });
        assert_eq!(change.body, Some(json!({ "name": "b", "later": { "x": [1] } })));
        assert_eq!(Change::create(&loaded.record).body, Some(json!({ "name": "a" })));
    }

    #[test]
    fn a_record_of_a_higher_format_is_unreadable_and_formats_never_go_down() {
        for (format, written) in [(1, 2), (2, 2), (3, 3)] {
            let loaded = read::<Sample>(stored(format)).expect("readable");
            assert_eq!(Change::replace(&loaded, &loaded.record).format, written);
        }
        let Err(LedgerError::Unreadable(key, why)) = read::<Sample>(stored(4)) else { panic!("it was read") };
        assert_eq!((key.as_str(), why.as_str()), ("p/s", "it has format 4, and this version reads formats up to 3"));
    }
}
