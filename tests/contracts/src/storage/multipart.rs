//! Uploads in parts.

use bytes::Bytes;
use domain::ports::storage::{CopySource, ETag, StorageError, UploadId, UploadedPart};

use super::{MIB, Storage, TYPE, noise, put, read};

async fn begin(blobs: &dyn Storage, key: &str) -> UploadId {
    blobs.begin(key, TYPE).await.expect("begun")
}

async fn write(blobs: &dyn Storage, key: &str, upload: &UploadId, number: u16, bytes: &Bytes) -> UploadedPart {
    blobs.write_part(key, upload, number, bytes.clone()).await.expect("part written")
}

fn joined(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

fn absent(key: &str) -> StorageError {
    StorageError::Absent(key.to_owned())
}

/// Parts written in any order make an object. That ends the upload.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn parts_make_an_object(blobs: &dyn Storage) {
    let (first, second) = (noise(1, 5 * MIB), noise(2, 1_000));
    let upload = begin(blobs, "t/a").await;
    assert_eq!(blobs.parts("t/a", &upload).await, Ok(Some(Vec::new())));
    let two = write(blobs, "t/a", &upload, 7, &second).await;
    let one = write(blobs, "t/a", &upload, 2, &first).await;
    assert_eq!((one.number, one.size, two.size), (2, 5 * MIB as u64, 1_000));
    let parts = vec![one, two];
    assert_eq!(blobs.parts("t/a", &upload).await, Ok(Some(parts.clone())));
    assert_eq!(blobs.head("t/a").await, Ok(None), "nothing is there before the upload is complete");

    let etag = blobs.complete_new("t/a", &upload, &parts).await.expect("complete");

    let info = blobs.head("t/a").await.expect("answered").expect("complete");
    assert_eq!((info.size, info.etag), (5 * MIB as u64 + 1_000, etag));
    assert_eq!(read(blobs, "t/a").await, joined(&[&first, &second]));
    assert_eq!(blobs.parts("t/a", &upload).await, Ok(None));
    assert_eq!(blobs.write_part("t/a", &upload, 8, second).await, Err(absent("t/a")));
}

/// A part that is written again replaces the earlier one.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_part_written_again_replaces_the_former(blobs: &dyn Storage) {
    let upload = begin(blobs, "t/a").await;
    let former = write(blobs, "t/a", &upload, 1, &noise(1, 500)).await;
    let part = write(blobs, "t/a", &upload, 1, &noise(2, 600)).await;
    assert_ne!(former.etag, part.etag);
    let outcome = blobs.complete_new("t/a", &upload, &[former]).await;
    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");

    blobs.complete_new("t/a", &upload, &[part]).await.expect("complete");

    assert_eq!(read(blobs, "t/a").await, noise(2, 600));
}

/// Ranges of other objects become parts without passing through the caller.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn ranges_of_objects_become_parts(blobs: &dyn Storage) {
    let source = noise(3, 6 * MIB);
    // A key that must be encoded in the request.
    let key = "t/segments/ü +%25&?.deflate";
    let etag = put(blobs, key, &source).await;
    let upload = begin(blobs, "t/archive").await;
    let from = |range| CopySource { key: key.to_owned(), etag: etag.clone(), range };

    let length = source.len() as u64;
    let copied = blobs.copy_part("t/archive", &upload, 1, &from(1_000..length)).await.expect("copied");
    let tail = blobs.copy_part("t/archive", &upload, 2, &from(0..1_000)).await.expect("copied");
    assert_eq!((copied.size, tail.size), (length - 1_000, 1_000));
    blobs.complete_new("t/archive", &upload, &[copied, tail]).await.expect("complete");

    assert_eq!(read(blobs, "t/archive").await, joined(&[&source.slice(1_000..), &source.slice(..1_000)]));
}

/// A copy is refused if its source is not the expected object. LocalStack does not enforce it.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn copies_need_the_source_that_was_meant(blobs: &dyn Storage) {
    put(blobs, "t/source", &noise(3, 6 * MIB)).await;
    let upload = begin(blobs, "t/archive").await;
    let other = ETag("\"0123456789abcdef0123456789abcdef\"".to_owned());
    let source = CopySource { key: "t/source".to_owned(), etag: other, range: 0..100 };

    let outcome = blobs.copy_part("t/archive", &upload, 1, &source).await;

    assert_eq!(outcome, Err(StorageError::Changed("t/source".to_owned())));
    assert_eq!(blobs.parts("t/archive", &upload).await, Ok(Some(Vec::new())));
}

/// A copy is refused if its source is gone or shorter than the range, or if the range is empty.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn copies_need_a_source_with_that_range(blobs: &dyn Storage) {
    let etag = put(blobs, "t/source", &noise(3, 6 * MIB)).await;
    let upload = begin(blobs, "t/archive").await;
    let copy = async |key: &str, range| {
        let source = CopySource { key: key.to_owned(), etag: etag.clone(), range };
        blobs.copy_part("t/archive", &upload, 1, &source).await
    };

    assert_eq!(copy("t/absent", 0..100).await, Err(absent("t/absent")));
    for range in [0..6 * MIB as u64 + 1, 5..5] {
        let outcome = copy("t/source", range).await;
        assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
    }
    assert_eq!(blobs.parts("t/archive", &upload).await, Ok(Some(Vec::new())));
}

/// Completing an upload does not replace an existing object.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn an_upload_does_not_replace_an_object(blobs: &dyn Storage) {
    let upload = begin(blobs, "t/a").await;
    let part = write(blobs, "t/a", &upload, 1, &noise(1, 500)).await;
    put(blobs, "t/a", &noise(2, 500)).await;

    let outcome = blobs.complete_new("t/a", &upload, &[part]).await;

    assert_eq!(outcome, Err(StorageError::AlreadyExists("t/a".to_owned())));
    assert_eq!(read(blobs, "t/a").await, noise(2, 500));
    assert_eq!(blobs.abort("t/a", &upload).await, Ok(()));
}

/// Completing an upload needs parts that exist. After a refusal the upload can still be completed.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn completing_names_parts_that_are_there(blobs: &dyn Storage) {
    let upload = begin(blobs, "t/a").await;
    let one = write(blobs, "t/a", &upload, 1, &noise(1, 5 * MIB)).await;
    let two = write(blobs, "t/a", &upload, 2, &noise(2, 5 * MIB)).await;
    let missing = UploadedPart { number: 3, ..two.clone() };
    let outcome = blobs.complete_new("t/a", &upload, &[one.clone(), missing]).await;
    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
    assert_eq!(blobs.head("t/a").await, Ok(None));
    blobs.complete_new("t/a", &upload, &[one, two]).await.expect("complete");
}

/// An upload that was aborted, or never existed, is absent. Aborting it again succeeds.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn an_aborted_upload_is_over(blobs: &dyn Storage) {
    let upload = begin(blobs, "t/a").await;
    let part = write(blobs, "t/a", &upload, 1, &noise(1, 500)).await;

    assert_eq!(blobs.abort("t/a", &upload).await, Ok(()));
    assert_eq!(blobs.abort("t/a", &upload).await, Ok(()));

    assert_eq!(blobs.parts("t/a", &upload).await, Ok(None));
    assert_eq!(blobs.complete_new("t/a", &upload, &[part]).await, Err(absent("t/a")));
    assert_eq!(blobs.head("t/a").await, Ok(None));
}

/// Uploads below a prefix are aborted. Others continue, and finished objects stay.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn all_uploads_below_a_prefix_are_aborted(blobs: &dyn Storage) {
    let (one, other) = (begin(blobs, "t/a.1").await, begin(blobs, "t/a.2").await);
    write(blobs, "t/a.1", &one, 1, &noise(1, 500)).await;
    let elsewhere = begin(blobs, "t/b").await;
    blobs.write_new("t/a.3", noise(1, 500), "text/csv").await.expect("a new object");

    assert_eq!(blobs.abort_all("t/a.").await, Ok(2));
    assert_eq!(blobs.abort_all("t/a.").await, Ok(0));

    assert_eq!((blobs.parts("t/a.1", &one).await, blobs.parts("t/a.2", &other).await), (Ok(None), Ok(None)));
    assert_eq!(blobs.parts("t/b", &elsewhere).await, Ok(Some(Vec::new())));
    assert!(blobs.head("t/a.3").await.expect("it answers").is_some());
    assert!(blobs.abort_all("").await.is_err());
}

/// Completing an upload needs its parts in order, and at least one. MiniStack does not enforce it.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn completing_names_parts_in_order(blobs: &dyn Storage) {
    let upload = begin(blobs, "t/a").await;
    let one = write(blobs, "t/a", &upload, 1, &noise(1, 5 * MIB)).await;
    let two = write(blobs, "t/a", &upload, 2, &noise(2, 5 * MIB)).await;

    for parts in [vec![two, one], Vec::new()] {
        let outcome = blobs.complete_new("t/a", &upload, &parts).await;
        assert!(matches!(outcome, Err(StorageError::Refused(_))), "{parts:?}: {outcome:?}");
    }
    assert_eq!(blobs.head("t/a").await, Ok(None));
}

/// All parts but the last must have at least 5 MiB. MiniStack does not enforce it.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn small_parts_are_refused_unless_last(blobs: &dyn Storage) {
    let upload = begin(blobs, "t/a").await;
    let small = write(blobs, "t/a", &upload, 1, &noise(1, 5 * MIB - 1)).await;
    let last = write(blobs, "t/a", &upload, 2, &noise(2, 1)).await;

    let outcome = blobs.complete_new("t/a", &upload, &[small, last]).await;

    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
    assert_eq!(blobs.head("t/a").await, Ok(None));
}

/// Ranges are copied only from sources larger than 5 MiB. Neither MiniStack nor LocalStack enforces it.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn ranges_of_small_objects_are_not_copied(blobs: &dyn Storage) {
    let etag = put(blobs, "t/source", &noise(3, 5 * MIB)).await;
    let upload = begin(blobs, "t/archive").await;
    let source = CopySource { key: "t/source".to_owned(), etag, range: 0..1_000 };

    let outcome = blobs.copy_part("t/archive", &upload, 1, &source).await;

    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
}
