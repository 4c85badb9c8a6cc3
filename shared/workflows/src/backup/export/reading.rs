//! One run's reading of a chunk: pages become segments, and segments are committed to the ledger.

use domain::chunk::{Chunk, RangeEnd, ReadSoFar};
use domain::ids::RecordId;
use domain::object::{ListUse, Shortfall};
use domain::ports::crm::{Crm, CrmError, CrmErrorKind, Cursor, PageEnd, PageSource};
use domain::ports::crm_model::ReadMode;
use domain::property::Columns;
use domain::rows::RowBuffer;
use domain::storage_keys;
use domain::trail::{Lost, Trail};
use jiff::{SignedDuration, Timestamp};

use super::bound_search::BoundSearch;
use super::export_run::ExportRun;
use super::range::{self, Accepted, Asked, Next, NotHonoured, Way};
use super::seen::Seen;
use super::segment_upload::{SegmentStore, SegmentUpload};
use super::{ExportUsage, Subject};
use crate::run::{Run, StepError};

/// How often a lane reports progress to the ledger.
const REPORT_EVERY: SignedDuration = SignedDuration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadingEnd {
    RangeRead,
    /// The range has more records, for another run.
    RunOver,
    /// The CRM did not honour the range. The object starts again from the beginning.
    StartedAgain,
}

/// A reading in progress.
pub(super) struct ChunkReading<'a> {
    pub(super) export_run: &'a ExportRun<'a>,
    pub(super) subject: Subject,
    pub(super) properties: Vec<&'a str>,
    pub(super) crm: &'a dyn Crm,
    pub(super) lease: u32,
    pub(super) run: &'a Run,
    segment_target: u64,
    pub(super) rows: RowBuffer,
    /// The start of the next page, as stored in the ledger.
    pub(super) cursor: Cursor,
    /// The CRM's own cursor of the next page, once this run has read a page.
    pub(super) given: Option<Cursor>,
    pub(super) shortfall: Shortfall,
    pub(super) seen: Seen,
    pub(super) page_before: Vec<RecordId>,
    pub(super) last_id: RecordId,
    pub(super) first_seen: Option<(RecordId, Timestamp)>,
    pub(super) trail: Trail,
    /// The cursor whose page was read a second time, because it broke a rule.
    pub(super) second_look: Option<Cursor>,
    /// The ledger did not answer to a change of the chunk, so the chunk's present state is unknown.
    pub(super) unclear: bool,
    reported_at: Option<Timestamp>,
    pub(super) search: Option<BoundSearch<'a>>,
    pub(super) no_split_before: Option<Timestamp>,
}

impl<'a> ChunkReading<'a> {
    pub(super) fn new(
        export_run: &'a ExportRun<'a>,
        subject: Subject,
        columns: &'a Columns,
        segment_target: u64,
        crm: &'a dyn Crm,
        lease: u32,
    ) -> Self {
        let properties: Vec<_> = columns.names().collect();
        let rows = RowBuffer::new(properties.len());
        let cursor = subject.chunk.record.cursor.clone();
        let trail = subject.chunk.record.trail.clone();
        let last_id = subject.chunk.record.committed_to;
        let seen = if subject.object.unordered { Seen::unordered() } else { Seen::up_to(last_id) };
        Self {
            export_run,
            subject,
            properties,
            crm,
            lease,
            run: export_run.run,
            segment_target,
            rows,
            cursor,
            given: None,
            shortfall: Shortfall::default(),
            seen,
            page_before: Vec::new(),
            last_id,
            first_seen: None,
            trail,
            second_look: None,
            unclear: false,
            reported_at: None,
            search: None,
            no_split_before: None,
        }
    }

    /// Reads and commits one segment after another until the range or the run ends.
    pub(super) async fn through(mut self, usage: &mut ExportUsage) -> Result<ReadingEnd, StepError> {
        // The first page need not be waited for.
        self.split_if_it_pays(ReadSoFar::default(), self.export_run.now()).await?;
        loop {
            let export = self.export_run.export;
            let store = SegmentStore { reader: &*export.reader, writer: &*export.writer, uploads: &*export.uploads };
            let chunk = &self.subject.chunk.record;
            let key = storage_keys::segment(
                &self.subject.backup,
                &chunk.key.object_type,
                chunk.key.generation,
                chunk.key.lower,
                chunk.next_sequence,
                self.lease,
            );
            let mut segment = SegmentUpload::new(store, key, &self.export_run.unwritten);
            let from = self.cursor.clone();
            match self.fill(&mut segment).await {
                Ok(Filled::Target) => self.commit(segment, from, None, usage).await?,
                Ok(Filled::End(end)) => {
                    self.commit(segment, from, Some(end), usage).await?;
                    return Ok(ReadingEnd::RangeRead);
                }
                Ok(Filled::RunOver) => {
                    self.commit(segment, from, None, usage).await?;
                    return Ok(ReadingEnd::RunOver);
                }
                Ok(Filled::NotHonoured(why)) => {
                    segment.abandon().await;
                    if !self.can_search_for_the_rest(why) {
                        return self.start_again(why).await;
                    }
                    self.search_for_the_rest(why).await?;
                }
                Err(taken_over @ StepError::TakenOver(_)) => {
                    segment.abandon().await;
                    return Err(taken_over);
                }
                // Keep what was read before the error.
                Err(error @ StepError::Crm(_)) => {
                    self.commit(segment, from, None, usage).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads pages into the segment until it is large enough or the run must stop.
    async fn fill(&mut self, segment: &mut SegmentUpload<'_>) -> Result<Filled, StepError> {
        loop {
            self.reload_if_unclear().await?;
            if self.export_run.now() >= self.run.ends {
                return Ok(Filled::RunOver);
            }
            if segment.is_full(self.segment_target) {
                return Ok(Filled::Target);
            }
            let way = self.way();
            let end = match self.next_page(way, so_far(segment)).await? {
                Err(CrmError { kind: CrmErrorKind::Refused, .. }) if self.may_start_again() => {
                    return Ok(Filled::NotHonoured(NotHonoured::in_order("the CRM refused to start in the middle")));
                }
                other => other?,
            };
            let now = self.export_run.now();
            let (after, upper) = (self.last_id, self.subject.chunk.record.upper);
            let accepted = match self.judge(way, &end, segment, now) {
                Judged::Accepted(accepted) => accepted,
                Judged::Doubted => {
                    self.second_look = Some(self.cursor.clone());
                    continue;
                }
                Judged::Over(filled) => return Ok(filled),
            };
            if self.first_seen.is_none() && self.subject.chunk.record.first_seen.is_none() {
                self.first_seen = accepted.first_shown.map(|id| (id, now));
            }
            self.note_unreadable(after, upper, &end);
            self.check_unreadable()?;
            segment.pages += 1;
            for unseen in self.unseen(accepted.rows.clone()).await? {
                self.note_hidden_values(&unseen);
                segment.add(&self.rows, unseen);
            }
            if let Some(last) = self.rows.ids()[accepted.rows].iter().max() {
                self.last_id = self.last_id.max(*last);
            }
            self.page_before.clear();
            self.page_before.extend(self.rows.ids());
            // A page can be large, and the others' pages need memory while this lane waits.
            self.rows.clear();
            segment.write_parts().await?;
            match accepted.next {
                Next::End(seen_past_end) => return Ok(Filled::End(RangeEnd { seen_past_end, at: now })),
                Next::Page { cursor, given } => {
                    if let Cursor::AfterId(id) = cursor {
                        self.last_id = id;
                    }
                    (self.cursor, self.given) = (cursor, self.next_of_this_run(given));
                }
            }
            self.look(segment, now).await?;
        }
    }

    /// Checks the page that was read last. An odd answer, or an early end, is checked once more: it is no reason yet to
    /// read everything again, and one page without a next cursor does not prove the end of the list.
    fn judge(&mut self, way: Way, end: &PageEnd, segment: &SegmentUpload<'_>, now: Timestamp) -> Judged {
        let upper = self.subject.chunk.record.upper;
        let asked = Asked { after: self.last_id, before: &self.page_before, upper };
        let judged = range::accept(way, asked, self.rows.ids(), end);
        match judged.and_then(|accepted| self.follow(accepted)) {
            Ok(accepted) if self.doubts_end(&accepted, segment, now) => Judged::Doubted,
            Ok(accepted) => Judged::Accepted(accepted),
            Err(why) if self.second_look.as_ref() == Some(&self.cursor) => Judged::Over(Filled::NotHonoured(why)),
            // Another run reads the page again, unless runs are too short for more than one page.
            Err(_) if now >= self.run.ends && segment.pages > 0 => Judged::Over(Filled::RunOver),
            Err(why) if now >= self.run.ends => Judged::Over(Filled::NotHonoured(why)),
            Err(why) => {
                tracing::info!(%why, object = %self.subject.chunk.record.key.object_type, "export.second-look");
                Judged::Doubted
            }
        }
    }

    pub(super) fn way(&self) -> Way {
        let (object, chunk) = (&self.subject.object, &self.subject.chunk.record);
        Way { mode: object.mode, list_use: object.list_use, source: object.page_source(chunk) }
    }

    /// Whether the list may continue although the page says that it has ended. True if nothing else proves the end, if
    /// the range has fewer records than the CRM counted in it, or if others are known to be behind it. Then the page is
    /// requested once more.
    fn doubts_end(&self, accepted: &Accepted, segment: &SegmentUpload<'_>, now: Timestamp) -> bool {
        let no_time_for_more = now >= self.run.ends && segment.pages == 0;
        if accepted.next != Next::End(None) || self.second_look.as_ref() == Some(&self.cursor) || no_time_for_more {
            return false;
        }
        let chunk = &self.subject.chunk.record;
        let found = chunk.records + segment.rows() + accepted.rows.len() as u64;
        chunk.upper.is_some() || chunk.expected_records.is_none_or(|expected| found < expected)
    }

    /// Whether this chunk continues with a list that no other chunk can use.
    pub(super) fn reads_the_list_beside_searches(&self) -> bool {
        let way = self.way();
        way.list_use == ListUse::FirstRange && way.source == PageSource::List
    }

    /// The cursor that this run uses next. A search begins above an id, even if it returns other cursors.
    fn next_of_this_run(&self, given: String) -> Option<Cursor> {
        (self.way().source == PageSource::List).then_some(Cursor::Opaque(given))
    }

    /// Follows the list to its next page.
    fn follow(&mut self, accepted: Accepted) -> Result<Accepted, NotHonoured> {
        let Next::Page { cursor, .. } = &accepted.next else { return Ok(accepted) };
        match self.trail.follow(accepted.first_shown.is_none(), cursor) {
            Ok(()) => Ok(accepted),
            Err(Lost::InACircle) => Err(NotHonoured::of("its cursors form a circle")),
            Err(Lost::InEmptyPages) => Err(NotHonoured::of("it returns one empty page after another")),
        }
    }

    /// Whether a refusal may mean that the CRM does not know the cursor at which the range started.
    fn may_start_again(&self) -> bool {
        self.subject.object.mode == ReadMode::Ranges && self.cursor != Cursor::START
    }

    /// After a page: notices that another run took over or that the backup has ended, reports progress from time to
    /// time, and splits the chunk when lanes have no work.
    async fn look(&mut self, segment: &SegmentUpload<'_>, now: Timestamp) -> Result<(), StepError> {
        let looked = self.look_now(segment, now).await;
        self.go_on_without_report(looked)
    }

    async fn look_now(&mut self, segment: &SegmentUpload<'_>, now: Timestamp) -> Result<(), StepError> {
        if !self.export_run.look(now).await?.needs(&self.subject.chunk.record.key) {
            return Err(StepError::UNWANTED);
        }
        let report_is_old = self.reported_at.is_none_or(|at| now.duration_since(at) >= REPORT_EVERY);
        if report_is_old {
            self.reported_at = Some(now);
            self.report(segment, now).await?;
        }
        self.split_if_it_pays(so_far(segment), now).await
    }

    /// Reports progress. A run that reports it is alive, so its lease is renewed too.
    async fn report(&mut self, segment: &SegmentUpload<'_>, now: Timestamp) -> Result<(), StepError> {
        let (lease, so_far) = (self.lease, so_far(segment));
        self.change_chunk(|chunk| {
            let reported = chunk.reading(lease, so_far)?;
            Ok(Chunk { leasing: reported.leasing.renewed(lease, now)?, ..reported })
        })
        .await
    }
}

fn so_far(segment: &SegmentUpload<'_>) -> ReadSoFar {
    ReadSoFar { records: segment.rows(), pages: segment.pages, plain_bytes: segment.plain_bytes() }
}

/// The result of checking a page.
enum Judged {
    Accepted(Accepted),
    /// It is requested once more.
    Doubted,
    /// No more pages are read into the segment.
    Over(Filled),
}

/// Why a segment was ended.
enum Filled {
    Target,
    End(RangeEnd),
    RunOver,
    NotHonoured(NotHonoured),
}
