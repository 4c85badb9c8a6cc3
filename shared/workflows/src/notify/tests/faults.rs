//! Ports that fail, lose answers or hang: every event still creates its notifications.

use domain::ports::webhook::WebhookError;
use in_memory::faults::{Fault, Faults, Sweep};

use super::*;

/// Handles messages and overdue work until nothing is pending, with `faults` at the ports. A message whose handling
/// fails is lost for good, which is worse than any queue.
async fn run_out(world: &World, faults: &Arc<Faults>) {
    for _ in 0..15 {
        world.recover().await;
        while let Some(work) = world.queue.receive() {
            let worker = faults.worker();
            drop(worker.run(handle(&world.notify_as(&worker), work)).await);
        }
        world.clock.advance(MINUTE);
    }
}

#[tokio::test(start_paused = true)]
async fn every_channel_gets_the_notification_after_a_fault_at_any_call() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let sweep = Sweep::expecting(30);
        sweep
            .of(fault, async |faults| {
                // The receiver fails once by itself, so that the faults also strike a second attempt.
                let world = World::with(MemoryWebhooks::failing_first([WebhookError::Status(500)])).await;
                let notification = world.tell().await;

                run_out(&world, &faults).await;

                let struck = faults.struck();
                let states = world.states(&notification).await;
                assert!(states.iter().all(|(_, state)| *state == DeliveryState::Delivered), "{struck:?}: {states:?}");
                assert_eq!(states.len(), 3, "{struck:?}");
                let inbox = world.inbox().await;
                assert_eq!((inbox.len(), &inbox[0].notification_id), (1, &notification.notification_id), "{struck:?}");
                assert_eq!(world.audit_log().await.len(), 1, "{struck:?}");
                assert!(!world.bus.published().is_empty() && !world.mailer.sent().is_empty(), "{struck:?}");
                let attempts = world.webhooks.attempts();
                assert!(attempts.iter().any(|attempt| attempt.outcome.is_ok()), "{struck:?}");
                assert!(
                    attempts.iter().all(|attempt| attempt.id == notification.notification_id.as_str()),
                    "{struck:?}"
                );
            })
            .await;
    }
}
