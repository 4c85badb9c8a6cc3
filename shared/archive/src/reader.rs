//! Reading archives: listing and checking files, and inflating slices of one CSV straight from the zip.

use async_zip::base::read1::ZipOptions;
use async_zip::base::read1::seek::ZipArchiveReader;
use async_zip::error::ZipError;
use async_zip::spec::constructs::CDR;
use async_zip::spec::extra::EFD;
use flate2::{Decompress, DecompressError, FlushDecompress, Status};
use futures_lite::{AsyncBufRead, AsyncReadExt, AsyncSeek};

use crate::digests::Digests;
use crate::manifest::Part;

/// No archive has more entries. A zip with more is not an archive of ours.
const MOST_ENTRIES: u64 = 100_000;
/// No archive has a longer central directory.
const LARGEST_DIRECTORY: u64 = 64 * 1024 * 1024;
/// How far the buffer of plain bytes grows each time.
const OUTPUT_STEP: usize = 64 * 1024;

/// A file in the central directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedFile {
    pub name: String,
    pub bytes: u64,
    pub packed_bytes: u64,
    pub crc32: u32,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not have this crate's layout, or no longer. A retry does not help.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// Its bytes could not be read from their source. A retry can help.
    #[error("the archive cannot be read: {0}")]
    Source(std::io::Error),
}

impl ReadError {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let undecodable = error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<DecompressError>);
        if undecodable || matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) {
            Self::Damaged(error.to_string())
        } else {
            Self::Source(error)
        }
    }
}

impl From<ZipError> for ReadError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::UpstreamReadError(error) => error.into(),
            // Its text is a page long and names source files.
            ZipError::BinaryParseError(_) => Self::Damaged("a zip record is malformed".to_owned()),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Lists the files of an archive, in archive order. Reads only its central directory.
///
/// # Errors
/// [`ReadError`].
pub async fn files<R: AsyncBufRead + AsyncSeek + Unpin>(source: R) -> Result<Vec<ArchivedFile>, ReadError> {
    describe(&open(source).await?)
}

/// Reads all of an archive and checks every file against its size and CRC-32, and every local header against the
/// central directory. Only a buffer of it is in memory. Returns the list of files, as [`files`] does.
///
/// # Errors
/// [`ReadError::Damaged`] if the archive contradicts itself; others.
pub async fn verify<R: AsyncBufRead + AsyncSeek + Unpin>(source: R) -> Result<Vec<ArchivedFile>, ReadError> {
    let mut archive = open(source).await?;
    let files = describe(&archive)?;
    let mut buffer = vec![0; OUTPUT_STEP];
    for place in 0..files.len() {
        let mut file = archive.file(place).await?;
        // The library compares size and CRC when it meets the end.
        while file.read(&mut buffer).await? > 0 {}
    }
    Ok(files)
}

/// Reads a whole file of an archive, for small files such as the manifest. None if there is no such file.
///
/// # Errors
/// [`ReadError::Damaged`] also if the file is larger than `at_most` bytes; others.
pub async fn read_file<R>(source: R, name: &str, at_most: u64) -> Result<Option<Vec<u8>>, ReadError>
where
    R: AsyncBufRead + AsyncSeek + Unpin,
{
    let mut archive = open(source).await?;
    let files = describe(&archive)?;
    let Some(place) = files.iter().position(|file| file.name == name) else { return Ok(None) };
    if files[place].bytes > at_most {
        return Err(ReadError::Damaged(format!("'{name}' is larger than {at_most} bytes")));
    }
    let mut bytes = Vec::new();
    archive.file(place).await?.take(at_most + 1).read_to_end(&mut bytes).await?;
    Ok(Some(bytes))
}

async fn open<R: AsyncBufRead + AsyncSeek + Unpin>(source: R) -> Result<ZipArchiveReader<R>, ReadError> {
    let options = ZipOptions {
        max_cd_num_files: MOST_ENTRIES,
        max_cd_num_files_load: MOST_ENTRIES,
        max_cd_size_in_bytes: LARGEST_DIRECTORY,
        ..ZipOptions::default()
    };
    let archive = ZipArchiveReader::open_with_options(source, options).await?;
    // The library expects a ZIP64 offset without a check if the header announces one.
    if archive.cdrs().iter().any(lacks_offset) {
        return Err(ReadError::Damaged("a file's place is missing".to_owned()));
    }
    Ok(archive)
}

fn lacks_offset(record: &CDR) -> bool {
    let has_offset = |data: &EFD| matches!(data, EFD::EI64(zip64) if zip64.relative_offset.is_some());
    record.cdrh.lfh_offset == u32::MAX && !record.efs.iter().any(|field| has_offset(&field.efd))
}

fn describe<R>(archive: &ZipArchiveReader<R>) -> Result<Vec<ArchivedFile>, ReadError> {
    let describe = |record: &CDR| {
        Ok(ArchivedFile {
            name: String::from_utf8_lossy(record.insecure_file_name.as_bytes()).into_owned(),
            bytes: record.uncompressed_size()?,
            packed_bytes: record.compressed_size()?,
            crc32: record.cdrh.crc,
        })
    };
    archive.cdrs().iter().map(describe).collect()
}

/// A slice of an archive that is not the expected part. A retry helps only if the bytes were damaged on their way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SliceError {
    /// The bytes are not those of a segment.
    #[error("the slice is not a DEFLATE segment")]
    NotASegment,
    /// It holds more or fewer bytes than the manifest says.
    #[error("the slice does not hold the {expected} bytes that the manifest states")]
    Length { expected: u64 },
    /// Its CRC-32 is not the manifest's.
    #[error("the slice's CRC-32 is not the manifest's")]
    Crc32,
    /// Its SHA-256 is not the manifest's.
    #[error("the slice's SHA-256 is not the manifest's")]
    Sha256,
}

/// Inflates one part of a CSV from packed bytes in pieces, and checks it against the manifest.
#[derive(Debug)]
pub struct SliceReader {
    inflate: Decompress,
    digests: Digests,
    length: u64,
    crc32: u32,
    sha256: String,
}

impl SliceReader {
    /// A reader that checks the bytes of `part`.
    pub fn new(part: &Part) -> Self {
        Self {
            inflate: Decompress::new(false),
            digests: Digests::default(),
            length: part.length,
            crc32: part.crc32,
            sha256: part.sha256.clone(),
        }
    }

    /// Inflates the next `packed` bytes and appends the CSV bytes to `plain`. They are only reliable after
    /// [`SliceReader::finish`].
    ///
    /// # Errors
    /// [`SliceError`], at the latest when the part's length is exceeded, so that memory does not grow without bound.
    pub fn read(&mut self, packed: &[u8], plain: &mut Vec<u8>) -> Result<(), SliceError> {
        let start = self.inflate.total_in();
        loop {
            let taken = usize::try_from(self.inflate.total_in() - start).unwrap_or(packed.len());
            let before = plain.len();
            plain.reserve(OUTPUT_STEP);
            let status = self
                .inflate
                .decompress_vec(&packed[taken..], plain, FlushDecompress::None)
                .map_err(|_| SliceError::NotASegment)?;
            self.digests.update(&plain[before..]);
            if status == Status::StreamEnd {
                return Err(SliceError::NotASegment);
            }
            if self.inflate.total_out() > self.length {
                return Err(SliceError::Length { expected: self.length });
            }
            let all_taken = self.inflate.total_in() - start == packed.len() as u64;
            if all_taken && plain.len() < plain.capacity() {
                return Ok(());
            }
        }
    }

    /// Checks that all bytes have come and are correct.
    ///
    /// # Errors
    /// [`SliceError`].
    pub fn finish(self) -> Result<(), SliceError> {
        if self.inflate.total_out() != self.length {
            return Err(SliceError::Length { expected: self.length });
        }
        let (crc32, sha256) = self.digests.finish();
        if crc32 != self.crc32 {
            return Err(SliceError::Crc32);
        }
        if sha256 == self.sha256 { Ok(()) } else { Err(SliceError::Sha256) }
    }
}

/// Inflates a whole part from its packed bytes, and checks it.
///
/// # Errors
/// [`SliceError`].
pub fn inflate_slice(packed: &[u8], part: &Part) -> Result<Vec<u8>, SliceError> {
    let mut plain = Vec::new();
    let mut reader = SliceReader::new(part);
    reader.read(packed, &mut plain)?;
    reader.finish()?;
    Ok(plain)
}
