//! Writes one segment to object storage while it grows, so that a run's memory stays small.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use archive::segment::SegmentWriter;
use bytes::Bytes;
use domain::ports::storage::{BlobReader, BlobWriter, ETag, MultipartUploads, StorageError, UploadId, UploadedPart};
use domain::rows::RowBuffer;
use domain::segment::SegmentSummary;

use super::MOST_LANES;

/// Size of the parts in which a segment is written. S3 requires at least 5 MiB, and every lane keeps one in memory.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Bytes that a run may have in memory for all its segments. Eight lanes never have more.
const MOST_UNWRITTEN: usize = 40 * 1024 * 1024;

const CONTENT_TYPE: &str = "application/octet-stream";

/// The ports that write a segment.
#[derive(Clone, Copy)]
pub(crate) struct SegmentStore<'a> {
    pub reader: &'a dyn BlobReader,
    pub writer: &'a dyn BlobWriter,
    pub uploads: &'a dyn MultipartUploads,
}

/// Bytes of all segments of a run that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Unwritten(AtomicUsize);

impl Unwritten {
    /// Whether a segment with `own` of these bytes should end early. Segments of at least an average size do so once
    /// there are more bytes than a run should keep in memory.
    fn are_too_many(&self, own: usize) -> bool {
        self.0.load(Ordering::Relaxed) > MOST_UNWRITTEN && own >= MOST_UNWRITTEN / MOST_LANES
    }
}

/// The bytes of one segment among them.
struct Share<'a> {
    all: &'a Unwritten,
    own: usize,
}

impl Share<'_> {
    fn becomes(&mut self, own: usize) {
        self.all.0.fetch_add(own, Ordering::Relaxed);
        self.all.0.fetch_sub(self.own, Ordering::Relaxed);
        self.own = own;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.becomes(0);
    }
}

/// A segment that is being written.
pub(crate) struct SegmentUpload<'a> {
    store: SegmentStore<'a>,
    unwritten: Share<'a>,
    key: String,
    writer: SegmentWriter,
    upload: Option<UploadId>,
    parts: Vec<UploadedPart>,
    pub(crate) pages: u64,
}

impl<'a> SegmentUpload<'a> {
    /// An empty segment for `key`. Nothing is written yet.
    pub(crate) fn new(store: SegmentStore<'a>, key: String, all: &'a Unwritten) -> Self {
        let unwritten = Share { all, own: 0 };
        Self { store, unwritten, key, writer: SegmentWriter::new(), upload: None, parts: Vec::new(), pages: 0 }
    }

    /// Whether it is large enough, or all segments of the run together need too much memory.
    pub(crate) fn is_full(&self, target: u64) -> bool {
        self.packed_bytes() >= target || self.unwritten.all.are_too_many(self.unwritten.own)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.writer.rows()
    }

    pub(crate) fn plain_bytes(&self) -> u64 {
        self.writer.plain_bytes()
    }

    pub(crate) fn packed_bytes(&self) -> u64 {
        self.writer.packed_bytes()
    }

    /// Packs rows. They can be forgotten then.
    pub(crate) fn add(&mut self, page: &RowBuffer, rows: Range<usize>) {
        self.writer.write_rows(page, rows);
        self.unwritten.becomes(self.writer.packed_in_memory());
    }

    /// Writes a part, if there are enough bytes for one.
    pub(crate) async fn write_parts(&mut self) -> Result<(), StorageError> {
        while let Some(bytes) = self.writer.take_packed(PART_BYTES) {
            self.write_part(bytes).await?;
            self.unwritten.becomes(self.writer.packed_in_memory());
        }
        Ok(())
    }

    async fn write_part(&mut self, bytes: Vec<u8>) -> Result<(), StorageError> {
        if self.upload.is_none() {
            self.upload = Some(self.store.uploads.begin(&self.key, CONTENT_TYPE).await?);
        }
        let Some(upload) = &self.upload else { return Ok(()) };
        let number = u16::try_from(self.parts.len() + 1)
            .map_err(|_| StorageError::Refused(format!("the segment '{}' has too many parts", self.key)))?;
        let part = self.store.uploads.write_part(&self.key, upload, number, Bytes::from(bytes)).await?;
        self.parts.push(part);
        Ok(())
    }

    /// Writes the rest and makes the object. Returns its key, content tag and content.
    pub(crate) async fn finish(mut self) -> Result<(String, ETag, SegmentSummary), StorageError> {
        let writer = std::mem::take(&mut self.writer);
        let (rest, summary) = writer.finish();
        let written = if self.upload.is_none() {
            self.store.writer.write_new(&self.key, Bytes::from(rest), CONTENT_TYPE).await
        } else {
            self.write_part(rest).await?;
            let Some(upload) = &self.upload else { return Err(StorageError::Absent(self.key)) };
            self.store.uploads.complete_new(&self.key, upload, &self.parts).await
        };
        let etag = match written {
            Ok(etag) => etag,
            // Perhaps our own write, whose answer was lost: the key contains our own lease's number.
            Err(error @ (StorageError::AlreadyExists(_) | StorageError::Absent(_) | StorageError::Unavailable(_))) => {
                match self.store.reader.head(&self.key).await? {
                    Some(info) if info.size == summary.packed_bytes => info.etag,
                    Some(_) => return Err(StorageError::Changed(self.key)),
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        Ok((self.key, etag, summary))
    }

    /// Gives up the upload, if storage answers. Lifecycle rules remove the rest.
    pub(crate) async fn abandon(self) {
        if let Some(upload) = &self.upload
            && let Err(error) = self.store.uploads.abort(&self.key, upload).await
        {
            tracing::debug!(%error, "segment.upload-not-aborted");
        }
    }
}

#[cfg(test)]
mod tests {
    use in_memory::MemoryStorage;

    use super::*;

    /// A run with many lanes ends its larger segments before all of them together fill its memory.
    #[test]
    fn the_larger_segments_of_a_run_are_full_once_all_need_too_much_memory() {
        const MIB: usize = 1024 * 1024;
        let all = Unwritten::default();
        let share = |own| {
            let mut share = Share { all: &all, own: 0 };
            share.becomes(own);
            share
        };
        let mut shares: Vec<_> = (0..8).map(|_| share(5 * MIB)).collect();
        assert!(!all.are_too_many(5 * MIB), "eight lanes have room for a part each");
        shares.push(share(MIB));
        assert_eq!([5 * MIB, 2 * MIB, MIB].map(|own| all.are_too_many(own)), [true, true, false]);
        shares[0].becomes(0);
        assert!(!all.are_too_many(5 * MIB), "a part was written");
        drop(shares);
        assert_eq!(all.0.into_inner(), 0);
    }

    /// An object at the key is taken for the segment only if its size is the same. Any other object is not this run's.
    #[tokio::test]
    async fn an_object_of_another_size_at_its_key_is_not_taken_for_the_segment() {
        let mut sizes = Vec::new();
        for (other, is_taken) in [(None, true), (Some(-1), false), (Some(1), false), (Some(0), true)] {
            let objects = MemoryStorage::new();
            let store = SegmentStore { reader: &objects, writer: &objects, uploads: &objects };
            if let Some(longer) = other {
                let size = sizes.first().copied().map_or(0, |size: usize| size.saturating_add_signed(longer));
                objects.write_new("segment", vec![0; size].into(), CONTENT_TYPE).await.expect("new");
            }
            let mut page = RowBuffer::new(1);
            page.begin_row(domain::ids::RecordId(7));
            page.set(0, "a value");
            let unwritten = Unwritten::default();
            let mut segment = SegmentUpload::new(store, "segment".to_owned(), &unwritten);
            segment.add(&page, 0..1);
            segment.write_parts().await.expect("storage answers");
            match segment.finish().await {
                Ok((key, _, summary)) => {
                    assert!(is_taken, "{other:?}");
                    assert_eq!((key.as_str(), summary.rows), ("segment", 1));
                    sizes.push(usize::try_from(summary.packed_bytes).expect("small"));
                }
                Err(error) => assert!(!is_taken && error == StorageError::Changed("segment".to_owned()), "{error}"),
            }
        }
    }
}
