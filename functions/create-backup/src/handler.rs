//! Requests that begin or end a backup, to and from the use cases.

use domain::backup::Backup;
use domain::work::BackupRef;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use lambda::caller::{Authorised, Right};
use lambda::http::{Request, Response};
use lambda::problem::Problem;
use lambda::random;
use lambda::representation::BackupRepresentation;
use lambda::routes::{Found, Operation};
use workflows::cancel_backup;
use workflows::create_backup::{self, CreateBackup, IdempotencyKey};

use crate::problems;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Answers requests.
pub(crate) struct Handler {
    pub(crate) create: CreateBackup,
    pub(crate) audience: String,
}

impl Handler {
    pub(crate) async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let route = request.route()?;
        match route.operation {
            Operation::CreateBackup => self.create(&request, &route).await,
            Operation::CancelBackup => self.cancel(&request, &route).await,
            _ => Err(Problem::path_unknown()),
        }
    }

    async fn create(&self, request: &Request, route: &Found<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route)?;
        request.no_fields()?;
        let wish = create_backup::Request {
            account_id: caller.account_id,
            requester: caller.requester,
            idempotency_key: idempotency_key(request)?,
            random: random::bytes(),
        };
        let backup = self.create.create(&wish).await.map_err(problems::of_create)?;
        let path = format!("/accounts/{}/backups/{}", backup.account_id, backup.backup_id);
        let answer = self.answer(StatusCode::ACCEPTED, &backup);
        let location = HeaderValue::from_str(&path).map_err(|error| Problem::internal(&error))?;
        Ok(answer.header(LOCATION, location))
    }

    async fn cancel(&self, request: &Request, route: &Found<'_>) -> Result<Response, Problem> {
        let account_id = self.authorised(request, route)?.account_id;
        request.no_fields()?;
        let backup = BackupRef { account_id, backup_id: route.backup_id()? };
        let CreateBackup { ledger, queue, clock } = &self.create;
        let cancelled = cancel_backup::cancel(&**ledger, &**queue, &**clock, &backup).await;
        Ok(self.answer(StatusCode::OK, &cancelled.map_err(problems::of_cancel)?))
    }

    fn authorised(&self, request: &Request, route: &Found<'_>) -> Result<Authorised, Problem> {
        request.caller(&self.audience)?.authorise(route.account, Right::Backups)
    }

    fn answer(&self, status: StatusCode, backup: &Backup) -> Response {
        Response::json(status, &BackupRepresentation::of(backup, self.create.clock.now()))
    }
}

fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, Problem> {
    if !request.has_header(IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    let key = request.header(IDEMPOTENCY_KEY).and_then(|text| IdempotencyKey::parse(text).ok());
    let malformed = || Problem::parameter_invalid(IDEMPOTENCY_KEY, "It must be 1 to 255 visible ASCII characters.");
    key.map(Some).ok_or_else(malformed)
}
