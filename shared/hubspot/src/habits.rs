//! Remembers how an object of an account is read with the fewest calls, so that later pages do not learn it again. No
//! result depends on it: it may be wrong, it expires, and its size is limited.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use domain::ids::ObjectType;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use crate::endpoints::MAX_RECORDS;

/// How long a habit is kept that changes the number of calls.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// The most objects that are remembered. After that all are forgotten.
const MOST_OBJECTS: usize = 2_000;
/// The most columns of an object that are remembered.
const MOST_COLUMNS: usize = 2_000;
/// The most characters in the URL of a list, unless a server accepts fewer. Some refuse 8,000.
const LONGEST_URL: usize = 6_000;
/// A list whose URL may not be longer than this is sent without properties.
const SHORTEST_URL: usize = 1_500;
/// Pages are made smaller than this, in bytes of JSON: a run reads many at a time. A page of a hundred usual records
/// has less than 1 MiB.
const LARGEST_PAGE: usize = 4 << 20;
/// After this number of failed pages in a row, lists are not tried for a while.
const FAILED_LISTS: u32 = 2;

/// An account and its server, as a number that reveals nothing about the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AccountKey(u64);

/// The habits of all objects of all accounts.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    hasher: RandomState,
    objects: Mutex<HashMap<(AccountKey, ObjectType), Habit>>,
}

/// What is known about one object.
#[derive(Debug)]
pub(crate) struct Habit {
    /// The most characters of a URL. 0 allows only lists without properties.
    pub(crate) longest_url: usize,
    /// The server rejects a sort order for conversations.
    pub(crate) unsorted: bool,
    /// The form of the cursors of its list.
    pub(crate) cursors: Cursors,
    failed_lists: u32,
    by_id: Option<Timestamp>,
    batch: Option<(usize, Timestamp)>,
    list: Option<(u16, Timestamp)>,
    /// The most records whose answer is not too large.
    fitting: Option<(u16, Timestamp)>,
    hidden: HashSet<String>,
    hidden_until: Timestamp,
}

/// The form of the cursors of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Cursors {
    /// No page has shown it, or the cursors are opaque texts.
    #[default]
    Unknown,
    /// The last id of the page; the list continues after it.
    LastId,
    /// The last id of the page plus one; the list continues at it.
    NextId,
}

impl Default for Habit {
    fn default() -> Self {
        Self {
            longest_url: LONGEST_URL,
            unsorted: false,
            cursors: Cursors::default(),
            failed_lists: 0,
            by_id: None,
            batch: None,
            list: None,
            fitting: None,
            hidden: HashSet::new(),
            hidden_until: Timestamp::MIN,
        }
    }
}

impl Habits {
    pub(crate) fn account(&self, server: &str, token: &SecretString) -> AccountKey {
        AccountKey(self.hasher.hash_one((server, token.expose_secret())))
    }

    /// Reads or changes what is known about an object.
    pub(crate) fn of<T>(&self, account: AccountKey, object: &ObjectType, look: impl FnOnce(&mut Habit) -> T) -> T {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() >= MOST_OBJECTS {
            objects.clear();
        }
        look(objects.entry((account, object.clone())).or_default())
    }
}

impl Habit {
    /// Notes that a URL of at most `allowed` characters was too long.
    pub(crate) fn url_too_long(&mut self, allowed: usize) {
        let half = allowed / 2;
        // Otherwise another page has already noted it.
        if self.longest_url == allowed {
            self.longest_url = if half < SHORTEST_URL { 0 } else { half };
        }
    }

    /// Whether to read records by their ids without trying the list first.
    pub(crate) fn reads_by_id(&self, now: Timestamp) -> bool {
        self.by_id.is_some_and(|until| now < until)
    }

    pub(crate) fn list_worked(&mut self) {
        self.failed_lists = 0;
    }

    /// Notes that a list failed whose records could be read by their ids.
    pub(crate) fn list_failed(&mut self, now: Timestamp) {
        self.failed_lists += 1;
        if self.failed_lists >= FAILED_LISTS {
            self.by_id = now.checked_add(LIFETIME).ok();
            self.failed_lists = 0;
        }
    }

    /// The most records in one batch.
    pub(crate) fn batch(&self, now: Timestamp) -> usize {
        let readable = self.batch.filter(|(_, until)| now < *until).map_or(usize::from(MAX_RECORDS), |(most, _)| most);
        readable.min(usize::from(self.fitting(MAX_RECORDS, now)))
    }

    /// The most records, up to `limit`, whose values fit into one answer.
    pub(crate) fn fitting(&self, limit: u16, now: Timestamp) -> u16 {
        self.fitting.filter(|(_, until)| now < *until).map_or(limit, |(records, _)| records.min(limit))
    }

    /// Notes the size of an answer with the values of `records` records.
    pub(crate) fn answered(&mut self, records: usize, bytes: usize, now: Timestamp) {
        if bytes <= LARGEST_PAGE || records <= 1 {
            return;
        }
        let fitting = u16::try_from(records * LARGEST_PAGE / bytes).unwrap_or(MAX_RECORDS).max(1);
        // Of calls that were under way at the same time, the one with the largest records counts.
        let fitting = self.fitting(fitting, now);
        self.fitting = now.checked_add(LIFETIME).ok().map(|until| (fitting, until));
    }

    /// Notes that a batch of more than `records` failed, and smaller ones did not.
    pub(crate) fn smaller_batches(&mut self, records: usize, now: Timestamp) {
        self.batch = now.checked_add(LIFETIME).ok().map(|until| (records.max(1), until));
    }

    /// The most entries on a page of a list of ids or of conversations. `limit` unless larger pages failed, or are too
    /// large with their values.
    pub(crate) fn page(&self, limit: u16, now: Timestamp) -> u16 {
        let readable = self.list.filter(|(_, until)| now < *until).map_or(limit, |(records, _)| records.min(limit));
        self.fitting(readable, now)
    }

    /// Notes that a page of more than `records` failed, and a smaller one did not.
    pub(crate) fn smaller_pages(&mut self, records: u16, now: Timestamp) {
        self.list = now.checked_add(LIFETIME).ok().map(|until| (records, until));
    }

    /// Notes that the answer with the values of `records` records was too large.
    pub(crate) fn too_large(&mut self, records: usize, now: Timestamp) {
        let quarter = u16::try_from(records / 4).unwrap_or(MAX_RECORDS).max(1);
        let fitting = self.fitting(quarter, now);
        self.fitting = now.checked_add(LIFETIME).ok().map(|until| (fitting, until));
    }

    /// Whether no way of reading shows this property.
    pub(crate) fn is_hidden(&self, property: &str, now: Timestamp) -> bool {
        now < self.hidden_until && self.hidden.contains(property)
    }

    /// Notes that no way of reading shows this property.
    pub(crate) fn stays_hidden(&mut self, property: &str, now: Timestamp) {
        if now >= self.hidden_until {
            self.hidden.clear();
            self.hidden_until = now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
        }
        if self.hidden.len() < MOST_COLUMNS {
            self.hidden.insert(property.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    #[test]
    fn urls_are_halved_until_they_have_no_room_for_properties() {
        let mut habit = Habit::default();
        let mut seen = vec![habit.longest_url];
        while let Some(&allowed) = seen.last().filter(|&&allowed| allowed > 0) {
            habit.url_too_long(allowed);
            seen.push(habit.longest_url);
        }
        assert_eq!(seen, [6_000, 3_000, 1_500, 0]);
        habit.url_too_long(6_000);
        assert_eq!(habit.longest_url, 0, "an outdated note changes nothing");
    }

    /// B9: long property names of one account do not affect other accounts.
    #[test]
    fn accounts_and_objects_have_habits_of_their_own() {
        let habits = Habits::default();
        let [one, other] = ["a", "b"].map(|token| habits.account("https://x", &SecretString::from(token)));
        let object = |name| ObjectType::parse(name).expect("valid");
        habits.of(one, &object("deals"), |habit| habit.url_too_long(6_000));
        let longest = |account, name| habits.of(account, &object(name), |habit| habit.longest_url);
        assert_eq!((longest(one, "deals"), longest(one, "calls"), longest(other, "deals")), (3_000, 6_000, 6_000));
    }

    #[test]
    fn pages_become_as_small_as_their_records_need() {
        let mut habit = Habit::default();
        let page = |habit: &Habit, minute| {
            (habit.fitting(100, at(minute)), habit.page(500, at(minute)), habit.batch(at(minute)))
        };
        habit.answered(100, LARGEST_PAGE, at(0));
        habit.answered(1, 3 * LARGEST_PAGE, at(0));
        assert_eq!(page(&habit, 0), (100, 500, 100));
        habit.answered(100, 4 * LARGEST_PAGE, at(0));
        assert_eq!(page(&habit, 0), (25, 25, 25));
        habit.answered(100, 2 * LARGEST_PAGE, at(0));
        assert_eq!(page(&habit, 0), (25, 25, 25), "a call that began before");
        habit.answered(25, 100 * LARGEST_PAGE, at(0));
        assert_eq!((page(&habit, 0), page(&habit, 10)), ((1, 1, 1), (100, 500, 100)));
    }

    #[test]
    fn habits_expire() {
        let mut habit = Habit::default();
        habit.list_failed(at(0));
        assert!(!habit.reads_by_id(at(0)), "one failure may be chance");
        habit.list_failed(at(0));
        habit.smaller_batches(0, at(0));
        habit.smaller_pages(10, at(0));
        habit.stays_hidden("salary", at(0));
        let known = |minute| {
            let now = at(minute);
            (habit.reads_by_id(now), habit.batch(now), habit.page(100, now), habit.is_hidden("salary", now))
        };
        assert_eq!((known(9), known(10)), ((true, 1, 10, true), (false, 100, 100, false)));
    }
}
