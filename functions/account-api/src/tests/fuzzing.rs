//! Fuzzing of bodies: none gets a 5xx answer, and a refusal repeats no value and changes nothing.

use fuzz::{Form, Target};
use http_api::testing::account::{ADMIN, OPERATOR};
use http_api::testing::{ApiCall, described, document};

use super::World;

const WORDS: &[&str] = &[
    "plan",
    "starter",
    "enterprise",
    "crmConnection",
    "baseUrl",
    "token",
    "apiVersion",
    "2026-09",
    "v3",
    "callShare",
    "burstPercent",
    "dailyPercent",
    "notificationTargets",
    "email",
    "webhook",
    "url",
    "newSecret",
    "enabled",
    "every",
    "week",
    "two-weeks",
    "portal-7",
    "https://api.hubapi.com",
    "ada@example.com",
    "canary",
    "canary canary",
];

#[test]
fn fuzz_account_body() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let target = Target { memory: 16 << 20, ..Target::new("account_body", Form::Json, WORDS) };
    target.fuzz(|input| {
        let body = String::from_utf8_lossy(input);
        runtime.block_on(async {
            let world = World::with_account().await;
            let mut statuses = Vec::new();
            for (path, groups) in
                [("/accounts/42", OPERATOR), ("/accounts/42", ADMIN), ("/accounts/42/backup-schedule", ADMIN)]
            {
                let before = (world.account().await, world.token().await);
                let response = world.answer(ApiCall::new("PUT", path).by(groups).body(&body)).await;
                described::check("PUT", path, &response);
                let status = response.status().as_u16();
                assert!(status < 500, "{}", response.body());
                if status >= 400 {
                    assert_eq!((world.account().await, world.token().await), before, "a refusal changes something");
                    let problem = document(&response);
                    let errors = problem["errors"].as_array().into_iter().flatten();
                    // `detail` names the fields, whose names may contain anything.
                    let mut details = errors.map(|error| &error["detail"]);
                    assert!(
                        details.all(|detail| !detail.to_string().contains("canary")),
                        "a value is repeated: {problem}"
                    );
                }
                statuses.push(status);
            }
            statuses
        })
    });
}
