//! What is the same in all HubSpot accounts.

use domain::ids::ObjectType;
use domain::ports::crm_model::{CallSizes, CrmModel, ReadMode};
use domain::property::ObjectDefinition;

use crate::endpoints::{MAX_FOUND, MAX_RECORDS, MAX_THREADS};
use crate::standard_objects;

/// The property that lists the records that were merged into a record, separated by `;`.
pub(crate) const MERGED_IDS: &str = "hs_merged_object_ids";

/// HubSpot.
#[derive(Debug, Clone, Copy)]
pub struct Model;

impl CrmModel for Model {
    fn standard_object_types(&self) -> Vec<ObjectDefinition> {
        standard_objects::standard_objects()
    }

    /// Types without an id have no object endpoint, and their lists have no ids to start from.
    fn read_mode(&self, definition: &ObjectDefinition) -> ReadMode {
        if definition.type_id.is_some() { ReadMode::Ranges } else { ReadMode::Sequential }
    }

    /// Conversations have no endpoint that updates them.
    fn can_restore(&self, object: &ObjectType) -> bool {
        !standard_objects::is_conversations(object)
    }

    fn merged_ids(&self) -> Option<&'static str> {
        Some(MERGED_IDS)
    }

    /// A search ends at 10,000 results, and a record may be created between two of its calls.
    fn call_sizes(&self, object: &ObjectType) -> CallSizes {
        let list_page = if standard_objects::is_conversations(object) { MAX_THREADS } else { MAX_RECORDS };
        CallSizes { list_page, search_page: MAX_FOUND, farthest: 9_900 }
    }
}
