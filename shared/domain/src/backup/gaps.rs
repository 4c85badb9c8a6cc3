//! What a backup lacks.

use super::Backup;
use crate::gap::Gap;
use crate::object::ObjectExport;

impl Backup {
    /// The gaps that its discovery found, then those of its `objects`.
    pub fn all_gaps<'a>(&self, objects: impl IntoIterator<Item = &'a ObjectExport>) -> Vec<Gap> {
        let of_objects = objects.into_iter().flat_map(ObjectExport::all_gaps);
        self.gaps.iter().cloned().chain(of_objects).collect()
    }
}
