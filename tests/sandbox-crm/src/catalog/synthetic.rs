//! Made-up properties for wide accounts and for benchmarks.

use crate::data::meaning::Meaning;
use crate::data::random::{hash_of, mix};
use crate::property::{Choice, Kind, Property, Source};

/// As long as the names that people and apps give.
const TOPICS: [&str; 12] = [
    "survey_answer_score",
    "onboarding_step_state",
    "import_field_value",
    "campaign_touch_source",
    "score_component_part",
    "legacy_crm_value_text",
    "event_attendance_info",
    "preference_center_flag",
    "shipping_detail_line",
    "usage_metric_total",
    "billing_attribute_key",
    "form_reply_content",
];

/// `count` properties such as a grown account collects: most of them empty in most records.
pub(crate) fn wide(count: usize, group: &str) -> Vec<Property> {
    (0..count).map(|number| property(number, 80, group)).collect()
}

/// `count` properties of which, on average, `set` are set in a record: some nearly always, the others now and then.
pub(crate) fn columns(count: usize, set: usize, group: &str) -> Vec<Property> {
    let usual = set * 5 / 6;
    let per_mille = |hits: usize, of: usize| u16::try_from((hits * 1_000).div_ceil(of.max(1)).min(1_000)).unwrap_or(0);
    let (often, seldom) = if count == set {
        (1_000, 1_000)
    } else {
        // `usual` properties are set in 96% of the records, the rest makes up for what is missing.
        (960, per_mille((set * 1_000).saturating_sub(usual * 960), (count - usual) * 1_000))
    };
    // Spread, so that set and unset columns alternate as in real accounts.
    let is_usual = |number: usize| (number + 1) * usual / count > number * usual / count;
    (0..count).map(|number| property(number, if is_usual(number) { often } else { seldom }, group)).collect()
}

fn property(number: usize, fill: u16, group: &str) -> Property {
    let topic = TOPICS[number % TOPICS.len()];
    let name = format!("{topic}_{number:04}");
    let label = format!("{} {number}", topic.replace('_', " "));
    let random = mix(hash_of(&name), 1);
    // As in a grown account: mostly what is chosen, counted or assigned; free text and ids of other systems are few.
    let (kind, field_type, meaning) = match random % 20 {
        0 | 1 => (Kind::Number, "number", Meaning::Whole(0, 40)),
        2 => (Kind::Number, "number", Meaning::Decimal(0, 9_000)),
        3 => (Kind::Date, "date", Meaning::Day),
        4 | 5 => (Kind::DateTime, "date", Meaning::Time),
        6 => (Kind::Enumeration, "select", Meaning::Owner),
        7..=13 => (Kind::Enumeration, "select", Meaning::Choice),
        14 | 15 => (Kind::Bool, "booleancheckbox", Meaning::Flag),
        16 if random % 40 < 20 => (Kind::String, "text", Meaning::Uuid),
        16 | 17 => (Kind::String, "text", Meaning::Url),
        18 => (Kind::String, "text", Meaning::TicketSubject),
        _ => (Kind::String, "text", Meaning::Text),
    };
    let options = match kind {
        Kind::Enumeration => {
            ["not_started_yet", "in_progress_with_partner", "waiting_for_customer", "completed"].as_slice()
        }
        Kind::Bool => &["true", "false"],
        _ => &[],
    };
    let choice = |value: &&str| Choice { value: (*value).to_owned(), label: value.replace('_', " ") };
    Property {
        kind,
        field_type: field_type.to_owned(),
        options: options.iter().map(choice).collect(),
        ..Property::custom_text(&name, &label, group, Source::Generated(meaning, fill))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_columns_are_set_as_asked_for() {
        for (count, set) in [(200, 60), (20, 12), (10, 10), (1_000, 100)] {
            let properties = columns(count, set, "g");
            let expected: u32 = properties
                .iter()
                .map(|property| match property.source {
                    Source::Generated(_, fill) => u32::from(fill),
                    _ => 0,
                })
                .sum();
            assert_eq!(properties.len(), count);
            let wanted = u32::try_from(set * 1_000).expect("small");
            assert!(expected.abs_diff(wanted) <= wanted / 20, "{expected} of {wanted} per thousand records");
        }
    }
}
