//! Checks whether the token may read sensitive values. Every token can list their definitions, and HubSpot does not
//! document the answer about a value that a token may not read: it may be left out, null, or refused. So before a
//! backup begins, at least one value must be seen, if there is any. Most often the first page of records shows one. Otherwise a
//! search finds records that have such values, and its answer must show at least one of them. Searches are few: HubSpot
//! allows five a second.

use std::collections::HashSet;
use std::time::Duration;

use domain::ids::ObjectType;
use domain::ports::crm::{CrmError, CrmErrorKind, Cursor, PageRequest, PageSource};
use domain::rows::RowBuffer;

use crate::answers;
use crate::call::CallError;
use crate::client::HubSpot;
use crate::endpoints::MAX_RECORDS;
use crate::errors;
use crate::pages::list_query;
use crate::records::{Shape, read_records};
use crate::retry::Retries;
use crate::search::Search;
use crate::standard_objects::scopes_of;

/// The most filter groups in a search.
const GROUPS: usize = 5;
/// The most searches for the values of one level.
const MOST_SEARCHES: usize = 4;
/// The most characters in the body of a search. HubSpot accepts 3,000.
const LONGEST_BODY: usize = 2_900;
/// The most records that a search shows.
const SHOWN: u16 = 5;

/// The most characters of property names in the request for the first records, so that its URL has room for them.
const LONGEST_NAMES: usize = 1_000;

/// What the first page of an object's list says about sensitive properties.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstRecords {
    /// There are no records, so there is nothing to hide.
    None,
    /// It shows values of these properties.
    Show(HashSet<String>),
    /// The list could not be read.
    Unknown,
}

/// The result of a search for records that have certain values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// At least one of the values is shown.
    Values,
    /// The records are shown, but none of the values.
    RecordsOnly,
    /// No record has such a value, or the CRM cannot search for it.
    Nothing,
}

impl HubSpot {
    /// Reads the first records with the properties of all `levels`. No answer is an error here: the searches after it
    /// find the same trouble.
    pub(crate) async fn first_records(&self, object: &ObjectType, levels: &[Vec<&str>]) -> FirstRecords {
        let properties = first_of_each(levels);
        if properties.is_empty() {
            return FirstRecords::Unknown;
        }
        let (source, cursor, limit) = (PageSource::List, &Cursor::START, self.fitting(object, MAX_RECORDS));
        let request = PageRequest { object, properties: &properties, cursor, source, limit };
        let call = self.endpoints.list(object, list_query(&request, limit, &properties)).of_records(limit.into());
        let mut rows = RowBuffer::new(properties.len());
        let retries = Retries::of_attempts(1).with_second_looks(0);
        match self.list(object, &call, retries, Shape::Nested, &properties, &mut rows).await {
            Ok(end) if rows.is_empty() && end.next.is_none() => FirstRecords::None,
            Ok(_) => FirstRecords::Show(with_values(&rows, &properties)),
            Err(_) => FirstRecords::Unknown,
        }
    }

    /// Checks that the token may read values of these properties, which are all of `level`.
    ///
    /// # Errors
    /// [`CrmErrorKind::HiddenValues`] if records have such values and none is shown.
    pub(crate) async fn check_visible(
        &self,
        object: &ObjectType,
        level: &str,
        properties: &[&str],
        first: &FirstRecords,
    ) -> Result<(), CrmError> {
        match first {
            FirstRecords::None => return Ok(()),
            FirstRecords::Show(shown) if properties.iter().any(|name| shown.contains(*name)) => return Ok(()),
            FirstRecords::Show(_) | FirstRecords::Unknown => {}
        }
        let hidden = || errors::hidden_values(object, scopes_of(object).sensitive(level).into_iter().collect());
        let mut hides = false;
        for some in searches(properties).iter().take(MOST_SEARCHES) {
            let mut sight = self.sight(object, some, &hidden).await?;
            // The index may still contain a value that was just cleared.
            if sight == Sight::RecordsOnly && self.pause(self.retry_policy.second_look).await {
                sight = self.sight(object, some, &hidden).await?;
            }
            match sight {
                Sight::Values => return Ok(()),
                Sight::RecordsOnly => hides = true,
                Sight::Nothing => {}
            }
        }
        if hides { Err(hidden()) } else { Ok(()) }
    }

    async fn sight(
        &self,
        object: &ObjectType,
        properties: &[&str],
        hidden: &(impl Fn() -> CrmError + Sync),
    ) -> Result<Sight, CrmError> {
        let call = self.endpoints.search(object, Search::having(properties, SHOWN).body());
        let mut rows = RowBuffer::new(properties.len());
        let answer = self
            .try_fetch(&call, Retries::default(), |answer| {
                answers::check_complete(read_records(&answer.body, Shape::Nested, properties, &mut rows)?)?;
                let shown = (0..rows.len()).any(|row| rows.values(row).any(|value| !value.is_empty()));
                Ok(match (rows.is_empty(), shown) {
                    (true, _) => Sight::Nothing,
                    (false, true) => Sight::Values,
                    (false, false) => Sight::RecordsOnly,
                })
            })
            .await;
        match answer {
            Err(CallError::Refused(refusal)) if refusal.lacks_scopes() => Err(hidden()),
            // The CRM cannot search for these properties, but it may show them.
            Err(CallError::Refused(refusal)) if refusal.status == 400 => Ok(Sight::Nothing),
            answer => answer.map_err(|error| error.into_error(&call)),
        }
    }

    /// Waits if there is time, and returns whether there was.
    async fn pause(&self, pause: Duration) -> bool {
        let time = pause < self.time_left();
        if time {
            tokio::time::sleep(pause).await;
        }
        time
    }
}

/// Properties of all `levels` in turn, as many as one request has room for.
fn first_of_each<'p>(levels: &[Vec<&'p str>]) -> Vec<&'p str> {
    let most = levels.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..most).flat_map(|place| levels.iter().filter_map(move |level| level.get(place).copied()));
    let mut room = LONGEST_NAMES;
    let with_room = in_turn.take_while(|name| {
        let left = room.checked_sub(name.len() + 1);
        room = left.unwrap_or(0);
        left.is_some()
    });
    with_room.collect()
}

/// Those of the properties of which at least one row shows a value.
fn with_values(rows: &RowBuffer, properties: &[&str]) -> HashSet<String> {
    let values = (0..rows.len()).flat_map(|row| properties.iter().zip(rows.values(row)));
    values.filter(|(_, value)| !value.is_empty()).map(|(name, _)| (*name).to_owned()).collect()
}

/// Distributes properties over searches. Each takes as many as its filter groups and the length of its body allow.
fn searches<'p>(properties: &[&'p str]) -> Vec<Vec<&'p str>> {
    let mut searches: Vec<Vec<&str>> = Vec::new();
    for property in properties {
        let fits = |some: &Vec<&str>| {
            some.len() < GROUPS
                && Search::having(&[some.as_slice(), &[*property]].concat(), SHOWN).body().len() <= LONGEST_BODY
        };
        match searches.last_mut().filter(|some| fits(some)) {
            Some(some) => some.push(property),
            None => searches.push(vec![property]),
        }
    }
    searches
}

/// The missing scopes, if values are hidden.
pub(crate) fn scopes_for_hidden_values(error: &CrmError) -> Option<&[String]> {
    if let CrmErrorKind::HiddenValues(scopes) = &error.kind { Some(scopes) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A2: a search has five groups and 3,000 characters.
    #[test]
    fn properties_are_spread_over_searches_that_hubspot_accepts() {
        let short: Vec<String> = (0..12).map(|place| format!("p{place}")).collect();
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        assert_eq!(searches(&short).iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 2]);
        let long = "n".repeat(400);
        let long = [long.as_str(); 6];
        for some in searches(&long) {
            assert!(Search::having(&some, SHOWN).body().len() <= 3_000);
        }
        assert_eq!(searches(&long).concat().len(), 6);
    }
}
