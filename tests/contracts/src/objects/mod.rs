//! What every object storage does. See [`domain::ports::objects`] for the contract.

mod links;
mod multipart;
mod whole;

pub use links::*;
pub use multipart::*;
pub use whole::*;

use bytes::Bytes;
use domain::ports::objects::{MultipartUploads, ObjectReader, ObjectSweeper, ObjectWriter};

/// Everything that storage does apart from links.
pub trait Objects: ObjectReader + ObjectWriter + MultipartUploads + ObjectSweeper {}

impl<T: ObjectReader + ObjectWriter + MultipartUploads + ObjectSweeper> Objects for T {}

const MIB: usize = 1024 * 1024;
const TYPE: &str = "application/octet-stream";

/// `length` bytes that differ from place to place and from `seed` to `seed`.
fn noise(seed: u8, length: usize) -> Bytes {
    let mut state = u32::from(seed).wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

async fn read(objects: &dyn Objects, key: &str) -> Bytes {
    objects.read(key, None).await.expect("read")
}

async fn put(objects: &dyn Objects, key: &str, bytes: &Bytes) -> domain::ports::objects::ETag {
    objects.write_new(key, bytes.clone(), TYPE).await.expect("written")
}
