use proptest::prelude::*;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

const EXPECTED: ExpectedRecords = ExpectedRecords { above: 10, own: 5, each: 5 };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn leased() -> Chunk {
    let backup =
        BackupRef { account_id: AccountId::parse("1").expect("valid"), backup_id: BackupId::new(at(0), [1; 10]) };
    let object_type = ObjectType::parse("contacts").expect("valid");
    let key = ChunkKey { object_type, generation: 1, lower: RecordId(0) };
    let chunk = Chunk::waiting(&backup, key, None, None, at(0)).activate(at(0)).expect("waiting");
    chunk.lease("a", at(0), MINUTE).expect("free")
}

fn step(lease: u32, from: u64, to: u64) -> Advance {
    Advance {
        lease,
        from: Cursor::AfterId(RecordId(from)),
        to: Cursor::AfterId(RecordId(to)),
        trail: Trail::default(),
        last_id: RecordId(to),
        rows: 1,
        first_seen: Some((RecordId(from + 1), at(1))),
        end: None,
    }
}

#[test]
fn a_segment_is_committed_once_and_only_by_the_lease_that_read_it() {
    let chunk = leased();
    let after = chunk.advance(&step(1, 0, 10)).expect("held");
    assert!(after.advance(&step(1, 0, 10)).is_err(), "the same segment again");
    let taken_over = after.lease("b", at(61), MINUTE).expect("ran out");
    assert!(taken_over.advance(&step(1, 10, 20)).is_err(), "a zombie");
    let next = taken_over.advance(&step(2, 10, 20)).expect("held");
    assert_eq!((next.next_sequence, next.records, next.first_seen), (2, 2, Some(RecordId(1))));
}

#[test]
fn a_finished_chunk_is_left_alone() {
    let end = Some(RangeEnd { seen_past_end: None, at: at(2) });
    let done = leased().advance(&Advance { end, ..step(1, 0, 10) }).expect("held");
    assert_eq!(done.due_at(), None);
    assert!(done.advance(&step(1, 10, 20)).is_err());
    assert!(done.release(1, None, at(3)).is_err());
    assert!(done.split(1, RecordId(10), &[RecordId(20)], EXPECTED, at(3)).is_err());
}

fn done() -> Chunk {
    let end = Some(RangeEnd { seen_past_end: None, at: at(2) });
    leased().advance(&Advance { end, ..step(1, 0, 10) }).expect("held")
}

/// Leases the chunk again and reads it from `from` to its end, `to`.
fn read_on(chunk: &Chunk, from: u64, to: u64) -> Chunk {
    let lease = chunk.leasing.last_number + 1;
    let leased = chunk.activate(at(5)).expect("waiting").lease("b", at(5), MINUTE).expect("free");
    let end = Some(RangeEnd { seen_past_end: None, at: at(6) });
    leased.advance(&Advance { end, ..step(lease, from, to) }).expect("held")
}

#[test]
fn a_chunk_continues_once_above_its_committed_ids() {
    let gone_on = done().go_on(Some(5)).expect("done");
    assert_eq!((gone_on.state, gone_on.records, gone_on.expected_left()), (ChunkState::Waiting, 1, Some(5)));
    let read = read_on(&gone_on, 10, 15);
    assert_eq!((read.records, read.next_sequence, read.again.first_segment), (2, 2, 0), "all segments count");
    assert!(read.go_on(None).is_err(), "once");
    assert!(gone_on.go_on(None).is_err() && gone_on.read_again(None).is_err(), "it is not done");
}

#[test]
fn a_range_is_read_again_once_and_its_earlier_segments_are_void() {
    let again = done().read_again(Some(3)).expect("done");
    assert_eq!((again.records, &again.cursor, again.first_seen), (0, &Cursor::START, None));
    let read = read_on(&again, 0, 12);
    assert_eq!((read.records, read.next_sequence, read.again.first_segment), (1, 2, 1), "the first segment is void");
    assert!(read.read_again(None).is_err(), "once");
    let (_, parts) = again
        .activate(at(5))
        .and_then(|ready| ready.lease("b", at(5), MINUTE).map_err(|_| Refused::new("a lease", "none")))
        .and_then(|leased| leased.split(2, RecordId(0), &[RecordId(20)], EXPECTED, at(6)))
        .expect("split");
    assert!(parts[0].again.whole && parts[0].again.by_search && parts[0].again.first_segment == 0);
}

/// Records of the version before this one.
#[test]
fn chunks_without_the_member_are_read_once() {
    let mut stored = serde_json::to_value(done().go_on(None).expect("done")).expect("JSON");
    assert!(stored.as_object_mut().and_then(|chunk| chunk.remove("again")).is_some());
    assert!(serde_json::from_value::<Chunk>(stored).expect("readable").again.is_none());
    assert!(!serde_json::to_string(&done()).expect("JSON").contains("again"));
}

proptest! {
    /// The parts of a split chunk cover its range without gap or overlap.
    #[test]
    fn parts_cover_the_range(
        read_to in 0_u64..100,
        bounds in prop::collection::btree_set(0_u64..300, 1..8),
        upper in prop::option::of(1_u64..300),
    ) {
        let chunk = Chunk { upper: upper.map(RecordId), ..leased() };
        let bounds: Vec<_> = bounds.into_iter().map(RecordId).collect();
        let legal = bounds[0].0 > read_to && upper.is_none_or(|upper| bounds[bounds.len() - 1].0 < upper);
        match chunk.split(1, RecordId(read_to), &bounds, ExpectedRecords { above: 1_000, own: 10, each: 10 }, at(1)) {
            Ok((left, right)) => {
                prop_assert!(legal);
                let mut end = left.upper;
                for part in &right {
                    prop_assert_eq!(Some(part.key.lower), end);
                    prop_assert_eq!(&part.cursor, &Cursor::AfterId(part.key.lower));
                    end = part.upper;
                }
                prop_assert_eq!(end, chunk.upper);
            }
            Err(_) => prop_assert!(!legal),
        }
    }
}
