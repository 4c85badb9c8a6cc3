use std::collections::VecDeque;

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

/// Leases as functions of the version before did: evenly spread, four slots at once after a pause.
fn lease_evenly(
    budget: &CallBudget,
    policy: &BudgetPolicy,
    wanted: u32,
    now: Timestamp,
) -> (CallBudget, Vec<Timestamp>) {
    let burst = i32::try_from((policy.limits.per_window / 45).clamp(1, 8)).expect("few");
    let interval = policy.limits.window / (i32::try_from(policy.limits.per_window).expect("few") - burst);
    let mut slot = budget.next_slot.max(now - interval * (burst - 1)).max(budget.paused_until);
    let mut slots = Vec::new();
    for _ in 0..wanted {
        slots.push(slot.max(now));
        slot += interval + SignedDuration::from_micros(1);
    }
    (CallBudget { next_slot: slot, ..budget.clone() }, slots)
}

/// The largest number of slots in any window.
fn most_in_a_window(mut slots: Vec<Timestamp>, window: SignedDuration) -> usize {
    slots.sort();
    let inside = |(first, start): (usize, &Timestamp)| slots[first..].partition_point(|slot| *slot < *start + window);
    slots.iter().enumerate().map(inside).max().unwrap_or(0)
}

/// Leases `calls` slots one after the other, each when its call can be sent, and returns when the last one was.
fn sent_by(policy: &BudgetPolicy, mut budget: CallBudget, calls: u32, from: i64) -> (CallBudget, SignedDuration) {
    let (start, mut now) = (at(from), at(from));
    for _ in 0..calls {
        let (next, grant) = budget.lease(policy, CallKind::Ordinary, 1, now, start + SignedDuration::from_hours(1));
        let Grant::Slots(slots) = grant else { panic!("a slot within an hour") };
        (budget, now) = (next, slots[0]);
    }
    (budget, now.duration_since(start))
}

#[test]
fn a_small_backup_does_not_wait_for_the_pace_of_a_large_one() {
    let policy = policy(190, 1_000_000);
    let took = |calls| sent_by(&policy, budget(&policy), calls, 0).1;
    let millis = SignedDuration::from_millis;
    // At 19 calls a second they would take 3.2, 6.3, and 15.8 s.
    assert!(took(40) < millis(1_500), "{}", took(40));
    assert!(took(60) < millis(2_500), "{}", took(60));
    assert!(took(120) < millis(5_600), "{}", took(120));
    assert!(took(300) < millis(15_800), "{}", took(300));
}

/// The room that unused slots leave is used within the window.
#[test]
fn calls_that_come_late_are_made_up_for() {
    let policy = policy(190, 1_000_000);
    let (busy, _) = sent_by(&policy, budget(&policy), 1_860, 0);
    let (late, took) = sent_by(&policy, busy, 93, 103_000);
    assert!(took < SignedDuration::from_secs(5), "{took}");
    // 93 and these calls, in 103 s.
    let (_, took) = sent_by(&policy, late, 1_823, 106_000);
    assert!(took < SignedDuration::from_secs(101), "{took}");
}

#[test]
fn busy_workers_get_at_least_97_percent_of_the_limit() {
    for limit in [100, 110, 190, 250] {
        let policy = policy(limit, 1_000_000);
        let (busy, _) = sent_by(&policy, budget(&policy), 10 * limit, 0);
        let from = busy.next_slot.duration_since(at(0)).as_millis();
        let (_, took) = sent_by(&policy, busy, 10 * limit, i64::try_from(from).expect("soon"));
        assert!(took.as_secs_f64() * 0.97 < 100.0, "{limit}: {took}");
    }
}

/// Lanes that wait for answers, and now and then for storage, use up the limit if there are enough of them. They lease
/// a second's slots at a time, use a slot up to 150 ms late, and give the later ones back. Calls that stop all lanes
/// for a third of a second, one in 60, cost more.
#[test]
fn lanes_that_are_late_now_and_then_use_97_percent_of_the_limit() {
    for (limit, stops_all, least) in [(190, false, 0.975), (250, false, 0.975), (190, true, 0.97), (250, true, 0.95)] {
        let policy = policy(limit, 1_000_000);
        let (mut budget, mut sent) = (budget(&policy), 0_u32);
        let (mut held, mut gate_free) = (VecDeque::new(), at(0));
        let mut ready: Vec<i64> = (0..12).map(|lane| lane * 40).collect();
        for call in 0_i64.. {
            let lane = (0..ready.len()).min_by_key(|lane| ready[*lane]).expect("lanes");
            let now = at(ready[lane]).max(gate_free);
            let is_late = |slot: &Timestamp| now.duration_since(*slot) > SignedDuration::from_millis(150);
            let missed: Vec<Timestamp> = held.iter().copied().filter(is_late).collect();
            held.drain(..missed.len());
            budget = budget.given_back(&policy, CallKind::Ordinary, &missed);
            if held.is_empty() {
                let (next, grant) = budget.lease(&policy, CallKind::Ordinary, limit / 10, now, at(1_000_000));
                let Grant::Slots(slots) = grant else { panic!("a slot") };
                budget = next;
                held.extend(slots);
            }
            gate_free = held.pop_front().expect("leased").max(now);
            if gate_free > at(70_000) {
                break;
            }
            sent += u32::from(gate_free > at(10_000));
            // Every 15th call is followed by a commit, and every 60th may stop all lanes until its answer comes.
            let answered =
                i64::try_from(gate_free.duration_since(at(0)).as_millis()).expect("soon") + 250 + call * 37 % 140;
            ready[lane] = answered + if call % 15 == 0 { 600 } else { 0 };
            if stops_all && call % 60 == 0 {
                for ready in &mut ready {
                    *ready = (*ready).max(answered);
                }
            }
        }
        let share = f64::from(sent) / f64::from(limit * 6);
        assert!(share >= least, "{limit}: {share}");
    }
}

/// A run that the CRM refused sends none of its slots.
#[test]
fn slots_that_are_given_back_are_leased_again() {
    let policy = policy(190, 1_000_000);
    let (mut budget, mut last, mut taken) = (budget(&policy), at(0), Vec::new());
    for _ in 0..10 {
        let (next, grant) = budget.lease(&policy, CallKind::Ordinary, 19, last, at(60_000));
        let Grant::Slots(slots) = grant else { panic!("slots") };
        (budget, last, taken) = (next, *slots.last().expect("19"), slots);
    }
    let first_after = |budget: &CallBudget| match budget.lease(&policy, CallKind::Ordinary, 1, last, at(60_000)).1 {
        Grant::Slots(slots) => slots[0],
        Grant::Wait { .. } => panic!("within a minute"),
    };
    assert!(first_after(&budget) > at(9_900), "the window is full");
    let given_back = budget.given_back(&policy, CallKind::Ordinary, &taken);
    assert!(first_after(&given_back) < last + SignedDuration::from_millis(100));
    assert_eq!((budget.used_today, given_back.used_today), (190, 171));
    assert!(first_after(&budget.given_back(&policy, CallKind::Search, &taken)) > at(9_900));
    let others = [at(-20_000), at(90_000)];
    assert!(first_after(&budget.given_back(&policy, CallKind::Ordinary, &others)) > at(9_900));
    let yesterday = [at(-24 * 3_600_000)];
    assert_eq!(budget.given_back(&policy, CallKind::Ordinary, &yesterday).used_today, 190);
}

#[test]
fn a_budget_of_a_version_that_spread_calls_evenly_has_a_full_window_behind_it() {
    let policy = policy(190, 1_000_000);
    let mut stored = serde_json::to_value(budget(&policy)).expect("JSON");
    stored.as_object_mut().expect("an object").remove("recent").expect("it is stored");
    let read: CallBudget = serde_json::from_value(stored).expect("readable");
    let (_, took) = sent_by(&policy, read.clone(), 60, 0);
    assert!(took > SignedDuration::from_secs(3), "{took}");
    let (_, took) = sent_by(&policy, read, 60, 10_000);
    assert!(took < SignedDuration::from_millis(2_500), "{took}");
}

/// It is written with each lease, and the ledger charges for each kilobyte.
#[test]
fn a_budget_is_stored_in_less_than_a_kilobyte() {
    let policy = policy(250, 1_000_000);
    for calls in [0, 1, 100, 240, 1_000, 2_000] {
        let (used, _) = sent_by(&policy, budget(&policy), calls, 0);
        let stored = serde_json::to_string(&used).expect("JSON");
        assert!(stored.len() < 900, "{}: {stored}", stored.len());
        assert_eq!(serde_json::from_str::<CallBudget>(&stored).expect("readable"), used);
    }
}

proptest! {
    /// While functions of two versions lease slots, hardly more than the limit are in a window.
    #[test]
    fn two_versions_keep_to_the_limit_together(
        asks in prop::collection::vec((0_i64..3_000, 1_u32..20, any::<bool>()), 1..200),
    ) {
        let policy = policy(190, 1_000_000);
        let (mut budget, mut now, mut sent) = (budget(&policy), 0, Vec::new());
        for (pause, wanted, is_former) in asks {
            now += pause;
            let latest = at(now) + SignedDuration::from_secs(60);
            let slots = if is_former {
                let (next, slots) = lease_evenly(&budget, &policy, wanted, at(now));
                budget = next;
                slots
            } else {
                let (next, grant) = budget.lease(&policy, CallKind::Ordinary, wanted, at(now), latest);
                budget = next;
                let Grant::Slots(slots) = grant else { continue };
                slots
            };
            sent.extend(slots);
        }
        let most = most_in_a_window(sent, policy.limits.window);
        prop_assert!(most <= 194, "{most}");
    }

    /// No window holds more calls than the limit, for every length of a window and every sequence of requests, whatever
    /// part of the slots is given back.
    #[test]
    fn no_window_exceeds_the_limit(
        limit in 2_u32..400,
        window in 1_i64..20,
        asks in prop::collection::vec((0_i64..3_000, 1_u32..60, 0_usize..20), 1..200),
    ) {
        let window = SignedDuration::from_secs(window);
        let mut policy = policy(limit, 1_000_000);
        policy.limits.window = window;
        let mut budget = budget(&policy);
        let mut now = 0;
        let (mut sent, mut unused) = (Vec::new(), Vec::new());
        for (pause, wanted, used) in asks {
            now += pause;
            let latest = at(now) + SignedDuration::from_secs(60);
            budget = budget.given_back(&policy, CallKind::Ordinary, &unused);
            unused.clear();
            let (next, grant) = budget.lease(&policy, CallKind::Ordinary, wanted, at(now), latest);
            budget = next;
            if let Grant::Slots(mut slots) = grant {
                unused = slots.split_off(used.min(slots.len()));
                sent.extend(slots);
            }
        }
        let most = most_in_a_window(sent, window);
        prop_assert!(most <= limit as usize, "{most} calls in {window:?}, {limit} allowed");
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
