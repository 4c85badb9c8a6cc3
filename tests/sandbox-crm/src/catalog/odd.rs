//! Properties whose names no identifier could have. HubSpot's own pages make none of them, but imports, other apps and old
//! accounts do.

use crate::data::meaning::Meaning;
use crate::data::random::{hash_of, mix};
use crate::property::{Property, Source};

/// As long as a name may be.
const LONGEST: usize = 100;

const NAMES: [&str; 18] = [
    "net, gross",
    "a,b,c",
    ",",
    "größe_in_cm",
    "straße",
    "\"quoted\"",
    "it's",
    "r&d_budget",
    "two words",
    " leading space",
    "semi;colon",
    "per%cent%2C",
    "plus+minus",
    "a=b",
    "hash#tag",
    "back\\slash/slash",
    "question?mark",
    "価格😀",
];

/// A few of every kind.
pub(crate) fn odd(group: &str) -> Vec<Property> {
    let long = padded("ä, \"long\" & wide ");
    NAMES.iter().copied().chain([long.as_str()]).map(|name| property(name, group)).collect()
}

/// `count` properties with names of 100 characters.
pub(crate) fn odd_and_long(count: usize, group: &str) -> Vec<Property> {
    let name = |number: usize| {
        let kinds = ["plain_", "with, comma ", "ümläut_", "\"q\"&=+ "];
        padded(&format!("{}{number:04}_", kinds[number % kinds.len()]))
    };
    (0..count).map(|number| property(&name(number), group)).collect()
}

fn padded(start: &str) -> String {
    let missing = LONGEST.saturating_sub(start.chars().count());
    format!("{start}{}", "x".repeat(missing))
}

fn property(name: &str, group: &str) -> Property {
    let meaning = if mix(hash_of(name), 1).is_multiple_of(2) { Meaning::Text } else { Meaning::Colour };
    Property::custom_text(name, name.trim(), group, Source::Generated(meaning, 700))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_not_too_long() {
        let properties = [odd("g"), odd_and_long(1_000, "g")].concat();
        let names: HashSet<&str> = properties.iter().map(|property| property.name.as_str()).collect();
        assert_eq!(names.len(), properties.len());
        assert!(names.iter().all(|name| name.chars().count() <= LONGEST));
        assert!(odd_and_long(8, "g").iter().all(|property| property.name.chars().count() == LONGEST));
    }
}
