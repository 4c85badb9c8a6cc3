//! A search for the bounds at which a chunk is split. It goes on while its lane reads.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Crm, CrmError};
use futures_util::stream::{self, Stream, StreamExt};
use jiff::Timestamp;

use super::export_run::ExportRun;

/// What bounds are searched for.
pub(super) struct BoundsAhead {
    pub(super) object: ObjectType,
    pub(super) read_to: RecordId,
    /// How many records above `read_to` each bound is, in ascending order.
    pub(super) ahead: Vec<u16>,
}

/// A bound that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) id: RecordId,
    /// How many records it is above the id at which the search began.
    pub(super) ahead: u64,
}

type Bounds<'a> = Pin<Box<dyn Stream<Item = Result<Option<Bound>, CrmError>> + Send + 'a>>;

/// A search for bounds that goes on while its lane reads. Each bound takes one call. The farthest is found first: the
/// part above it can be read at once, while the lane goes on in what is left below.
pub(super) struct BoundSearch<'a> {
    /// In a mutex only because what a lane holds must be `Sync`.
    bounds: Mutex<Bounds<'a>>,
    /// Bounds that no split has used yet.
    pub(super) found: Vec<Bound>,
    /// The result, once no more bounds will be found.
    pub(super) ended: Option<Result<(), CrmError>>,
    pub(super) ends: Timestamp,
    /// Records of the chunk that were read before the search began.
    pub(super) read_before: u64,
    /// Records between two bounds.
    pub(super) each: u64,
    pub(super) promise: Promise<'a>,
}

impl<'a> BoundSearch<'a> {
    /// Begins to search; the lanes of `promise` wait for the result. `read_before` and `each` are numbers of records:
    /// those of the chunk that were read, and those between two bounds.
    pub(super) fn begin(
        crm: &'a dyn Crm,
        wish: BoundsAhead,
        promise: Promise<'a>,
        (read_before, each): (u64, u64),
        ends: Timestamp,
    ) -> Self {
        let bounds = Mutex::new(farthest_first(crm, wish));
        Self { bounds, found: Vec::new(), ended: None, ends, read_before, each, promise }
    }

    /// Searches until a bound is found, or none will be, and `is_wanted`.
    pub(super) async fn until(&mut self, is_wanted: impl Fn() -> bool) {
        poll_fn(|context| {
            self.go_on(context);
            let has_news = !self.found.is_empty() || self.ended.is_some();
            if has_news && is_wanted() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes the answers that have arrived.
    fn go_on(&mut self, context: &mut Context<'_>) {
        let bounds = self.bounds.get_mut().unwrap_or_else(PoisonError::into_inner);
        while self.ended.is_none()
            && let Poll::Ready(answer) = bounds.as_mut().poll_next(context)
        {
            match answer {
                Some(Ok(found)) => {
                    self.promise.searched(1);
                    self.found.extend(found);
                }
                Some(Err(error)) => self.ended = Some(Err(error)),
                None => self.ended = Some(Ok(())),
            }
        }
    }
}

/// The bounds, the farthest first, even if a nearer one is answered earlier. After a split at a nearer bound, the farther
/// ones would be in a part that another lane reads. An item is None if the search index has too few records.
fn farthest_first(crm: &dyn Crm, wish: BoundsAhead) -> Bounds<'_> {
    let BoundsAhead { object, read_to, ahead } = wish;
    let at_once = ahead.len();
    let searches = stream::iter(ahead.into_iter().rev()).map(move |records| {
        let object = object.clone();
        async move {
            let found = crm.nth_after(&object, read_to, records).await?;
            Ok(found.map(|id| Bound { id, ahead: u64::from(records) }))
        }
    });
    Box::pin(searches.buffered(at_once))
}

/// Lanes that wait for a split, until it has ended.
pub(super) struct Promise<'a> {
    export_run: &'a ExportRun<'a>,
    /// Those that still have no chunk.
    lanes: usize,
    /// Searches under way.
    searches: usize,
    /// Lanes that have a chunk now.
    pub(super) served: usize,
}

impl<'a> Promise<'a> {
    pub(super) fn of(export_run: &'a ExportRun<'a>, lanes: usize) -> Self {
        let mut standing = export_run.standing();
        standing.promise(lanes);
        // Each lane's bound takes one search.
        standing.began_searches(lanes, export_run.now());
        drop(standing);
        Self { export_run, lanes, searches: lanes, served: 0 }
    }

    /// This many searches have ended.
    fn searched(&mut self, searches: usize) {
        let searches = searches.min(self.searches);
        self.searches -= searches;
        self.export_run.bounds_searched(searches);
    }

    /// A split has made a chunk with about this many records for one of the lanes.
    pub(super) fn made(&mut self, left: Option<u64>) {
        self.lanes = self.lanes.saturating_sub(1);
        self.served += 1;
        self.export_run.standing().made(left);
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.searched(self.searches);
        self.export_run.standing().break_promise(self.lanes);
    }
}
