//! Values that a run had begun to write when it ended without an outcome.

use std::collections::BTreeMap;

use super::outcome::{Clearing, PreImage, overwritten};
use super::property::RestoredProperty;
use crate::ids::RecordId;

/// The begun values of a batch, by record and property.
pub type BegunValues = BTreeMap<(RecordId, u16), BegunValue>;

/// The pre-images that earlier runs stored of one value.
#[derive(Clone, Default)]
pub struct BegunValue {
    /// The value that each run found before it wrote, the oldest first.
    found: Vec<String>,
    target: String,
    may_be_cleared: bool,
}

impl BegunValue {
    /// Adds the pre-image of a later run.
    pub fn add(&mut self, line: PreImage) {
        // Earlier versions stored no clearings.
        self.may_be_cleared |= !line.clearings_noted;
        self.found.push(line.before);
        self.target = line.target;
    }

    /// Adds clearings. Clearings of other values are ignored: without a pre-image nothing was written.
    pub fn add_clearings(values: &mut BegunValues, clearings: &[Clearing]) {
        for Clearing { id, property } in clearings {
            if let Some(value) = values.get_mut(&(*id, *property)) {
                value.may_be_cleared = true;
            }
        }
    }

    /// The record's value before this restore.
    pub fn first(&self) -> &str {
        self.found.first().map_or("", String::as_str)
    }

    /// The value that was to be written.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether those runs may have made `value`: the target, the CRM's form of it, or empty if they may have cleared
    /// it.
    pub fn is_own(&self, property: &RestoredProperty, value: &str) -> bool {
        property.is_form_of(&self.target, value) || value.is_empty() && self.may_be_cleared(property)
    }

    /// The value that an undo restores. `now` is the record's present value, if known, and `kept` the CRM's form of the
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

    /// The value that a run may have overwritten before a user edited it to `now`. None if no run can have. A run that
    /// found `now` itself has not overwritten it.
    pub fn before_edit<'a>(&'a self, property: Option<&RestoredProperty>, now: &str) -> Option<&'a str> {
        let since = self.found.iter().rposition(|found| found != now)?;
        let chain: Vec<&str> = self.found[..=since].iter().map(String::as_str).collect();
        let before = overwritten(&chain, |value| property.is_some_and(|property| self.is_own(property, value)));
        (before != now).then_some(before)
    }

    /// The record's value before a run cleared it and died. None if no run has.
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
    use crate::restore::difference::Comparison;
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
            comparison: Comparison::Exact,
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
    fn the_target_and_its_forms_are_a_runs_own_values() {
        let value = begun(&["fan"], true);
        assert!(value.is_own(&stage(), "Lead") && value.is_own(&stage(), " lead"));
        assert!(!value.is_own(&stage(), "fan") && !value.is_own(&stage(), ""));
        assert_eq!(value.before_clearing(&stage(), ""), None, "a user has cleared it");
    }

    #[test]
    fn an_empty_value_is_a_runs_own_if_it_stored_a_clearing() {
        let mut values = BegunValues::from([((RecordId(7), 1), begun(&["fan"], true))]);
        BegunValue::add_clearings(&mut values, &[7, 8].map(|id| Clearing { id: RecordId(id), property: 1 }));
        assert_eq!(values.len(), 1, "a value without a pre-image was not written");
        let value = &values[&(RecordId(7), 1)];
        assert!(value.is_own(&stage(), ""));
        assert_eq!(value.before_clearing(&stage(), ""), Some("fan"));
        assert_eq!(value.before_clearing(&stage(), "fan"), None, "it is not empty");
        assert_eq!(value.overwritten(Some(&stage()), Some(""), None), "fan");
    }

    /// The version before this one stored no clearings.
    #[test]
    fn an_empty_value_may_be_a_runs_own_if_runs_store_no_clearings() {
        let value = begun(&["fan"], false);
        assert_eq!(value.before_clearing(&stage(), ""), Some("fan"));
        let plain = RestoredProperty { forward_only: false, ..stage() };
        assert_eq!(value.before_clearing(&plain, ""), None, "such a value is never cleared on the way");
    }

    #[test]
    fn a_value_that_was_edited_during_the_restore_has_the_value_before_the_edit() {
        let before_edit = |found: &[&str], now| begun(found, true).before_edit(Some(&stage()), now).map(str::to_owned);
        assert_eq!(before_edit(&["fan"], "edited").as_deref(), Some("fan"));
        assert_eq!(before_edit(&["fan", "edited", "edited"], "edited").as_deref(), Some("fan"), "these did not write");
        assert_eq!(before_edit(&["fan", "Lead", "edited"], "edited").as_deref(), Some("fan"));
        assert_eq!(before_edit(&["fan", "other"], "edited").as_deref(), Some("other"));
        assert_eq!(before_edit(&["edited", "edited"], "edited"), None, "nobody has edited it");
        assert_eq!(before_edit(&["edited", "Lead"], "edited"), None, "it was put back");
    }

    #[test]
    fn an_undo_restores_the_latest_value_that_a_user_set() {
        let value = begun(&["fan", "Lead", "edited", "lead"], true);
        assert_eq!(value.first(), "fan");
        assert_eq!(value.overwritten(Some(&stage()), Some("Lead"), None), "edited");
        assert_eq!(value.overwritten(Some(&stage()), Some("LEAD (1)"), Some("LEAD (1)")), "edited");
        assert_eq!(value.overwritten(Some(&stage()), Some(""), None), "", "cleared by a user");
        assert_eq!(begun(&["fan", ""], true).overwritten(Some(&stage()), None, None), "");
    }
}
