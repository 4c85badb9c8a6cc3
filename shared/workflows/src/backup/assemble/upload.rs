//! Makes the zip in object storage from its layout.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use archive::contents::ArchiveContents;
use archive::layout::Extent;
use archive::parts::{self, BufferPiece, UploadPart};
use bytes::{Bytes, BytesMut};
use domain::ports::storage::{BlobInfo, StorageError, UploadId, UploadedPart};
use domain::{Failure, FailureKind};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Assemble, Made, ZIP};
use crate::run::{Run, StepError};

/// Parts copied inside storage at the same time. Each costs the worker only a connection.
const COPIES_AT_ONCE: usize = 16;

/// Small reads at the same time, for one buffer or for the check.
const READS_AT_ONCE: usize = 8;

/// The upload of one archive.
pub(super) struct Upload<'a> {
    pub(super) assemble: &'a Assemble,
    pub(super) key: &'a str,
    pub(super) contents: &'a ArchiveContents,
    pub(super) run: &'a Run,
    /// Set as soon as a part is made.
    pub(super) progressed: &'a AtomicBool,
}

impl Upload<'_> {
    /// Makes a small archive: all bytes pass through the worker.
    pub(super) async fn in_one_write(&self) -> Result<Made, StepError> {
        if let Some(info) = self.present().await? {
            return Ok(Some(info.etag));
        }
        let bytes = self.buffer(&parts::pieces(&self.contents.extents)).await?;
        match self.assemble.writer.write_new(self.key, bytes, ZIP).await {
            Ok(etag) => Ok(Some(etag)),
            // Only a run with the same layout writes to this key.
            Err(StorageError::AlreadyExists(_)) => match self.present().await? {
                Some(info) => Ok(Some(info.etag)),
                None => Err(StepError::Fatal(broken())),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a large archive: copies inside storage where S3's rules allow it, with small buffers between them. None if
    /// the run's time ends first; the next run finds the finished parts.
    pub(super) async fn in_parts(&self, upload: &UploadId) -> Result<Made, StepError> {
        let plan = parts::plan(&self.contents.extents)
            .map_err(|error| StepError::Fatal(Failure::new(FailureKind::ArchiveTooFragmented, format!("{error}."))))?;
        let Some(done) = self.assemble.uploads.parts(self.key, upload).await? else {
            // An earlier run completed the upload and died, or the lifecycle rule ended it.
            let present = self.present().await?;
            return present.map(|info| Some(info.etag)).ok_or(StorageError::Absent(self.key.to_owned()).into());
        };
        let mut made: BTreeMap<u16, UploadedPart> = done
            .into_iter()
            .filter(|part| plan.get(usize::from(part.number) - 1).is_some_and(|planned| planned.bytes() == part.size))
            .map(|part| (part.number, part))
            .collect();
        let missing: Vec<(u16, &UploadPart)> =
            (1_u16..).zip(&plan).filter(|(number, _)| !made.contains_key(number)).collect();
        let (copies, buffers): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|(_, part)| matches!(part, UploadPart::Copy(_)));
        // One buffer at a time, to have only one in memory.
        for (some, at_once) in [(copies, COPIES_AT_ONCE), (buffers, 1)] {
            let mut parts =
                stream::iter(some).map(|(number, part)| self.part(upload, number, part)).buffer_unordered(at_once);
            while let Some(part) = parts.next().await {
                match part? {
                    Some(part) => drop(made.insert(part.number, part)),
                    None => return Ok(None),
                }
            }
        }
        let all: Vec<UploadedPart> = made.into_values().collect();
        match self.assemble.uploads.complete_new(self.key, upload, &all).await {
            Ok(etag) => Ok(Some(etag)),
            // The outcome is unknown, or another run was first. Only the presence of the archive counts.
            Err(error) => match self.present().await? {
                Some(info) => Ok(Some(info.etag)),
                None => Err(error.into()),
            },
        }
    }

    /// Makes one part. None if the run's time is over.
    async fn part(&self, upload: &UploadId, number: u16, part: &UploadPart) -> Result<Option<UploadedPart>, StepError> {
        if self.assemble.clock.now() >= self.run.ends {
            return Ok(None);
        }
        let uploads = &self.assemble.uploads;
        let made = match part {
            UploadPart::Copy(source) => uploads.copy_part(self.key, upload, number, source).await?,
            UploadPart::Buffer(pieces) => {
                let bytes = self.buffer(pieces).await?;
                uploads.write_part(self.key, upload, number, bytes).await?
            }
        };
        self.progressed.store(true, Ordering::Relaxed);
        Ok(Some(made))
    }

    async fn buffer(&self, pieces: &[BufferPiece]) -> Result<Bytes, StepError> {
        let read: Vec<Bytes> =
            stream::iter(pieces).map(|piece| self.read(piece)).buffered(READS_AT_ONCE).try_collect().await?;
        let mut all = BytesMut::with_capacity(read.iter().map(Bytes::len).sum());
        for bytes in &read {
            all.extend_from_slice(bytes);
        }
        Ok(all.freeze())
    }

    async fn read(&self, piece: &BufferPiece) -> Result<Bytes, StepError> {
        match piece {
            BufferPiece::Literal(bytes) => Ok(bytes.clone()),
            BufferPiece::Object(source) => Ok(self.assemble.reader.read_source(source).await?),
        }
    }

    /// The archive, if storage already has it with the planned size.
    async fn present(&self) -> Result<Option<BlobInfo>, StepError> {
        let info = self.assemble.reader.head(self.key).await?;
        Ok(info.filter(|info| info.size == self.contents.bytes))
    }

    /// Checks the archive's size, and reads every literal piece back from its place. These pieces lie before, between
    /// and behind all segments. So if they are in place, everything else is.
    ///
    /// # Errors
    /// [`StepError::Fatal`] if the archive differs from the plan.
    pub(super) async fn check(&self) -> Result<(), StepError> {
        if self.present().await?.is_none() {
            return Err(StepError::Fatal(broken()));
        }
        let mut at = 0;
        let mut literals = Vec::new();
        for extent in &self.contents.extents {
            if let Extent::Literal(bytes) = extent {
                literals.push((at, bytes));
            }
            at += extent.bytes();
        }
        let mut checked = stream::iter(literals)
            .map(|(at, expected)| async move {
                let range = at..at + expected.len() as u64;
                let found = self.assemble.reader.read(self.key, Some(range)).await?;
                if found == *expected { Ok(()) } else { Err(StepError::Fatal(broken())) }
            })
            .buffer_unordered(READS_AT_ONCE);
        while let Some(result) = checked.next().await {
            result?;
        }
        Ok(())
    }
}

fn broken() -> Failure {
    Failure::new(
        FailureKind::ArchiveBroken,
        "The archive in object storage differs from what was written, so it was not published. Make a new backup.",
    )
}
