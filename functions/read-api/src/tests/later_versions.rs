//! Records of a newer version of the service, while it is being deployed.

use domain::ports::ledger::{Change, Ledger};
use http::StatusCode;

use super::*;

/// A world with three backups. This version cannot read the first, which is returned.
async fn world() -> (World, Backup) {
    let world = World::with(&[queued(2), queued(3)]).await;
    let later = queued(1);
    world.ledger.commit(&[Change { format: u32::MAX, ..Change::create(&later) }]).await.expect("new");
    (world, later)
}

#[tokio::test]
async fn a_backup_of_a_newer_version_gets_503_with_retry_after() {
    let (world, later) = world().await;
    for path in ["", "/download"] {
        let path = format!("/accounts/42/backups/{}{path}", later.backup_id);
        let response = world.get(&path).await;

        described::check("GET", &path, &response);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(response.headers()["retry-after"], "60");
        let problem = document(&response);
        assert_eq!(problem["type"], "urn:crm-backup:problem:unavailable");
        assert!(problem["detail"].as_str().expect("a sentence").contains("again in a few minutes"), "{problem}");
    }
}

#[tokio::test]
async fn a_list_counts_the_backups_that_it_leaves_out() {
    let (world, _) = world().await;
    let response = world.get("/accounts/42/backups").await;

    described::check("GET", "/accounts/42/backups", &response);
    let page = document(&response);
    assert_eq!((page["backups"].as_array().map(Vec::len), &page["leftOut"]), (Some(2), &json!(1)));
    let whole = document(&World::with(&[queued(2)]).await.get("/accounts/42/backups").await);
    assert_eq!(whole.get("leftOut"), None);
}
