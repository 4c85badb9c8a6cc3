//! Reading a part of a chunk once more, because its first reading lacks records.
//!
//! ```text
//! done ─ gone on with ─▶ waiting      reading stopped too early: it continues above the last id
//! done ─ read again ───▶ waiting      the range has fewer rows than records: it is read again from its beginning
//! ```
//! Each of the two happens once at most. The ids then come from searches, because the CRM's list was read already.

use serde::{Deserialize, Serialize};

use super::{Chunk, ChunkState, ReadSoFar};
use crate::Refused;
use crate::ids::RecordId;
use crate::ports::crm::Cursor;
use crate::trail::Trail;

/// How a chunk was read once more.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own in a stored record")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Again {
    /// Segments with a lower number are void, because the range was read again after them.
    pub first_segment: u32,
    /// Ids come from searches, even if the object's list can be used.
    pub by_search: bool,
    /// Before that, ids came from a list whose cursors only the CRM can read.
    pub opaque_before: bool,
    /// Reading continued behind the end that was found first.
    pub went_on: bool,
    /// The whole range was read again.
    pub whole: bool,
}

impl Again {
    /// Whether the chunk was read once, in the way of its object.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The same for a chunk that is split off and has no segments yet.
    #[must_use]
    pub(super) const fn of_part(self) -> Self {
        Self { first_segment: 0, opaque_before: false, ..self }
    }
}

impl Chunk {
    /// Whether it was read with cursors that only the CRM can read. They may stand for a number of records. Then a
    /// deletion between two pages moves records past the cursor.
    pub const fn followed_opaque_cursors(&self) -> bool {
        matches!(self.cursor, Cursor::Opaque(_)) || self.again.opaque_before
    }

    /// Whether `id` is in its range.
    pub fn covers(&self, id: RecordId) -> bool {
        id > self.key.lower && self.upper.is_none_or(|upper| id <= upper)
    }

    /// Continues above the highest committed id, by searches. About `left` records are there.
    ///
    /// # Errors
    /// [`Refused`] if it is not done, or was continued before.
    pub fn go_on(&self, left: Option<u64>) -> Result<Self, Refused> {
        let what = "continuing a chunk";
        if self.again.went_on {
            return Err(Refused::new(what, "that was done before"));
        }
        let again = Again { went_on: true, ..self.searching() };
        let expected_records = left.map(|left| self.records + left);
        self.opened(what, Self { expected_records, again, ..self.clone() }, self.committed_to)
    }

    /// Reads the whole range again, by searches. Its committed segments are void. About `expected` records are in it.
    ///
    /// # Errors
    /// [`Refused`] if it is not done, or was read again before.
    pub fn read_again(&self, expected: Option<u64>) -> Result<Self, Refused> {
        let what = "reading a range again";
        if self.again.whole {
            return Err(Refused::new(what, "that was done before"));
        }
        let (first_segment, opaque_before) = (self.next_sequence, false);
        let again = Again { first_segment, by_search: true, opaque_before, whole: true, ..self.again };
        let next = Self {
            records: 0,
            expected_records: expected,
            first_seen: None,
            first_seen_at: None,
            again,
            ..self.clone()
        };
        self.opened(what, next, self.key.lower)
    }

    /// The rest comes from searches.
    const fn searching(&self) -> Again {
        Again { by_search: true, opaque_before: self.followed_opaque_cursors(), ..self.again }
    }

    /// Opens `next` to be read above `after`.
    fn opened(&self, what: &'static str, next: Self, after: RecordId) -> Result<Self, Refused> {
        if self.state != ChunkState::Done {
            return Err(Refused::new(what, "it is not done"));
        }
        Ok(Self {
            state: ChunkState::Waiting,
            cursor: Cursor::AfterId(after),
            trail: Trail::default(),
            committed_to: after,
            seen_past_end: None,
            finished_at: None,
            reading: ReadSoFar::default(),
            ..next
        })
    }

    /// Continues by searches, because the CRM's list cannot be used here. Committed segments stay.
    ///
    /// # Errors
    /// [`Refused`] if another run has taken over.
    pub fn by_search(&self, lease: u32) -> Result<Self, Refused> {
        self.check_lease("searching for the rest of a chunk", lease)?;
        Ok(Self {
            again: self.searching(),
            cursor: Cursor::AfterId(self.committed_to),
            trail: Trail::default(),
            reading: ReadSoFar::default(),
            ..self.clone()
        })
    }
}
