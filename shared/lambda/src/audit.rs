//! The audit log at the edge: what somebody is about to do, for the use case that records it together with what it
//! changes; and what was refused, which is recorded here before it is answered.

use std::sync::Arc;

use domain::account::Requester;
use domain::audit::{Act, AuditOutcome, Reason};
use domain::ids::{AccountId, AuditEntryId};
use domain::ports::ledger::Ledger;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use workflows::audit_log;

use crate::http::Request;
use crate::problem::Problem;
use crate::random;
use crate::representation::shown;

/// Records what was refused.
#[derive(Clone)]
pub struct AuditLog {
    pub ledger: Arc<dyn Ledger>,
    pub kept_for: SignedDuration,
    /// The audience of the API's ID tokens.
    pub audience: String,
}

/// A request as the audit log sees it.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) at: Timestamp,
    /// Makes its entry's id unique.
    pub(crate) random: [u8; 10],
    /// Where it came from.
    pub(crate) source_address: Option<String>,
    /// How long its entry is kept.
    pub(crate) kept_for: SignedDuration,
}

impl Trace {
    pub(crate) fn new(source_address: Option<String>, kept_for: SignedDuration) -> Self {
        Self { at: shown(Timestamp::now()), random: random::bytes(), source_address, kept_for }
    }

    /// What `by` does to an account with a request of this trace. The same every time, so that there is one entry at most.
    pub(crate) fn act(&self, account_id: AccountId, by: Requester, action: &'static str) -> Act {
        Act {
            account_id,
            entry_id: AuditEntryId::new(self.at, self.random),
            at: self.at,
            by,
            source_address: self.source_address.clone(),
            action,
            kept_for: self.kept_for,
        }
    }
}

/// A request that leaves an entry if it is refused.
pub(crate) struct Watched {
    act: Act,
    target: Option<String>,
    always: bool,
}

impl AuditLog {
    /// What is known about `request` before it is handled; None where there is no account to keep an entry for, or nobody
    /// whose token was verified.
    pub(crate) fn watch(&self, request: &Request) -> Option<Watched> {
        let route = request.route().ok()?;
        let account_id = AccountId::parse(route.account).ok()?;
        let by = match request.caller(&self.audience) {
            Ok(caller) => caller.requester().clone(),
            // The token is somebody's, but not for this API: what it says besides the subject was not meant for us.
            Err(_) => Requester { subject: request.verified_subject()?.to_owned(), email: None },
        };
        let act = request.trace().act(account_id, by, route.operation.slug());
        Some(Watched { act, target: route.item().map(str::to_owned), always: route.operation.is_audited() })
    }

    /// Records that a watched request was answered with `problem`. What the log does not take is not answered: nobody
    /// tries things unseen.
    pub(crate) async fn refused(&self, watched: Option<Watched>, problem: Problem) -> Problem {
        let Some(watched) = watched else { return problem };
        let status = problem.kind().status;
        let is_refusal = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if !watched.always && !is_refusal {
            return problem;
        }
        let outcome = if status.is_server_error() { AuditOutcome::Failed } else { AuditOutcome::Refused };
        let reason = Reason { kind: problem.kind().word.to_owned(), sentence: problem.detail().to_owned() };
        let entry = watched.act.ended(watched.target, outcome, reason);
        match audit_log::record(&*self.ledger, &entry).await {
            Ok(()) => problem,
            Err(error) => Problem::unavailable(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::{AuditEntry, AuditFilter};
    use in_memory::faults::{Fault, Faults};
    use in_memory::{ManualClock, MemoryLedger};

    use super::*;
    use crate::caller::Right;
    use crate::http::{LONGEST_BODY, Response};
    use crate::problem::catalogue;
    use crate::testing::{AUDIENCE, ApiCall, document};

    const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

    fn audit(ledger: Arc<dyn Ledger>) -> AuditLog {
        AuditLog { ledger, kept_for: KEPT_FOR, audience: AUDIENCE.to_owned() }
    }

    async fn entries(ledger: &MemoryLedger) -> Vec<AuditEntry> {
        let account = AccountId::parse("42").expect("digits");
        let clock = ManualClock::at(Timestamp::now());
        audit_log::list(ledger, &clock, &account, &AuditFilter::default(), None, 100).await.expect("readable").entries
    }

    /// Sends a request to a handler that lets super admins in and finds nothing there.
    async fn answered(ledger: &Arc<MemoryLedger>, call: ApiCall) -> Response {
        let handler = async |request: Request| {
            let route = request.route()?;
            request.caller(AUDIENCE)?.authorise(route.account, Right::Backups)?;
            Err(Problem::backup_unknown())
        };
        call.answered_with(&audit(ledger.clone()), handler).await
    }

    #[tokio::test]
    async fn whoever_is_refused_is_remembered_with_address_and_reason() {
        let ledger = Arc::new(MemoryLedger::new());
        let call = ApiCall::get("/accounts/42/backups/b-1").by(&["43:super-admin"]);
        assert_eq!(answered(&ledger, call).await.status(), 403);
        let [entry] = &entries(&ledger).await[..] else { panic!("one entry") };
        assert_eq!((entry.action.as_str(), entry.target.as_deref()), ("read-backup", Some("b-1")));
        assert_eq!((entry.subject.as_deref(), entry.email.as_deref()), (Some("user-1"), Some("ada@example.com")));
        assert!(entry.source_address.is_some() && entry.outcome == AuditOutcome::Refused);
        assert_eq!(entry.reason.as_ref().map(|reason| reason.kind.as_str()), Some("forbidden"));
        assert_eq!(entry.forget_at, entry.at + KEPT_FOR);
    }

    #[tokio::test]
    async fn a_token_that_is_none_for_this_api_is_remembered_by_its_subject_alone() {
        let ledger = Arc::new(MemoryLedger::new());
        let claims = serde_json::json!({ "sub": "user-9", "token_use": "access", "email": "eve@example.com" });
        let call = ApiCall::get("/accounts/42/backups").with_claims(&claims);
        assert_eq!(answered(&ledger, call).await.status(), 401);
        let [entry] = &entries(&ledger).await[..] else { panic!("one entry") };
        assert_eq!((entry.subject.as_deref(), entry.email.as_deref()), (Some("user-9"), None));
    }

    #[tokio::test]
    async fn of_those_who_may_only_what_changes_or_hands_out_something_is_remembered() {
        let ledger = Arc::new(MemoryLedger::new());
        let admin = |call: ApiCall| call.by(&["42:super-admin"]);
        assert_eq!(answered(&ledger, admin(ApiCall::get("/accounts/42/backups/b-1"))).await.status(), 404);
        assert!(entries(&ledger).await.is_empty(), "looking in vain");
        let path = "/accounts/42/backups/b-1/download";
        assert_eq!(answered(&ledger, admin(ApiCall::get(path))).await.status(), 404);
        assert_eq!(entries(&ledger).await[0].action, "download-backup");
    }

    #[tokio::test]
    async fn whoever_may_not_send_a_body_is_remembered_however_long_it_is() {
        let ledger = Arc::new(MemoryLedger::new());
        let call = ApiCall::new("POST", "/accounts/42/backups").by(&[]).body(&" ".repeat(LONGEST_BODY + 1));
        assert_eq!(answered(&ledger, call).await.status(), 403);
        assert_eq!(entries(&ledger).await.len(), 1);
    }

    #[tokio::test]
    async fn nothing_is_refused_unseen() {
        let faults = Faults::at(1, Fault::CallFails);
        let audit = audit(faults.worker().wrap(Arc::new(MemoryLedger::new())));
        let handler = async |_: Request| Err(Problem::new(catalogue::FORBIDDEN, "No."));
        let call = ApiCall::get("/accounts/42/backups").by(&[]);
        let response = call.answered_with(&audit, handler).await;
        assert_eq!(document(&response)["type"], catalogue::UNAVAILABLE.uri());
    }

    #[tokio::test]
    async fn what_names_no_account_or_nobody_leaves_no_entry() {
        let ledger = Arc::new(MemoryLedger::new());
        for call in [
            ApiCall::get("/accounts/x/backups").by(&[]),
            ApiCall::get("/accounts/42/backups"),
            ApiCall::get("/nowhere").by(&[]),
        ] {
            assert!(answered(&ledger, call).await.status().is_client_error());
        }
        assert!(ledger.all().is_empty());
    }
}
