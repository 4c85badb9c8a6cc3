//! The gaps of an exported object. Their reasons become part of the manifest, so they stay as they are: an assembly
//! that another version goes on with must make the same bytes.

use super::ObjectExport;
use crate::gap::{Gap, Missing};

impl ObjectExport {
    /// The gaps that discovery found, then the gaps that reading found.
    pub fn all_gaps(&self) -> Vec<Gap> {
        let gap = |missing, reason: &str| Gap {
            object_type: Some(self.definition.object_type.clone()),
            label: self.definition.label.clone(),
            missing,
            reason: reason.to_owned(),
            scopes: Vec::new(),
            in_last_backup: false,
        };
        let hidden = self.hidden_values.iter().map(|(property, rows)| {
            let missing = Missing::Values { property: property.clone(), rows: *rows };
            gap(
                missing,
                "The CRM did not show these values. Their fields are empty in the file and cannot be restored.",
            )
        });
        let mut gaps: Vec<Gap> = self.gaps.iter().cloned().chain(hidden).collect();
        if self.unordered {
            let reason = "The CRM lists these in no fixed order. One that changed while the backup ran may be missing.";
            gaps.push(gap(Missing::MovedRecords, reason));
        }
        if !self.unreadable.is_empty() {
            let missing = Missing::Records { ids: self.unreadable.clone() };
            gaps.push(gap(missing, "The CRM could not give these records, also when each was asked for alone."));
        }
        gaps
    }
}
