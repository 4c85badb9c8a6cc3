use proptest::prelude::*;

use super::*;
use crate::FailureKind;
use crate::restore::outcome::OutcomeCounts;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn ada() -> Requester {
    Requester { subject: "ada".into(), email: None }
}

fn accepted() -> Restore {
    let restore = RestoreRef {
        account_id: AccountId::parse("42").expect("digits"),
        restore_id: RestoreId::new(at(1_800_000_000), [1; 10]),
    };
    let request = RestoreRequest {
        restore,
        portal_id: 7,
        api_version: ApiVersion::V2026_09,
        source: RestoreSource::Backup { backup_id: BackupId::new(at(1_800_000_000), [2; 10]) },
        object_type: ObjectType::parse("deals").expect("valid"),
        label: "Deal".into(),
        properties: vec!["amount".into()],
        by: ada(),
    };
    Restore::accepted(request, at(0))
}

fn plan(slices_to_apply: u32) -> Plan {
    Plan {
        counts: PlanCounts::default(),
        slices_to_apply,
        calls: 2,
        samples_key: "s".into(),
        skipped_key: None,
        made_at: at(100),
    }
}

fn leased(restore: &Restore, now: i64) -> Restore {
    restore.lease("run", at(now), SignedDuration::from_mins(5)).expect("free")
}

pub(super) fn planned(slices: u32) -> Restore {
    let defined = leased(&accepted(), 1);
    let mut restore = defined.apply(RestoreEvent::SlicesDefined { lease: 1, slices }, at(2)).expect("leased");
    for _ in 0..slices {
        assert_eq!(restore.state, RestoreState::Planning);
        restore = restore.apply(RestoreEvent::SliceFinished, at(3)).expect("open");
    }
    let summing = leased(&restore, 4);
    summing.apply(RestoreEvent::Planned { lease: 2, plan: plan(slices) }, at(100)).expect("leased")
}

#[test]
fn a_restore_goes_from_request_to_import() {
    let restore = planned(2);
    assert_eq!((restore.state, restore.due_at()), (RestoreState::Planned, None));
    let restore = restore.apply(RestoreEvent::Confirmed(ada()), at(200)).expect("in time");
    assert_eq!((restore.state, restore.open_slices), (RestoreState::Applying, 2));
    let restore = restore.apply(RestoreEvent::SliceFinished, at(201)).expect("open");
    let restore = restore.apply(RestoreEvent::SliceFinished, at(202)).expect("open");
    assert!(matches!(restore.work(), Some(Work::Restore { .. })));
    let concluding = leased(&restore, 203);
    let ended = concluding.apply(RestoreEvent::Concluded { lease: 3 }, at(204)).expect("leased");
    assert_eq!((ended.state, ended.ended_at), (RestoreState::Completed, Some(at(204))));
    let import = import::Import::of(&ended, &OutcomeCounts::default(), None, at(204));
    assert_eq!(import.name, "Data restore – Deal");
}

#[test]
fn a_plan_expires_after_an_hour_and_is_confirmed_once() {
    let restore = planned(1);
    let last = at(100) + PLAN_LIFETIME;
    assert!(restore.is_expired(last) && !restore.is_expired(last - SignedDuration::from_secs(1)));
    assert!(restore.apply(RestoreEvent::Confirmed(ada()), last).is_err());
    let confirmed = restore.apply(RestoreEvent::Confirmed(ada()), at(200)).expect("in time");
    assert!(confirmed.apply(RestoreEvent::Confirmed(ada()), at(200)).is_err());
    assert!(!confirmed.is_expired(last));
    assert!(planned(0).apply(RestoreEvent::Confirmed(ada()), at(200)).is_err(), "nothing to write");
}

#[test]
fn a_restore_that_has_begun_to_write_is_concluded_before_it_ends() {
    let failure = Failure::new(FailureKind::CrmTokenRefused, "No.");
    let applying = planned(3).apply(RestoreEvent::Confirmed(ada()), at(200)).expect("in time");
    assert!(applying.apply(RestoreEvent::Cancelled(ada()), at(201)).is_err());
    let stopped = applying.apply(RestoreEvent::Stopped(ada()), at(201)).expect("applying");
    let failed = applying.apply(RestoreEvent::Failed(failure.clone()), at(201)).expect("applying");
    for (concluding, end) in [(stopped, RestoreState::Stopped), (failed, RestoreState::Failed)] {
        assert_eq!(concluding.state, RestoreState::Concluding);
        assert!(concluding.apply(RestoreEvent::SliceFinished, at(202)).is_err());
        let ended = leased(&concluding, 203).apply(RestoreEvent::Concluded { lease: 3 }, at(204)).expect("leased");
        assert_eq!(ended.state, end);
    }
    // A restore that has written nothing ends at once.
    let failed = planned(3).apply(RestoreEvent::Failed(failure), at(200)).expect("not ended");
    assert_eq!((failed.state, failed.has_written()), (RestoreState::Failed, false));
    let cancelled = accepted().apply(RestoreEvent::Cancelled(ada()), at(1)).expect("not ended");
    assert_eq!(cancelled.state, RestoreState::Cancelled);
    assert!(cancelled.apply(RestoreEvent::UndoAsked(cancelled.restore_id.clone()), at(2)).is_err());
}

fn report() -> report::ReportProgress {
    report::ReportProgress {
        sources: "1-2-3".into(),
        done: 1,
        key: "k".into(),
        upload_id: None,
        parts: 0,
        bytes: 0,
        rest_key: Some("r".into()),
    }
}

/// R6: a report's progress belongs to the step that makes it and to the run that holds the lease.
#[test]
fn a_report_goes_on_until_its_step_is_done() {
    let saved = |lease| RestoreEvent::ReportSaved { lease, report: report() };
    assert!(planned(1).apply(saved(2), at(101)).is_err(), "the plan is made");
    let applying = planned(1).apply(RestoreEvent::Confirmed(ada()), at(200)).expect("in time");
    let concluding = leased(&applying.apply(RestoreEvent::SliceFinished, at(201)).expect("open"), 202);
    assert!(concluding.apply(saved(2), at(203)).is_err(), "another run has it");
    let half = concluding.apply(saved(3), at(203)).expect("leased");
    assert_eq!((half.report.as_ref(), half.leasing.attempts), (Some(&report()), 0));
    let released = RestoreEvent::Released { lease: 3, wait: None };
    let next = leased(&half.apply(released, at(204)).expect("held"), 205);
    assert_eq!(next.report, Some(report()));
    let ended = next.apply(RestoreEvent::Concluded { lease: 4 }, at(206)).expect("leased");
    assert_eq!((ended.state, ended.report), (RestoreState::Completed, None));
    // A restore that fails still knows which report is to be removed.
    let failed = next
        .apply(RestoreEvent::NotConcluded(Failure::new(FailureKind::ExportFailed, "s")), at(206))
        .expect("concluding");
    assert_eq!((failed.state, failed.report), (RestoreState::Failed, Some(report())));
}

/// The version before this one stored no progress of reports and no batches that were reported as a whole.
#[test]
fn restores_slices_and_imports_of_the_version_before_are_read() {
    let restore = planned(1);
    let slice = slice::RestoreSlice::waiting(&restore.reference(), 0, 0, 100, at(0));
    let import = import::Import::of(&restore, &OutcomeCounts::default(), None, at(204));
    let stored = [serde_json::to_value(&restore), serde_json::to_value(&slice), serde_json::to_value(&import)];
    let stored = stored.map(|json| json.expect("JSON"));
    for (json, new) in stored.iter().zip(["report", "toldBeyond", "errorsMissing"]) {
        assert!(json.get(new).is_none(), "{new} would be new to the version before");
    }
    let [restore_json, slice_json, import_json] = stored;
    assert_eq!(serde_json::from_value::<Restore>(restore_json).expect("readable"), restore);
    assert_eq!(serde_json::from_value::<slice::RestoreSlice>(slice_json).expect("readable"), slice);
    assert_eq!(serde_json::from_value::<import::Import>(import_json).expect("readable"), import);
}

fn any_event() -> impl Strategy<Value = RestoreEvent> {
    prop_oneof![
        (1..4_u32, 0..3_u32).prop_map(|(lease, slices)| RestoreEvent::SlicesDefined { lease, slices }),
        Just(RestoreEvent::SliceFinished),
        (1..4_u32).prop_map(|lease| RestoreEvent::Planned { lease, plan: plan(1) }),
        Just(RestoreEvent::Confirmed(ada())),
        Just(RestoreEvent::Stopped(ada())),
        Just(RestoreEvent::Cancelled(ada())),
        Just(RestoreEvent::Failed(Failure::new(FailureKind::ExportFailed, "s"))),
        (1..4_u32).prop_map(|lease| RestoreEvent::Concluded { lease }),
        (1..4_u32).prop_map(|lease| RestoreEvent::Released { lease, wait: None }),
        (1..4_u32).prop_map(|lease| RestoreEvent::ReportSaved { lease, report: report() }),
        Just(RestoreEvent::Requeued),
    ]
}

proptest! {
    /// In any order of events: final states stay, nothing is written without a confirmation, and a restore at work has
    /// a due time.
    #[test]
    fn no_order_of_events_breaks_a_restore(events in prop::collection::vec((any_event(), any::<bool>()), 0..40)) {
        let mut restore = accepted();
        for (second, (event, lease)) in (101..).zip(events) {
            if lease && let Ok(next) = restore.lease("run", at(second), SignedDuration::from_secs(1)) {
                restore = next;
            }
            let before = restore.clone();
            if let Ok(next) = restore.apply(event, at(second)) {
                prop_assert!(!before.state.is_terminal());
                restore = next;
            }
            let writes = matches!(
                restore.state,
                RestoreState::Applying | RestoreState::Concluding | RestoreState::Completed | RestoreState::Stopped
            );
            prop_assert!(!writes || restore.has_written());
            let rests = restore.state.is_terminal() || restore.state == RestoreState::Planned;
            prop_assert_eq!(restore.due_at().is_none(), rests);
            prop_assert_eq!(restore.ended_at.is_some(), restore.state.is_terminal());
        }
    }
}
