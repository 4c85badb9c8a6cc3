use std::env;
use std::process::Command;

use sandbox_crm::PortalConfig;

use crate::client::Fixture;

/// HubSpot's own Python client works against the sandbox unchanged. Needs a Python with `hubspot-api-client`, named
/// by `SANDBOX_OFFICIAL_CLIENT_PYTHON`; without it the test prints that it is skipped, or fails if `REQUIRE_ALL` is
/// set.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_works_unchanged() {
    let Ok(python) = env::var("SANDBOX_OFFICIAL_CLIENT_PYTHON") else {
        assert!(
            env::var("REQUIRE_ALL").is_err(),
            "SANDBOX_OFFICIAL_CLIENT_PYTHON is not set, but nothing may be skipped"
        );
        println!("skipped: SANDBOX_OFFICIAL_CLIENT_PYTHON names no Python with hubspot-api-client");
        return;
    };
    let fixture = Fixture::with(PortalConfig { conformance: true, ..PortalConfig::default() }).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/official_client.py");
    let output = Command::new(python)
        .args([script, &fixture.sandbox.base_url(), fixture.portal.token()])
        .output()
        .expect("Python starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let found = fixture.portal.violations();
    assert!(found.checked > 20 && found.violations.is_empty(), "{found:?}");
}
