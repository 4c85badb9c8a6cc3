//! Translates requests that start, cancel and delete backups to and from the use cases.

use domain::audit::Act;
use domain::backup::Backup;
use domain::work::BackupRef;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use http_api::caller::{Authorised, Right};
use http_api::problem::Problem;
use http_api::representation::BackupRepresentation;
use http_api::request::Request;
use http_api::response::Response;
use http_api::routes::{MatchedRoute, Operation};
use http_api::step_up::StepUp;
use runtime::random;
use workflows::backup::create::{self, CreateBackup};
use workflows::backup::{cancel, delete};

use crate::problems;

/// The handler of all routes of this function.
pub(crate) struct Handler {
    pub(crate) create: CreateBackup,
    pub(crate) audience: String,
    pub(crate) step_up: StepUp,
}

impl Handler {
    pub(crate) async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let route = request.route()?;
        match route.operation {
            Operation::CreateBackup => self.create(&request, &route).await,
            Operation::CancelBackup => self.cancel(&request, &route).await,
            Operation::DeleteBackup => self.delete(&request, &route).await,
            _ => Err(Problem::path_unknown()),
        }
    }

    async fn create(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        request.no_fields()?;
        let wish = create::BackupRequest {
            act: request.act(&caller)?,
            idempotency_key: request.idempotency_key()?,
            random: random::bytes(),
        };
        let made = self.create.create(&wish).await;
        let backup = made.map_err(|error| problems::of_create(error, self.create.clock.now()))?;
        let path = format!("/accounts/{}/backups/{}", backup.account_id, backup.backup_id);
        let answer = self.answer(StatusCode::ACCEPTED, &backup);
        let location = HeaderValue::from_str(&path).map_err(|error| Problem::internal(&error))?;
        Ok(answer.header(LOCATION, location))
    }

    async fn cancel(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let (backup, act) = self.backup(request, route)?;
        let CreateBackup { ledger, queue, clock } = &self.create;
        let cancelled = cancel::cancel(&**ledger, &**queue, &**clock, &backup, &act).await;
        Ok(self.answer(StatusCode::OK, &cancelled.map_err(problems::of_cancel)?))
    }

    async fn delete(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let (backup, act) = self.backup(request, route)?;
        self.step_up.check_if_set(&self.authorised(request, route)?).await?;
        let CreateBackup { ledger, queue, clock } = &self.create;
        let deleted = delete::delete(&**ledger, &**queue, &**clock, &backup, &act).await;
        Ok(self.answer(StatusCode::OK, &deleted.map_err(problems::of_delete)?))
    }

    /// The backup and the action of a request without a body.
    fn backup(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<(BackupRef, Act), Problem> {
        let caller = self.authorised(request, route)?;
        request.no_fields()?;
        let act = request.act(&caller)?;
        Ok((BackupRef { account_id: caller.account_id, backup_id: route.backup_id()? }, act))
    }

    fn authorised(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Authorised, Problem> {
        request.authorised(&self.audience, route, Right::Backups)
    }

    fn answer(&self, status: StatusCode, backup: &Backup) -> Response {
        Response::json(status, &BackupRepresentation::of(backup, self.create.clock.now()))
    }
}
