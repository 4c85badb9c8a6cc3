//! The contract of every object storage. See [`domain::ports::storage`].

mod links;
mod multipart;
mod whole;

pub use links::*;
pub use multipart::*;
pub use whole::*;

use bytes::Bytes;
use domain::ports::storage::{BlobReader, BlobSweeper, BlobWriter, MultipartUploads};

/// All ports of storage except links.
pub trait Storage: BlobReader + BlobWriter + MultipartUploads + BlobSweeper {}

impl<T: BlobReader + BlobWriter + MultipartUploads + BlobSweeper> Storage for T {}

const MIB: usize = 1024 * 1024;
const TYPE: &str = "application/octet-stream";

/// `length` bytes that differ at every place and for every `seed`.
fn noise(seed: u8, length: usize) -> Bytes {
    let mut state = u32::from(seed).wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

async fn read(blobs: &dyn Storage, key: &str) -> Bytes {
    blobs.read(key, None).await.expect("read")
}

async fn put(blobs: &dyn Storage, key: &str, bytes: &Bytes) -> domain::ports::storage::ETag {
    blobs.write_new(key, bytes.clone(), TYPE).await.expect("written")
}
