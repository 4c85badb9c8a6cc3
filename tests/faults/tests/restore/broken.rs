//! Archives of which the bytes are not those that were checked when they were made.

use domain::restore::RestoreState;
use in_memory::Damage;

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup};

/// Whichever bit of the file is another one, and wherever the archive ends too early: the plan fails and says why, and
/// nothing is written.
#[tokio::test(start_paused = true)]
async fn nothing_is_restored_from_an_archive_that_is_not_what_its_manifest_says() {
    let calm = Scenario::in_memory(Setup::default()).await;
    let bytes = calm.world.backup(&calm.backup).await.archive.expect("an archive").bytes;
    let bytes = usize::try_from(bytes).expect("small");

    let altered = (0..bytes).step_by(bytes / 40).map(Damage::Altered);
    let mut failed = 0;
    for damage in altered.chain([Damage::Cut(bytes / 2), Damage::Cut(bytes - 100)]) {
        let scenario = Scenario::in_memory(Setup::default()).await;
        let world = &scenario.world;
        let archive = world.backup(&scenario.backup).await.archive.expect("an archive");
        world.blobs.damage(&archive.storage_key, damage);
        let restore = world.ask_restore(&scenario.backup, OBJECT, &PROPERTIES).await.expect("accepted");
        let rested = world.restore_to_rest(&restore).await;
        match rested.state {
            RestoreState::Failed => {
                assert_eq!(
                    rested.failure.as_ref().map(|failure| failure.kind.as_str()),
                    Some("archive-broken"),
                    "{damage:?}"
                );
                failed += 1;
            }
            // What is damaged is no byte of the file.
            RestoreState::Planned => {
                world.confirm(&restore).await.expect("planned");
                world.restore_to_rest(&restore).await;
                scenario.assert_values(&scenario.good);
                continue;
            }
            state => panic!("{state:?}, {damage:?}"),
        }
        scenario.assert_values(&scenario.damaged);
        scenario.assert_tidy(&restore, 0).await;
    }
    assert!(failed > 20, "{failed} of 42 damages");
}
