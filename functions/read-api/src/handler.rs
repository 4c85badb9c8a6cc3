//! Requests that read, to and from the use cases.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::ids::{AccountId, BackupId};
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use domain::ports::objects::DownloadLinks;
use domain::work::BackupRef;
use http::StatusCode;
use http::header::ACCEPT;
use jiff::Timestamp;
use lambda::caller::Right;
use lambda::http::{Request, Response};
use lambda::problem::Problem;
use lambda::representation::BackupRepresentation;
use lambda::routes::{Found, Operation};
use secrecy::ExposeSecret;
use serde::Serialize;
use workflows::{download_backup, read_backups};

use crate::problems;
use crate::progress::ProgressRepresentation;

/// Backups on a page, unless the request says otherwise.
const PAGE: u32 = 20;
const LONGEST_PAGE: u32 = 100;

/// What the API looks like.
pub(crate) const DESCRIPTION: &str = include_str!("../openapi.json");

/// Answers requests.
pub(crate) struct Handler {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) links: Arc<dyn DownloadLinks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audience: String,
    pub(crate) link_valid_for: Duration,
}

#[derive(Serialize)]
struct Page<'a> {
    backups: Vec<BackupRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkRepresentation<'a> {
    url: &'a str,
    expires_at: Timestamp,
}

impl Handler {
    pub(crate) async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let route = request.route()?;
        match route.operation {
            Operation::ListBackups => self.list(&request, &route).await,
            Operation::ReadBackup => self.read(&request, &route).await,
            Operation::DownloadBackup => self.download(&request, &route).await,
            Operation::ReadDescription => Ok(Response::json_text(StatusCode::OK, DESCRIPTION)),
            _ => Err(Problem::path_unknown()),
        }
    }

    async fn list(&self, request: &Request, route: &Found<'_>) -> Result<Response, Problem> {
        let account = self.authorised(request, route)?;
        let limit = request.query("limit").map_or(Ok(PAGE), parse_limit)?;
        let after = request.query("cursor").map(parse_cursor).transpose()?;
        let page = read_backups::list(&*self.ledger, &account, after.as_ref(), limit).await;
        let page = page.map_err(problems::of_read)?;
        let now = self.clock.now();
        let backups = page.backups.iter().map(|backup| BackupRepresentation::of(backup, now)).collect();
        Ok(Response::json(StatusCode::OK, &Page { backups, next: page.next.as_ref().map(cursor) }))
    }

    async fn read(&self, request: &Request, route: &Found<'_>) -> Result<Response, Problem> {
        let backup = self.backup(request, route)?;
        let now = self.clock.now();
        let progress = read_backups::read(&*self.ledger, &backup, now).await.map_err(problems::of_read)?;
        Ok(Response::json(StatusCode::OK, &ProgressRepresentation::of(&progress, now)))
    }

    async fn download(&self, request: &Request, route: &Found<'_>) -> Result<Response, Problem> {
        let backup = self.backup(request, route)?;
        let (ledger, links, clock) = (&*self.ledger, &*self.links, &*self.clock);
        let link = download_backup::link(ledger, links, clock, &backup, self.link_valid_for).await;
        let link = link.map_err(problems::of_download)?;
        if wants_json(request) {
            let link = LinkRepresentation { url: link.url.expose_secret(), expires_at: link.expires_at };
            return Ok(Response::json(StatusCode::OK, &link));
        }
        Response::redirect(&link.url)
    }

    fn backup(&self, request: &Request, route: &Found<'_>) -> Result<BackupRef, Problem> {
        let account_id = self.authorised(request, route)?;
        Ok(BackupRef { account_id, backup_id: route.backup_id()? })
    }

    fn authorised(&self, request: &Request, route: &Found<'_>) -> Result<AccountId, Problem> {
        let authorised = request.caller(&self.audience)?.authorise(route.account, Right::Backups)?;
        Ok(authorised.account_id)
    }
}

fn parse_limit(text: &str) -> Result<u32, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit));
    limit.ok_or_else(|| {
        Problem::parameter_invalid("limit", format!("It must be a whole number from 1 to {LONGEST_PAGE}."))
    })
}

/// A cursor is the id of the last backup on a page. Clients need not know, so it does not look like one.
fn cursor(last: &BackupId) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last.as_str())
}

fn parse_cursor(text: &str) -> Result<BackupId, Problem> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let last = decoded.and_then(|text| BackupId::parse(&text).ok());
    last.ok_or_else(|| Problem::parameter_invalid("cursor", "It must be the `next` of an earlier answer."))
}

fn wants_json(request: &Request) -> bool {
    let accepted = request.header(ACCEPT.as_str()).unwrap_or_default();
    accepted.split(',').filter_map(|range| range.split(';').next()).any(|range| range.trim() == "application/json")
}
