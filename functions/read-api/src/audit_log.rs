//! Requests that read the audit log.

use domain::audit::{AuditEntry, AuditFilter, AuditOutcome, OWN_ACTIONS, Reason};
use domain::ids::AuditEntryId;
use http::StatusCode;
use http_api::caller::Authorised;
use http_api::links;
use http_api::pages::{self, PageQuery};
use http_api::problem::Problem;
use http_api::representation::shown;
use http_api::request::Request;
use http_api::response::Response;
use http_api::routes::{MatchedRoute, ROUTES};
use jiff::Timestamp;
use jiff::civil::date;
use jiff::fmt::temporal::Pieces;
use serde::Serialize;
use workflows::audit_log;

use crate::handler::Handler;
use crate::problems;

/// The longest subject or e-mail address in a filter, in characters.
const LONGEST_WORD: usize = 320;

/// An entry as the account's super admins see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryRepresentation<'a> {
    entry_id: &'a AuditEntryId,
    at: Timestamp,
    subject: Option<&'a String>,
    email: Option<&'a String>,
    source_address: Option<&'a String>,
    action: &'a str,
    target: Option<&'a String>,
    outcome: AuditOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntriesPage<'a> {
    entries: Vec<EntryRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "pages::is_zero")]
    left_out: usize,
}

impl Handler {
    pub(crate) async fn list_audit_log(
        &self,
        request: &Request,
        route: &MatchedRoute<'_>,
    ) -> Result<Response, Problem> {
        let caller = self.of_known_account(request, route).await?;
        let PageQuery { limit, after } = PageQuery::of(request, AuditEntryId::parse)?;
        let (filter, limit) = (filter(request)?, usize::try_from(limit).unwrap_or(usize::MAX));
        let (ledger, clock) = (&*self.ledger, &*self.clock);
        let page = audit_log::list(ledger, clock, &caller.account_id, &filter, after.as_ref(), limit).await?;
        let entries = page.entries.iter().map(EntryRepresentation::of).collect();
        let (id, next) = (|place: usize| page.entries[place].entry_id.to_string(), page.next.as_ref());
        let (entries, next) = pages::within_bounds(entries, id, next.map(AuditEntryId::as_str));
        Ok(Response::json(StatusCode::OK, &EntriesPage { entries, next, left_out: page.left_out }))
    }

    async fn of_known_account(&self, request: &Request, route: &MatchedRoute<'_>) -> Result<Authorised, Problem> {
        let caller = self.authorised(request, route)?;
        let known = audit_log::check_account(&*self.ledger, &caller.account_id).await;
        known.map_err(problems::of_audit)?;
        Ok(caller)
    }

    pub(crate) async fn export_audit_log(
        &self,
        request: &Request,
        route: &MatchedRoute<'_>,
    ) -> Result<Response, Problem> {
        let caller = self.of_known_account(request, route).await?;
        self.step_up.check_if_set(&caller).await?;
        let (filter, act) = (filter(request)?, request.act(&caller)?);
        let ends = request.deadline.begin_nothing_after();
        let link = self.export.export(&filter, &act, self.link_valid_for, ends).await;
        let link = link.map_err(problems::of_audit)?;
        links::answer(request, &link.url, link.expires_at)
    }
}

impl<'a> EntryRepresentation<'a> {
    fn of(entry: &'a AuditEntry) -> Self {
        Self {
            entry_id: &entry.entry_id,
            at: shown(entry.at),
            subject: entry.subject.as_ref(),
            email: entry.email.as_ref(),
            source_address: entry.source_address.as_ref(),
            action: &entry.action,
            target: entry.target.as_ref(),
            outcome: entry.outcome,
            reason: entry.reason.as_ref(),
            requests: entry.requests,
        }
    }
}

/// Reads the query parameters `action` (one or more, separated by commas), `person`, `outcome`, `from`, `until` and
/// `strangers`.
fn filter(request: &Request) -> Result<AuditFilter, Problem> {
    let actions = request.query("action").map_or(Ok(Vec::new()), |text| {
        text.split(',').map(|word| action(word.trim())).collect::<Result<Vec<_>, _>>()
    })?;
    let filter = AuditFilter {
        actions: actions.into_iter().collect(),
        person: request.query("person").map(|text| word("person", text)).transpose()?,
        outcome: request.query("outcome").map(outcome).transpose()?,
        from: request.query("from").map(|text| time("from", text)).transpose()?,
        until: request.query("until").map(|text| time("until", text)).transpose()?,
        strangers: request.query("strangers").map_or(Ok(false), strangers)?,
    };
    match (filter.from, filter.until) {
        (Some(from), Some(until)) if from > until => {
            Err(Problem::parameter_invalid("from", "It is later than `until`, so no entry can match. Swap them."))
        }
        _ => Ok(filter),
    }
}

/// A misspelt action is refused, because an empty list would look like an action without entries.
fn action(text: &str) -> Result<String, Problem> {
    let known = ROUTES.iter().map(|route| route.operation.slug()).chain(OWN_ACTIONS);
    let found = known.into_iter().find(|action| *action == text).map(str::to_owned);
    found.ok_or_else(|| {
        Problem::parameter_invalid("action", "It contains an unknown action. /openapi.json lists all actions.")
    })
}

fn word(name: &str, text: &str) -> Result<String, Problem> {
    if (1..=LONGEST_WORD).contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    Err(Problem::parameter_invalid(name, format!("It must be 1 to {LONGEST_WORD} characters.")))
}

fn outcome(text: &str) -> Result<AuditOutcome, Problem> {
    let known = [AuditOutcome::Succeeded, AuditOutcome::Refused, AuditOutcome::Failed];
    let found = known.into_iter().find(|outcome| outcome.slug() == text);
    found.ok_or_else(|| Problem::parameter_invalid("outcome", "It must be succeeded, refused or failed."))
}

fn strangers(text: &str) -> Result<bool, Problem> {
    text.parse().map_err(|_| Problem::parameter_invalid("strangers", "It must be true or false."))
}

/// People write the last second of the year 9999 for "no end". Such a time counts as the latest possible one.
fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    let detail = "It must be a time such as 2026-11-23T09:00:00Z. Write a `+` in the offset as %2B.";
    let time = text.parse().ok().or_else(|| is_last_day(text).then_some(Timestamp::MAX));
    time.ok_or_else(|| Problem::parameter_invalid(name, detail))
}

/// Whether the text is a well-formed time in the last two days of the year 9999. Some of these are too late for
/// [`Timestamp`].
fn is_last_day(text: &str) -> bool {
    let pieces = Pieces::parse(text).ok();
    pieces.is_some_and(|pieces| {
        pieces.date() >= date(9999, 12, 30) && pieces.time().is_some() && pieces.offset().is_some()
    })
}
