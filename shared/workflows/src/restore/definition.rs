//! The definition of a restore: its properties, and the source of the values. Written once, together with the slices,
//! and read by every run.

use archive::manifest::{Manifest, ManifestError, Part};
use domain::format::Document;
use domain::ports::storage::{BlobReader, ETag, StorageError};
use domain::restore::Restore;
use domain::restore::property::RestoredProperty;
use domain::storage_keys;
use domain::work::RestoreRef;
use serde::{Deserialize, Serialize};

use crate::stored_json;

/// The definition of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Definition {
    /// In the order of the request.
    pub(crate) properties: Vec<RestoredProperty>,
    pub(crate) values: Values,
}

/// The source of the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Values {
    /// One file of an archive.
    Archive {
        storage_key: String,
        /// The archive must still have this `ETag`.
        etag: ETag,
        /// The number of columns of the file, including the record id.
        columns: usize,
        column_of: Vec<usize>,
        /// The parts of the file that contain rows.
        parts: Vec<Part>,
    },
    /// The outcomes of another restore.
    Outcomes {
        restore: RestoreRef,
        /// Whether to undo values that were edited since, too.
        include_edited: bool,
    },
}

impl Document for Definition {}

impl Definition {
    /// Reads the definition of `restore`, which must have one.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn of(reader: &dyn BlobReader, restore: &Restore) -> Result<Self, StorageError> {
        let Some(attempt) = restore.defined_by else {
            return Err(StorageError::Refused("the restore has no definition yet".to_owned()));
        };
        stored_json::read(reader, &storage_keys::restore_definition(&restore.reference(), attempt)).await
    }

    /// Whether any property can be restored.
    pub(crate) fn restores_anything(&self) -> bool {
        self.properties.iter().any(RestoredProperty::is_restorable)
    }
}

/// Reads the manifest at `key`.
///
/// # Errors
/// [`StorageError`]; [`StorageError::Unreadable`] if only a later version can read it, and [`StorageError::Refused`] if
/// it is invalid.
pub(crate) async fn manifest(reader: &dyn BlobReader, key: &str) -> Result<Manifest, StorageError> {
    let bytes = reader.read(key, None).await?;
    Manifest::parse(&bytes).map_err(|error| match error {
        ManifestError::NotRead(why) => stored_json::not_read(key, &why),
        ManifestError::Inconsistent(_) => StorageError::Refused(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use domain::restore::property::Obstacle;
    use golden::{Tagged, check};

    use super::*;

    #[test]
    fn definitions_of_earlier_versions_are_read() {
        check::<Definition>("restore-definition", &[Tagged::of::<Values>("from"), Tagged::of::<Obstacle>("reason")]);
    }
}
