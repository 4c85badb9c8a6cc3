//! Uploads in parts.

use bytes::Bytes;
use domain::ports::objects::{CopySource, ETag, StorageError, UploadId, UploadedPart};

use super::{MIB, Objects, TYPE, noise, put, read};

async fn begin(objects: &dyn Objects, key: &str) -> UploadId {
    objects.begin(key, TYPE).await.expect("begun")
}

async fn write(objects: &dyn Objects, key: &str, upload: &UploadId, number: u16, bytes: &Bytes) -> UploadedPart {
    objects.write_part(key, upload, number, bytes.clone()).await.expect("part written")
}

fn joined(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

fn absent(key: &str) -> StorageError {
    StorageError::Absent(key.to_owned())
}

/// Parts written in any order make an object, and the upload is over with that.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn parts_make_an_object(objects: &dyn Objects) {
    let (first, second) = (noise(1, 5 * MIB), noise(2, 1_000));
    let upload = begin(objects, "t/a").await;
    assert_eq!(objects.parts("t/a", &upload).await, Ok(Some(Vec::new())));
    let two = write(objects, "t/a", &upload, 7, &second).await;
    let one = write(objects, "t/a", &upload, 2, &first).await;
    assert_eq!((one.number, one.size, two.size), (2, 5 * MIB as u64, 1_000));
    let parts = vec![one, two];
    assert_eq!(objects.parts("t/a", &upload).await, Ok(Some(parts.clone())));
    assert_eq!(objects.head("t/a").await, Ok(None), "nothing is there before the upload is complete");

    let etag = objects.complete_new("t/a", &upload, &parts).await.expect("complete");

    let info = objects.head("t/a").await.expect("answered").expect("complete");
    assert_eq!((info.size, info.etag), (5 * MIB as u64 + 1_000, etag));
    assert_eq!(read(objects, "t/a").await, joined(&[&first, &second]));
    assert_eq!(objects.parts("t/a", &upload).await, Ok(None));
    assert_eq!(objects.write_part("t/a", &upload, 8, second).await, Err(absent("t/a")));
}

/// A part that is written again replaces the former one.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn a_part_written_again_replaces_the_former(objects: &dyn Objects) {
    let upload = begin(objects, "t/a").await;
    let former = write(objects, "t/a", &upload, 1, &noise(1, 500)).await;
    let part = write(objects, "t/a", &upload, 1, &noise(2, 600)).await;
    assert_ne!(former.etag, part.etag);
    let outcome = objects.complete_new("t/a", &upload, &[former]).await;
    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");

    objects.complete_new("t/a", &upload, &[part]).await.expect("complete");

    assert_eq!(read(objects, "t/a").await, noise(2, 600));
}

/// Ranges of other objects become parts without passing through the caller.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn ranges_of_objects_become_parts(objects: &dyn Objects) {
    let source = noise(3, 6 * MIB);
    // A name that has to be encoded on its way.
    let key = "t/segments/ü +%25&?.deflate";
    let etag = put(objects, key, &source).await;
    let upload = begin(objects, "t/archive").await;
    let from = |range| CopySource { key: key.to_owned(), etag: etag.clone(), range };

    let length = source.len() as u64;
    let copied = objects.copy_part("t/archive", &upload, 1, &from(1_000..length)).await.expect("copied");
    let tail = objects.copy_part("t/archive", &upload, 2, &from(0..1_000)).await.expect("copied");
    assert_eq!((copied.size, tail.size), (length - 1_000, 1_000));
    objects.complete_new("t/archive", &upload, &[copied, tail]).await.expect("complete");

    assert_eq!(read(objects, "t/archive").await, joined(&[&source.slice(1_000..), &source.slice(..1_000)]));
}

/// A copy is refused when its source is another object than meant. LocalStack does not enforce it.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn copies_need_the_source_that_was_meant(objects: &dyn Objects) {
    put(objects, "t/source", &noise(3, 6 * MIB)).await;
    let upload = begin(objects, "t/archive").await;
    let other = ETag("\"0123456789abcdef0123456789abcdef\"".to_owned());
    let source = CopySource { key: "t/source".to_owned(), etag: other, range: 0..100 };

    let outcome = objects.copy_part("t/archive", &upload, 1, &source).await;

    assert_eq!(outcome, Err(StorageError::Changed("t/source".to_owned())));
    assert_eq!(objects.parts("t/archive", &upload).await, Ok(Some(Vec::new())));
}

/// A copy is refused when its source is gone or shorter than the range, or the range is empty.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn copies_need_a_source_with_that_range(objects: &dyn Objects) {
    let etag = put(objects, "t/source", &noise(3, 6 * MIB)).await;
    let upload = begin(objects, "t/archive").await;
    let copy = async |key: &str, range| {
        let source = CopySource { key: key.to_owned(), etag: etag.clone(), range };
        objects.copy_part("t/archive", &upload, 1, &source).await
    };

    assert_eq!(copy("t/absent", 0..100).await, Err(absent("t/absent")));
    for range in [0..6 * MIB as u64 + 1, 5..5] {
        let outcome = copy("t/source", range).await;
        assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
    }
    assert_eq!(objects.parts("t/archive", &upload).await, Ok(Some(Vec::new())));
}

/// An upload does not replace an object that is there when it is completed.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn an_upload_does_not_replace_an_object(objects: &dyn Objects) {
    let upload = begin(objects, "t/a").await;
    let part = write(objects, "t/a", &upload, 1, &noise(1, 500)).await;
    put(objects, "t/a", &noise(2, 500)).await;

    let outcome = objects.complete_new("t/a", &upload, &[part]).await;

    assert_eq!(outcome, Err(StorageError::AlreadyExists("t/a".to_owned())));
    assert_eq!(read(objects, "t/a").await, noise(2, 500));
    assert_eq!(objects.abort("t/a", &upload).await, Ok(()));
}

/// Completing names parts that are there; what was refused can still be completed.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn completing_names_parts_that_are_there(objects: &dyn Objects) {
    let upload = begin(objects, "t/a").await;
    let one = write(objects, "t/a", &upload, 1, &noise(1, 5 * MIB)).await;
    let two = write(objects, "t/a", &upload, 2, &noise(2, 5 * MIB)).await;
    let missing = UploadedPart { number: 3, ..two.clone() };
    let outcome = objects.complete_new("t/a", &upload, &[one.clone(), missing]).await;
    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
    assert_eq!(objects.head("t/a").await, Ok(None));
    objects.complete_new("t/a", &upload, &[one, two]).await.expect("complete");
}

/// An upload that was ended, or that never was, is absent; ending it again is fine.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn an_aborted_upload_is_over(objects: &dyn Objects) {
    let upload = begin(objects, "t/a").await;
    let part = write(objects, "t/a", &upload, 1, &noise(1, 500)).await;

    assert_eq!(objects.abort("t/a", &upload).await, Ok(()));
    assert_eq!(objects.abort("t/a", &upload).await, Ok(()));

    assert_eq!(objects.parts("t/a", &upload).await, Ok(None));
    assert_eq!(objects.complete_new("t/a", &upload, &[part]).await, Err(absent("t/a")));
    assert_eq!(objects.head("t/a").await, Ok(None));
}

/// Uploads below a prefix are ended; others go on, and finished objects stay.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn all_uploads_below_a_prefix_are_aborted(objects: &dyn Objects) {
    let (one, other) = (begin(objects, "t/a.1").await, begin(objects, "t/a.2").await);
    write(objects, "t/a.1", &one, 1, &noise(1, 500)).await;
    let elsewhere = begin(objects, "t/b").await;
    objects.write_new("t/a.3", noise(1, 500), "text/csv").await.expect("a new object");

    assert_eq!(objects.abort_all("t/a.").await, Ok(2));
    assert_eq!(objects.abort_all("t/a.").await, Ok(0));

    assert_eq!((objects.parts("t/a.1", &one).await, objects.parts("t/a.2", &other).await), (Ok(None), Ok(None)));
    assert_eq!(objects.parts("t/b", &elsewhere).await, Ok(Some(Vec::new())));
    assert!(objects.head("t/a.3").await.expect("it answers").is_some());
    assert!(objects.abort_all("").await.is_err());
}

/// Completing names parts in order, and at least one. MiniStack does not enforce it.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn completing_names_parts_in_order(objects: &dyn Objects) {
    let upload = begin(objects, "t/a").await;
    let one = write(objects, "t/a", &upload, 1, &noise(1, 5 * MIB)).await;
    let two = write(objects, "t/a", &upload, 2, &noise(2, 5 * MIB)).await;

    for parts in [vec![two, one], Vec::new()] {
        let outcome = objects.complete_new("t/a", &upload, &parts).await;
        assert!(matches!(outcome, Err(StorageError::Refused(_))), "{parts:?}: {outcome:?}");
    }
    assert_eq!(objects.head("t/a").await, Ok(None));
}

/// All parts but the last must have 5 MiB. MiniStack does not enforce it.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn small_parts_are_refused_unless_last(objects: &dyn Objects) {
    let upload = begin(objects, "t/a").await;
    let small = write(objects, "t/a", &upload, 1, &noise(1, 5 * MIB - 1)).await;
    let last = write(objects, "t/a", &upload, 2, &noise(2, 1)).await;

    let outcome = objects.complete_new("t/a", &upload, &[small, last]).await;

    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
    assert_eq!(objects.head("t/a").await, Ok(None));
}

/// Ranges are copied only from sources larger than 5 MiB. Neither MiniStack nor LocalStack enforces it.
///
/// # Panics
/// When the storage breaks its contract.
pub async fn ranges_of_small_objects_are_not_copied(objects: &dyn Objects) {
    let etag = put(objects, "t/source", &noise(3, 5 * MIB)).await;
    let upload = begin(objects, "t/archive").await;
    let source = CopySource { key: "t/source".to_owned(), etag, range: 0..1_000 };

    let outcome = objects.copy_part("t/archive", &upload, 1, &source).await;

    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
}
