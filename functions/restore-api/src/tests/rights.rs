//! Rights to an account's restores.

use domain::restore::RestoreState;
use http_api::routes::ROUTES;
use http_api::testing::account::ADMIN;
use http_api::testing::{AUDIENCE, ApiCall};
use serde_json::json;

use super::samples::{ended, import};
use super::{World, is, problem};

/// Every method and path of restores and imports of account 42.
fn requests() -> Vec<(String, String)> {
    let id = ended(1, RestoreState::Completed).restore_id;
    let routes = ROUTES.iter().filter(|route| route.path.contains("/restores") || route.path.contains("/imports"));
    let requests = routes.map(|route| {
        let path = route.path.replace("{accountId}", "42");
        let path = path.replace("{restoreId}", id.as_str()).replace("{importId}", id.as_str());
        (route.method.to_string(), path)
    });
    requests.collect()
}

#[tokio::test]
async fn only_a_super_admin_of_the_account_learns_whether_it_exists() {
    let (with, without) = (World::connected().await, World::empty());
    with.put(&ended(1, RestoreState::Completed)).await;
    with.put(&import(1, RestoreState::Completed, None)).await;
    assert_eq!(requests().len(), 11);
    for (method, path) in requests() {
        for groups in [&[][..], &["43:super-admin"], &["operators"], &["[42:super-admin operators]"]] {
            let seen = with.answer(&method, &path, |call| call.by(groups)).await;
            is(&problem(&seen), 403, "forbidden");
            let unseen = without.answer(&method, &path, |call| call.by(groups)).await;
            assert_eq!(seen.body(), unseen.body(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn an_access_token_or_a_missing_token_gets_401() {
    let access = json!({"sub": "user-1", "client_id": AUDIENCE, "token_use": "access", "cognito:groups": ADMIN});
    let world = World::connected().await;
    for (method, path) in requests() {
        for response in [
            world.answer(&method, &path, |call| call.with_claims(&access)).await,
            world.answer(&method, &path, |call| call).await,
        ] {
            is(&problem(&response), 401, "token-unsuitable");
        }
    }
}

#[tokio::test]
async fn routes_of_other_functions_are_unknown() {
    let world = World::connected().await;
    for path in ["/accounts/42/backups", "/accounts/42", "/openapi.json", "/nothing"] {
        let call = ApiCall::get(path).by(ADMIN);
        let response = call.answered_by(|request| world.handler.handle(request)).await;
        is(&problem(&response), 404, "path-unknown");
    }
}
