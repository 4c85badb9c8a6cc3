//! Translates requests that read to and from the use cases.

use std::sync::Arc;
use std::time::Duration;

use domain::audit::Act;
use domain::ids::BackupId;
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use domain::ports::storage::DownloadLinks;
use domain::work::BackupRef;
use http::StatusCode;
use http_api::caller::{Authorised, Right};
use http_api::links;
use http_api::pages::{self, PageQuery};
use http_api::problem::Problem;
use http_api::representation::BackupRepresentation;
use http_api::request::Request;
use http_api::response::Response;
use http_api::routes::{self, DESCRIPTION, MatchedRoute, Operation};
use http_api::step_up::StepUp;
use serde::Serialize;
use workflows::audit_log::ExportAuditLog;
use workflows::backup::{download, read};

use crate::problems;
use crate::progress::BackupProgressRepresentation;

/// The handler of all routes of this function.
pub(crate) struct Handler {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) links: Arc<dyn DownloadLinks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) export: ExportAuditLog,
    pub(crate) audience: String,
    pub(crate) link_valid_for: Duration,
    pub(crate) step_up: StepUp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BackupsPage<'a> {
    backups: Vec<BackupRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "pages::is_zero")]
    left_out: usize,
}

impl Handler {
    pub(crate) async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let route = request.route()?;
        match route.operation {
            Operation::ListBackups => self.list(&request, &route).await,
            Operation::ReadBackup => self.read(&request, &route).await,
            Operation::DownloadBackup => self.download(&request, &route).await,
            Operation::ListAuditLog => self.list_audit_log(&request, &route).await,
            Operation::ExportAuditLog => self.export_audit_log(&request, &route).await,
            Operation::ReadDescription => {
                request.check_parameters(&route)?;
                Response::unless_unchanged(&request, DESCRIPTION, &routes::description_etag())
            }
            _ => Err(Problem::path_unknown()),
        }
    }

    async fn list(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let account = self.authorised(request, route)?.account_id;
        let PageQuery { limit, after } = PageQuery::of(request, BackupId::parse)?;
        let page = read::list(&*self.ledger, &account, after.as_ref(), limit).await;
        let page = page.map_err(problems::of_read)?;
        let now = self.clock.now();
        let backups = page.backups.iter().map(|backup| BackupRepresentation::of(backup, now)).collect();
        let (id, next) = (|place: usize| page.backups[place].backup_id.to_string(), page.next.as_ref());
        let (backups, next) = pages::within_bounds(backups, id, next.map(BackupId::as_str));
        Ok(Response::json(StatusCode::OK, &BackupsPage { backups, next, left_out: page.left_out }))
    }

    async fn read(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let (backup, _) = self.backup(request, route)?;
        let now = self.clock.now();
        let progress = read::read(&*self.ledger, &backup, now).await.map_err(problems::of_read)?;
        Ok(Response::json(StatusCode::OK, &BackupProgressRepresentation::of(&progress, now)))
    }

    async fn download(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let (backup, act) = self.backup(request, route)?;
        self.step_up.check_if_set(&self.authorised(request, route)?).await?;
        let Self { ledger, links, clock, .. } = self;
        let link = download::link(&**ledger, &**links, &**clock, &backup, self.link_valid_for, &act).await;
        let link = link.map_err(problems::of_download)?;
        links::answer(request, &link.url, link.expires_at)
    }

    fn backup(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<(BackupRef, Act), Problem> {
        let caller = self.authorised(request, route)?;
        let act = request.act(&caller)?;
        Ok((BackupRef { account_id: caller.account_id, backup_id: route.backup_id()? }, act))
    }

    pub(crate) fn authorised(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Authorised, Problem> {
        request.authorised(&self.audience, route, Right::Backups)
    }
}
