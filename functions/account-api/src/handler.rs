//! Translates requests about settings, the schedule and notifications to and from the use cases.

use std::sync::Arc;

use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use http::StatusCode;
use http_api::caller::{Authorised, Right};
use http_api::problem::Problem;
use http_api::request::Request;
use http_api::response::Response;
use http_api::routes::{MatchedRoute, Operation};
use http_api::step_up::StepUp;
use workflows::change_account::{self, ChangeAccount};

use crate::representation::AccountRepresentation;
use crate::{body, problems};

/// The handler of all routes of this function.
pub(crate) struct Handler {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) accounts: ChangeAccount,
    pub(crate) audience: String,
    pub(crate) step_up: StepUp,
}

impl Handler {
    pub(crate) async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let route = request.route()?;
        match route.operation {
            Operation::ReadAccount => self.read(&request, &route).await,
            Operation::ChangeAccount => self.change(&request, &route).await,
            Operation::ReadSchedule => self.read_schedule(&request, &route).await,
            Operation::ChangeSchedule => self.change_schedule(&request, &route).await,
            Operation::ListNotifications => self.list_notifications(&request, &route).await,
            Operation::ReadNotification => self.read_notification(&request, &route).await,
            Operation::MarkNotification => self.mark_notification(&request, &route).await,
            _ => Err(Problem::path_unknown()),
        }
    }

    async fn read(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route, Right::Settings)?;
        let account = change_account::read(&*self.ledger, &caller.account_id).await;
        let account = account.map_err(|error| self.problem(error))?;
        Ok(Response::json(StatusCode::OK, &AccountRepresentation::of(&account, None)))
    }

    async fn change(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route, Right::Settings)?;
        let change = body::parse(request.fields()?)?;
        if change.tier.is_some() && !caller.is_operator {
            return Err(problems::plan_is_the_operators());
        }
        if change.may_need_second_factor() {
            self.step_up.check_if_set(&caller).await?;
        }
        let (act, deadline) = (request.act(&caller)?, request.deadline.begin_nothing_after());
        let changed = self.accounts.change(&act, caller.is_operator, &change, deadline).await;
        let changed = changed.map_err(|error| self.problem(error))?;
        let status = if changed.created { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Response::json(status, &AccountRepresentation::of(&changed.account, changed.webhook_secret.as_ref())))
    }

    pub(crate) fn authorised(
        &self,
        request: &Request,
        route: &MatchedRoute<'_>,
        right: Right,
    ) -> Result<Authorised, Problem> {
        request.authorised(&self.audience, route, right)
    }

    fn problem(&self, error: change_account::ChangeError) -> Problem {
        problems::of_change(error, &self.accounts.base_urls, self.clock.now())
    }
}
