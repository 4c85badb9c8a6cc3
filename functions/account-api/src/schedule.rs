//! Requests about an account's schedule.

use domain::Failure;
use domain::account::Requester;
use domain::schedule::{Cadence, LatestRun, Schedule};
use http::StatusCode;
use http_api::caller::Right;
use http_api::fields::Fields;
use http_api::problem::Problem;
use http_api::representation::shown;
use http_api::request::Request;
use http_api::response::Response;
use http_api::routes::MatchedRoute;
use jiff::Timestamp;
use jiff::civil::Weekday;
use serde::Serialize;
use workflows::schedule::{self, ScheduleWish};

use crate::handler::Handler;
use crate::problems;

const CADENCES: [(&str, Cadence); 2] = [("week", Cadence::Week), ("two-weeks", Cadence::TwoWeeks)];

/// A schedule as the account's super admins see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScheduleRepresentation<'a> {
    enabled: bool,
    every: Cadence,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    on: Option<OnRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_run: Option<&'a LatestRun>,
    /// Why the deployment switched it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'a Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OnRepresentation<'a> {
    weekday: &'static str,
    time_of_day: String,
    time_zone: &'a str,
    next_run_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_until: Option<Timestamp>,
    enabled_by: &'a Requester,
}

impl<'a> ScheduleRepresentation<'a> {
    fn of(schedule: &'a Schedule) -> Self {
        let on = schedule.on.as_ref().map(|on| OnRepresentation {
            weekday: weekday(on.anchor.weekday()),
            time_of_day: format!("{:02}:{:02}", on.anchor.hour(), on.anchor.minute()),
            time_zone: &on.time_zone,
            next_run_at: shown(on.next_run_at),
            waits_until: on.waits_until.map(shown),
            enabled_by: &on.by,
        });
        Self {
            enabled: schedule.on.is_some(),
            every: schedule.every,
            on,
            latest_run: schedule.latest.as_ref(),
            stopped: schedule.stopped.as_ref(),
        }
    }
}

const fn weekday(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}

impl Handler {
    pub(crate) async fn read_schedule(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Response, Problem> {
        let caller = self.authorised(request, route, Right::Backups)?;
        let schedule = schedule::read(&*self.ledger, &caller.account_id).await;
        let schedule = schedule.map_err(problems::of_schedule)?;
        Ok(Response::json(StatusCode::OK, &ScheduleRepresentation::of(&schedule)))
    }

    pub(crate) async fn change_schedule(
        &self,
        request: &Request,
        route: &MatchedRoute<'_>,
    ) -> Result<Response, Problem> {
        let caller = self.authorised(request, route, Right::Backups)?;
        let (wish, act) = (wish(request.fields()?)?, request.act(&caller)?);
        let schedule = schedule::set(&*self.ledger, &*self.clock, &act, wish).await;
        let schedule = schedule.map_err(problems::of_schedule)?;
        Ok(Response::json(StatusCode::OK, &ScheduleRepresentation::of(&schedule)))
    }
}

fn wish(mut body: Fields) -> Result<ScheduleWish, Problem> {
    let mut faults = Vec::new();
    body.require(&["enabled"], &mut faults);
    let enabled = body.flag("enabled", &mut faults);
    let every = body.choice("every", &CADENCES, &mut faults);
    body.finish(&mut faults);
    match enabled {
        Some(enabled) if faults.is_empty() => Ok(ScheduleWish { enabled, every }),
        _ => Err(Problem::input_invalid(faults)),
    }
}
