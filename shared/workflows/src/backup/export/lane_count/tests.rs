use domain::ids::{ObjectType, RecordId};

use super::*;

const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A run whose calls take `work` seconds, at a gate that admits `rate` calls a second: its lanes after ten seconds.
fn lanes_after_ten_seconds(rate: f64, work: f64, most: usize) -> Standing {
    let (mut standing, mut now) = (Standing::new(most), NOON);
    let (mut sent, mut waited) = (0.0, 0.0);
    for _ in 0..10 {
        while standing.lacking(now) > 0 {
            standing.began(now);
        }
        while standing.has_too_many() {
            standing.ended(now);
        }
        let lanes = count(standing.busy);
        let calls = (lanes / work).min(rate);
        sent += calls;
        waited += lanes - calls * work;
        now += SignedDuration::from_secs(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
        standing.measure(Calls::new(sent as u64, Duration::from_secs_f64(waited)), rate, now);
    }
    standing
}

#[test]
fn the_lanes_follow_the_latency_and_the_rate() {
    let wanted = |rate, work| lanes_after_ten_seconds(rate, work, 24).wanted;
    assert!((2..=4).contains(&wanted(18.6, 0.1)), "{}", wanted(18.6, 0.1));
    assert!((7..=9).contains(&wanted(18.6, 0.3)), "{}", wanted(18.6, 0.3));
    assert!((18..=20).contains(&wanted(18.6, 0.8)), "{}", wanted(18.6, 0.8));
    assert_eq!(wanted(24.5, 0.95), 24, "at most as many as a run may have");
}

/// Searches for bounds wait long: there are few a second. Their waits are no sign that the lanes have little to do.
#[test]
fn searches_beside_the_lanes_do_not_cost_lanes() {
    let mut standing = Standing::new(24);
    standing.measure(Calls::default(), 18.6, NOON);
    (0..8).for_each(|_| standing.began(NOON));
    standing.began_aside(7, NOON);
    let now = NOON + SignedDuration::from_secs(1);
    // 18 calls of lanes, and five searches, which waited for half a second each.
    let waited = 8.0 - 18.0 * 0.3 + 5.0 * 0.5;
    standing.measure(Calls::new(23, Duration::from_secs_f64(waited)), 18.6, now);
    assert!((7..=12).contains(&standing.wanted), "{}", standing.wanted);
    standing.ended_aside(7, now);
    (0..8).for_each(|_| standing.ended(now));
}

#[test]
fn another_run_is_asked_for_if_all_lanes_leave_a_part_of_the_rate() {
    let mut fast = lanes_after_ten_seconds(18.6, 0.3, 24);
    assert!(fast.is_met() && !fast.asks_for_another(NOON));
    let mut slow = lanes_after_ten_seconds(18.6, 3.0, 24);
    assert!(!slow.is_met() && slow.asks_for_another(NOON));
    assert!(!slow.asks_for_another(NOON + SignedDuration::from_secs(14)));
    assert!(slow.asks_for_another(NOON + SignedDuration::from_secs(15)));
}

fn chunk(lower: u64) -> ChunkKey {
    ChunkKey { object_type: ObjectType::parse("contacts").expect("a name"), generation: 1, lower: RecordId(lower) }
}

#[test]
fn lanes_without_work_are_those_that_no_chunk_and_no_split_is_for() {
    let mut standing = Standing::new(24);
    standing.began(NOON);
    standing.note_left(&chunk(0), Some(5_000));
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 1);
    standing.promise(3);
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 4);
    standing.made(Some(2_000));
    standing.made(Some(2_000));
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 4);
    standing.break_promise(1);
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 3);
    standing.listed(&[Some(3_000), None], None, NOON);
    assert_eq!((standing.lacking(NOON), standing.should_list(NOON)), (2, false));
    standing.tried_one(Some(3_000));
    assert_eq!(standing.lacking(NOON), 1);
    standing.changed();
    assert_eq!(standing.lacking(NOON), FIRST_LANES - 1);
}

/// A small account has many objects with few records. They keep no lane from helping with a large one.
#[test]
fn brief_chunks_begin_lanes_but_are_no_work_that_lasts() {
    let mut standing = Standing::new(24);
    standing.began(NOON);
    standing.note_left(&chunk(0), Some(5_000));
    standing.listed(&[Some(0), Some(7), Some(400), Some(401)], None, NOON);
    assert_eq!((standing.lacking(NOON), standing.without_work()), (4, FIRST_CHUNKS - 2));
    standing.tried_one(Some(401));
    standing.note_left(&chunk(401), Some(401));
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 2);
    standing.tried_one(Some(400));
    standing.note_left(&chunk(400), Some(400));
    assert_eq!((standing.lacking(NOON), standing.without_work()), (2, FIRST_CHUNKS - 2));
    standing.note_over(&chunk(401));
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 1);
}

#[test]
fn a_brief_chunk_that_is_taken_leaves_the_others_as_they_are() {
    let mut standing = Standing::new(24);
    standing.listed(&[Some(30_000), None, Some(7)], None, NOON);
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 2);
    standing.tried_one(Some(7));
    assert_eq!(standing.without_work(), FIRST_CHUNKS - 2);
    standing.none_is_free();
    assert_eq!((standing.lacking(NOON), standing.without_work()), (0, FIRST_CHUNKS));
}
