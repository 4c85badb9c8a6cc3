//! Several calls under way at once, their results in order, and commits that do not hold the next calls up.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{Stream, StreamExt, future};
use tokio::sync::mpsc;

/// Pieces of work under way at the same time.
const AT_ONCE: usize = 8;

/// Results that wait for the one that takes them.
const WAITING: usize = 4;

/// Does `work` on the items, several at once, and hands what comes of it to `take`, in the order of the items and while
/// work on later ones goes on. After the first error, or when `take` has ended, nothing new is begun; what was begun is
/// finished, never dropped half-way.
pub(super) async fn run<I, O, E, F, G, T>(
    items: impl Stream<Item = Result<I, E>>,
    work: impl Fn(I) -> F,
    take: impl FnOnce(mpsc::Receiver<Result<O, E>>) -> G,
) -> T
where
    F: Future<Output = Result<O, E>>,
    G: Future<Output = T>,
{
    let (sender, receiver) = mpsc::channel(WAITING);
    let stop = AtomicBool::new(false);
    let working = async {
        // Ends with this block, so that `take` learns that nothing more comes.
        let sender = sender;
        let open = items.take_while(|_| future::ready(!stop.load(Ordering::Relaxed)));
        let begun = open.map(|item| async {
            match item {
                Ok(item) => work(item).await,
                Err(error) => Err(error),
            }
        });
        let mut results = pin!(begun.buffered(AT_ONCE));
        while let Some(result) = results.next().await {
            let failed = result.is_err();
            if sender.send(result).await.is_err() || failed {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let ((), taken) = future::join(working, take(receiver)).await;
    taken
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use futures_util::stream;

    use super::*;

    /// Works on 100 items of which `bad` fails; later items are done sooner. Returns the results taken and the items
    /// that were begun but not finished.
    async fn worked(bad: u64, most: usize) -> (Vec<Result<u64, u64>>, usize) {
        let (begun, finished) = (Mutex::new(0), Mutex::new(0));
        let work = async |item: u64| {
            *begun.lock().expect("not poisoned") += 1;
            tokio::time::sleep(Duration::from_millis(100 - item)).await;
            *finished.lock().expect("not poisoned") += 1;
            if item == bad { Err(item) } else { Ok(item) }
        };
        let take = async |mut results: mpsc::Receiver<Result<u64, u64>>| {
            let mut taken = Vec::new();
            while let Some(result) = results.recv().await {
                taken.push(result);
                if taken.len() == most {
                    break;
                }
            }
            taken
        };
        let taken = run(stream::iter((0..100).map(Ok)), work, take).await;
        let (begun, finished) = (*begun.lock().expect("not poisoned"), *finished.lock().expect("not poisoned"));
        (taken, begun - finished)
    }

    #[tokio::test(start_paused = true)]
    async fn results_come_in_order_and_nothing_is_dropped_half_way() {
        let (taken, dropped) = worked(200, usize::MAX).await;
        assert_eq!((taken, dropped), ((0..100).map(Ok).collect(), 0));

        let (taken, dropped) = worked(30, usize::MAX).await;
        assert_eq!(taken[..31], (0..30).map(Ok).chain([Err(30)]).collect::<Vec<_>>());
        assert!(taken.len() < 31 + AT_ONCE && dropped == 0);

        let (taken, dropped) = worked(200, 10).await;
        assert_eq!((taken.len(), dropped), (10, 0));
    }
}
