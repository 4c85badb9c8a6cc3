//! The contract of queues on every queue.

use std::sync::Arc;
use std::time::Duration;

use aws::SystemClock;
use contracts::backends::{MINISTACK, TestQueues, with_queues};
use contracts::queue::{self, Receiving};
use domain::ports::queue::WorkQueue;
use domain::work::Work;
use in_memory::MemoryQueue;

struct Memory<'a>(&'a MemoryQueue);

impl Receiving for Memory<'_> {
    async fn receive_all(&self) -> Vec<Work> {
        std::iter::from_fn(|| self.0.receive()).collect()
    }
}

struct Sqs<'a>(&'a TestQueues);

impl Receiving for Sqs<'_> {
    async fn receive_all(&self) -> Vec<Work> {
        let mut all = self.0.receive(&self.0.discover).await;
        all.extend(self.0.receive(&self.0.export).await);
        all.extend(self.0.receive(&self.0.assemble).await);
        all.extend(self.0.receive(&self.0.restore).await);
        all.extend(self.0.receive(&self.0.notify).await);
        all
    }
}

macro_rules! on_every_queue {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                let queue = super::MemoryQueue::new(super::Arc::new(super::SystemClock));
                super::queue::$case(&queue, &super::Memory(&queue)).await;
            })+
        }
        mod ministack {
            $(#[tokio::test]
            async fn $case() {
                super::with_queues(super::MINISTACK, async |queue, other_end| {
                    super::queue::$case(&queue, &super::Sqs(other_end)).await;
                })
                .await;
            })+
        }
    };
}

on_every_queue!(all_work_arrives, sending_no_work_succeeds, delayed_work_waits);

#[tokio::test]
async fn work_goes_to_the_function_that_does_it() {
    with_queues(MINISTACK, async |queue, other_end| {
        queue.send(&queue::some_of_everything(1), Duration::ZERO).await.expect("sent");

        let words = async |url: &str| {
            let received = other_end.receive(url).await;
            let mut words: Vec<_> = received.iter().map(Work::slug).collect();
            words.sort_unstable();
            words
        };
        assert_eq!(words(&other_end.discover).await, ["discover"]);
        assert_eq!(words(&other_end.export).await, ["close-object", "export"]);
        assert_eq!(words(&other_end.assemble).await, ["assemble", "sweep"]);
        assert_eq!(words(&other_end.restore).await, ["restore", "restore-slice"]);
        assert_eq!(words(&other_end.notify).await, ["announce", "deliver"]);
    })
    .await;
}

#[tokio::test]
async fn the_longest_delay_is_taken() {
    with_queues(MINISTACK, async |queue, other_end| {
        queue.send(&queue::some_of_everything(2), Duration::from_hours(30)).await.expect("sent");
        assert_eq!(other_end.delayed(&other_end.export).await, 3);
    })
    .await;
}
