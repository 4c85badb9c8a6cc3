//! Runs that are over after a few pages: others go on.

use faults::crm::{Cursors, Otherwise};
use faults::{Copies, Settings, samples};
use jiff::SignedDuration;

use crate::worlds::{assert_complete, assert_consistent, assert_tidy, in_memory};

#[tokio::test(start_paused = true)]
async fn any_number_of_runs_makes_the_same_archive() {
    for cursors in [Cursors::Ids, Cursors::Opaque, Cursors::OnlyGiven(Otherwise::Refused)] {
        for (pages, workers) in [(1, 1), (1, 4), (2, 1), (3, 4), (5, 2), (7, 1)] {
            // A page takes 300 ms; the run is over just before one more could begin.
            let export_run = SignedDuration::from_millis(300 * pages - 150);
            let settings = Settings { workers, export_run, ..Settings::default() };
            let mut objects = samples::one_of_everything();
            objects[0] = samples::many_contacts(1_730, cursors);
            let world = in_memory(objects, settings).await;

            let backup = world.request().await;
            let ended = world.to_the_end(&backup).await;

            assert_complete(&world, &ended).await;
            assert_consistent(&world, &backup).await;
            assert_tidy(&world, &backup).await;
            let contacts = &world.objects_of(&backup).await[1];
            // A page of a list has 100 records. One of a search has 200; lanes search where the list cannot start.
            let lanes_search = workers > 1 && !matches!(cursors, Cursors::Ids);
            let pages_in_all = if lanes_search { 9 } else { 17 };
            let segments = u64::from(contacts.segments);
            assert!(segments >= pages_in_all / pages.unsigned_abs(), "{cursors:?}, {workers}: {segments} segments");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn runs_that_are_over_at_once_and_delivered_twice_make_the_same_archive() {
    for copies in [Copies::TwoInARow, Copies::TwoAtOnce] {
        let export_run = SignedDuration::from_millis(150);
        let settings = Settings { workers: 3, copies, export_run, ..Settings::default() };
        let world = in_memory(vec![samples::many_contacts(1_730, Cursors::Ids)], settings).await;
        let backup = world.request().await;
        assert_complete(&world, &world.to_the_end(&backup).await).await;
        assert_tidy(&world, &backup).await;
    }
}
