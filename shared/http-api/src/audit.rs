//! The audit log of requests that end in a problem. A successful request is recorded by its use case, together with the
//! change; a denied or failed one is recorded here, before it is answered.
//!
//! Nothing is refused unseen: each refused request with a valid token has its own entry; or, if it is a stranger's, an
//! entry that names the stranger and counts their requests in that minute. A stranger's request about an account that
//! does not exist has a line in the log of the function.

use std::sync::Arc;

use domain::account::Requester;
use domain::audit::{Act, AuditOutcome, Reason};
use domain::ids::AccountId;
use domain::ports::ledger::Ledger;
use http::StatusCode;
use jiff::SignedDuration;
use workflows::audit_log;

use crate::problem::Problem;
use crate::request::Request;

/// Records requests that end in a problem.
#[derive(Clone)]
pub struct AuditLog {
    pub ledger: Arc<dyn Ledger>,
    pub kept_for: SignedDuration,
    /// The audience of the API's ID tokens.
    pub audience: String,
}

/// The audit entry of a request, should it end in a problem.
pub(crate) struct Watched {
    act: Act,
    target: Option<String>,
    is_stranger: bool,
    /// Whether any problem is recorded, or only a denied access.
    always: bool,
}

impl AuditLog {
    /// Prepares the entry before `request` is handled; `None` without an account or a verified token.
    pub(crate) fn watch(&self, request: &Request) -> Option<Watched> {
        let route = request.route().ok()?;
        let account_id = AccountId::parse(route.account).ok()?;
        let (by, is_stranger) = match request.caller(&self.audience) {
            Ok(caller) => (caller.requester().clone(), caller.is_stranger_to(route.account)),
            // A valid token that is not for this API: only its verified subject is used.
            Err(_) => (Requester { subject: request.verified_subject()?.to_owned(), email: None }, true),
        };
        let act = request.trace().act(account_id, by, route.operation.slug());
        let (target, always) = (route.item_id().map(str::to_owned), route.operation.is_audited());
        Some(Watched { act, target, is_stranger, always })
    }

    /// Records that a watched request ended in `problem`. If the entry cannot be written the caller gets 503, so that
    /// no attempt goes unrecorded.
    pub(crate) async fn refused(&self, watched: Option<Watched>, problem: Problem) -> Problem {
        let Some(watched) = watched else { return problem };
        let status = problem.kind().status;
        let is_refusal = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if !watched.always && !is_refusal {
            return problem;
        }
        let outcome = if status.is_server_error() { AuditOutcome::Failed } else { AuditOutcome::Refused };
        let reason = Reason { kind: problem.kind().slug.to_owned(), sentence: problem.detail().to_owned() };
        let entry = watched.act.ended(watched.target, outcome, reason);
        let recorded = if watched.is_stranger {
            audit_log::record_stranger(&*self.ledger, entry).await
        } else {
            audit_log::record(&*self.ledger, &entry).await
        };
        match recorded {
            Ok(()) => problem,
            Err(error) => Problem::unavailable(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::{AuditEntry, AuditFilter, MOST_COUNTED};
    use domain::ports::ledger::Change;
    use in_memory::faults::{Fault, Faults};
    use in_memory::{ManualClock, MemoryLedger};
    use jiff::Timestamp;

    use super::*;
    use crate::caller::Right;
    use crate::problem::catalogue;
    use crate::request::LONGEST_BODY;
    use crate::response::Response;
    use crate::testing::account::{account, account_id};
    use crate::testing::{AUDIENCE, ApiCall, document};

    const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

    fn audit(ledger: Arc<dyn Ledger>) -> AuditLog {
        AuditLog { ledger, kept_for: KEPT_FOR, audience: AUDIENCE.to_owned() }
    }

    /// An id that no backup has.
    const ID: &str = "0198a000-0000-7000-8000-000000000000";

    async fn with_account() -> Arc<MemoryLedger> {
        let ledger = Arc::new(MemoryLedger::new());
        ledger.commit(&[Change::create(&account(false))]).await.expect("new");
        ledger
    }

    async fn entries(ledger: &MemoryLedger) -> Vec<AuditEntry> {
        listed(ledger, false).await
    }

    async fn listed(ledger: &MemoryLedger, strangers: bool) -> Vec<AuditEntry> {
        let filter = AuditFilter { strangers, ..AuditFilter::default() };
        let clock = ManualClock::at(Timestamp::now());
        audit_log::list(ledger, &clock, &account_id(), &filter, None, 100).await.expect("readable").entries
    }

    /// The answer of a handler that authorises super admins and knows no backup.
    async fn answered(ledger: &Arc<MemoryLedger>, call: ApiCall) -> Response {
        let handler = async |request: Request| {
            let route = request.route()?;
            request.caller(AUDIENCE)?.authorise(route.account, Right::Backups)?;
            Err(Problem::backup_unknown())
        };
        call.answered_with(&audit(ledger.clone()), handler).await
    }

    #[tokio::test]
    async fn a_denied_request_is_recorded_with_address_and_reason() {
        let ledger = with_account().await;
        let call = ApiCall::get(&format!("/accounts/42/backups/{ID}")).by(&["operators"]);
        assert_eq!(answered(&ledger, call).await.status(), 403);
        let [entry] = &entries(&ledger).await[..] else { panic!("one entry") };
        assert_eq!((entry.action.as_str(), entry.target.as_deref()), ("read-backup", Some(ID)));
        assert_eq!((entry.subject.as_deref(), entry.email.as_deref()), (Some("user-1"), Some("ada@example.com")));
        assert!(entry.source_address.is_some() && entry.outcome == AuditOutcome::Refused);
        assert_eq!(entry.reason.as_ref().map(|reason| reason.kind.as_str()), Some("forbidden"));
        assert_eq!(entry.forget_at, entry.at + KEPT_FOR);
    }

    /// B4: a text of 128 characters, chosen by whoever sent the request, was in the entry.
    #[tokio::test]
    async fn a_target_has_the_form_of_an_id() {
        let ledger = with_account().await;
        for item in ["b-1", "Call%20this%20number", &ID.to_uppercase()] {
            let call = ApiCall::get(&format!("/accounts/42/backups/{item}")).by(&["operators"]);
            assert_eq!(answered(&ledger, call).await.status(), 403);
        }
        assert!(entries(&ledger).await.iter().all(|entry| entry.target.is_none()));
    }

    #[tokio::test]
    async fn requests_of_strangers_are_counted_apart() {
        let ledger = with_account().await;
        let call = || ApiCall::get(&format!("/accounts/42/backups/{ID}")).by(&["43:super-admin"]);
        for _ in 0..2_000 {
            assert_eq!(answered(&ledger, call()).await.status(), 403);
        }
        assert!(entries(&ledger).await.is_empty(), "the account's own log is as it was");
        let found = listed(&ledger, true).await;
        // The clock may have passed the end of a minute meanwhile.
        assert!((1..=2).contains(&found.len()), "{}", found.len());
        assert!(found.iter().any(|entry| entry.requests == Some(MOST_COUNTED)));
        let entry = &found[0];
        assert_eq!((entry.action.as_str(), entry.target.as_deref()), ("read-backup", Some(ID)));
        assert_eq!((entry.subject.as_deref(), entry.email.as_deref()), (Some("user-1"), Some("ada@example.com")));
        assert_eq!(entry.reason.as_ref().map(|reason| reason.kind.as_str()), Some("forbidden"));
    }

    #[tokio::test]
    async fn a_strangers_request_about_an_unknown_account_is_answered_alike_and_leaves_nothing() {
        let ledger = with_account().await;
        let before = ledger.all();
        let [known, unknown] = ["42", "44"].map(|id| ApiCall::get(&format!("/accounts/{id}/backups")).by(&[]));
        let unknown = answered(&ledger, unknown).await;
        assert_eq!(ledger.all(), before);
        let known = answered(&ledger, known).await;
        assert_eq!((known.status(), known.body()), (unknown.status(), unknown.body()));
    }

    #[tokio::test]
    async fn a_token_of_another_api_is_recorded_by_its_subject_only() {
        let ledger = with_account().await;
        let claims = serde_json::json!({ "sub": "user-9", "token_use": "access", "email": "eve@example.com" });
        let call = ApiCall::get("/accounts/42/backups").with_claims(&claims);
        assert_eq!(answered(&ledger, call).await.status(), 401);
        let [entry] = &listed(&ledger, true).await[..] else { panic!("one entry") };
        assert_eq!((entry.subject.as_deref(), entry.email.as_deref()), (Some("user-9"), None));
    }

    #[tokio::test]
    async fn of_authorised_requests_only_audited_operations_are_recorded() {
        let ledger = Arc::new(MemoryLedger::new());
        let admin = |call: ApiCall| call.by(&["42:super-admin"]);
        assert_eq!(answered(&ledger, admin(ApiCall::get("/accounts/42/backups/b-1"))).await.status(), 404);
        assert!(entries(&ledger).await.is_empty(), "a read that found nothing");
        let path = "/accounts/42/backups/b-1/download";
        assert_eq!(answered(&ledger, admin(ApiCall::get(path))).await.status(), 404);
        assert_eq!(entries(&ledger).await[0].action, "download-backup");
    }

    #[tokio::test]
    async fn a_denied_request_is_recorded_even_if_its_body_is_too_long() {
        let ledger = with_account().await;
        let call = ApiCall::new("POST", "/accounts/42/backups").by(&["operators"]).body(&" ".repeat(LONGEST_BODY + 1));
        assert_eq!(answered(&ledger, call).await.status(), 403);
        assert_eq!(entries(&ledger).await.len(), 1);
    }

    #[tokio::test]
    async fn a_request_whose_entry_cannot_be_written_gets_503() {
        // A stranger's entry is written after the account and the entry were looked for.
        for (groups, calls) in [(&["operators"][..], 1..=1), (&[], 1..=3)] {
            for nth in calls {
                let faults = Faults::at(nth, Fault::CallFails);
                let audit = audit(faults.worker().wrap(with_account().await));
                let handler = async |_: Request| Err(Problem::new(catalogue::FORBIDDEN, "No."));
                let call = ApiCall::get("/accounts/42/backups").by(groups);
                let response = call.answered_with(&audit, handler).await;
                assert_eq!(document(&response)["type"], catalogue::UNAVAILABLE.uri(), "call {nth}");
            }
        }
    }

    #[tokio::test]
    async fn a_request_without_an_account_or_a_token_leaves_no_entry() {
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
