//! Writes an object whose size is not known before, without holding it in memory.

use bytes::Bytes;
use domain::ports::storage::{BlobReader, BlobWriter, MultipartUploads, StorageError, UploadId, UploadedPart};

/// Size of the parts in which a large object is written; S3 wants at least 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// What writing one takes.
#[derive(Clone, Copy)]
pub(crate) struct ObjectPorts<'a> {
    pub(crate) reader: &'a dyn BlobReader,
    pub(crate) writer: &'a dyn BlobWriter,
    pub(crate) uploads: &'a dyn MultipartUploads,
}

/// What of an object is stored, and goes on in another run.
pub(crate) struct StoredBlob {
    pub(crate) key: String,
    /// The upload that makes it, once there is a part.
    pub(crate) upload: Option<UploadId>,
    /// How many parts there are.
    pub(crate) parts: u16,
    /// How many bytes they have.
    pub(crate) bytes: u64,
}

/// An object that is being written. Its key is its writer's alone.
pub(crate) struct GrowingBlob<'a> {
    reader: &'a dyn BlobReader,
    writer: &'a dyn BlobWriter,
    uploads: &'a dyn MultipartUploads,
    key: String,
    content_type: &'static str,
    buffer: Vec<u8>,
    /// Bytes that have left the buffer.
    size: u64,
    upload: Option<UploadId>,
    parts: Vec<UploadedPart>,
}

impl<'a> GrowingBlob<'a> {
    /// An object that will be at `key`. Nothing is written yet.
    pub(crate) fn new(ports: ObjectPorts<'a>, key: String, content_type: &'static str) -> Self {
        let ObjectPorts { reader, writer, uploads } = ports;
        Self {
            reader,
            writer,
            uploads,
            key,
            content_type,
            buffer: Vec::new(),
            size: 0,
            upload: None,
            parts: Vec::new(),
        }
    }

    /// An object of which an earlier run has stored `stored`, and behind it `rest`.
    ///
    /// # Errors
    /// [`StorageError::Absent`] when that is not there any more; others.
    pub(crate) async fn resumed(
        ports: ObjectPorts<'a>,
        content_type: &'static str,
        stored: StoredBlob,
        rest: Vec<u8>,
    ) -> Result<Self, StorageError> {
        let StoredBlob { key, upload, parts: count, bytes } = stored;
        let mut known = Vec::new();
        if let Some(upload) = &upload {
            let found = ports.uploads.parts(&key, upload).await?;
            known = found.ok_or_else(|| StorageError::Absent(key.clone()))?;
            // A run that has died may have written more.
            known.retain(|part| part.number <= count);
            let size: u64 = known.iter().map(|part| part.size).sum();
            if known.len() != usize::from(count) || size != bytes {
                return Err(StorageError::Absent(key));
            }
        }
        Ok(Self { buffer: rest, size: bytes, upload, parts: known, ..Self::new(ports, key, content_type) })
    }

    /// What of it is stored. [`GrowingBlob::buffer`] comes behind that.
    pub(crate) fn stored(&self) -> StoredBlob {
        let parts = u16::try_from(self.parts.len()).unwrap_or(u16::MAX);
        StoredBlob { key: self.key.clone(), upload: self.upload.clone(), parts, bytes: self.size }
    }

    /// Whether there is enough for another part.
    pub(crate) fn fills_a_part(&self) -> bool {
        self.buffer.len() >= PART_BYTES
    }

    /// What is not written yet; add to it, then call [`GrowingBlob::flush`].
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes what fills a part.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn flush(&mut self) -> Result<(), StorageError> {
        if self.fills_a_part() { self.write_part().await } else { Ok(()) }
    }

    /// Writes all of the buffer as a part.
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Absent`] when the upload has ended.
    pub(crate) async fn write_part(&mut self) -> Result<(), StorageError> {
        let upload = match self.upload.take() {
            Some(upload) => upload,
            None => self.uploads.begin(&self.key, self.content_type).await?,
        };
        let upload = self.upload.insert(upload);
        let number = u16::try_from(self.parts.len() + 1)
            .map_err(|_| StorageError::Refused(format!("'{}' has too many parts", self.key)))?;
        self.size += self.buffer.len() as u64;
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        self.parts.push(self.uploads.write_part(&self.key, upload, number, bytes).await?);
        Ok(())
    }

    /// Gives up what was written, as far as storage answers; the lifecycle rules remove the rest.
    pub(crate) async fn abandon(self) {
        if let Some(upload) = &self.upload
            && let Err(error) = self.uploads.abort(&self.key, upload).await
        {
            tracing::debug!(%error, "object.upload-not-aborted");
        }
    }

    /// Writes what is left and makes the object. Returns its key.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn finish(mut self) -> Result<String, StorageError> {
        let written = if self.upload.is_none() {
            self.size += self.buffer.len() as u64;
            let bytes = Bytes::from(std::mem::take(&mut self.buffer));
            self.writer.write_new(&self.key, bytes, self.content_type).await
        } else {
            if !self.buffer.is_empty() {
                self.write_part().await?;
            }
            let Some(upload) = &self.upload else { return Err(StorageError::Absent(self.key)) };
            self.uploads.complete_new(&self.key, upload, &self.parts).await
        };
        match written {
            Ok(_) => Ok(self.key),
            // Perhaps our own write, whose answer was lost: nobody else writes at this key.
            Err(error @ (StorageError::AlreadyExists(_) | StorageError::Absent(_) | StorageError::Unavailable(_))) => {
                match self.reader.head(&self.key).await? {
                    Some(info) if info.size == self.size => Ok(self.key),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}
