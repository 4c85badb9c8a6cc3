//! What is the same in all accounts of a CRM, and known without a call.
//!
//! Another CRM needs a crate with this trait and those of [`crm`](crate::ports::crm), and its place in the wiring of
//! `worker`, `account-api` and `restore-api`. One thing is assumed of every CRM: record ids are positive numbers
//! ([`RecordId`](crate::ids::RecordId)), and lists ascend by them. Ranges, splitting and the keys of chunks rely on it.

use serde::{Deserialize, Serialize};

use crate::ids::ObjectType;
use crate::property::ObjectDefinition;

/// The properties of a CRM that use cases depend on.
pub trait CrmModel: Send + Sync {
    /// The object types that every account has.
    fn standard_object_types(&self) -> Vec<ObjectDefinition>;

    /// How an object is read, unless its lists turn out to be otherwise.
    fn read_mode(&self, definition: &ObjectDefinition) -> ReadMode;

    /// Whether values of the object's records can be written.
    fn can_restore(&self, object: &ObjectType) -> bool;

    /// The property that lists the records that were merged into a record, separated by `;`. None if there is no such
    /// property.
    fn merged_ids(&self) -> Option<&'static str>;

    /// How much one call about an object returns.
    fn call_sizes(&self, object: &ObjectType) -> CallSizes;
}

/// How an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// By id ranges, in parallel, with proven boundaries.
    Ranges,
    /// From the beginning to the end by one worker, because the CRM ignores the start of a range.
    Sequential,
}

/// The source of a page's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageSource {
    /// The CRM's list of records.
    #[default]
    List,
    /// A search for ids above a given one, for CRMs whose lists cannot start in the middle. It only takes
    /// [`Cursor::AfterId`](crate::ports::crm::Cursor::AfterId), and its index lags by moments.
    Search,
}

/// How much one call returns at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSizes {
    /// Records on a page of a list.
    pub list_page: u16,
    /// Records on a page of a search.
    pub search_page: u16,
    /// The highest `n` of [`Crm::nth_after`](crate::ports::crm::Crm::nth_after).
    pub farthest: u16,
}

impl CallSizes {
    /// Records on a page from `source`.
    pub const fn page(self, source: PageSource) -> u16 {
        match source {
            PageSource::List => self.list_page,
            PageSource::Search => self.search_page,
        }
    }
}
