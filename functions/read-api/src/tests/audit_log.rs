//! Requests that read the audit log.

use domain::audit::{Act, AuditEntry, AuditOutcome, Reason};
use domain::ids::AuditEntryId;
use http_api::testing::described;

use super::*;

const LOG: &str = "/accounts/42/audit-log";

/// Three entries of account 42, a minute apart.
async fn logged() -> World {
    let world = World::with_account().await;
    let act = |minute: u8, action| {
        let at = now() - SignedDuration::from_mins(10) + SignedDuration::from_mins(minute.into());
        Act {
            account_id: account_id(),
            entry_id: AuditEntryId::new(at, [minute; 10]),
            at,
            by: Requester { subject: format!("user-{minute}"), email: Some(format!("=u{minute}@example.com")) },
            source_address: Some("203.0.113.7".to_owned()),
            action,
            kept_for: SignedDuration::from_hours(24),
        }
    };
    let reason = Reason { kind: "forbidden".to_owned(), sentence: "No.".to_owned() };
    let entries: [AuditEntry; 3] = [
        act(1, "create-backup").succeeded("b-1".to_owned()),
        act(2, "cancel-backup").succeeded("b-1".to_owned()),
        act(3, "create-backup").ended(None, AuditOutcome::Refused, reason),
    ];
    for entry in entries {
        world.ledger.commit(&[Change::create(&entry)]).await.expect("new");
    }
    world
}

async fn subjects(world: &World, query: &[(&str, &str)]) -> Vec<String> {
    let call = query.iter().fold(ApiCall::get(LOG).by(ADMIN), |call, (name, value)| call.query(name, value));
    let response = world.answer(call).await;
    described::check("GET", LOG, &response);
    let entries = document(&response)["entries"].as_array().expect("entries").clone();
    entries.iter().map(|entry| entry["subject"].as_str().expect("a subject").to_owned()).collect()
}

#[tokio::test]
async fn the_newest_entries_come_first_and_filters_narrow_them() {
    let world = logged().await;
    assert_eq!(subjects(&world, &[]).await, ["user-3", "user-2", "user-1"]);
    assert_eq!(subjects(&world, &[("action", "create-backup")]).await, ["user-3", "user-1"]);
    assert_eq!(subjects(&world, &[("action", "create-backup, cancel-backup"), ("limit", "2")]).await.len(), 2);
    assert_eq!(subjects(&world, &[("person", "user-2")]).await, ["user-2"]);
    assert_eq!(subjects(&world, &[("person", "=U1@example.com")]).await, ["user-1"]);
    assert_eq!(subjects(&world, &[("outcome", "refused")]).await, ["user-3"]);
    let times = [("from", "2026-11-22T16:52:00Z"), ("until", "2026-11-22T17:53:00+01:00")];
    assert_eq!(subjects(&world, &times).await, ["user-2"]);
}

#[tokio::test]
async fn entries_about_strangers_are_listed_and_exported_on_request_only() {
    let world = logged().await;
    let at = now() - SignedDuration::from_mins(1);
    let act = Act {
        account_id: account_id(),
        entry_id: AuditEntryId::new(at, [9; 10]),
        at,
        by: Requester { subject: "eve".to_owned(), email: None },
        source_address: Some("203.0.113.9".to_owned()),
        action: "list-backups",
        kept_for: SignedDuration::from_hours(24),
    };
    let reason = Reason { kind: "forbidden".to_owned(), sentence: "No.".to_owned() };
    let first = act.ended(None, AuditOutcome::Refused, reason).of_stranger();
    let entry = first.with_one_more().expect("two requests");
    world.ledger.commit(&[Change::create(&entry)]).await.expect("new");

    for (query, expected) in [
        (&[][..], &["user-3", "user-2", "user-1"][..]),
        (&[("strangers", "false")], &["user-3", "user-2", "user-1"]),
        (&[("strangers", "true")], &["eve"]),
        (&[("strangers", "true"), ("person", "eve"), ("from", "2026-11-22T16:59:00Z")], &["eve"]),
        (&[("strangers", "true"), ("until", "2026-11-22T16:59:00Z")], &[]),
    ] {
        assert_eq!(subjects(&world, query).await, expected, "{query:?}");
    }
    let listed = document(&world.answer(ApiCall::get(LOG).by(ADMIN).query("strangers", "true")).await);
    assert_eq!(listed["entries"][0]["requests"], 2);
    assert_eq!(listed["entries"][0]["outcome"], "refused");
}

#[tokio::test]
async fn the_next_page_continues_without_a_gap() {
    let world = logged().await;
    let first = document(&world.answer(ApiCall::get(LOG).by(ADMIN).query("limit", "1")).await);
    let next = first["next"].as_str().expect("there are more");
    assert_eq!(subjects(&world, &[("cursor", next)]).await, ["user-2", "user-1"]);
}

#[tokio::test]
async fn an_invalid_filter_is_named() {
    let world = logged().await;
    for (name, value) in [
        ("from", "yesterday"),
        ("until", "2026-13-01"),
        ("outcome", "good"),
        ("person", ""),
        ("action", ","),
        ("strangers", "1"),
    ] {
        let response = world.answer(ApiCall::get(LOG).by(ADMIN).query(name, value)).await;
        described::check("GET", LOG, &response);
        assert_eq!(document(&response)["errors"][0]["field"], name);
    }
}

/// D8: `until` before `from` is refused, but the end of the year 9999 is accepted.
#[tokio::test]
async fn an_empty_period_is_refused_and_the_end_of_time_is_accepted() {
    let world = logged().await;
    for path in [LOG.to_owned(), format!("{LOG}.csv")] {
        let call = ApiCall::get(&path).by(ADMIN).query("from", "2026-11-23T00:00:00Z");
        let response = world.answer(call.query("until", "2026-11-22T23:59:59Z")).await;
        described::check("GET", &path, &response);
        assert_eq!(problem(&response), (400, kind("parameter-invalid")));
        assert_eq!(document(&response)["errors"][0]["field"], "from");
    }
    let equal = [("from", "2026-11-22T17:00:00Z"), ("until", "2026-11-22T17:00:00Z")];
    assert!(subjects(&world, &equal).await.is_empty());
    for late in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999-12:00", "9999-12-30T23:00:00+01:00"] {
        assert_eq!(subjects(&world, &[("until", late)]).await.len(), 3, "{late}");
    }
    for none in ["9999-12-32T00:00:00Z", "9999-12-31", "9999-12-31T23:59:59", "+10000-01-01T00:00:00Z"] {
        let response = world.answer(ApiCall::get(LOG).by(ADMIN).query("until", none)).await;
        assert_eq!(problem(&response), (400, kind("parameter-invalid")), "{none}");
    }
}

/// D7: 60 entries of 58 kB, which older versions have written, exceed the size of an answer.
#[tokio::test]
async fn a_page_of_large_entries_ends_early_and_no_entry_is_lost() {
    let world = World::with_account().await;
    for nth in 0..60_u8 {
        let at = now() - SignedDuration::from_mins(nth.into());
        let reason = Reason { kind: "input-invalid".to_owned(), sentence: "x".repeat(58_000) };
        let entry = AuditEntry {
            account_id: account_id(),
            entry_id: AuditEntryId::new(at, [nth; 10]),
            at,
            subject: Some(format!("user-{nth}")),
            email: None,
            source_address: None,
            action: "change-account".to_owned(),
            target: None,
            outcome: AuditOutcome::Refused,
            reason: Some(reason),
            forget_at: now() + SignedDuration::from_hours(1),
            requests: None,
        };
        world.ledger.commit(&[Change::create(&entry)]).await.expect("new");
    }
    let (mut read, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let call = ApiCall::get(LOG).by(ADMIN).query("limit", "100");
        let call = cursor.iter().fold(call, |call, cursor| call.query("cursor", cursor));
        let response = world.answer(call).await;
        assert!(response.body().len() < 1_100_000, "{}", response.body().len());
        let page = document(&response);
        let entries = page["entries"].as_array().expect("entries").iter();
        read.extend(entries.map(|entry| entry["subject"].as_str().expect("a subject").to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(read, (0..60).map(|nth| format!("user-{nth}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_export_is_a_link_and_is_itself_audited() {
    let world = logged().await;
    let path = format!("{LOG}.csv");
    let response = world.get(&path).await;
    described::check("GET", &path, &response);
    assert_eq!(response.status(), 302);
    let location = response.headers()["location"].to_str().expect("ASCII");
    assert!(location.contains("exports/42/") && location.contains("file=crm-backup-42-audit-log.csv"), "{location}");
    // Listed here without the clock of the test, because the entry has the real time.
    let exported = ledger::list::<AuditEntry>(&*world.ledger, "AUDIT#42", "").await.expect("readable");
    assert!(exported.iter().any(|entry| entry.record.action == "export-audit-log"));
}

#[tokio::test]
async fn only_a_super_admin_of_the_account_reads_it() {
    let world = logged().await;
    for path in [LOG.to_owned(), format!("{LOG}.csv")] {
        for groups in [&["43:super-admin"][..], &["operators"], &[]] {
            assert_eq!(problem(&world.answer(ApiCall::get(&path).by(groups)).await), (403, kind("forbidden")));
        }
    }
}
