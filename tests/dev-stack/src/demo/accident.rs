//! What happens to the demo's contacts: an import of a file with shifted columns.

use std::collections::BTreeMap;

use dev_stack::restores::Plan;

use super::contacts::Values;

/// What the import overwrites. The jobs get the cities and the cities get the postal codes; the telephone numbers are
/// not in the file; the last two are the same for all contacts.
pub(super) const PROPERTIES: [&str; 5] = ["jobtitle", "city", "phone", "hs_lead_status", "balance_due"];

/// Of so many contacts, one is in the file.
const EVERY: usize = 5;

/// The values that the import writes over those of `contacts`.
pub(super) fn slipped_import(contacts: &Values) -> Values {
    let overwritten = |values: &BTreeMap<String, String>| {
        let value = |name: &str| values.get(name).cloned().unwrap_or_default();
        let new = [value("city"), value("zip"), String::new(), "NEW".to_owned(), "999999.99".to_owned()];
        PROPERTIES.map(str::to_owned).into_iter().zip(new).collect()
    };
    contacts.iter().step_by(EVERY).map(|(id, values)| (*id, overwritten(values))).collect()
}

/// The difference between two states of the contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Changes {
    /// Records with a change.
    pub(super) records: u64,
    /// Values to be set.
    pub(super) set: u64,
    /// Values to be cleared.
    pub(super) cleared: u64,
}

impl Changes {
    /// From `now` to `then`.
    pub(super) fn between(now: &Values, then: &Values) -> Self {
        let mut changes = Self::default();
        for (id, then) in then {
            let now = now.get(id);
            let is_changed = |name: &&str| now.and_then(|now| now.get(*name)) != then.get(*name);
            let differing: Vec<_> = PROPERTIES.into_iter().filter(is_changed).collect();
            let set = differing.iter().filter(|name| then.contains_key(**name)).count() as u64;
            changes.records += u64::from(!differing.is_empty());
            changes.set += set;
            changes.cleared += differing.len() as u64 - set;
        }
        changes
    }

    /// What a plan would change.
    pub(super) fn of_plan(plan: &Plan) -> Self {
        Self { records: plan.records.changed, set: plan.values.set, cleared: plan.values.cleared }
    }

    /// As a part of a sentence.
    pub(super) fn in_words(self) -> String {
        let Self { records, set, cleared } = self;
        format!("{set} values set and {cleared} cleared, in {records} contacts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn changes_are_counted_in_the_direction_in_which_they_are_made() {
        let before = Values::from([(1, contact(&[("city", "Köln"), ("phone", "1")])), (2, contact(&[("phone", "2")]))]);
        let after = Values::from([(1, contact(&[("city", "Bonn"), ("zip", "5")])), (2, contact(&[("phone", "2")]))]);
        assert_eq!(Changes::between(&before, &before), Changes::default());
        assert_eq!(Changes::between(&before, &after), Changes { records: 1, set: 1, cleared: 1 });
        assert_eq!(Changes::between(&after, &before), Changes { records: 1, set: 2, cleared: 0 });
    }

    #[test]
    fn the_import_overwrites_a_fifth_of_the_contacts() {
        let contacts: Values = (1..=100).map(|id| (id, contact(&[("city", "Köln"), ("phone", "1")]))).collect();
        let imported = slipped_import(&contacts);
        assert_eq!(imported.len(), 20);
        let expected = [("jobtitle", "Köln"), ("city", ""), ("phone", ""), ("hs_lead_status", "NEW")];
        for (property, value) in expected {
            assert_eq!(imported[&1][property], value, "{property}");
        }
    }
}
