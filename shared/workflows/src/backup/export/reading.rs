//! One run's reading of a chunk: pages become segments, and segments are committed to the ledger.

use domain::backup::Backup;
use domain::chunk::{Chunk, RangeEnd, ReadSoFar};
use domain::ids::RecordId;
use domain::object::{ListUse, ObjectExport, Shortfall};
use domain::ports::crm::{Crm, CrmError, CrmErrorKind, Cursor, PageEnd, PageRequest, PageSource};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{self, LedgerError};
use domain::property::Columns;
use domain::rows::RowBuffer;
use domain::storage_keys;
use domain::trail::{Lost, Trail};
use jiff::{SignedDuration, Timestamp};

use super::range::{self, Accepted, Asked, Next, NotHonoured, Way};
use super::seen::Seen;
use super::segment_upload::{SegmentStore, SegmentUpload};
use super::{Export, ExportUsage, Subject};
use crate::run::{Run, StepError};

/// How often a run reports progress, checks whether the backup was cancelled, and considers a split.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// Segments are sized so that this many contain a whole backup. An upload has at most 10,000 parts; the rest is for
/// buffers between copies and for runs that end early.
const SEGMENTS_PER_ARCHIVE: u64 = 6_000;
const SMALLEST_TARGET: u64 = 16 * 1024 * 1024;
const LARGEST_TARGET: u64 = 128 * 1024 * 1024;

/// The assumed DEFLATE bytes of a record, before any record was read.
const PACKED_RECORD: u64 = 400;

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
    pub(super) export: &'a Export,
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
    unclear: bool,
    looked_at: Option<Timestamp>,
    pub(super) no_split_before: Option<Timestamp>,
}

impl<'a> ChunkReading<'a> {
    pub(super) fn new(
        export: &'a Export,
        subject: Subject,
        columns: &'a Columns,
        segment_target: u64,
        crm: &'a dyn Crm,
        lease: u32,
        run: &'a Run,
    ) -> Self {
        let properties: Vec<_> = columns.names().collect();
        let rows = RowBuffer::new(properties.len());
        let cursor = subject.chunk.record.cursor.clone();
        let trail = subject.chunk.record.trail.clone();
        let last_id = subject.chunk.record.committed_to;
        let seen = if subject.object.unordered { Seen::unordered() } else { Seen::up_to(last_id) };
        Self {
            export,
            subject,
            properties,
            crm,
            lease,
            run,
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
            looked_at: None,
            no_split_before: None,
        }
    }

    /// Reads and commits one segment after another until the range or the run ends.
    pub(super) async fn through(mut self, usage: &mut ExportUsage) -> Result<ReadingEnd, StepError> {
        loop {
            let store = SegmentStore {
                reader: &*self.export.reader,
                writer: &*self.export.writer,
                uploads: &*self.export.uploads,
            };
            let chunk = &self.subject.chunk.record;
            let key = storage_keys::segment(
                &self.subject.backup,
                &chunk.key.object_type,
                chunk.key.generation,
                chunk.key.lower,
                chunk.next_sequence,
                self.lease,
            );
            let mut segment = SegmentUpload::new(store, key);
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
            if self.unclear {
                self.reload_chunk().await?;
                self.unclear = false;
            }
            if self.export.sessions.clock.now() >= self.run.ends {
                return Ok(Filled::RunOver);
            }
            if segment.packed_bytes() >= self.segment_target {
                return Ok(Filled::Target);
            }
            let way = self.way();
            let object = &self.subject.chunk.record.key.object_type;
            let request = PageRequest {
                object,
                properties: &self.properties,
                cursor: self.given.as_ref().unwrap_or(&self.cursor),
                source: way.source,
                limit: self.crm.model().call_sizes(object).page(way.source),
            };
            let end = match self.crm.page(&request, &mut self.rows).await {
                Err(CrmError { kind: CrmErrorKind::Refused, .. }) if self.may_start_again() => {
                    return Ok(Filled::NotHonoured(NotHonoured::in_order("the CRM refused to start in the middle")));
                }
                other => other?,
            };
            let now = self.export.sessions.clock.now();
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
                segment.add(&self.rows, unseen).await?;
            }
            if let Some(last) = self.rows.ids()[accepted.rows].iter().max() {
                self.last_id = self.last_id.max(*last);
            }
            self.page_before.clear();
            self.page_before.extend(self.rows.ids());
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

    /// From time to time: reports progress, notices that another run took over or that the backup has ended, and splits
    /// the chunk when workers are free.
    async fn look(&mut self, segment: &SegmentUpload<'_>, now: Timestamp) -> Result<(), StepError> {
        if self.looked_at.is_some_and(|at| now.duration_since(at) < LOOK_EVERY) {
            return Ok(());
        }
        self.looked_at = Some(now);
        match self.look_now(segment, now).await {
            // Records that were read are worth more than a report of progress.
            Err(StepError::Ledger(LedgerError::Unavailable(why))) => {
                tracing::warn!(why, object = %self.subject.chunk.record.key.object_type, "export.progress-not-reported");
                self.unclear = true;
                Ok(())
            }
            other => other,
        }
    }

    async fn look_now(&mut self, segment: &SegmentUpload<'_>, now: Timestamp) -> Result<(), StepError> {
        let export = self.export;
        let ledger = export.ledger();
        let backup_key = Backup::key_of(&self.subject.backup);
        let may_split = self.may_split(now);
        let (backup, objects) = futures_util::future::try_join(
            async { Ok::<_, StepError>(ledger::load::<Backup>(ledger, &backup_key).await?) },
            self.objects_to_look_at(may_split),
        )
        .await?;
        let key = &self.subject.chunk.record.key;
        let is_present = |object: &ObjectExport| {
            object.definition.object_type == key.object_type && object.generation == key.generation
        };
        if backup.is_none_or(|backup| backup.record.state.is_terminal()) || !objects.iter().any(is_present) {
            return Err(StepError::UNWANTED);
        }
        let so_far = ReadSoFar { records: segment.rows(), pages: segment.pages, plain_bytes: segment.plain_bytes() };
        // A run that reports progress is alive, so its lease is renewed too.
        let lease = self.lease;
        self.change_chunk(|chunk| {
            let reported = chunk.reading(lease, so_far)?;
            Ok(Chunk { leasing: reported.leasing.renewed(lease, now)?, ..reported })
        })
        .await?;
        if may_split {
            self.split_or_wait(&objects, now).await?;
        }
        Ok(())
    }

    async fn reload_chunk(&mut self) -> Result<(), StepError> {
        self.subject.chunk = self.load_chunk().await?;
        Ok(())
    }
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

/// The target size of a segment, so that all objects of the backup together fit into the parts of one archive.
pub(super) fn segment_target(objects: &[ObjectExport]) -> u64 {
    let expected_bytes = |object: &ObjectExport| {
        let per_record = object.packed_bytes.checked_div(object.records).unwrap_or(PACKED_RECORD).max(1);
        object.counts.before.unwrap_or(0).max(object.records) * per_record
    };
    let expected: u64 = objects.iter().map(expected_bytes).sum();
    (expected / SEGMENTS_PER_ARCHIVE).clamp(SMALLEST_TARGET, LARGEST_TARGET)
}
