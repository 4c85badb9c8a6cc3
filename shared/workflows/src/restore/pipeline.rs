//! Several calls in progress at once, with their results in order, and commits that do not delay the next calls.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{self, Either};
use futures_util::{Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};

/// Items in work at the same time.
pub(super) const AT_ONCE: usize = 8;

/// Results that wait for `take`.
const WAITING: usize = 4;

/// Does `work` on the items, several at once, and passes the results to `take`, in the order of the items and while
/// work on later ones continues. After the first error, or when `take` has ended, no new work begins. Work that was
/// begun is always finished, never dropped half-way. It also continues while results wait for `take`, so that no answer
/// is missed.
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
        // Dropped at the end of this block, so that `take` learns that no more results come.
        let sender = sender;
        // No more work begins while this many results are in progress or wait here.
        let room = Semaphore::new(AT_ONCE);
        let fitting = items.then(async |item| {
            if let Ok(place) = room.acquire().await {
                place.forget();
            }
            item
        });
        let open = fitting.take_while(|_| future::ready(!stop.load(Ordering::Relaxed)));
        let begun = open.map(|item| async {
            match item {
                Ok(item) => work(item).await,
                Err(error) => Err(error),
            }
        });
        let mut results = pin!(begun.buffered(AT_ONCE));
        let mut finished = VecDeque::new();
        let mut ended = false;
        while !ended || !finished.is_empty() {
            let next = async { if ended { future::pending().await } else { results.next().await } };
            let none = finished.is_empty();
            let place = async { if none { future::pending().await } else { sender.reserve().await } };
            match future::select(pin!(place), pin!(next)).await {
                Either::Left((Ok(place), _)) => {
                    if let Some(result) = finished.pop_front() {
                        place.send(result);
                    }
                    room.add_permits(1);
                }
                // `take` accepts no more results.
                Either::Left((Err(_), _)) => {
                    stop.store(true, Ordering::Relaxed);
                    room.add_permits(finished.len());
                    finished.clear();
                }
                Either::Right((Some(result), _)) => {
                    if Result::is_err(&result) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    finished.push_back(result);
                }
                Either::Right((None, _)) => ended = true,
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

    /// Works on 100 items of which `bad` fails. Later items are done sooner. Returns the results passed to `take` and
    /// the items that were begun but not finished.
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

    /// M-8: work that was begun stood still during a commit, and answers seemed to come too late.
    #[tokio::test(start_paused = true)]
    async fn work_continues_while_results_wait() {
        let began = tokio::time::Instant::now();
        let late = Mutex::new(0);
        let work = async |item: u64| {
            let due = tokio::time::Instant::now() + Duration::from_millis(300);
            tokio::time::sleep_until(due).await;
            *late.lock().expect("not poisoned") += u64::from(due.elapsed() > Duration::from_millis(10));
            Ok::<_, u64>(item)
        };
        let take = async |mut results: mpsc::Receiver<Result<u64, u64>>| {
            let mut taken = 0;
            while results.recv().await.is_some() {
                taken += 1;
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
            taken
        };
        let taken = run(stream::iter((0..100).map(Ok)), work, take).await;
        assert_eq!((taken, *late.lock().expect("not poisoned")), (100, 0));
        assert!(began.elapsed() < Duration::from_mins(101));
    }

    #[tokio::test(start_paused = true)]
    async fn results_come_in_order_and_no_work_is_dropped_half_way() {
        let (taken, dropped) = worked(200, usize::MAX).await;
        assert_eq!((taken, dropped), ((0..100).map(Ok).collect(), 0));

        let (taken, dropped) = worked(30, usize::MAX).await;
        assert_eq!(taken[..31], (0..30).map(Ok).chain([Err(30)]).collect::<Vec<_>>());
        assert!(taken.len() < 31 + AT_ONCE && dropped == 0);

        let (taken, dropped) = worked(200, 10).await;
        assert_eq!((taken.len(), dropped), (10, 0));
    }
}
