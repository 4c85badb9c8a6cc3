//! Plans how a laid-out archive is uploaded in parts, with as few bytes as possible passing through the worker.
//!
//! S3 makes the rules: at most 10,000 parts; every part but the last is 5 MiB to 5 GiB; a part can be copied inside S3
//! from one range of one object that is larger than 5 MiB. So a range of a segment is copied wherever it can be, and
//! everything else (headers, small segments) goes into buffers, each of which takes just enough of its neighbours'
//! bytes to reach 5 MiB. Of a large segment behind a header, the buffer takes the head and the rest is copied.
//!
//! Where that makes too many parts, neighbouring ones are joined into buffers of at most [`LARGEST_BUFFER`], first
//! where the fewest bytes have to move for each part that is saved.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use domain::ports::storage::CopySource;

use crate::layout::Extent;

const MIB: u64 = 1024 * 1024;

/// The least size of a part that is not the last, and of a range that is copied.
pub const SMALLEST_PART: u64 = 5 * MIB;
/// The greatest size of a part.
pub const LARGEST_PART: u64 = 5 * 1024 * MIB;
/// The greatest number of parts.
pub const MOST_PARTS: usize = 10_000;
/// The greatest size of a buffer that joins parts because there are too many; all others are at most
/// [`SMALLEST_PART`].
pub const LARGEST_BUFFER: u64 = 64 * MIB;
/// Archives up to this size are one write.
pub const LARGEST_WRITE: u64 = 8 * MIB;

/// One part of the upload. Its number is its place in the plan, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadPart {
    /// A range to be copied inside storage.
    Copy(CopySource),
    /// Bytes to be joined by the worker.
    Buffer(Vec<BufferPiece>),
}

/// Bytes of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BufferPiece {
    Literal(Bytes),
    /// A range of an object, to be read.
    Object(CopySource),
}

impl UploadPart {
    /// Its size.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Copy(source) => length(source),
            Self::Buffer(pieces) => pieces.iter().map(BufferPiece::bytes).sum(),
        }
    }

    fn into_pieces(self) -> Vec<BufferPiece> {
        match self {
            Self::Copy(source) => vec![BufferPiece::Object(source)],
            Self::Buffer(pieces) => pieces,
        }
    }
}

impl BufferPiece {
    /// Its size.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Object(source) => length(source),
        }
    }

    /// Takes `bytes` off its front; it has at least that many.
    fn split_to(&mut self, bytes: u64) -> Self {
        match self {
            Self::Literal(literal) => {
                Self::Literal(literal.split_to(usize::try_from(bytes).expect("a part of what is in memory")))
            }
            Self::Object(source) => Self::Object(take_head(source, bytes)),
        }
    }
}

impl From<&Extent> for BufferPiece {
    fn from(extent: &Extent) -> Self {
        match extent {
            Extent::Literal(bytes) => Self::Literal(bytes.clone()),
            Extent::Object(source) => Self::Object(source.clone()),
        }
    }
}

fn length(source: &CopySource) -> u64 {
    source.range.end - source.range.start
}

fn take_head(source: &mut CopySource, bytes: u64) -> CopySource {
    let middle = source.range.start + bytes;
    let head = CopySource { range: source.range.start..middle, ..source.clone() };
    source.range.start = middle;
    head
}

/// An archive that does not fit into one upload. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Even joined as far as memory allows, there are more parts than an upload may have.
    #[error(
        "the archive needs {parts} upload parts, and an upload has at most {MOST_PARTS}; its segments are too small"
    )]
    TooManyParts {
        /// How many it would be.
        parts: usize,
    },
}

/// Whether an archive of `bytes` is written at once, from [`pieces`], instead of in parts.
pub const fn is_one_write(bytes: u64) -> bool {
    bytes <= LARGEST_WRITE
}

/// What a single write joins.
pub fn pieces(extents: &[Extent]) -> Vec<BufferPiece> {
    extents.iter().map(BufferPiece::from).collect()
}

/// Plans the upload of `extents`. The same extents make the same plan.
///
/// # Errors
/// [`PlanError`] when the archive does not fit into one upload.
pub fn plan(extents: &[Extent]) -> Result<Vec<UploadPart>, PlanError> {
    let mut planner = Planner::default();
    for extent in extents {
        planner.add(extent);
    }
    let parts = join_until_few(planner.finish(), MOST_PARTS);
    if parts.len() > MOST_PARTS { Err(PlanError::TooManyParts { parts: parts.len() }) } else { Ok(parts) }
}

#[derive(Debug, Default)]
struct Planner {
    parts: Vec<UploadPart>,
    buffer: Vec<BufferPiece>,
    /// Bytes in `buffer`, less than [`SMALLEST_PART`].
    buffered: u64,
}

impl Planner {
    fn add(&mut self, extent: &Extent) {
        let missing = if self.buffered == 0 { 0 } else { SMALLEST_PART - self.buffered };
        match extent {
            Extent::Object(source) if is_copyable(source, missing) => {
                let mut rest = source.clone();
                if missing > 0 {
                    let head = take_head(&mut rest, missing);
                    self.fill(BufferPiece::Object(head));
                }
                self.copy(rest);
            }
            _ => self.fill(extent.into()),
        }
    }

    /// Puts `piece` into buffers of exactly [`SMALLEST_PART`], the last of which stays open.
    fn fill(&mut self, mut piece: BufferPiece) {
        while self.buffered + piece.bytes() >= SMALLEST_PART {
            self.buffer.push(piece.split_to(SMALLEST_PART - self.buffered));
            self.parts.push(UploadPart::Buffer(std::mem::take(&mut self.buffer)));
            self.buffered = 0;
        }
        if piece.bytes() > 0 {
            self.buffered += piece.bytes();
            self.buffer.push(piece);
        }
    }

    /// Copies `source`, in several parts of about the same size where it is too large for one.
    fn copy(&mut self, mut source: CopySource) {
        for parts_left in (1..=length(&source).div_ceil(LARGEST_PART)).rev() {
            let share = length(&source) / parts_left;
            self.parts.push(UploadPart::Copy(take_head(&mut source, share)));
        }
    }

    fn finish(mut self) -> Vec<UploadPart> {
        if !self.buffer.is_empty() {
            self.parts.push(UploadPart::Buffer(self.buffer));
        }
        self.parts
    }
}

/// Whether `source` can be copied once a buffer has taken `head` bytes off it.
fn is_copyable(source: &CopySource, head: u64) -> bool {
    // The object is at least as large as the range's end.
    source.range.end > SMALLEST_PART && length(source) >= head + SMALLEST_PART
}

/// Neighbouring parts that fit into one buffer.
struct PartRun {
    places: Range<usize>,
    bytes: u64,
}

impl PartRun {
    /// How many parts there are less when it is joined.
    fn saves(&self) -> usize {
        self.places.len() - 1
    }
}

/// Joins runs of neighbouring parts until there are at most `most`, or none is left to join.
fn join_until_few(parts: Vec<UploadPart>, most: usize) -> Vec<UploadPart> {
    let mut excess = parts.len().saturating_sub(most);
    if excess == 0 {
        return parts;
    }
    let mut runs = runs(&parts);
    runs.sort_by_key(|run| (run.bytes / run.saves() as u64, run.places.start));
    let mut joined: BTreeMap<usize, usize> = BTreeMap::new();
    for run in runs {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(run.saves());
        joined.insert(run.places.start, run.places.len());
    }
    let mut parts = parts.into_iter().enumerate();
    let mut out = Vec::new();
    while let Some((place, part)) = parts.next() {
        let Some(count) = joined.get(&place) else {
            out.push(part);
            continue;
        };
        let rest = parts.by_ref().take(count - 1).map(|(_, part)| part);
        out.push(UploadPart::Buffer(std::iter::once(part).chain(rest).flat_map(UploadPart::into_pieces).collect()));
    }
    out
}

/// Runs of two parts or more, each as long as a buffer takes, that do not overlap.
fn runs(parts: &[UploadPart]) -> Vec<PartRun> {
    let mut runs: Vec<PartRun> = Vec::new();
    for (place, bytes) in parts.iter().map(UploadPart::bytes).enumerate() {
        match runs.last_mut() {
            Some(run) if run.bytes + bytes <= LARGEST_BUFFER => {
                run.places.end = place + 1;
                run.bytes += bytes;
            }
            _ => runs.push(PartRun { places: place..place + 1, bytes }),
        }
    }
    runs.retain(|run| run.saves() > 0);
    runs
}
