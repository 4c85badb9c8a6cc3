//! What was learned about reading an object of an account, so that the next page does not pay for it again. It is a guess
//! that is never needed for a right answer; it ages, and there is only so much of it.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use domain::ids::ObjectType;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use crate::endpoints::MAX_RECORDS;

/// For how long something is believed that costs more calls than usual, or spares some.
const HOLDS: SignedDuration = SignedDuration::from_mins(10);
/// Objects that are remembered. Beyond that all are forgotten.
const MOST_OBJECTS: usize = 2_000;
/// Columns of an object that are remembered.
const MOST_COLUMNS: usize = 2_000;
/// The longest URL of a list, until a server says otherwise: some refuse 8,000 characters.
const LONGEST_URL: usize = 6_000;
/// With fewer, a list has no place for properties.
const SHORTEST_URL: usize = 1_500;
/// So many pages after each other must have needed it before lists are given up for a while.
const FAILED_LISTS: u32 = 2;

/// An account and a server, as a number that tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AccountKey(u64);

/// The habits of all objects of all accounts.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    hasher: RandomState,
    objects: Mutex<HashMap<(AccountKey, ObjectType), Habit>>,
}

/// What is known of one object.
#[derive(Debug)]
pub(crate) struct Habit {
    /// Characters of a URL that are allowed; 0 when only lists without properties are.
    pub(crate) longest_url: usize,
    /// Its server does not take an order of conversations.
    pub(crate) unsorted: bool,
    /// How its list goes on.
    pub(crate) cursors: Cursors,
    failed_lists: u32,
    by_id: Option<Timestamp>,
    batch: Option<(usize, Timestamp)>,
    list: Option<(u8, Timestamp)>,
    hidden: HashSet<String>,
    hidden_until: Timestamp,
}

/// The cursors of a list, as its pages have shown them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Cursors {
    /// No page has shown it, or the CRM's own text.
    #[default]
    Unknown,
    /// The last id: the list goes on after it.
    LastId,
    /// The last id plus one: the list goes on at it.
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
            hidden: HashSet::new(),
            hidden_until: Timestamp::MIN,
        }
    }
}

impl Habits {
    pub(crate) fn account(&self, server: &str, token: &SecretString) -> AccountKey {
        AccountKey(self.hasher.hash_one((server, token.expose_secret())))
    }

    /// Looks at, or changes, what is known of an object.
    pub(crate) fn of<T>(&self, account: AccountKey, object: &ObjectType, look: impl FnOnce(&mut Habit) -> T) -> T {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() >= MOST_OBJECTS {
            objects.clear();
        }
        look(objects.entry((account, object.clone())).or_default())
    }
}

impl Habit {
    /// A list's URL was too long while `allowed` characters were allowed.
    pub(crate) fn url_too_long(&mut self, allowed: usize) {
        let half = allowed / 2;
        // Whoever was faster has done the same.
        if self.longest_url == allowed {
            self.longest_url = if half < SHORTEST_URL { 0 } else { half };
        }
    }

    /// Whether records are to be read by their ids without trying the list first.
    pub(crate) fn reads_by_id(&self, now: Timestamp) -> bool {
        self.by_id.is_some_and(|until| now < until)
    }

    pub(crate) fn list_worked(&mut self) {
        self.failed_lists = 0;
    }

    /// A list has failed, and its records could be read by their ids.
    pub(crate) fn list_failed(&mut self, now: Timestamp) {
        self.failed_lists += 1;
        if self.failed_lists >= FAILED_LISTS {
            self.by_id = now.checked_add(HOLDS).ok();
            self.failed_lists = 0;
        }
    }

    /// Records of one batch.
    pub(crate) fn batch(&self, now: Timestamp) -> usize {
        self.batch.filter(|(_, until)| now < *until).map_or(usize::from(MAX_RECORDS), |(records, _)| records)
    }

    /// A batch of more than `records` has failed, and smaller ones have not.
    pub(crate) fn smaller_batches(&mut self, records: usize, now: Timestamp) {
        self.batch = now.checked_add(HOLDS).ok().map(|until| (records.max(1), until));
    }

    /// Entries of one page of a list that cannot be read by ids.
    pub(crate) fn page(&self, now: Timestamp) -> u8 {
        self.list.filter(|(_, until)| now < *until).map_or(MAX_RECORDS, |(records, _)| records)
    }

    /// A page of more than `records` has failed, and a smaller one has not.
    pub(crate) fn smaller_pages(&mut self, records: u8, now: Timestamp) {
        self.list = now.checked_add(HOLDS).ok().map(|until| (records, until));
    }

    /// Whether a property stays hidden however it is asked for.
    pub(crate) fn is_hidden(&self, property: &str, now: Timestamp) -> bool {
        now < self.hidden_until && self.hidden.contains(property)
    }

    /// A property was hidden however it was asked for.
    pub(crate) fn stays_hidden(&mut self, property: &str, now: Timestamp) {
        if now >= self.hidden_until {
            self.hidden.clear();
            self.hidden_until = now.checked_add(HOLDS).unwrap_or(Timestamp::MAX);
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
    fn urls_halve_and_then_go_without_properties() {
        let mut habit = Habit::default();
        let mut seen = vec![habit.longest_url];
        while let Some(&allowed) = seen.last().filter(|&&allowed| allowed > 0) {
            habit.url_too_long(allowed);
            seen.push(habit.longest_url);
        }
        assert_eq!(seen, [6_000, 3_000, 1_500, 0]);
        habit.url_too_long(6_000);
        assert_eq!(habit.longest_url, 0, "late news change nothing");
    }

    /// B9: what one account's names lead to is nothing to the others.
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
    fn what_was_learned_ages() {
        let mut habit = Habit::default();
        habit.list_failed(at(0));
        assert!(!habit.reads_by_id(at(0)), "once may be chance");
        habit.list_failed(at(0));
        habit.smaller_batches(0, at(0));
        habit.smaller_pages(10, at(0));
        habit.stays_hidden("salary", at(0));
        let known = |minute| {
            let now = at(minute);
            (habit.reads_by_id(now), habit.batch(now), habit.page(now), habit.is_hidden("salary", now))
        };
        assert_eq!((known(9), known(10)), ((true, 1, 10, true), (false, 100, 100, false)));
    }
}
