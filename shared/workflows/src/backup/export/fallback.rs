//! The other ways to read an object when the CRM's list breaks a rule twice.
//!
//! If the committed rows are in order, only the rest of this chunk is read in another way. Otherwise the object is read
//! again from the beginning.

use domain::object::Shortfall;
use domain::ports::crm::{Cursor, PageSource};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::Change;
use domain::{Failure, FailureKind};

use super::range::NotHonoured;
use super::reading::{ChunkReading, ReadingEnd};
use crate::contention;
use crate::run::StepError;

impl ChunkReading<'_> {
    /// Whether only the list fails to start or continue here, while all committed rows of the chunk are in order. Then
    /// the rest is read by searching for ids, and neither this chunk nor another is read again.
    pub(super) fn can_search_for_the_rest(&self, why: NotHonoured) -> bool {
        let (way, chunk) = (self.way(), &self.subject.chunk.record);
        let is_at_its_start = chunk.cursor == Cursor::AfterId(chunk.key.lower) && chunk.records == 0;
        let can_search = way.mode == ReadMode::Ranges && self.subject.object.expected_records().is_some();
        can_search
            && way.source == PageSource::List
            && chunk.cursor != Cursor::START
            && (why.is_in_order || is_at_its_start)
    }

    pub(super) async fn search_for_the_rest(&mut self, why: NotHonoured) -> Result<(), StepError> {
        let lease = self.lease;
        tracing::warn!(%why, object = %self.subject.chunk.record.key.object_type, "export.searches-for-the-rest");
        self.note_list_use().await?;
        self.change_chunk(|chunk| chunk.by_search(lease)).await?;
        let chunk = &self.subject.chunk.record;
        (self.cursor, self.trail) = (chunk.cursor.clone(), chunk.trail.clone());
        self.last_id = chunk.committed_to;
        (self.given, self.first_seen, self.second_look) = (None, None, None);
        self.shortfall = Shortfall::default();
        self.page_before.clear();
        Ok(())
    }

    /// Records the list's use, so that other chunks need not find it out themselves.
    async fn note_list_use(&mut self) -> Result<(), StepError> {
        let generation = self.subject.chunk.record.key.generation;
        self.subject.object = contention::retry(|| async {
            let object = self.load_object().await?;
            let now = self.export_run.now();
            let next = object.record.only_goes_on(generation, now)?;
            let answer = self.export_run.ledger().commit(&[Change::replace(&object, &next)]).await;
            Ok::<_, StepError>(contention::settle(answer, next)?)
        })
        .await?;
        Ok(())
    }

    pub(super) async fn start_again(&self, why: NotHonoured) -> Result<ReadingEnd, StepError> {
        if self.subject.object.mode == ReadMode::Sequential {
            let label = &self.subject.object.definition.label;
            return Err(StepError::Fatal(Failure::new(
                FailureKind::CrmListUnreadable,
                format!(
                    "The CRM's list of {label} records cannot be read to its end ({}). Make a new backup. If that \
                     fails too, tell the CRM's support.",
                    why.reason
                ),
            )));
        }
        let generation = self.subject.chunk.record.key.generation;
        let object = &self.subject.chunk.record.key.object_type;
        self.export_run.read_again(object, generation, why.is_in_order, why.reason).await?;
        Ok(ReadingEnd::StartedAgain)
    }
}
