//! A plain client, and a sandbox for it.

use reqwest::{Method, StatusCode};
use sandbox_crm::{Portal, PortalConfig, Sandbox, SandboxConfig};
use serde_json::Value;

/// A running sandbox with one portal of its own, and a client that has its token.
pub(crate) struct Fixture {
    pub(crate) sandbox: Sandbox,
    pub(crate) portal: Portal,
    pub(crate) http: reqwest::Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the answer is JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("plain text"))
    }

    /// The ids of the results.
    pub(crate) fn ids(&self) -> Vec<u64> {
        ids(&self.json())
    }
}

/// The ids of the results of a page.
pub(crate) fn ids(page: &Value) -> Vec<u64> {
    let id = |result: &Value| result["id"].as_str().expect("ids are texts").parse().expect("ids are numbers");
    page["results"].as_array().expect("results").iter().map(id).collect()
}

impl Fixture {
    pub(crate) async fn with(config: PortalConfig) -> Self {
        // The workspace's HTTP client is built without a TLS provider of its own; another test may have set it.
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(SandboxConfig::default()).await.expect("a free port");
        let portal = sandbox.add_portal(&config).expect("a valid portal");
        Self { sandbox, portal, http: reqwest::Client::new() }
    }

    /// A portal with so many contacts.
    pub(crate) async fn contacts(count: u64) -> Self {
        Self::with(PortalConfig::empty().with_records("contacts", count)).await
    }

    pub(crate) async fn try_call(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Answer> {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.sandbox.base_url()) };
        let mut request = self.http.request(method, url).bearer_auth(self.portal.token());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status: status.as_u16(), headers, text: response.text().await? })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_call(Method::GET, path, None).await.expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_call(Method::POST, path, Some(body)).await.expect("an answer")
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.try_call(Method::PATCH, path, Some(body)).await.expect("an answer")
    }

    /// Reads a list from `path` (which has a query) to its end by `paging.next.after`.
    pub(crate) async fn walk(&self, path: &str) -> Vec<u64> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let answer = self.get(&format!("{path}&after={after}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            let page = answer.json();
            all.extend(ids(&page));
            match page["paging"]["next"]["after"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => return all,
            }
        }
    }

    /// The ids of all live records, from the control API.
    pub(crate) fn live_ids(&self, object: &str) -> Vec<u64> {
        let records = self.portal.truth(object, 0, usize::MAX).expect("an object");
        let live = records.iter().filter(|record| record.state == sandbox_crm::RecordState::Live);
        live.map(|record| record.id).collect()
    }
}
