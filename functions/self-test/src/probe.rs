//! Two requests that need no account: the API's description, which a function answers, and a request without a token,
//! which the gateway must refuse.

use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;

/// How long the API may take to answer. A function that starts cold takes less than a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// The event of the rule that starts this function.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiAddress {
    /// Where the API is, without a trailing slash.
    pub(crate) url: String,
}

/// What is wrong with the API.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Fault {
    #[error("GET {path} was not answered: {why}")]
    Unanswered { path: &'static str, why: &'static str },
    #[error("GET {path} was answered with {status} instead of {wanted}")]
    Status { path: &'static str, status: StatusCode, wanted: StatusCode },
    #[error("GET {0} was not answered with the description of the API")]
    NotTheDescription(&'static str),
}

/// Asks the API.
pub(crate) struct Probe {
    client: Client,
}

impl Probe {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        // Another crate of the process may have installed the same provider already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("crm-backup-self-test/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // A new connection each time, so that a certificate that has expired is noticed.
            .pool_max_idle_per_host(0)
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { client })
    }

    /// Checks that the API at `url` describes itself, and that it refuses a request without a token.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub(crate) async fn look(&self, url: &str) -> Result<(), Fault> {
        const DESCRIPTION: &str = "/openapi.json";
        let text = self.get(url, DESCRIPTION, StatusCode::OK).await?;
        let description: Option<Value> = serde_json::from_slice(&text).ok();
        if description.is_none_or(|description| !description["openapi"].is_string()) {
            return Err(Fault::NotTheDescription(DESCRIPTION));
        }
        self.get(url, "/accounts/0/backups", StatusCode::UNAUTHORIZED).await.map(drop)
    }

    async fn get(&self, url: &str, path: &'static str, wanted: StatusCode) -> Result<Vec<u8>, Fault> {
        let unanswered = |error: reqwest::Error| Fault::Unanswered { path, why: kind(&error) };
        let answer = self.client.get(format!("{url}{path}")).send().await.map_err(unanswered)?;
        let status = answer.status();
        if status != wanted {
            return Err(Fault::Status { path, status, wanted });
        }
        Ok(answer.bytes().await.map_err(unanswered)?.to_vec())
    }
}

/// The kind of an error, without addresses.
fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it took more than 10 seconds"
    } else if error.is_connect() {
        "there was no connection"
    } else {
        "the answer broke off, or was not HTTP"
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    /// What a look says about an API that answers like this.
    async fn look_at(description: (StatusCode, &'static str), without_token: StatusCode) -> Result<(), Fault> {
        let router = Router::new()
            .route("/openapi.json", get(move || async move { description }))
            .route("/accounts/0/backups", get(move || async move { without_token }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a port"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let looked = Probe::new().expect("a client").look(&url).await;
        server.abort();
        looked
    }

    #[tokio::test]
    async fn an_api_that_describes_itself_and_asks_for_a_token_is_well() {
        let ok = look_at((StatusCode::OK, r#"{"openapi": "3.1.0"}"#), StatusCode::UNAUTHORIZED).await;
        assert_eq!(ok, Ok(()));
    }

    #[tokio::test]
    async fn every_other_answer_is_a_fault_that_names_the_path() {
        let described = (StatusCode::OK, r#"{"openapi": "3.1.0"}"#);
        for (description, without_token, fault) in [
            ((StatusCode::BAD_GATEWAY, ""), StatusCode::UNAUTHORIZED, "GET /openapi.json was answered with 502"),
            ((StatusCode::OK, "<html>"), StatusCode::UNAUTHORIZED, "GET /openapi.json was not answered with the desc"),
            ((StatusCode::OK, "{}"), StatusCode::UNAUTHORIZED, "GET /openapi.json was not answered with the desc"),
            (described, StatusCode::OK, "GET /accounts/0/backups was answered with 200 OK instead of 401"),
            (described, StatusCode::SERVICE_UNAVAILABLE, "GET /accounts/0/backups was answered with 503"),
        ] {
            let found = look_at(description, without_token).await.expect_err(fault).to_string();
            assert!(found.starts_with(fault), "{found}");
        }
    }

    #[tokio::test]
    async fn an_api_that_is_not_there_is_a_fault() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a port"));
        drop(listener);
        let fault = Probe::new().expect("a client").look(&url).await;
        assert_eq!(fault, Err(Fault::Unanswered { path: "/openapi.json", why: "there was no connection" }));
    }
}
