//! What a user should know before confirming a plan.

use domain::ports::crm_batch::SideEffect;
use domain::restore::Plan;
use domain::restore::plan::PropertyCounts;
use domain::restore::property::RestoredProperty;

use super::Warning;

pub(super) fn of(plan: &Plan, properties: &[(RestoredProperty, PropertyCounts)]) -> Vec<Warning> {
    let general = |kind, sentence: &str| Warning { kind, property: None, sentence: sentence.to_owned() };
    let mut warnings = Vec::new();
    if plan.counts.changed > 0 {
        warnings.push(general("changes-live-data", "If you confirm, this restore changes live data in the CRM."));
        let sentence = "Workflows, lists and integrations of the CRM react to changed values. Workflows that allow \
                        re-enrolment may run again.";
        warnings.push(general("workflows-may-run", sentence));
    }
    let gone = plan.counts.not_found + plan.counts.merged;
    if gone > 0 {
        let sentence = format!(
            "{gone} records of the backup were deleted or merged in the CRM, so they are not restored. skipped.csv \
             lists them. You can bring back deleted records from the CRM's recycling bin for up to 90 days."
        );
        warnings.push(general("records-not-found", &sentence));
    }
    if plan.counts.unreadable > 0 {
        let sentence = format!(
            "The CRM could not return {} records, so they are not changed. skipped.csv lists them. Plan again later.",
            plan.counts.unreadable
        );
        warnings.push(general("records-unreadable", &sentence));
    }
    for (property, counts) in properties {
        let about = |kind, sentence: String| Warning { kind, property: Some(property.name.clone()), sentence };
        let (label, cleared, present) = (&property.label, counts.cleared, counts.present);
        if counts.clears_many() {
            let sentence =
                format!("'{label}' would be cleared in {cleared} of the {present} records that have a value.");
            warnings.push(about("many-cleared", sentence));
        }
        if counts.cannot_be_set > 0 {
            let number = counts.cannot_be_set;
            let sentence = format!(
                "{number} values are no longer options of '{label}', so they are not restored. To restore them, add \
                 the options in the CRM, then plan again."
            );
            warnings.push(about("values-cannot-be-set", sentence));
        }
        if counts.not_shown > 0 {
            let number = counts.not_shown;
            let sentence = format!(
                "The CRM did not show {number} values of '{label}', so they are not compared and not changed. Check \
                 that the token may read this property, then plan again."
            );
            warnings.push(about("values-not-shown", sentence));
        }
        if let Some(effect) = property.side_effect.filter(|_| counts.set + counts.cleared > 0) {
            let (kind, sentence) = side_effect(effect, label);
            warnings.push(about(kind, sentence));
        }
    }
    warnings
}

fn side_effect(effect: SideEffect, label: &str) -> (&'static str, String) {
    match effect {
        SideEffect::Email => (
            "email",
            format!(
                "'{label}' identifies records and receives mail. The CRM refuses an address that another record has."
            ),
        ),
        SideEffect::Owner => ("owner", format!("Changing '{label}' may notify people and change who sees the record.")),
        SideEffect::Unique => {
            ("unique", format!("'{label}' is unique. The CRM refuses a value that another record has."))
        }
        SideEffect::Stage => (
            "stage",
            format!("Changing '{label}' moves records between stages and starts the automation of those stages."),
        ),
    }
}
