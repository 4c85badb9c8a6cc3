//! Lists in which the present code cannot read every record. An unreadable record does not delay the others. It is
//! logged, and callers report the number of records left out.

use std::collections::HashSet;

use domain::ports::ledger::{self, DueList, Key, Ledger, LedgerError, Record, Stored, Versioned};
use jiff::Timestamp;

/// The readable records, and the number of unreadable ones.
pub(crate) struct Readable<T> {
    pub(crate) records: Vec<T>,
    pub(crate) left_out: usize,
}

/// The readable records of a page.
pub(crate) fn of_page<T: Record>(stored: Vec<Stored>) -> Readable<T> {
    let all = stored.len();
    let records: Vec<T> = readable(stored.into_iter().map(ledger::read::<T>)).map(|loaded| loaded.record).collect();
    Readable { left_out: all - records.len(), records }
}

/// The readable records among `read`. The others are logged.
pub(crate) fn readable<T>(
    read: impl IntoIterator<Item = Result<Versioned<T>, LedgerError>>,
) -> impl Iterator<Item = Versioned<T>> {
    read.into_iter().filter_map(|read| read.map_err(|error| unreadable(&error)).ok())
}

/// Logs that stored data is unreadable. Operators can put an alarm on this line.
pub(crate) fn unreadable(error: &dyn std::fmt::Display) {
    tracing::error!(%error, "stored.unreadable");
}

/// The id in the sort key of the last record of a page, readable or not.
pub(crate) fn last_id<I, E>(stored: &[Stored], prefix: &str, parse: impl FnOnce(&str) -> Result<I, E>) -> Option<I> {
    stored.last()?.key.sort.strip_prefix(prefix).and_then(|id| parse(id).ok())
}

/// The most due keys of a shard requested at once, including those that stay due.
const MOST_DUE: u32 = 10_000;

/// The due keys of one shard of a list, each once. Keys that stay due after they were handled are skipped, so that they
/// do not delay the keys behind them.
pub(crate) struct DueKeys {
    list: DueList,
    shard: u8,
    page: u32,
    seen: HashSet<Key>,
    /// Keys of the latest answer that had been seen before.
    stuck: u32,
    may_be_more: bool,
}

impl DueKeys {
    /// The due keys in `shard` of `list`, `page` keys at a time.
    pub(crate) fn new(list: DueList, shard: u8, page: u32) -> Self {
        Self { list, shard, page, seen: HashSet::new(), stuck: 0, may_be_more: true }
    }

    /// The next keys that are due at `now`.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(crate) async fn next(&mut self, ledger: &dyn Ledger, now: Timestamp) -> Result<Vec<Key>, LedgerError> {
        loop {
            let limit = self.page.saturating_add(self.stuck).min(MOST_DUE);
            let mut keys = ledger.due(self.list, self.shard, now, limit).await?;
            let found = keys.len();
            keys.retain(|key| self.seen.insert(key.clone()));
            self.stuck = u32::try_from(found - keys.len()).unwrap_or(u32::MAX);
            self.may_be_more = found >= limit as usize;
            if !keys.is_empty() || !self.may_be_more || limit == MOST_DUE {
                return Ok(keys);
            }
        }
    }

    /// Whether more keys may be due than were returned so far.
    pub(crate) const fn may_be_more(&self) -> bool {
        self.may_be_more
    }
}

#[cfg(test)]
mod tests;
