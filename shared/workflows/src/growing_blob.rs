//! Writes an object of unknown size, without holding it in memory.

use bytes::Bytes;
use domain::ports::storage::{BlobReader, BlobWriter, MultipartUploads, StorageError, UploadId, UploadedPart};

/// Size of the parts in which a large object is written. S3 requires at least 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// The ports that write an object.
#[derive(Clone, Copy)]
pub(crate) struct ObjectPorts<'a> {
    pub(crate) reader: &'a dyn BlobReader,
    pub(crate) writer: &'a dyn BlobWriter,
    pub(crate) uploads: &'a dyn MultipartUploads,
}

/// The stored beginning of an object, which another run can continue.
pub(crate) struct StoredBlob {
    pub(crate) key: String,
    /// The upload that makes it, once it has a part.
    pub(crate) upload: Option<UploadId>,
    pub(crate) parts: u16,
    /// The size of the parts together.
    pub(crate) bytes: u64,
}

/// An object that is being written. No other writer uses its key.
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
    /// An object for `key`. Nothing is written yet.
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

    /// An object whose beginning `stored` an earlier run has stored, followed by `rest`.
    ///
    /// # Errors
    /// [`StorageError::Absent`] if the stored beginning is gone; others.
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
            // A run that died may have written more.
            known.retain(|part| part.number <= count);
            let size: u64 = known.iter().map(|part| part.size).sum();
            if known.len() != usize::from(count) || size != bytes {
                return Err(StorageError::Absent(key));
            }
        }
        Ok(Self { buffer: rest, size: bytes, upload, parts: known, ..Self::new(ports, key, content_type) })
    }

    /// The stored beginning. The bytes in [`GrowingBlob::buffer`] follow it.
    pub(crate) fn stored(&self) -> StoredBlob {
        let parts = u16::try_from(self.parts.len()).unwrap_or(u16::MAX);
        StoredBlob { key: self.key.clone(), upload: self.upload.clone(), parts, bytes: self.size }
    }

    /// Whether the buffer has enough for another part.
    pub(crate) fn fills_a_part(&self) -> bool {
        self.buffer.len() >= PART_BYTES
    }

    /// The bytes that are not yet written. Add to them, then call [`GrowingBlob::flush`].
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes all full parts.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn flush(&mut self) -> Result<(), StorageError> {
        if self.fills_a_part() { self.write_part().await } else { Ok(()) }
    }

    /// Writes all of the buffer as a part.
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Absent`] if the upload has ended.
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

    /// Gives up the upload, if storage answers. The lifecycle rules remove the rest.
    pub(crate) async fn abandon(self) {
        if let Some(upload) = &self.upload
            && let Err(error) = self.uploads.abort(&self.key, upload).await
        {
            tracing::debug!(%error, "object.upload-not-aborted");
        }
    }

    /// Writes the rest and makes the object. Returns its key.
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
            // Perhaps our own write, whose answer was lost: no other writer uses this key.
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
