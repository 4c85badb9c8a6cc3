//! The kinds of records that recover-stalled looks at when they are due.

use crate::backup::Backup;
use crate::chunk::Chunk;
use crate::notification::Notification;
use crate::notification::delivery::Delivery;
use crate::object::ObjectExport;
use crate::ports::ledger::{Key, LedgerError};
use crate::restore::Restore;
use crate::restore::slice::RestoreSlice;

/// A kind of record in the list of due work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueKind {
    Backup,
    Object,
    Chunk,
    Restore,
    Slice,
    Notification,
    Delivery,
}

impl DueKind {
    /// What the record at `key` is.
    ///
    /// # Errors
    /// [`LedgerError::Unreadable`] for a kind that only a later version knows.
    pub fn of(key: &Key) -> Result<Self, LedgerError> {
        let kinds = [
            (Backup::PREFIX, Self::Backup),
            (ObjectExport::PREFIX, Self::Object),
            (Chunk::PREFIX, Self::Chunk),
            (Restore::PREFIX, Self::Restore),
            (RestoreSlice::PREFIX, Self::Slice),
            (Notification::PREFIX, Self::Notification),
            (Delivery::PREFIX, Self::Delivery),
        ];
        let kind = kinds.into_iter().find(|(prefix, _)| key.sort.starts_with(prefix)).map(|(_, kind)| kind);
        kind.ok_or_else(|| {
            let name = format!("{} {}", key.partition, key.sort);
            LedgerError::Unreadable(name, "this version knows no work of this kind".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_its_key_and_others_are_left_to_later_versions() {
        let kind = |sort: &str| DueKind::of(&Key::new("ACCOUNT#42", sort));
        assert_eq!(kind("BACKUP#01"), Ok(DueKind::Backup));
        assert_eq!(kind("SLICE#00001"), Ok(DueKind::Slice));
        assert_eq!(kind("DELIVERY#01#email"), Ok(DueKind::Delivery));
        assert!(matches!(kind("MERGE#01"), Err(LedgerError::Unreadable(..))));
    }
}
