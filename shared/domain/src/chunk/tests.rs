use proptest::prelude::*;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

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
    assert!(done.split(1, RecordId(10), &[RecordId(20)], (10, 5), at(3)).is_err());
}

proptest! {
    /// However a chunk is split, its parts cover its range without gap or overlap.
    #[test]
    fn parts_cover_the_range(
        read_to in 0_u64..100,
        bounds in prop::collection::btree_set(0_u64..300, 1..8),
        upper in prop::option::of(1_u64..300),
    ) {
        let chunk = Chunk { upper: upper.map(RecordId), ..leased() };
        let bounds: Vec<_> = bounds.into_iter().map(RecordId).collect();
        let legal = bounds[0].0 > read_to && upper.is_none_or(|upper| bounds[bounds.len() - 1].0 < upper);
        match chunk.split(1, RecordId(read_to), &bounds, (1_000, 10), at(1)) {
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
