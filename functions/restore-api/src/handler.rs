//! Translates requests about restores and imports to and from the use cases.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::{BackupId, RestoreId};
use domain::ports::storage::DownloadLinks;
use domain::restore::Restore;
use domain::work::RestoreRef;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use http_api::caller::{Authorised, Right};
use http_api::links;
use http_api::pages::{self, PageQuery};
use http_api::problem::Problem;
use http_api::request::Request;
use http_api::response::Response;
use http_api::routes::{MatchedRoute, Operation};
use http_api::step_up::StepUp;
use runtime::random;
use serde::Serialize;
use workflows::restore::ask::{AskError, AskRestore, UndoWish, Wish};
use workflows::restore::decide::DecideRestore;
use workflows::restore::review;

use crate::body::{self, RestoreWish};
use crate::problems;
use crate::representation::{ImportRepresentation, RestoreRepresentation, UndoRepresentation};

/// The handler of all routes of this function.
pub(crate) struct Handler {
    pub(crate) ask: AskRestore,
    pub(crate) decide: DecideRestore,
    pub(crate) links: Arc<dyn DownloadLinks>,
    pub(crate) audience: String,
    pub(crate) link_valid_for: Duration,
    pub(crate) step_up: StepUp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestorePage<'a> {
    restores: Vec<RestoreRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "pages::is_zero")]
    left_out: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportPage<'a> {
    imports: Vec<ImportRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "pages::is_zero")]
    left_out: usize,
}

impl Handler {
    pub(crate) async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let route = request.route()?;
        match route.operation {
            Operation::CreateRestore => self.create(&request, &route).await,
            Operation::ListRestores => self.list(&request, &route).await,
            Operation::ReadRestore => self.read(&request, &route).await,
            Operation::DownloadSkipped => self.download_skipped(&request, &route).await,
            Operation::ConfirmRestore => self.confirm(&request, &route).await,
            Operation::CancelRestore => self.cancel(&request, &route).await,
            Operation::StopRestore => self.stop(&request, &route).await,
            Operation::UndoRestore => self.undo(&request, &route).await,
            Operation::ListImports => self.list_imports(&request, &route).await,
            Operation::ReadImport => self.read_import(&request, &route).await,
            Operation::DownloadErrors => self.download_errors(&request, &route).await,
            _ => Err(Problem::path_unknown()),
        }
    }

    async fn create(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        let RestoreWish { backup_id, object_type, properties } = body::wish(request.fields()?)?;
        let wish = Wish {
            act: request.act(&caller)?,
            // As in a path, an invalid id is an unknown backup.
            backup_id: BackupId::parse(&backup_id).map_err(|_| Problem::backup_unknown())?,
            object_type,
            properties,
            idempotency_key: request.idempotency_key()?,
            random: random::bytes(),
        };
        let made = self.ask.from_backup(&wish).await;
        self.accepted(&made.map_err(|error| problems::of_ask(error, &wish.properties))?)
    }

    async fn undo(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        let include_edited = body::include_edited(request.fields()?)?;
        let wish = UndoWish {
            act: request.act(&caller)?,
            restore: RestoreRef { account_id: caller.account_id, restore_id: route.restore_id()? },
            include_edited,
            idempotency_key: request.idempotency_key()?,
            random: random::bytes(),
        };
        let made = self.ask.undo(&wish).await;
        self.accepted(&made.map_err(|error| problems::of_ask(error, &[]))?)
    }

    async fn confirm(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        self.step_up.check(&caller)?;
        body::confirmation(request.fields()?)?;
        let (restore, act) = (restore(&caller, route.restore_id()?), request.act(&caller)?);
        let key = request.idempotency_key()?;
        let confirmed = self.decide.confirm(&restore, &act, key.as_ref()).await;
        self.accepted(&confirmed.map_err(problems::of_decide)?)
    }

    async fn cancel(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        request.no_fields()?;
        let (restore, act) = (restore(&caller, route.restore_id()?), request.act(&caller)?);
        let cancelled = self.decide.cancel(&restore, &act).await.map_err(problems::of_decide)?;
        Ok(self.answer(StatusCode::OK, &cancelled))
    }

    async fn stop(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        request.no_fields()?;
        let (restore, act) = (restore(&caller, route.restore_id()?), request.act(&caller)?);
        self.accepted(&self.decide.stop(&restore, &act).await.map_err(problems::of_decide)?)
    }

    async fn list(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        let PageQuery { limit, after } = PageQuery::of(request, RestoreId::parse)?;
        let page = review::restores(&*self.ask.ledger, &caller.account_id, after.as_ref(), limit).await;
        let page = page.map_err(problems::of_review)?;
        let now = self.ask.clock.now();
        let restores = page.items.iter().map(|restore| RestoreRepresentation::of(restore, now)).collect();
        let (id, next) = (|place: usize| page.items[place].restore_id.to_string(), page.next.as_ref());
        let (restores, next) = pages::within_bounds(restores, id, next.map(RestoreId::as_str));
        Ok(Response::json(StatusCode::OK, &RestorePage { restores, next, left_out: page.left_out }))
    }

    async fn read(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        let AskRestore { ledger, reader, clock, .. } = &self.ask;
        let restore = restore(&caller, route.restore_id()?);
        let review = review::restore(&**ledger, &**reader, &**clock, &restore).await.map_err(problems::of_review)?;
        let undo = self.undo_of(&review.restore).await?;
        Ok(Response::json(StatusCode::OK, &RestoreRepresentation::of_review(&review, undo, clock.now())))
    }

    async fn download_skipped(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        self.step_up.check_if_set(&caller).await?;
        let (restore, act) = (restore(&caller, route.restore_id()?), request.act(&caller)?);
        let (ledger, clock) = (&*self.ask.ledger, &*self.ask.clock);
        let link = review::skipped_link(ledger, &*self.links, clock, (&restore, &act), self.link_valid_for).await;
        let link = link.map_err(problems::of_review)?;
        links::answer(request, &link.url, link.expires_at)
    }

    async fn list_imports(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        let PageQuery { limit, after } = PageQuery::of(request, RestoreId::parse)?;
        let page = review::imports(&*self.ask.ledger, &caller.account_id, after.as_ref(), limit).await;
        let page = page.map_err(problems::of_review)?;
        let imports = page.items.iter().map(|import| ImportRepresentation::of(import, None)).collect();
        let (id, next) = (|place: usize| page.items[place].restore_id.to_string(), page.next.as_ref());
        let (imports, next) = pages::within_bounds(imports, id, next.map(RestoreId::as_str));
        Ok(Response::json(StatusCode::OK, &ImportPage { imports, next, left_out: page.left_out }))
    }

    async fn read_import(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        let found = review::import(&*self.ask.ledger, &restore(&caller, route.import_id()?)).await;
        let (import, restore) = found.map_err(problems::of_review)?;
        let undo = self.undo_of(&restore).await?;
        Ok(Response::json(StatusCode::OK, &ImportRepresentation::of(&import, undo)))
    }

    async fn download_errors(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        self.step_up.check_if_set(&caller).await?;
        let (import, act) = (restore(&caller, route.import_id()?), request.act(&caller)?);
        let (ledger, clock) = (&*self.ask.ledger, &*self.ask.clock);
        let link = review::errors_link(ledger, &*self.links, clock, (&import, &act), self.link_valid_for).await;
        let link = link.map_err(problems::of_review)?;
        links::answer(request, &link.url, link.expires_at)
    }

    /// Whether a restore can be undone. The reason against it is the sentence with which the undo would be refused.
    /// `None` for a restore that was not confirmed and so has written no value.
    async fn undo_of<'a>(&self, restore: &'a Restore) -> Result<Option<UndoRepresentation<'a>>, Problem> {
        if !restore.has_written() {
            return Ok(None);
        }
        let reason = match self.ask.may_be_undone(restore).await {
            Ok(()) => None,
            Err(error @ (AskError::Ledger(_) | AskError::Storage(_))) => return Err(problems::of_ask(error, &[])),
            Err(why) => Some(problems::of_ask(why, &[]).detail().to_owned()),
        };
        Ok(Some(UndoRepresentation::of(restore, reason)))
    }

    fn authorised(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Authorised, Problem> {
        request.authorised(&self.audience, route, Right::Restores)
    }

    fn answer(&self, status: StatusCode, restore: &Restore) -> Response {
        Response::json(status, &RestoreRepresentation::of(restore, self.ask.clock.now()))
    }

    /// 202, with the path of the restore in `Location`.
    fn accepted(&self, restore: &Restore) -> Result<Response, Problem> {
        let path = format!("/accounts/{}/restores/{}", restore.account_id, restore.restore_id);
        let location = HeaderValue::from_str(&path).map_err(|error| Problem::internal(&error))?;
        Ok(self.answer(StatusCode::ACCEPTED, restore).header(LOCATION, location))
    }
}

fn restore(caller: &Authorised, restore_id: RestoreId) -> RestoreRef {
    RestoreRef { account_id: caller.account_id.clone(), restore_id }
}
