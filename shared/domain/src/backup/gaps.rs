//! The gaps of a whole backup.

use super::Backup;
use crate::gap::Gap;
use crate::object::ObjectExport;

impl Backup {
    /// The gaps that discovery found, then the gaps of its `objects`.
    pub fn all_gaps<'a>(&self, objects: impl IntoIterator<Item = &'a ObjectExport>) -> Vec<Gap> {
        let of_objects = objects.into_iter().flat_map(ObjectExport::all_gaps);
        self.gaps.iter().cloned().chain(of_objects).collect()
    }
}
