//! Pages as the sandbox CRM renders them.

use dev_stack::api::Api;
use dev_stack::failure::{Failure, OrFailure, Result};
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;
use hubspot::{Shape, read_page};
use sandbox_crm::{Plan, PortalConfig, PropertySet, Sandbox, SandboxConfig};
use tokio::runtime::Builder;

const RECORDS_PER_PAGE: usize = 100;
/// Properties of a contact, and how many of them are set.
const PROPERTIES: PropertySet = PropertySet::Columns { total: 200, set: 60 };

/// Consecutive pages of contacts.
pub(crate) struct Pages {
    pub(crate) documents: Vec<Vec<u8>>,
    names: Vec<String>,
}

impl Pages {
    /// Asks a sandbox CRM of its own for so many pages.
    pub(crate) fn fetch(count: usize) -> Result<Self> {
        let threads = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = threads.or_failure(|| "cannot start threads".to_owned())?;
        let records = (count * RECORDS_PER_PAGE) as u64;
        let portal = PortalConfig { property_set: PROPERTIES, plan: Plan::Unlimited, ..PortalConfig::empty() };
        let config =
            SandboxConfig { default_portal: portal.with_records("contacts", records), ..SandboxConfig::default() };
        let sandbox = runtime.block_on(Sandbox::start(config)).or_failure(|| "no sandbox CRM".to_owned())?;
        let portal = sandbox.default_portal();
        let mut names = portal.property_names("contacts").unwrap_or_default();
        names.retain(|name| name != RECORD_ID_COLUMN);
        let mut pages = Self { documents: Vec::new(), names };
        pages.follow(&Api::new(sandbox.base_url()).with_token(portal.token()))?;
        runtime.block_on(sandbox.shutdown());
        Ok(pages)
    }

    fn follow(&mut self, api: &Api) -> Result<()> {
        let mut after = Some(String::new());
        while let Some(cursor) = after {
            let names = self.names.join(",");
            let path =
                format!("/crm/objects/2026-09/contacts?limit={RECORDS_PER_PAGE}&after={cursor}&properties={names}");
            let answer = api.get(&path)?;
            if !answer.status.is_success() {
                return Err(Failure::new(format!("a page was answered with {}: {}", answer.status, answer.text())));
            }
            let columns = self.columns();
            let next = read_page(&answer.body, Shape::Nested, &columns, &mut RowBuffer::new(columns.len()));
            after = next.or_failure(|| "a page cannot be read".to_owned())?;
            self.documents.push(answer.body);
        }
        Ok(())
    }

    /// The properties in column order.
    pub(crate) fn columns(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}
