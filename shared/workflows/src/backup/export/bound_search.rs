//! A search for the bounds at which a chunk is split. It goes on while its lane reads.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Crm, CrmError};
use jiff::Timestamp;

use super::export_run::ExportRun;

/// What bounds are searched for.
pub(super) struct BoundsAhead {
    pub(super) object: ObjectType,
    pub(super) read_to: RecordId,
    pub(super) upper: Option<RecordId>,
    /// How many records above `read_to` each bound is.
    pub(super) ahead: Vec<u16>,
}

type Bounds<'a> = Pin<Box<dyn Future<Output = Result<Vec<RecordId>, CrmError>> + Send + 'a>>;

/// A search for bounds that goes on while its lane reads.
pub(super) struct BoundSearch<'a> {
    /// In a mutex only because what a lane holds must be `Sync`.
    bounds: Mutex<Bounds<'a>>,
    pub(super) found: Option<Result<Vec<RecordId>, CrmError>>,
    pub(super) ends: Timestamp,
    /// Records left when it began.
    pub(super) left: u64,
    /// Records between two bounds.
    pub(super) each: u64,
    pub(super) promise: Promise<'a>,
}

/// Does `work`, and lets `search` go on meanwhile.
pub(super) async fn beside<T>(search: &mut Option<BoundSearch<'_>>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Some(search) = search.as_mut().filter(|search| search.found.is_none())
            && let bounds = search.bounds.get_mut().unwrap_or_else(PoisonError::into_inner)
            && let Poll::Ready(found) = bounds.as_mut().poll(context)
        {
            search.found = Some(found);
            search.promise.searched();
        }
        work.as_mut().poll(context)
    })
    .await
}

impl<'a> BoundSearch<'a> {
    /// Begins to search; the lanes of `promise` wait for the result. `left` and `each` are numbers of records: those
    /// left in the chunk, and those between two bounds.
    pub(super) fn begin(
        crm: &'a dyn Crm,
        wish: BoundsAhead,
        promise: Promise<'a>,
        (left, each): (u64, u64),
        ends: Timestamp,
    ) -> Self {
        let bounds = Box::pin(async move { bounds(crm, &wish).await });
        Self { bounds: Mutex::new(bounds), found: None, ends, left, each, promise }
    }
}

/// Lanes that wait for a split, until it has ended.
pub(super) struct Promise<'a> {
    export_run: &'a ExportRun<'a>,
    lanes: usize,
    /// Searches under way.
    searches: usize,
    /// The chunks that the split has made.
    pub(super) made: usize,
}

impl<'a> Promise<'a> {
    pub(super) fn of(export_run: &'a ExportRun<'a>, lanes: usize) -> Self {
        let mut standing = export_run.standing();
        standing.promise(lanes);
        // Each lane's bound takes one search.
        standing.began_aside(lanes, export_run.now());
        drop(standing);
        Self { export_run, lanes, searches: lanes, made: 0 }
    }

    /// The searches have ended.
    fn searched(&mut self) {
        let searches = std::mem::take(&mut self.searches);
        self.export_run.standing().ended_aside(searches, self.export_run.now());
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.searched();
        self.export_run.standing().settle(self.lanes, self.made);
    }
}

/// The ids that are each of `ahead` records above `read_to`, as far as they are inside the range and ascend. Fewer than
/// requested, or none, if the search index finds no more.
///
/// # Errors
/// [`CrmError`].
async fn bounds(crm: &dyn Crm, wish: &BoundsAhead) -> Result<Vec<RecordId>, CrmError> {
    let searches = wish.ahead.iter().map(|records| crm.nth_after(&wish.object, wish.read_to, *records));
    let found = futures_util::future::try_join_all(searches).await?;
    let mut last = wish.read_to;
    let inside = |bound: &RecordId| {
        let fits = *bound > last && wish.upper.is_none_or(|upper| *bound < upper);
        last = *bound;
        fits
    };
    Ok(found.into_iter().map_while(|found| found).take_while(inside).collect())
}
