use proptest::prelude::*;

use super::*;

fn policy(per_ten_seconds: u32, per_day: u32) -> BudgetPolicy {
    BudgetPolicy {
        limits: CallLimits::in_ten_seconds(per_ten_seconds, per_day),
        share: CallShare { burst_percent: 100, daily_percent: 100 },
        time_zone: TimeZone::UTC,
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("in range")
}

fn budget(policy: &BudgetPolicy) -> CallBudget {
    CallBudget::unused(AccountId::parse("1").expect("valid"), policy, at(0))
}

proptest! {
    /// No window holds more slots than the limit, for every length of a window and every sequence of requests.
    #[test]
    fn no_window_exceeds_the_limit(
        limit in 2_u32..400,
        window in 1_i64..20,
        asks in prop::collection::vec((0_i64..3_000, 1_u32..6), 1..200),
    ) {
        let window = SignedDuration::from_secs(window);
        let mut policy = policy(limit, 1_000_000);
        policy.limits.window = window;
        let mut budget = budget(&policy);
        let mut now = 0;
        let mut sent = Vec::new();
        for (pause, wanted) in asks {
            now += pause;
            let latest = at(now) + SignedDuration::from_secs(60);
            let (next, grant) = budget.lease(&policy, CallKind::Ordinary, wanted, at(now), latest);
            budget = next;
            if let Grant::Slots(slots) = grant {
                sent.extend(slots);
            }
        }
        for (first, start) in sent.iter().enumerate() {
            let end = *start + window;
            let inside = sent[first..].iter().filter(|slot| **slot < end).count();
            prop_assert!(inside <= limit as usize, "{inside} calls in {window:?}, {limit} allowed");
        }
    }
}

#[test]
fn limits_stored_before_windows_and_searches_were_are_those_of_ten_seconds_and_five_searches() {
    let former: CallLimits = serde_json::from_str(r#"{"perTenSeconds":190,"perDay":625000}"#).expect("limits");
    assert_eq!(former, CallLimits::in_ten_seconds(190, 625_000));
    let stored = serde_json::to_string(&former).expect("JSON");
    assert_eq!(stored, r#"{"perTenSeconds":190,"perDay":625000}"#, "functions of the version before read it");
    let other = CallLimits { per_window: 25, window: SignedDuration::from_secs(2), searches_per_second: 7, ..former };
    let stored = serde_json::to_string(&other).expect("JSON");
    assert_eq!(serde_json::from_str::<CallLimits>(&stored).expect("limits"), other);
    assert_eq!((other.per_ten_seconds(), former.per_ten_seconds()), (125, 190));
}

#[test]
fn busy_workers_get_at_least_97_percent_of_the_limit() {
    assert!(policy(190, 1).calls_per_second() >= 0.97 * 19.0);
}

#[test]
fn the_day_ends_at_the_accounts_midnight() {
    let mut policy = policy(100, 2);
    policy.time_zone = TimeZone::get("Europe/Berlin").expect("bundled");
    let start: Timestamp = "2026-10-25T00:30:00Z".parse().expect("valid");
    let unused = CallBudget::unused(AccountId::parse("1").expect("valid"), &policy, start);
    let (used, _) = unused.lease(&policy, CallKind::Ordinary, 2, start, start + SignedDuration::from_secs(9));
    let (waiting, grant) = used.lease(&policy, CallKind::Search, 1, start, start);
    // That day has 25 hours in Berlin.
    let midnight: Timestamp = "2026-10-25T23:00:00Z".parse().expect("valid");
    assert_eq!(grant, Grant::Wait { until: midnight, reason: WaitReason::DailyLimit });
    let (_, grant) = waiting.lease(&policy, CallKind::Ordinary, 1, midnight, midnight);
    assert_eq!(grant, Grant::Slots(vec![midnight]));
}

#[test]
fn other_apps_calls_count() {
    let policy = policy(100, 1_000);
    let budget = budget(&policy).daily_remaining(&policy, 1, at(0));
    let (budget, grant) = budget.lease(&policy, CallKind::Ordinary, 5, at(0), at(9_000));
    assert_eq!(grant, Grant::Slots(vec![at(0)]));
    let (_, grant) = budget.lease(&policy, CallKind::Ordinary, 5, at(0), at(9_000));
    assert!(matches!(grant, Grant::Wait { reason: WaitReason::DailyLimit, .. }));
}

#[test]
fn a_stale_figure_of_the_crm_stops_no_account_for_long() {
    let policy = policy(100, 1_000);
    let refused = budget(&policy).daily_remaining(&policy, 0, at(0));
    let half_an_hour = at(30 * 60_000);
    let (waiting, grant) = refused.lease(&policy, CallKind::Ordinary, 1, at(0), at(0));
    assert_eq!(grant, Grant::Wait { until: half_an_hour, reason: WaitReason::DailyLimit });
    let (_, grant) = waiting.lease(&policy, CallKind::Ordinary, 1, half_an_hour, half_an_hour);
    assert_eq!(grant, Grant::Slots(vec![half_an_hour]));
}

#[test]
fn a_pause_holds_for_all_calls() {
    let policy = policy(100, 1_000);
    let paused = budget(&policy).paused(at(5_000));
    let (_, grant) = paused.lease(&policy, CallKind::Ordinary, 1, at(0), at(4_999));
    assert_eq!(grant, Grant::Wait { until: at(5_000), reason: WaitReason::RateLimit });
    let (_, grant) = paused.lease(&policy, CallKind::Search, 1, at(0), at(6_000));
    assert_eq!(grant, Grant::Slots(vec![at(5_000)]));
}

/// Searches have their own limit, so a refused search does not concern other calls.
#[test]
fn a_pause_of_searches_holds_for_searches_alone() {
    let policy = policy(100, 1_000);
    let paused = budget(&policy).searches_paused(at(5_000)).searches_paused(at(2_000));
    let (_, grant) = paused.lease(&policy, CallKind::Search, 1, at(0), at(6_000));
    assert_eq!(grant, Grant::Slots(vec![at(5_000)]));
    let (_, grant) = paused.lease(&policy, CallKind::Ordinary, 1, at(0), at(6_000));
    assert_eq!(grant, Grant::Slots(vec![at(0)]));
}

#[test]
fn a_budget_of_a_version_without_pauses_of_searches_is_read() {
    let policy = policy(100, 1_000);
    let mut stored = serde_json::to_value(budget(&policy)).expect("JSON");
    stored.as_object_mut().expect("an object").remove("searchesPausedUntil").expect("it is stored");
    let read: CallBudget = serde_json::from_value(stored).expect("readable");
    let (_, grant) = read.lease(&policy, CallKind::Search, 1, at(0), at(6_000));
    assert_eq!(grant, Grant::Slots(vec![at(0)]));
}

#[test]
fn calls_beyond_the_daily_share_have_to_wait() {
    let share = CallShare { burst_percent: 100, daily_percent: 30 };
    let policy = BudgetPolicy { share, ..policy(100, 10) };
    let latest = at(0) + SignedDuration::from_secs(60);
    let (used, Grant::Slots(slots)) = budget(&policy).lease(&policy, CallKind::Ordinary, 3, at(0), latest) else {
        panic!("three of ten are ours")
    };
    assert_eq!(slots.len(), 3);
    let (_, Grant::Wait { reason, .. }) = used.lease(&policy, CallKind::Ordinary, 1, at(10), latest) else {
        panic!("a fourth call is not within the share")
    };
    assert_eq!(reason, WaitReason::DailyLimit);
}
