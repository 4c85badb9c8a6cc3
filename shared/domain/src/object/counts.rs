//! The CRM's counts of an object's records, and the comparison of rows with them.

use serde::{Deserialize, Serialize};

/// How the rows compare with the CRM's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As many rows as the CRM counts.
    Exact,
    /// A difference that records created and deleted during the reading explain.
    Drift,
    /// Too few rows, or records or values that could not be read. The backup reports this.
    Short,
    /// Too many rows: the count lags, or leaves some records out.
    Surplus,
    /// The CRM does not count these records (conversations), or refuses to.
    Uncounted,
}

/// The CRM's counts around the time in which an object was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Records when the object was discovered. None if they were not counted.
    pub before: Option<u64>,
    /// Records when its last chunk was done.
    pub after: Option<u64>,
    /// Records created in between.
    pub created: Option<u64>,
}

impl Verdict {
    /// Whether the counts do not explain the rows. They lag behind the records, so later counts may explain them.
    pub const fn is_unexplained(self) -> bool {
        matches!(self, Self::Short | Self::Surplus)
    }
}

impl Counts {
    /// How many records must have been deleted between the two counts. 0 if the CRM does not count. Without `created`
    /// it is a lower bound.
    pub fn deleted(self) -> u64 {
        let (Some(before), Some(after)) = (self.before, self.after) else { return 0 };
        (before + self.created.unwrap_or(0)).saturating_sub(after)
    }

    /// Compares `rows` with the counts.
    ///
    /// A backup may or may not hold records that were created or deleted while it ran. With `before + created − after`
    /// records deleted meanwhile, every complete export has at least `before − deleted` rows and at most `before +
    /// created`.
    pub fn verdict(self, rows: u64) -> Verdict {
        let Some(after) = self.after else { return Verdict::Uncounted };
        if rows == after {
            return Verdict::Exact;
        }
        let before = self.before.unwrap_or(after);
        let created = self.created.unwrap_or(0);
        let deleted = (before + created).saturating_sub(after);
        match rows {
            few if few < before.saturating_sub(deleted) => Verdict::Short,
            many if many > before + created => Verdict::Surplus,
            _ => Verdict::Drift,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_creations_and_deletions_explain_a_difference() {
        let counts =
            |before, after, created| Counts { before: Some(before), after: Some(after), created: Some(created) };
        assert_eq!(counts(100, 100, 0).verdict(100), Verdict::Exact);
        assert_eq!(counts(100, 103, 3).verdict(101), Verdict::Drift);
        assert_eq!(counts(100, 97, 0).verdict(98), Verdict::Drift);
        assert_eq!(counts(100, 97, 0).verdict(96), Verdict::Short);
        assert_eq!(counts(100, 100, 0).verdict(99), Verdict::Short);
        assert_eq!(counts(100, 100, 2).verdict(98), Verdict::Drift);
        assert_eq!(counts(100, 100, 2).verdict(102), Verdict::Drift);
        assert_eq!(counts(100, 100, 2).verdict(103), Verdict::Surplus);
        assert_eq!(counts(100, 100, 0).verdict(101), Verdict::Surplus);
        assert_eq!(Counts::default().verdict(5), Verdict::Uncounted);
    }
}
