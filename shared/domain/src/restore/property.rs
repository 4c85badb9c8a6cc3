//! The properties of a restore: whether each can be restored, and which values it takes.

use serde::{Deserialize, Serialize};

use super::difference::Comparison;
use crate::ports::crm_batch::{PropertyDefinition, SideEffect};

/// Why a property cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Obstacle {
    /// The CRM refuses writes to it.
    ReadOnly,
    /// The CRM computes it.
    Calculated,
    /// It was deleted, and can be brought back in the CRM's settings.
    Archived,
    /// The property no longer exists.
    Absent,
    /// It has another type now.
    TypeChanged { was: String },
}

impl Obstacle {
    /// The stable slug for programs.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Calculated => "calculated",
            Self::Archived => "archived",
            Self::Absent => "absent",
            Self::TypeChanged { .. } => "type-changed",
        }
    }

    /// A sentence for people, with a remedy if there is one.
    pub fn sentence(&self) -> String {
        match self {
            Self::ReadOnly => "This property is read-only in the CRM.".to_owned(),
            Self::Calculated => "The CRM calculates this property from others.".to_owned(),
            Self::Archived => {
                "This property was deleted in the CRM. Bring it back in the CRM's property settings, then plan again."
                    .to_owned()
            }
            Self::Absent => "This property no longer exists in the CRM.".to_owned(),
            Self::TypeChanged { was } => {
                format!("This property had the type '{was}' when the backup was made and has another type now.")
            }
        }
    }
}

/// A property as it was when the values to restore were stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormerProperty {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// A property to restore, as it is defined now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredProperty {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// Why it cannot be restored. None if it can.
    pub obstacle: Option<Obstacle>,
    /// Whether the backup lacks its values, because the CRM did not show them. Then `obstacle` is set too, for versions
    /// that do not know this field, but people are told this reason.
    #[serde(default, skip_serializing_if = "is_false")]
    pub values_unknown: bool,
    pub comparison: Comparison,
    /// The allowed values. Empty if any value is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    pub forward_only: bool,
    pub side_effect: Option<SideEffect>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over by reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl RestoredProperty {
    /// Decides whether values of the property `then` can be written to the property `now`. None: it no longer exists.
    pub fn judge(then: &FormerProperty, now: Option<&PropertyDefinition>) -> Self {
        let Some(now) = now else { return Self::gone(then) };
        let property = &now.property;
        let obstacle = if now.archived {
            Some(Obstacle::Archived)
        } else if property.calculated {
            Some(Obstacle::Calculated)
        } else if property.read_only {
            Some(Obstacle::ReadOnly)
        } else if property.kind != then.kind {
            Some(Obstacle::TypeChanged { was: then.kind.clone() })
        } else {
            None
        };
        Self {
            name: property.name.clone(),
            label: property.label.clone(),
            kind: property.kind.clone(),
            obstacle,
            values_unknown: false,
            comparison: now.comparison,
            options: now.options.clone(),
            forward_only: now.forward_only,
            side_effect: now.side_effect,
        }
    }

    fn gone(then: &FormerProperty) -> Self {
        Self {
            name: then.name.clone(),
            label: then.label.clone(),
            kind: then.kind.clone(),
            obstacle: Some(Obstacle::Absent),
            values_unknown: false,
            comparison: Comparison::Exact,
            options: Vec::new(),
            forward_only: false,
            side_effect: None,
        }
    }

    /// The same property in a backup that lacks its values. An empty field in its file may stand for any value.
    #[must_use]
    pub fn of_unknown_values(self) -> Self {
        Self { obstacle: self.obstacle.or(Some(Obstacle::Absent)), values_unknown: true, ..self }
    }

    /// Why it cannot be restored: a stable slug for programs and a sentence for people. None if it can.
    pub fn reason(&self) -> Option<(&'static str, String)> {
        if self.values_unknown {
            let sentence = "The backup lacks these values, because the CRM did not show them when it was made.";
            return Some(("values-unknown", sentence.to_owned()));
        }
        self.obstacle.as_ref().map(|obstacle| (obstacle.slug(), obstacle.sentence()))
    }

    /// Whether its values can be written.
    pub fn is_restorable(&self) -> bool {
        self.obstacle.is_none() && !self.values_unknown
    }

    /// Whether all records must have different values of it.
    pub fn is_unique(&self) -> bool {
        self.is_restorable() && matches!(self.side_effect, Some(SideEffect::Unique | SideEffect::Email))
    }

    /// Whether a restore may clear it before it writes the target: a stage that goes back, or a value that another
    /// record gets.
    pub fn is_cleared_on_the_way(&self) -> bool {
        self.forward_only || self.is_unique()
    }

    /// Whether `value` is `target`, or is what a CRM makes of it that lowers the case or trims spaces.
    pub fn is_form_of(&self, target: &str, value: &str) -> bool {
        let form = |text: &str| text.trim().to_lowercase();
        self.comparison.same(value, target) || !target.is_empty() && form(value) == form(target)
    }

    /// Whether the present options allow `value`. Options always allow clearing.
    pub fn takes(&self, value: &str) -> bool {
        let known = |part: &str| self.options.iter().any(|option| option == part);
        if value.is_empty() || self.options.is_empty() || known(value) {
            return true;
        }
        self.comparison == Comparison::Options
            && value.split(';').map(str::trim).filter(|part| !part.is_empty()).all(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::{Property, Sensitivity};

    fn then(kind: &str) -> FormerProperty {
        FormerProperty { name: "size".into(), label: "Size".into(), kind: kind.into() }
    }

    fn now(kind: &str) -> PropertyDefinition {
        PropertyDefinition {
            property: Property {
                name: "size".into(),
                label: "Size".into(),
                kind: kind.into(),
                sensitivity: Sensitivity::NonSensitive,
                calculated: false,
                read_only: false,
            },
            archived: false,
            options: Vec::new(),
            comparison: Comparison::Exact,
            forward_only: false,
            side_effect: None,
        }
    }

    fn obstacle(change: impl FnOnce(&mut PropertyDefinition)) -> Option<&'static str> {
        let mut definition = now("string");
        change(&mut definition);
        RestoredProperty::judge(&then("string"), Some(&definition)).obstacle.map(|obstacle| obstacle.slug())
    }

    #[test]
    fn each_obstacle_of_a_property_is_named() {
        assert_eq!(obstacle(|_| {}), None);
        assert_eq!(obstacle(|now| now.property.read_only = true), Some("read-only"));
        assert_eq!(obstacle(|now| now.property.calculated = true), Some("calculated"));
        assert_eq!(obstacle(|now| now.archived = true), Some("archived"));
        assert_eq!(obstacle(|now| now.property.kind = "number".into()), Some("type-changed"));
        assert_eq!(RestoredProperty::judge(&then("string"), None).obstacle, Some(Obstacle::Absent));
    }

    /// A2: versions that do not know this reason find an obstacle that they know, and leave the values alone too.
    #[test]
    fn values_that_the_backup_lacks_are_not_empty_values() {
        let known = RestoredProperty::judge(&then("string"), Some(&now("string")));
        assert_eq!(known.reason(), None);
        let unknown = known.of_unknown_values();
        assert!(!unknown.is_restorable() && unknown.obstacle.is_some());
        let (word, sentence) = unknown.reason().expect("it cannot be restored");
        assert_eq!(word, "values-unknown");
        assert!(sentence.starts_with("The backup lacks these values"), "{sentence}");
        let json = serde_json::to_string(&unknown).expect("JSON");
        assert_eq!(serde_json::from_str::<RestoredProperty>(&json).expect("JSON"), unknown);
    }

    #[test]
    fn values_that_are_no_longer_options_are_refused() {
        let options = vec!["s".to_owned(), "m".to_owned(), "a;b".to_owned()];
        let one = PropertyDefinition { options, ..now("enumeration") };
        let several = PropertyDefinition { comparison: Comparison::Options, ..one.clone() };
        let one = RestoredProperty::judge(&then("enumeration"), Some(&one));
        let several = RestoredProperty::judge(&then("enumeration"), Some(&several));
        assert!(one.takes("s") && one.takes("") && one.takes("a;b"));
        assert!(!one.takes("xl") && !one.takes("s;m") && !one.takes("S"));
        assert!(several.takes("m;s") && several.takes("s;") && !several.takes("s;xl"));
        assert!(RestoredProperty::judge(&then("string"), Some(&now("string"))).takes("anything"));
    }
}
