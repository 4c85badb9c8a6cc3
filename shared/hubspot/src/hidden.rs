//! Checks whether the token may read sensitive values. Every token can list their definitions, and HubSpot does not
//! document the answer about a value that a token may not read: it may be left out, null, or refused. So before a
//! backup begins, a search finds records that have such values, and its answer must show at least one of them.

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

/// The most filter groups in a search.
const GROUPS: usize = 5;
/// The most searches for the values of one level.
const MOST_SEARCHES: usize = 4;
/// The most characters in the body of a search. HubSpot accepts 3,000.
const LONGEST_BODY: usize = 2_900;
/// The most records that a search shows.
const SHOWN: u16 = 5;

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
    /// Checks that the token may read values of these properties, which are all of `level`.
    ///
    /// # Errors
    /// [`CrmErrorKind::HiddenValues`] if records have such values and none is shown.
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
