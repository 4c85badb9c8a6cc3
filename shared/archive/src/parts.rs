//! Plans how a laid-out archive is uploaded in parts, with as few bytes as possible passing through the worker.
//!
//! These are S3's rules: at most 10,000 parts; every part but the last has 5 MiB to 5 GiB; a part can be copied inside
//! S3 from one range of one object that is larger than 5 MiB. So ranges of segments are copied if possible. Everything
//! else (headers, small segments) goes into buffers, and each buffer takes enough bytes of its neighbours to reach 5
//! MiB. If a large segment follows a header, the buffer takes the segment's head, and the rest is copied.
//!
//! If there are too many parts, neighbouring ones are joined into buffers of at most [`LARGEST_BUFFER`]. Runs of parts
//! that need the fewest moved bytes for each saved part come first.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use domain::ports::storage::CopySource;

use crate::layout::Extent;

const MIB: u64 = 1024 * 1024;

/// The smallest size of a copied range, and of every part but the last.
pub const SMALLEST_PART: u64 = 5 * MIB;
/// The largest size of a part.
pub const LARGEST_PART: u64 = 5 * 1024 * MIB;
/// The largest number of parts.
pub const MOST_PARTS: usize = 10_000;
/// The largest size of a buffer that joins parts because there are too many. Other buffers have at most
/// [`SMALLEST_PART`].
pub const LARGEST_BUFFER: u64 = 64 * MIB;
/// Archives up to this size are written at once.
pub const LARGEST_WRITE: u64 = 8 * MIB;

/// One part of the upload. Its number is its place in the plan, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadPart {
    /// A range that is copied inside storage.
    Copy(CopySource),
    /// Bytes that the worker joins.
    Buffer(Vec<BufferPiece>),
}

/// A piece of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BufferPiece {
    Literal(Bytes),
    /// A range of a blob, to be read.
    Object(CopySource),
}

impl UploadPart {
    /// The part's size in bytes.
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
    /// The piece's size in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Object(source) => length(source),
        }
    }

    /// Takes `bytes` off its front. It has at least that many.
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
    /// It has more parts than an upload may have, even if they are joined as far as memory allows.
    #[error(
        "the archive needs {parts} upload parts, and an upload has at most {MOST_PARTS}; its segments are too small"
    )]
    TooManyParts { parts: usize },
}

/// Whether an archive of this size is written at once, from [`pieces`], instead of in parts.
pub const fn is_one_write(bytes: u64) -> bool {
    bytes <= LARGEST_WRITE
}

/// The pieces that a single write joins.
pub fn pieces(extents: &[Extent]) -> Vec<BufferPiece> {
    extents.iter().map(BufferPiece::from).collect()
}

/// Plans the upload of `extents`. The same extents make the same plan.
///
/// # Errors
/// [`PlanError`] if the archive does not fit into one upload.
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

    /// Copies `source`, in several parts of about the same size if it is too large for one.
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
    /// How many parts joining it saves.
    fn saves(&self) -> usize {
        self.places.len() - 1
    }
}

/// Joins runs of neighbouring parts until there are at most `most` parts, or no run is left.
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

/// Disjoint runs of two parts or more, each as long as fits into a buffer.
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
