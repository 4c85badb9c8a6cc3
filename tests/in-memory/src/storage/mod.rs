//! Object storage in memory, with S3's rules.

mod multipart;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::ports::storage::{
    BlobInfo, BlobReader, BlobSweeper, BlobWriter, CopySource, DownloadLinks, ETag, StorageError,
};
use secrecy::SecretString;

use self::multipart::Upload;
use crate::lock;

/// The longest that a link can be valid.
const LONGEST_LINK: Duration = Duration::from_hours(7 * 24);

/// Keeps objects and unfinished uploads in maps.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    state: Mutex<State>,
}

/// Silent damage to the bytes of an object: its `ETag` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of the byte at this place is another one.
    Altered(usize),
    /// This number of bytes at its end is missing.
    Cut(usize),
}

#[derive(Debug, Default)]
struct State {
    /// What happens to objects when they are written, by what their key ends with.
    damages: Vec<(String, Damage)>,
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    uploads_begun: u64,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    etag: ETag,
    content_type: String,
}

impl MemoryStorage {
    pub fn new() -> Self {
        Self::default()
    }

    /// The keys that begin with `prefix`, in order.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        lock(&self.state).objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// The content type with which an object was written.
    pub fn content_type(&self, key: &str) -> Option<String> {
        lock(&self.state).objects.get(key).map(|object| object.content_type.clone())
    }

    /// How many uploads are neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        lock(&self.state).uploads.len()
    }

    /// Damages an object.
    ///
    /// # Panics
    /// When there is no such object, or it is too small.
    pub fn damage(&self, key: &str, damage: Damage) {
        let mut state = lock(&self.state);
        let object = state.objects.get_mut(key).expect("an object to damage");
        object.bytes = damage.done_to(&object.bytes);
    }

    /// Damages each object that is written from now on and of which the key ends with `ending`.
    pub fn damage_when_written(&self, ending: &str, damage: Damage) {
        lock(&self.state).damages.push((ending.to_owned(), damage));
    }

    /// Replaces the bytes of an object, which no port allows.
    pub fn tamper(&self, key: &str, bytes: impl Into<Bytes>) {
        if let Some(object) = lock(&self.state).objects.get_mut(key) {
            object.bytes = bytes.into();
            object.etag = etag_of(&object.bytes);
        }
    }
}

impl Damage {
    fn done_to(self, bytes: &Bytes) -> Bytes {
        match self {
            Self::Altered(place) => {
                let mut altered = bytes.to_vec();
                altered[place] ^= 1;
                altered.into()
            }
            Self::Cut(gone) => bytes.slice(..bytes.len() - gone),
        }
    }
}

/// An `ETag` that depends on the content, as S3's do.
fn etag_of(bytes: &[u8]) -> ETag {
    ETag(format!("\"{:016x}\"", digest(bytes)))
}

fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn refused(why: impl Into<String>) -> StorageError {
    StorageError::Refused(why.into())
}

impl Object {
    fn new(bytes: Bytes, etag: ETag, content_type: &str) -> Self {
        Self { bytes, etag, content_type: content_type.to_owned() }
    }

    /// The bytes of `range`, which must be inside of the object and not empty.
    fn slice(&self, key: &str, range: &Range<u64>) -> Result<Bytes, StorageError> {
        if range.is_empty() || range.end > self.bytes.len() as u64 {
            return Err(refused(format!("a range that is not inside of '{key}'")));
        }
        let place = |at: u64| usize::try_from(at).map_err(|_| refused("a range past the address space"));
        Ok(self.bytes.slice(place(range.start)?..place(range.end)?))
    }
}

impl State {
    fn object(&self, key: &str) -> Result<&Object, StorageError> {
        self.objects.get(key).ok_or_else(|| StorageError::Absent(key.to_owned()))
    }

    fn insert_new(&mut self, key: &str, mut object: Object) -> Result<ETag, StorageError> {
        if self.objects.contains_key(key) {
            return Err(StorageError::AlreadyExists(key.to_owned()));
        }
        for (_, damage) in self.damages.iter().filter(|(ending, _)| key.ends_with(ending)) {
            object.bytes = damage.done_to(&object.bytes);
        }
        let etag = object.etag.clone();
        self.objects.insert(key.to_owned(), object);
        Ok(etag)
    }
}

#[async_trait]
impl BlobReader for MemoryStorage {
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError> {
        let info = |object: &Object| BlobInfo { etag: object.etag.clone(), size: object.bytes.len() as u64 };
        Ok(lock(&self.state).objects.get(key).map(info))
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        let state = lock(&self.state);
        let object = state.object(key)?;
        match range {
            Some(range) => object.slice(key, &range),
            None => Ok(object.bytes.clone()),
        }
    }

    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError> {
        let state = lock(&self.state);
        let object = state.object(&source.key)?;
        if object.etag != source.etag {
            return Err(StorageError::Changed(source.key.clone()));
        }
        object.slice(&source.key, &source.range)
    }
}

#[async_trait]
impl BlobWriter for MemoryStorage {
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError> {
        let etag = etag_of(&bytes);
        lock(&self.state).insert_new(key, Object::new(bytes, etag, content_type))
    }
}

#[async_trait]
impl BlobSweeper for MemoryStorage {
    async fn sweep(&self, prefix: &str) -> Result<u64, StorageError> {
        if prefix.is_empty() {
            return Err(refused("sweeping everything"));
        }
        let mut state = lock(&self.state);
        let before = state.objects.len() + state.uploads.len();
        state.objects.retain(|key, _| !key.starts_with(prefix));
        state.uploads.retain(|_, upload| !upload.key.starts_with(prefix));
        Ok((before - state.objects.len() - state.uploads.len()) as u64)
    }
}

#[async_trait]
impl DownloadLinks for MemoryStorage {
    async fn link(&self, key: &str, file_name: &str, valid_for: Duration) -> Result<SecretString, StorageError> {
        if valid_for > LONGEST_LINK {
            return Err(refused(format!("a link that is valid for {} s", valid_for.as_secs())));
        }
        Ok(SecretString::from(format!("memory:///{key}?file={file_name}&seconds={}", valid_for.as_secs())))
    }
}
