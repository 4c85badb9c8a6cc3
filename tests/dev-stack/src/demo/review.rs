//! A restore's plan as a person reviews it.

use dev_stack::restores::{Plan, PlannedProperty, Sample, SampleValue};

/// Sample records that are shown; a plan has up to 20.
const SAMPLES: usize = 4;
/// Characters of a value that are shown.
const SHOWN: usize = 40;

/// Prints `plan` as tables.
pub(super) fn print(plan: &Plan) {
    print_counts(plan);
    print_properties(&plan.properties);
    println!();
    println!("{:<14} {:<16} now → then", "record", "property");
    for sample in plan.samples.iter().take(SAMPLES) {
        print_sample(sample);
    }
    println!();
    for warning in &plan.warnings {
        println!("! {}", warning.sentence);
    }
}

fn print_counts(plan: &Plan) {
    let Plan { records, values, calls, estimated_seconds, .. } = plan;
    println!();
    println!(
        "{} contacts compared: {} change, {} stay unchanged, {} were deleted, {} were merged into others",
        records.read, records.changed, records.unchanged, records.not_found, records.merged
    );
    let left_alone = match values.edited_since {
        0 => String::new(),
        edited => format!(", {edited} are skipped because they were edited"),
    };
    println!(
        "{} values are set, {} cleared, {} cannot be set{left_alone}",
        values.set, values.cleared, values.cannot_be_set
    );
    println!("{calls} calls, about {estimated_seconds} s");
}

fn print_properties(properties: &[PlannedProperty]) {
    println!();
    println!("{:<16} {:<16} {:>8} {:>8} {:>8} {:>8}", "property", "label", "changed", "set", "cleared", "cannot");
    for property in properties {
        let PlannedProperty { name, label, changed, set, cleared, cannot_be_set, .. } = property;
        println!("{name:<16} {label:<16} {changed:>8} {set:>8} {cleared:>8} {cannot_be_set:>8}");
        if let Some(why_not) = property.detail.as_deref().filter(|_| !property.restorable) {
            println!("  not restored: {why_not}");
        }
    }
}

fn print_sample(sample: &Sample) {
    for (number, SampleValue { property, before, after }) in sample.values.iter().enumerate() {
        let record = if number == 0 { sample.record_id.as_str() } else { "" };
        println!("{record:<14} {property:<16} {} → {}", shown(before.as_deref()), shown(after.as_deref()));
    }
}

/// A value on one line, also with line breaks in it.
fn shown(value: Option<&str>) -> String {
    let Some(value) = value else { return "(empty)".to_owned() };
    let short: String = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if value.chars().count() > SHOWN { format!("\"{short}…\"") } else { format!("\"{short}\"") }
}
