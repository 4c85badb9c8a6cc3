//! Which properties the objects of a portal have.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config_error::ConfigError;

/// Which properties the objects have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PropertySet {
    /// HubSpot's own and some of the account's.
    #[default]
    Standard,
    /// Only what an account cannot be without.
    Tiny,
    /// The standard ones, and on every object some whose names no identifier could have: with commas, quotes, spaces,
    /// umlauts and up to 100 characters. Contacts have this number of properties, if that is more.
    Odd(u32),
    /// The standard ones, and as many of the account's own as bring contacts to this number.
    Wide(u32),
    /// So many made-up properties per object besides the id and the two times, of which so many are set on average.
    Columns {
        total: u32,
        /// Of which are set in a record, on average.
        set: u32,
    },
}

impl FromStr for PropertySet {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ConfigError::PropertySet(text.to_owned());
        let parse = |number: &str| number.parse::<u32>().ok().filter(|number| (1..=10_000).contains(number));
        match text.split_once(':') {
            None if text == "standard" => Ok(Self::Standard),
            None if text == "tiny" => Ok(Self::Tiny),
            None if text == "odd" => Ok(Self::Odd(0)),
            Some(("odd", total)) => parse(total).map(Self::Odd).ok_or_else(bad),
            Some(("wide", total)) => parse(total).map(Self::Wide).ok_or_else(bad),
            Some(("columns", sizes)) => {
                let (total, set) = sizes.split_once('/').ok_or_else(bad)?;
                let (total, set) = (parse(total).ok_or_else(bad)?, parse(set).ok_or_else(bad)?);
                if set > total { Err(bad()) } else { Ok(Self::Columns { total, set }) }
            }
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for PropertySet {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PropertySet> for String {
    fn from(set: PropertySet) -> Self {
        match set {
            PropertySet::Standard => "standard".to_owned(),
            PropertySet::Tiny => "tiny".to_owned(),
            PropertySet::Odd(0) => "odd".to_owned(),
            PropertySet::Odd(total) => format!("odd:{total}"),
            PropertySet::Wide(total) => format!("wide:{total}"),
            PropertySet::Columns { total, set } => format!("columns:{total}/{set}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_sets_read_as_they_are_written() {
        for text in ["standard", "tiny", "odd", "odd:1000", "wide:1000", "columns:200/60"] {
            let set: PropertySet = text.parse().expect(text);
            assert_eq!(String::from(set), text);
        }
        for text in ["", "wide", "odd:0", "wide:0", "columns:10", "columns:10/11", "columns:a/b", "other"] {
            assert!(text.parse::<PropertySet>().is_err(), "{text}");
        }
    }
}
