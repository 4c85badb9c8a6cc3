//! Any single call of a backup and of a restore is answered with anything that HubSpot has been seen to answer. The result
//! is that of a calm run, byte by byte, or it names what is missing.

use domain::restore::RestoreState;
use faults::Exported;
use sandbox_crm::{Fault, ScriptedFault};

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
        Fault::LeftOut,
        Fault::Pending,
        Fault::ByteOrderMark,
        Fault::NumericIds,
        Fault::NullProperties,
    ];
    let partial = |status| ScriptedFault { status: Some(status), ..ScriptedFault::once(Fault::PartialErrors) };
    single.into_iter().map(ScriptedFault::once).chain([partial(200), partial(207)]).collect()
}

/// Whether a call of any kind can be answered so. The others are about records, and pass by calls that have none.
fn strikes_everywhere(fault: &ScriptedFault) -> bool {
    !matches!(
        fault.fault,
        Fault::PartialErrors | Fault::LeftOut | Fault::Pending | Fault::NullProperties | Fault::NumericIds
    )
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
    for fault in answers() {
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
