use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use domain::account::ApiVersion;
use domain::ids::{AccountId, RecordId};
use domain::lease::WaitReason;
use domain::ports::call_gate::GateClosed;
use domain::ports::crm::{Crm, CrmConnector, CrmTarget};
use in_memory::MemoryLedger;
use secrecy::SecretString;

use super::*;
use crate::crm::{Period, SimulatedObject};
use crate::{Pace, samples};

/// Admits this number of calls.
struct Admits(AtomicU32);

#[async_trait]
impl CallGate for Admits {
    async fn admit(&self, _: CallKind) -> Result<(), GateClosed> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let closed = GateClosed { until: Timestamp::MAX, reason: WaitReason::DailyLimit };
        left.map(drop).map_err(|_| closed)
    }
    async fn refused(&self, _: RefusedPolicy, _: SignedDuration) {}
    async fn daily_remaining(&self, _: u32) {}
}

/// A CRM whose first write meets `trouble`, and a client with this number of calls.
fn connected(trouble: Trouble, calls: u32) -> (SimulatedCrm, Arc<dyn Crm>) {
    let contacts = SimulatedObject::new("contacts", &["email"], 1..=5, samples::beginning());
    let crm = SimulatedCrm::new(Arc::new(samples::clock(Pace::Simulated)), vec![contacts]);
    crm.trouble(Period::CallsOf("update_batch", 1..2), trouble);
    let target = CrmTarget { base_url: "https://crm.example".to_owned(), api_version: ApiVersion::V2026_09 };
    let gate = Arc::new(Admits(calls.into()));
    let client = crm.connect(&target, SecretString::from("token"), gate, Timestamp::MAX).expect("a client");
    (crm, client)
}

async fn write(client: &Arc<dyn Crm>) -> Result<BatchUpdate, CrmError> {
    let update = RecordUpdate { id: RecordId(3), values: vec![("email".to_owned(), "new".to_owned())] };
    client.update_batch(&ObjectType::parse("contacts").expect("an object type"), &[update]).await
}

fn is_written(crm: &SimulatedCrm) -> bool {
    crm.change("contacts", |object| object.value(RecordId(3), "email")).as_deref() == Some("new")
}

fn seconds_since_the_beginning(crm: &SimulatedCrm) -> i64 {
    crm.clock.now().duration_since(samples::beginning()).as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_late_write_lands_after_its_client_has_given_up() {
    let (crm, client) = connected(Trouble::Late(SignedDuration::from_secs(23)), 1);
    let error = write(&client).await.expect_err("no answer, and then the gate is closed");
    assert!(error.may_have_landed && matches!(error.kind, CrmErrorKind::NoBudget { .. }), "{error:?}");
    assert_eq!((seconds_since_the_beginning(&crm), is_written(&crm)), (20, false));
    crm.clock.pass_until(crm.next_landing().expect("it is under way")).await;
    crm.clock.pass(SignedDuration::from_millis(1)).await;
    assert_eq!((seconds_since_the_beginning(&crm), is_written(&crm), crm.next_landing()), (23, true, None));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_when_nothing_sent_before_it_can_land_any_more() {
    for trouble in [Trouble::Late(SignedDuration::from_secs(24)), Trouble::AnswerLost] {
        let (crm, client) = connected(trouble, 2);
        write(&client).await.expect("the second sending is answered");
        assert_eq!((seconds_since_the_beginning(&crm), crm.next_landing()), (25, None), "{trouble:?}");
        assert_eq!((is_written(&crm), crm.calls("update_batch")), (true, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_made() {
    let (crm, client) = connected(Trouble::AnswerLost, 1);
    let error = write(&client).await.expect_err("the answer is lost");
    assert!(error.may_have_landed && is_written(&crm));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "while no restore held the lock")]
async fn a_write_without_the_restore_lock_fails_the_test() {
    let (crm, client) = connected(Trouble::AnswerLost, 1);
    crm.watch(Arc::new(MemoryLedger::new()), AccountId::parse("42").expect("digits"));
    let _ = write(&client).await;
}
