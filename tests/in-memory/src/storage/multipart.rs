//! Uploads in parts, with S3's rules about their sizes and order.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use domain::ports::storage::{CopySource, ETag, MultipartUploads, StorageError, UploadId, UploadedPart};

use super::{MemoryStorage, Object, State, digest, etag_of, refused};
use crate::lock;

/// The smallest size of every part but the last. A source of copied ranges must be larger than that.
const MIN_PART: u64 = 5 * 1024 * 1024;
/// The largest size of a part.
const MAX_PART: u64 = 5 * 1024 * 1024 * 1024;
/// The highest number of a part.
const MAX_PARTS: u16 = 10_000;

#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    content_type: String,
    parts: BTreeMap<u16, Part>,
}

#[derive(Debug)]
struct Part {
    bytes: Bytes,
    etag: ETag,
}

impl Part {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl State {
    fn upload(&mut self, key: &str, upload: &UploadId) -> Result<&mut Upload, StorageError> {
        let found = self.uploads.get_mut(&upload.0).filter(|upload| upload.key == key);
        found.ok_or_else(|| StorageError::Absent(key.to_owned()))
    }
}

impl Upload {
    fn put(&mut self, number: u16, bytes: Bytes) -> Result<UploadedPart, StorageError> {
        if number == 0 || number > MAX_PARTS {
            return Err(refused(format!("InvalidArgument: part number {number}")));
        }
        if bytes.len() as u64 > MAX_PART {
            return Err(refused("EntityTooLarge"));
        }
        let part = Part { etag: etag_of(&bytes), bytes };
        let uploaded = UploadedPart { number, etag: part.etag.clone(), size: part.size() };
        self.parts.insert(number, part);
        Ok(uploaded)
    }

    /// The object that `named` parts make.
    fn joined(&self, named: &[UploadedPart]) -> Result<Object, StorageError> {
        if named.is_empty() || !named.is_sorted_by(|one, next| one.number < next.number) {
            return Err(refused("InvalidPartOrder"));
        }
        let mut bytes = BytesMut::new();
        for (place, name) in named.iter().enumerate() {
            let part = self.parts.get(&name.number).filter(|part| part.etag == name.etag);
            let part = part.ok_or_else(|| refused(format!("InvalidPart: {}", name.number)))?;
            if place + 1 < named.len() && part.size() < MIN_PART {
                return Err(refused(format!("EntityTooSmall: part {}", name.number)));
            }
            bytes.extend_from_slice(&part.bytes);
        }
        let etags: Vec<_> = named.iter().map(|part| &part.etag).collect();
        let etag = ETag(format!("\"{:016x}-{}\"", digest(etags), named.len()));
        Ok(Object::new(bytes.freeze(), etag, &self.content_type))
    }
}

#[async_trait]
impl MultipartUploads for MemoryStorage {
    async fn begin(&self, key: &str, content_type: &str) -> Result<UploadId, StorageError> {
        let mut state = lock(&self.state);
        state.uploads_begun += 1;
        let id = format!("upload-{}", state.uploads_begun);
        let upload = Upload { key: key.to_owned(), content_type: content_type.to_owned(), parts: BTreeMap::new() };
        state.uploads.insert(id.clone(), upload);
        Ok(UploadId(id))
    }

    async fn write_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<UploadedPart, StorageError> {
        lock(&self.state).upload(key, upload)?.put(number, bytes)
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        source: &CopySource,
    ) -> Result<UploadedPart, StorageError> {
        let mut state = lock(&self.state);
        let object = state.object(&source.key)?;
        if object.etag != source.etag {
            return Err(StorageError::Changed(source.key.clone()));
        }
        if object.bytes.len() as u64 <= MIN_PART {
            return Err(refused("InvalidRequest: a range of a source of 5 MiB or less"));
        }
        let bytes = object.slice(&source.key, &source.range)?;
        state.upload(key, upload)?.put(number, bytes)
    }

    async fn parts(&self, key: &str, upload: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError> {
        let mut state = lock(&self.state);
        let uploaded = |(number, part): (&u16, &Part)| UploadedPart {
            number: *number,
            etag: part.etag.clone(),
            size: part.size(),
        };
        Ok(state.upload(key, upload).ok().map(|upload| upload.parts.iter().map(uploaded).collect()))
    }

    async fn complete_new(&self, key: &str, upload: &UploadId, parts: &[UploadedPart]) -> Result<ETag, StorageError> {
        let mut state = lock(&self.state);
        let object = state.upload(key, upload)?.joined(parts)?;
        let etag = state.insert_new(key, object)?;
        state.uploads.remove(&upload.0);
        Ok(etag)
    }

    async fn abort(&self, key: &str, upload: &UploadId) -> Result<(), StorageError> {
        let mut state = lock(&self.state);
        if state.upload(key, upload).is_ok() {
            state.uploads.remove(&upload.0);
        }
        Ok(())
    }

    async fn abort_all(&self, prefix: &str) -> Result<u64, StorageError> {
        if prefix.is_empty() {
            return Err(refused("aborting everything"));
        }
        let mut state = lock(&self.state);
        let before = state.uploads.len();
        state.uploads.retain(|_, upload| !upload.key.starts_with(prefix));
        Ok((before - state.uploads.len()) as u64)
    }
}
