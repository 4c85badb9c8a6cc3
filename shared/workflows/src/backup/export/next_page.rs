//! Asks for a page. While it is on its way, the chunk is split at bounds that lanes without work wait for.

use std::pin::pin;

use domain::chunk::ReadSoFar;
use domain::ports::crm::{CrmError, PageEnd, PageRequest};
use domain::ports::ledger::LedgerError;
use futures_util::future::{self, Either};

use super::range::Way;
use super::reading::ChunkReading;
use crate::run::StepError;

impl ChunkReading<'_> {
    /// Reads the next page into the rows.
    ///
    /// # Errors
    /// A [`StepError`] of a split. The CRM's error is the inner one.
    pub(super) async fn next_page(
        &mut self,
        way: Way,
        so_far: ReadSoFar,
    ) -> Result<Result<PageEnd, CrmError>, StepError> {
        let crm = self.crm;
        let object = self.subject.chunk.record.key.object_type.clone();
        let properties = self.properties.clone();
        let cursor = self.given.as_ref().unwrap_or(&self.cursor).clone();
        let request = PageRequest {
            object: &object,
            properties: &properties,
            cursor: &cursor,
            source: way.source,
            limit: crm.model().call_sizes(&object).page(way.source),
        };
        let mut rows = std::mem::take(&mut self.rows);
        let mut page = crm.page(&request, &mut rows);
        let end = self.split_until(&mut page, so_far).await;
        drop(page);
        self.rows = rows;
        let end = end?;
        // The upper bound decides which rows belong to the chunk.
        self.reload_if_unclear().await?;
        Ok(end)
    }

    /// Splits the chunk at wanted bounds until the page has come.
    async fn split_until<T>(
        &mut self,
        page: &mut (impl Future<Output = T> + Unpin + Send),
        so_far: ReadSoFar,
    ) -> Result<T, StepError> {
        loop {
            match future::select(&mut *page, pin!(self.wanted_bound())).await {
                Either::Left((end, _)) => return Ok(end),
                Either::Right(((), _)) => {}
            }
            match future::select(&mut *page, pin!(self.split_meanwhile(so_far))).await {
                // A commit under way is waited for: its result is not known otherwise.
                Either::Left((end, split)) => return split.await.map(|()| end),
                Either::Right((split, _)) => split?,
            }
        }
    }

    /// Returns when a bound has been found and a lane has no chunk. Bounds that no lane waits for are used after the page,
    /// several in one commit.
    async fn wanted_bound(&mut self) {
        let export_run = self.export_run;
        match &mut self.search {
            Some(search) => search.until(|| export_run.standing().lacks_chunks()).await,
            None => future::pending().await,
        }
    }

    async fn split_meanwhile(&mut self, so_far: ReadSoFar) -> Result<(), StepError> {
        let now = self.export_run.now();
        let split = match self.reload_if_unclear().await {
            Ok(()) => self.split_if_it_pays(so_far, now).await,
            error => error,
        };
        self.go_on_without_report(split)
    }

    /// Goes on after the ledger did not answer to a change of the chunk, which may have been made. Records that were read
    /// are worth more than a report of progress.
    pub(super) fn go_on_without_report(&mut self, changed: Result<(), StepError>) -> Result<(), StepError> {
        match changed {
            Err(StepError::Ledger(LedgerError::Unavailable(why))) => {
                tracing::warn!(why, object = %self.subject.chunk.record.key.object_type, "export.progress-not-reported");
                self.unclear = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Loads the chunk again if it is unclear whether a change was made.
    pub(super) async fn reload_if_unclear(&mut self) -> Result<(), StepError> {
        if self.unclear {
            self.subject.chunk = self.load_chunk().await?;
            self.unclear = false;
        }
        Ok(())
    }
}
