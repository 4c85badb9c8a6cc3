//! Any single call of a backup and of a restore is answered with anything that HubSpot has been seen to answer. The
//! result is that of a calm run, byte by byte, or it names what is missing.

use domain::backup::BackupState;
use domain::gap::Missing;
use domain::ids::RecordId;
use domain::ports::clock::Clock;
use domain::restore::RestoreState;
use faults::Exported;
use jiff::SignedDuration;
use sandbox_crm::{Endpoint, Fault, Faults, ScriptedFault};

use crate::account::{Account, restored};

/// What a single call is answered with.
fn answers() -> Vec<ScriptedFault> {
    let single = [
        Fault::TokenExpired,
        Fault::MissingScopes,
        Fault::UnnamedScopes,
        Fault::Forbidden,
        Fault::MissingPermission,
        Fault::BlockPage,
        Fault::NotFoundPage,
        Fault::ObjectNotFound,
        Fault::ErrorDocument,
        Fault::HtmlPage,
        Fault::TruncatedJson,
        Fault::InternalError,
        Fault::Hang,
        Fault::ByteOrderMark,
        Fault::NumericIds,
        Fault::NullProperties,
    ];
    let partial = |status| ScriptedFault { status: Some(status), ..ScriptedFault::once(Fault::PartialErrors) };
    single.into_iter().map(ScriptedFault::once).chain([partial(200), partial(207)]).collect()
}

/// What a call about single records is answered with besides: nothing of some of them.
fn silent_answers() -> Vec<ScriptedFault> {
    let faults = [Fault::LeftOut, Fault::Pending, Fault::Processing, Fault::Canceled];
    let of = |endpoint| faults.map(|fault| ScriptedFault { endpoint: Some(endpoint), ..ScriptedFault::once(fault) });
    [Endpoint::BatchRead, Endpoint::BatchUpdate].into_iter().flat_map(of).collect()
}

/// Whether a call of any kind can be answered so. The others are about records, and pass by calls that have none.
fn strikes_everywhere(fault: &ScriptedFault) -> bool {
    fault.endpoint.is_none() && !matches!(fault.fault, Fault::PartialErrors | Fault::NullProperties | Fault::NumericIds)
}

fn assert_same(archive: &Exported, calm: &Exported, what: &str) {
    assert_eq!(archive.manifest.missing, [], "{what}");
    assert_eq!(archive.files.keys().collect::<Vec<_>>(), calm.files.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in &calm.files {
        assert!(archive.files[name] == *bytes, "{what}: {name} differs");
    }
}

/// A1, A7, B1, B4, B5, B10.
#[tokio::test(start_paused = true)]
async fn a_backup_is_the_same_whatever_one_call_is_answered_with() {
    let account = Account::new().await;
    account.portal.reset_calls();
    let (_, calm) = account.archive().await;
    let calls = account.portal.calls().total;
    assert!(calls > 30, "{calls} calls");
    for fault in answers() {
        let mut struck = 0;
        for nth in 0..calls {
            let account = Account::new().await;
            account.script(nth, fault.clone());
            let (_, archive) = account.archive().await;
            struck += account.struck() as u64;
            assert_same(&archive, &calm, &format!("call {nth}: {fault:?}"));
        }
        let expected = if strikes_everywhere(&fault) { calls } else { 1 };
        assert!(struck >= expected, "{fault:?} struck {struck} times, of {expected}");
    }
}

/// The same of planning and restoring.
#[tokio::test(start_paused = true)]
async fn a_restore_is_the_same_whatever_one_call_is_answered_with() {
    let account = Account::new().await;
    let good = restored(&account.values());
    let (backup, _) = account.archive().await;
    account.damage();
    assert_ne!(restored(&account.values()), good, "it is damaged");
    account.portal.reset_calls();
    assert_eq!(account.restore(&backup).await, RestoreState::Completed);
    assert_eq!(restored(&account.values()), good);
    let calls = account.portal.calls().total;
    assert!(calls > 5, "{calls} calls");
    for fault in answers().into_iter().chain(silent_answers()) {
        let mut struck = 0;
        for nth in 0..calls {
            let account = Account::new().await;
            let (backup, _) = account.archive().await;
            account.damage();
            account.script(nth, fault.clone());
            let ended = account.restore(&backup).await;
            struck += account.struck() as u64;
            assert_eq!(ended, RestoreState::Completed, "call {nth}: {fault:?}");
            assert_eq!(restored(&account.values()), good, "call {nth}: {fault:?}");
        }
        let expected = if strikes_everywhere(&fault) { calls } else { 1 };
        assert!(struck >= expected, "{fault:?} struck {struck} times, of {expected}");
    }
}

/// B5: pages of a hundred that always fail are read in smaller ones.
#[tokio::test(start_paused = true)]
async fn pages_that_always_fail_are_read_in_smaller_ones() {
    let (_, calm) = Account::new().await.archive().await;
    for fault in [Fault::InternalError, Fault::GatewayTimeout, Fault::HtmlPage] {
        let account = Account::new().await;
        let script = vec![ScriptedFault { above: Some(10), times: None, ..ScriptedFault::once(fault) }];
        account.portal.set_faults(Faults { script, ..Faults::default() });
        let (_, archive) = account.archive().await;
        assert!(account.struck() > 0, "{fault:?}");
        assert_same(&archive, &calm, &format!("{fault:?}"));
    }
}

/// B5: the one record that makes every answer with its values fail is named, and all others are in the archive.
#[tokio::test(start_paused = true)]
async fn the_record_that_cannot_be_read_is_named() {
    let (_, calm) = Account::new().await.archive().await;
    for place in [0, 70, 99, 100, 129] {
        let account = Account::new().await;
        let id = *account.values().keys().nth(place).expect("a record");
        let fault = ScriptedFault { poison: vec![id], times: None, ..ScriptedFault::once(Fault::InternalError) };
        account.portal.set_faults(Faults { script: vec![fault], ..Faults::default() });
        let (_, archive) = account.archive().await;
        let missing: Vec<_> = archive.manifest.missing.iter().map(|gap| &gap.missing).collect();
        assert_eq!(missing, [&Missing::Records { ids: vec![RecordId(id)] }]);
        let (mut expected, found) = (calm.table("contacts.csv"), archive.table("contacts.csv"));
        expected.rows.retain(|row| row[0] != id.to_string());
        assert!(found == expected, "all other records are as they were");
    }
}

/// B6: silence is an outage, also where a run hears nothing else from its beginning to its end.
#[tokio::test(start_paused = true)]
async fn silence_for_two_hours_is_waited_out() {
    let (_, calm) = Account::new().await.archive().await;
    let account = Account::new().await;
    let world = &account.world;
    account.script(35, ScriptedFault { times: None, ..ScriptedFault::once(Fault::Hang) });
    let backup = world.request().await;
    let until = world.clock.now() + SignedDuration::from_hours(2);
    while world.clock.now() < until {
        assert!(world.step().await, "{:?}", world.backup(&backup).await.failure);
    }
    assert!(account.struck() > 12, "{} calls without an answer", account.struck());
    account.portal.set_faults(Faults::default());
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
    assert_same(&world.exported_for_anyone(&backup).await, &calm, "after two hours of silence");
}
