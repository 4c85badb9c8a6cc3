//! Identifiers. Each is checked when it is made, so later code need not check it again.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A text that is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not {expected}")]
pub struct MalformedId {
    /// The text, cut to 64 characters.
    pub value: String,
    /// What it should be, such as `a backup id`.
    pub expected: &'static str,
}

impl MalformedId {
    fn new(value: &str, expected: &'static str) -> Self {
        Self { value: value.chars().take(64).collect(), expected }
    }
}

macro_rules! text_id {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = MalformedId;
            fn try_from(text: String) -> Result<Self, MalformedId> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
/// A version 7 UUID, so that ids sort by the time of their creation.
macro_rules! time_ordered_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new id. `now` makes it sortable, `random` makes it unique.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().hyphenated().to_string())
            }

            /// When it was created, to the second. The epoch if the id has no time.
            pub fn created_at(&self) -> Timestamp {
                let time = uuid::Uuid::parse_str(&self.0).ok().and_then(|id| id.get_timestamp());
                let seconds = time.and_then(|time| i64::try_from(time.to_unix().0).ok());
                seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
            }

            /// # Errors
            /// [`MalformedId`] when `text` is not a hyphenated lower-case UUID.
            pub fn parse(text: &str) -> Result<Self, MalformedId> {
                match uuid::Uuid::parse_str(text) {
                    Ok(parsed) if parsed.hyphenated().to_string() == text => Ok(Self(text.to_owned())),
                    _ => Err(MalformedId::new(text, $what)),
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The random part. Ids derived from it are the same each time.
            pub fn random(&self) -> [u8; 10] {
                let parsed = uuid::Uuid::parse_str(&self.0).unwrap_or_default();
                let mut random = [0; 10];
                random.copy_from_slice(&parsed.as_bytes()[6..]);
                random
            }
        }
        text_id!($name);
    };
}

/// A CRM account served by a deployment: 1 to 20 ASCII digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// # Errors
    /// [`MalformedId`] when `text` is not 1 to 20 ASCII digits.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        let digits = !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
        if digits { Ok(Self(text.to_owned())) } else { Err(MalformedId::new(text, "an account id (1 to 20 digits)")) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Ten bytes derived from the account alone, for ids of things of which the account has at most one at a time:
    /// making such an id twice makes the same one. The digits are dealt out to the first nine bytes, each of which is a
    /// hash of its digits (`31 × hash + digit`); the tenth byte is left to the caller. Stored ids depend on it, so it
    /// never changes.
    pub fn derived_bytes(&self) -> [u8; 10] {
        let mut bytes = [0_u8; 10];
        for (place, digit) in self.0.bytes().enumerate() {
            let hash = &mut bytes[place % 9];
            *hash = hash.wrapping_mul(31).wrapping_add(digit);
        }
        bytes
    }
}

time_ordered_id!(
    /// The id of a backup: a version 7 UUID, so that ids sort by the time of their creation.
    BackupId,
    "a backup id"
);
time_ordered_id!(
    /// The id of a restore, and of its import: a version 7 UUID, so that ids sort by the time of their creation.
    RestoreId,
    "a restore id"
);
time_ordered_id!(
    /// The id of a notification: a version 7 UUID, so that ids sort by the time of their creation.
    NotificationId,
    "a notification id"
);
time_ordered_id!(
    /// The id of an audit entry: a version 7 UUID, so that ids sort by the time of their creation.
    AuditEntryId,
    "an audit entry id"
);

/// An object type as the CRM's API names it: `contacts`, `conversations`, or a custom object's fully qualified name.
///
/// It becomes part of ledger keys, storage keys and file names, so it is 1 to 200 characters of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectType(String);

impl ObjectType {
    /// # Errors
    /// [`MalformedId`] when `text` is empty, too long or has a character outside `A-Z a-z 0-9 _ -`.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        let ok = !text.is_empty()
            && text.len() <= 200
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if ok { Ok(Self(text.to_owned())) } else { Err(MalformedId::new(text, "an object type")) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AuditEntryId {
    /// The `nth` id just before this one in the sort order, with the same time. The same each time.
    #[must_use]
    pub fn before(&self, nth: u64) -> Self {
        let id = uuid::Uuid::parse_str(&self.0).unwrap_or_default();
        let (first, last) = id.as_u64_pair();
        // The two highest bits are the variant's.
        let last = (last & !VARIANT).wrapping_sub(nth) & !VARIANT | VARIANT_OF_UUIDS;
        Self(uuid::Uuid::from_u64_pair(first, last).hyphenated().to_string())
    }
}

/// The bits of a UUID's second half that hold its variant, and their value in all ids.
const VARIANT: u64 = 0b11 << 62;
const VARIANT_OF_UUIDS: u64 = 0b10 << 62;

text_id!(AccountId);
text_id!(ObjectType);

/// A record's id in its object type. The CRM's ids are decimal numbers, and its lists ascend by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub u64);

impl RecordId {
    /// # Errors
    /// [`MalformedId`] when `text` is not a decimal number below 2⁶⁴.
    pub fn parse(text: &str) -> Result<Self, MalformedId> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(id) if digits => Ok(Self(id)),
            _ => Err(MalformedId::new(text, "a record id")),
        }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of a chunk in its backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkKey {
    pub object_type: ObjectType,
    pub generation: u32,
    /// The exclusive lower bound of the chunk's ids.
    pub lower: RecordId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backup_ids_sort_by_creation() {
        let at = |s| Timestamp::from_second(s).expect("in range");
        let early = BackupId::new(at(1_700_000_000), [255; 10]);
        let late = BackupId::new(at(1_700_000_001), [0; 10]);
        assert!(early < late);
        assert_eq!(BackupId::parse(early.as_str()), Ok(early));
    }

    /// Notifications are stored under ids made of these bytes.
    #[test]
    fn bytes_derived_from_an_account_stay_the_same() {
        let bytes = |id: &str| AccountId::parse(id).expect("digits").derived_bytes();
        assert_eq!(bytes("42"), [b'4', b'2', 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes("12345678901234567890"), [250, 209, 95, 127, 159, 191, 223, 255, 31, 0]);
    }

    #[test]
    fn ids_refuse_characters_that_could_break_keys_and_paths() {
        for bad in ["", "12a", "１２", "1 ", "123456789012345678901"] {
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "a/b", "a#b", "..", "a b"] {
            assert!(ObjectType::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "x", "0198A000-0000-7000-8000-000000000000", "{0198a000-0000-7000-8000-000000000000}"] {
            assert!(BackupId::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "+1", "-1", "1.0", "18446744073709551616"] {
            assert!(RecordId::parse(bad).is_err(), "{bad}");
        }
    }
}
