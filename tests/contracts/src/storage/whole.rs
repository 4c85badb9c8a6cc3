//! Whole objects: writing, reading, sweeping.

use bytes::Bytes;
use domain::ports::storage::{CopySource, ETag, StorageError};
use futures_util::{StreamExt, stream};

use super::{Storage, TYPE, noise, put, read};

/// An object that was never written is absent.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn an_absent_object_is_absent(blobs: &dyn Storage) {
    assert_eq!(blobs.head("t/absent").await, Ok(None));
    for range in [None, Some(0..1)] {
        assert_eq!(blobs.read("t/absent", range).await, Err(StorageError::Absent("t/absent".to_owned())));
    }
}

/// Objects are read as they were written, whole and in ranges, including an empty one.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn objects_are_read_as_they_were_written(blobs: &dyn Storage) {
    let bytes = noise(1, 100_000);
    let etag = put(blobs, "t/a", &bytes).await;
    put(blobs, "t/empty", &Bytes::new()).await;

    let info = blobs.head("t/a").await.expect("answered").expect("written");
    assert_eq!((info.size, info.etag), (100_000, etag));
    assert_eq!(read(blobs, "t/a").await, bytes);
    for (from, to) in [(0_u32, 1_u32), (99_999, 100_000), (500, 70_000), (0, 100_000)] {
        let expected = bytes.slice(from as usize..to as usize);
        assert_eq!(blobs.read("t/a", Some(from.into()..to.into())).await, Ok(expected), "{from} to {to}");
    }
    assert_eq!(read(blobs, "t/empty").await, Bytes::new());
}

/// A range that is empty or not inside the object is refused, not cut.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn ranges_outside_of_the_object_are_refused(blobs: &dyn Storage) {
    put(blobs, "t/a", &noise(1, 1_000)).await;
    for range in [0..0, 7..7, 0..1_001, 999..1_001, 1_000..1_001, 5_000..6_000] {
        let outcome = blobs.read("t/a", Some(range.clone())).await;
        assert!(matches!(outcome, Err(StorageError::Refused(_))), "{range:?}: {outcome:?}");
    }
}

/// A range is read only while the object is the expected one.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_source_is_read_unless_it_has_changed(blobs: &dyn Storage) {
    let bytes = noise(1, 1_000);
    let etag = put(blobs, "t/a", &bytes).await;
    let other = put(blobs, "t/b", &noise(2, 1_000)).await;
    let from = |key: &str, etag: &ETag| CopySource { key: key.to_owned(), etag: etag.clone(), range: 10..900 };

    assert_eq!(blobs.read_source(&from("t/a", &etag)).await, Ok(bytes.slice(10..900)));
    assert_eq!(blobs.read_source(&from("t/a", &other)).await, Err(StorageError::Changed("t/a".to_owned())));
    assert_eq!(blobs.read_source(&from("t/c", &etag)).await, Err(StorageError::Absent("t/c".to_owned())));
}

/// An object is not overwritten, and different contents have different `ETag`s.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn an_object_is_not_written_over(blobs: &dyn Storage) {
    let (one, two) = (noise(1, 1_000), noise(2, 1_000));
    let etag = put(blobs, "t/a", &one).await;
    assert_ne!(put(blobs, "t/b", &two).await, etag);

    let again = blobs.write_new("t/a", two, TYPE).await;

    assert_eq!(again, Err(StorageError::AlreadyExists("t/a".to_owned())));
    assert_eq!(read(blobs, "t/a").await, one);
}

/// Of several simultaneous writes of one object exactly one wins.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn one_writer_of_several_at_once_wins(blobs: &dyn Storage) {
    for round in 0..10 {
        let key = format!("t/{round}");
        let rivals = (0_u8..4).map(|rival| blobs.write_new(&key, noise(rival, 2_000), TYPE));
        let outcomes = futures_util::future::join_all(rivals).await;
        let winners: Vec<_> = (0_u8..4).filter(|rival| outcomes[usize::from(*rival)].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert_eq!(read(blobs, &key).await, noise(winners[0], 2_000));
    }
}

/// A sweep removes every object and every unfinished upload below its prefix and nothing else. It can be repeated.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_sweep_takes_what_is_below_its_prefix(blobs: &dyn Storage) {
    for key in ["t/a/1", "t/a/2/3", "t/ab", "t/b/1"] {
        put(blobs, key, &noise(1, 10)).await;
    }
    let swept = blobs.begin("t/a/upload", TYPE).await.expect("begun");
    let kept = blobs.begin("t/b/upload", TYPE).await.expect("begun");

    assert_eq!(blobs.sweep("t/a/").await, Ok(3));
    assert_eq!(blobs.sweep("t/a/").await, Ok(0));

    assert_eq!(blobs.head("t/a/1").await, Ok(None));
    assert_eq!(blobs.head("t/a/2/3").await, Ok(None));
    assert!(blobs.head("t/ab").await.expect("answered").is_some());
    assert!(blobs.head("t/b/1").await.expect("answered").is_some());
    assert_eq!(blobs.parts("t/a/upload", &swept).await, Ok(None));
    assert_eq!(blobs.parts("t/b/upload", &kept).await, Ok(Some(Vec::new())));
}

/// A sweep of everything is refused.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_sweep_needs_a_prefix(blobs: &dyn Storage) {
    put(blobs, "t/a", &noise(1, 10)).await;

    let outcome = blobs.sweep("").await;

    assert!(matches!(outcome, Err(StorageError::Refused(_))), "{outcome:?}");
    assert!(blobs.head("t/a").await.expect("answered").is_some());
}

/// A sweep continues after the thousand objects that one request can list and delete.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_sweep_takes_more_than_a_thousand(blobs: &dyn Storage) {
    let keys: Vec<_> = (0..1_003).map(|n| format!("t/many/{n:04}")).collect();
    let writes = keys.iter().map(|key| blobs.write_new(key, Bytes::from_static(b"x"), TYPE));
    let outcomes: Vec<_> = stream::iter(writes).buffer_unordered(16).collect().await;
    assert!(outcomes.iter().all(Result::is_ok));

    assert_eq!(blobs.sweep("t/many/").await, Ok(1_003));
    assert_eq!(blobs.head(&keys[1_002]).await, Ok(None));
}
