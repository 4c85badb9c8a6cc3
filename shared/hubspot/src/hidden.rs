//! Whether sensitive values can be seen. Their definitions are listed to every token, and nobody promises what stands in
//! the place of a value that a token may not see: nothing, null, or a refusal. So before a backup begins, records are
//! searched that have such values, and one of them must be shown.

use std::time::Duration;

use domain::ids::ObjectType;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::rows::RowBuffer;

use crate::answers;
use crate::call::CallError;
use crate::client::HubSpot;
use crate::errors;
use crate::records::{Shape, read_records};
use crate::retry::Retries;
use crate::search::Search;
use crate::standard_objects::scopes_of;

/// Filter groups of a search.
const GROUPS: usize = 5;
/// Searches for the values of one level.
const MOST_SEARCHES: usize = 4;
/// Characters of a search's body that HubSpot accepts, less some to be safe.
const LONGEST_BODY: usize = 2_900;
/// Records that a search shows.
const SHOWN: u8 = 5;

/// What a search for records with certain values has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// One of the values at least.
    Values,
    /// Records without any of the values that they were found by.
    RecordsOnly,
    /// No record has such a value, or the CRM does not search for it.
    Nothing,
}

impl HubSpot {
    /// Checks that values of these properties, all of `level`, are shown to the token.
    ///
    /// # Errors
    /// [`CrmErrorKind::HiddenValues`] when records have some and none is shown.
    pub(crate) async fn check_visible(
        &self,
        object: &ObjectType,
        level: &str,
        properties: &[&str],
    ) -> Result<(), CrmError> {
        let hidden = || errors::hidden_values(object, scopes_of(object).sensitive(level).into_iter().collect());
        let mut hides = false;
        for some in searches(properties).iter().take(MOST_SEARCHES) {
            let mut sight = self.sight(object, some, &hidden).await?;
            // The index may hold a value that was cleared a moment ago.
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
            // What it does not search for says nothing about what it shows.
            Err(CallError::Refused(refusal)) if refusal.status == 400 => Ok(Sight::Nothing),
            answer => answer.map_err(|error| error.into_error(&call)),
        }
    }

    /// Waits, and tells whether there was time for it.
    async fn pause(&self, pause: Duration) -> bool {
        let time = pause < self.time_left();
        if time {
            tokio::time::sleep(pause).await;
        }
        time
    }
}

/// Properties by the search that they go into: as many as filter groups and the body's length allow.
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

/// Whether an error says that values are hidden.
pub(crate) fn are_hidden(error: &CrmError) -> Option<&[String]> {
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
