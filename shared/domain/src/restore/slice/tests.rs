use super::*;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn applying() -> RestoreSlice {
    let restore = RestoreRef {
        account_id: AccountId::parse("42").expect("digits"),
        restore_id: RestoreId::new(at(1_800_000_000), [1; 10]),
    };
    let waiting = RestoreSlice::waiting(&restore, 0, 0, 500, at(0));
    let planning = waiting.activate(at(0)).expect("waits").lease("a", at(0), MINUTE).expect("free");
    let step = Compared {
        from_row: 0,
        rows: 500,
        segment: Some(PlanSegment { attempt: 1, changed: 250, skips: false }),
        counts: PlanCounts::default(),
        end: true,
    };
    planning.compared(1, &step).expect("leased").activate(at(1)).expect("has changes")
}

fn applied(from: u32, to: u32) -> Applied {
    let position = |record| Position { segment: 0, record };
    Applied { from: position(from), to: position(to), file: None, counts: OutcomeCounts::default() }
}

#[test]
fn a_slice_is_done_when_its_last_record_is_written() {
    let leased = applying().lease("b", at(2), MINUTE).expect("free");
    let half = leased.applied(2, &applied(0, 200)).expect("leased");
    assert_eq!(half.state, SliceState::Applying);
    assert!(half.applied(2, &applied(0, 250)).is_err(), "it stands elsewhere");
    let done = half.applied(2, &applied(200, 250)).expect("leased");
    assert_eq!((done.state, done.is_worked_on(at(3))), (SliceState::Done, false));
}

#[test]
fn what_a_dead_run_may_have_begun_is_remembered_until_it_is_behind() {
    let dead = applying().lease("b", at(2), MINUTE).expect("free");
    let taken_over = dead.lease("c", at(62), MINUTE).expect("ran out");
    assert_eq!(taken_over.tries_at(0).collect::<Vec<_>>(), [2]);
    assert_eq!(taken_over.tries_at(BATCHES_AHEAD).count(), 0);
    assert!(dead.applied(3, &applied(0, 100)).is_err() && taken_over.applied(2, &applied(0, 100)).is_err());
    // A run that has told of everything leaves nothing to remember, another one does.
    let clean = taken_over.released(3, None, Leftover::Nothing, at(63)).expect("held");
    assert_eq!(clean.tries.len(), 1);
    assert_eq!(taken_over.released(3, None, Leftover::Untold, at(63)).expect("held").tries.len(), 2);
    assert_eq!(clean.lease("d", at(64), MINUTE).expect("free").tries.len(), 1);
}

#[test]
fn no_run_takes_a_slice_over_while_a_write_may_still_land() {
    let leased = applying().lease("b", at(2), MINUTE).expect("free");
    let left = leased.released(2, None, Leftover::Unanswered, at(3)).expect("held");
    let landed = at(3) + WRITE_MARGIN;
    assert!(left.is_worked_on(landed - SignedDuration::from_secs(1)) && !left.is_worked_on(landed));
    assert_eq!(left.lease("c", at(4), MINUTE), Err(NotLeased::Held(landed)));
    assert_eq!(left.lease("c", landed, MINUTE).expect("free").tries_at(0).collect::<Vec<_>>(), [2]);
    assert!(left.settled(Settling::default(), at(4)).is_err());
}

#[test]
fn a_slice_that_is_worked_on_is_not_settled() {
    let leased = applying().lease("b", at(2), MINUTE).expect("free");
    assert!(leased.settled(Settling::default(), at(61)).is_err());
    assert_eq!(leased.settled(Settling::default(), at(62)).expect("ran out").state, SliceState::Done);
}
