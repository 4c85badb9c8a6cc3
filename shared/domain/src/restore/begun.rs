//! Values that runs had begun to write when they ended without telling what became of them.

use std::collections::BTreeMap;

use super::outcome::{Clearing, PreImage, overwritten};
use super::property::RestoredProperty;
use crate::ids::RecordId;

/// Such values of a batch, by record and property.
pub type BegunValues = BTreeMap<(RecordId, u16), BegunValue>;

/// What earlier runs have put down about a value.
#[derive(Clone, Default)]
pub struct BegunValue {
    /// What each of them found before it wrote, the oldest first.
    found: Vec<String>,
    target: String,
    may_be_cleared: bool,
}

impl BegunValue {
    /// Adds what a run after those before has put down.
    pub fn add(&mut self, line: PreImage) {
        // Versions without clearings did not say what they cleared.
        self.may_be_cleared |= !line.clearings_noted;
        self.found.push(line.before);
        self.target = line.target;
    }

    /// Adds what runs have put down before they cleared values. Others are left out: without a pre-image nothing is written.
    pub fn add_clearings(values: &mut BegunValues, clearings: &[Clearing]) {
        for Clearing { id, property } in clearings {
            if let Some(value) = values.get_mut(&(*id, *property)) {
                value.may_be_cleared = true;
            }
        }
    }

    /// What the record had before this restore.
    pub fn first(&self) -> &str {
        self.found.first().map_or("", String::as_str)
    }

    /// What was to be written.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether `value` can be one that those runs have made: the target, what the CRM made of it, or nothing where they
    /// may have cleared it.
    pub fn is_own(&self, property: &RestoredProperty, value: &str) -> bool {
        property.is_form_of(&self.target, value) || value.is_empty() && self.may_be_cleared(property)
    }

    /// What an undo goes back to. `now` is what the record has now, if that is known, and `kept` what the CRM has made of the
    /// target.
    pub fn overwritten<'a>(
        &'a self,
        property: Option<&RestoredProperty>,
        now: Option<&'a str>,
        kept: Option<&str>,
    ) -> &'a str {
        let is_own = |value: &str| kept == Some(value) || property.is_some_and(|property| self.is_own(property, value));
        let chain: Vec<&str> = self.found.iter().map(String::as_str).chain(now).collect();
        overwritten(&chain, is_own)
    }

    /// What the record had before a run cleared `now` on the way to the target and died; None where none has.
    pub fn before_clearing(&self, property: &RestoredProperty, now: &str) -> Option<&str> {
        let before = self.overwritten(Some(property), None, None);
        (now.is_empty() && self.may_be_cleared(property) && !before.is_empty()).then_some(before)
    }

    fn may_be_cleared(&self, property: &RestoredProperty) -> bool {
        self.may_be_cleared && property.is_cleared_on_the_way()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::crm_batch::PropertyDefinition;
    use crate::property::{Property, Sensitivity};
    use crate::restore::property::FormerProperty;

    fn stage() -> RestoredProperty {
        let property = Property {
            name: "stage".into(),
            label: "Stage".into(),
            kind: "string".into(),
            sensitivity: Sensitivity::NonSensitive,
            calculated: false,
            read_only: false,
        };
        let now = PropertyDefinition {
            property,
            archived: false,
            options: Vec::new(),
            multiple: false,
            forward_only: true,
            side_effect: None,
        };
        let then = FormerProperty { name: "stage".into(), label: "Stage".into(), kind: "string".into() };
        RestoredProperty::judge(&then, Some(&now))
    }

    fn begun(found: &[&str], clearings_noted: bool) -> BegunValue {
        let mut value = BegunValue::default();
        for before in found {
            let (before, target) = ((*before).to_owned(), "Lead".to_owned());
            value.add(PreImage { id: RecordId(7), property: 1, before, target, clearings_noted });
        }
        value
    }

    #[test]
    fn what_a_run_makes_of_a_value_is_its_own() {
        let value = begun(&["fan"], true);
        assert!(value.is_own(&stage(), "Lead") && value.is_own(&stage(), " lead"));
        assert!(!value.is_own(&stage(), "fan") && !value.is_own(&stage(), ""));
        assert_eq!(value.before_clearing(&stage(), ""), None, "somebody else has cleared it");
    }

    #[test]
    fn an_empty_value_is_a_runs_own_where_it_has_noted_that_it_clears_it() {
        let mut values = BegunValues::from([((RecordId(7), 1), begun(&["fan"], true))]);
        BegunValue::add_clearings(&mut values, &[7, 8].map(|id| Clearing { id: RecordId(id), property: 1 }));
        assert_eq!(values.len(), 1, "nothing was written of what has no pre-image");
        let value = &values[&(RecordId(7), 1)];
        assert!(value.is_own(&stage(), ""));
        assert_eq!(value.before_clearing(&stage(), ""), Some("fan"));
        assert_eq!(value.before_clearing(&stage(), "fan"), None, "it is not empty");
        assert_eq!(value.overwritten(Some(&stage()), Some(""), None), "fan");
    }

    /// Functions of the version before note no clearings.
    #[test]
    fn an_empty_value_may_be_a_runs_own_where_it_notes_nothing() {
        let value = begun(&["fan"], false);
        assert_eq!(value.before_clearing(&stage(), ""), Some("fan"));
        let plain = RestoredProperty { forward_only: false, ..stage() };
        assert_eq!(value.before_clearing(&plain, ""), None, "such a value is never cleared on the way");
    }

    #[test]
    fn an_undo_goes_back_to_the_latest_value_of_somebody_else() {
        let value = begun(&["fan", "Lead", "edited", "lead"], true);
        assert_eq!(value.first(), "fan");
        assert_eq!(value.overwritten(Some(&stage()), Some("Lead"), None), "edited");
        assert_eq!(value.overwritten(Some(&stage()), Some("LEAD (1)"), Some("LEAD (1)")), "edited");
        assert_eq!(value.overwritten(Some(&stage()), Some(""), None), "", "cleared by somebody else");
        assert_eq!(begun(&["fan", ""], true).overwritten(Some(&stage()), None, None), "");
    }
}
