//! What the simulated CRM is like, as far as no call is needed to know it.

use domain::ids::ObjectType;
use domain::ports::crm_model::{CallSizes, CrmModel, ReadMode};
use domain::property::ObjectDefinition;
use in_memory::lock;

use super::SimulatedCrm;

/// The property that lists the records that were merged into a record.
pub(super) const MERGED_IDS: &str = "hs_merged_object_ids";

impl CrmModel for SimulatedCrm {
    fn standard_object_types(&self) -> Vec<ObjectDefinition> {
        let state = lock(&self.state);
        let standard = state.objects.iter().filter(|object| !object.definition.custom);
        standard.map(|object| object.definition.clone()).collect()
    }

    fn read_mode(&self, definition: &ObjectDefinition) -> ReadMode {
        if definition.type_id.is_some() { ReadMode::Ranges } else { ReadMode::Sequential }
    }

    fn can_restore(&self, object: &ObjectType) -> bool {
        object.as_str() != "conversations"
    }

    fn merged_ids(&self) -> Option<&'static str> {
        Some(MERGED_IDS)
    }

    fn call_sizes(&self, _: &ObjectType) -> CallSizes {
        CallSizes { list_page: 100, search_page: 200, farthest: 9_900 }
    }
}
