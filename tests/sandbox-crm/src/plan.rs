//! The subscriptions of accounts and their call limits.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The subscription of an account, which decides its call limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// 100 calls per 10 s, 250,000 a day.
    Free,
    /// 100 calls per 10 s, 250,000 a day.
    Starter,
    /// 190 calls per 10 s, 625,000 a day.
    #[default]
    Professional,
    /// 190 calls per 10 s, 1,000,000 a day.
    Enterprise,
    /// As good as no limits, for benchmarks: 1,000,000 calls per 10 s, 2,000,000,000 a day, 10,000 searches a second.
    Unlimited,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "free" => Ok(Self::Free),
            "starter" => Ok(Self::Starter),
            "professional" => Ok(Self::Professional),
            "enterprise" => Ok(Self::Enterprise),
            "unlimited" => Ok(Self::Unlimited),
            _ => Err(format!("'{text}' is not a plan; use free, starter, professional, enterprise or unlimited")),
        }
    }
}

/// Call limits of a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Calls in any 10 seconds.
    pub per_ten_seconds: u32,
    /// Calls from one midnight of the portal's time zone to the next.
    pub per_day: u32,
    /// Searches in any second.
    pub searches_per_second: u32,
    /// Characters of a request's path and query; longer ones get 414.
    pub url_characters: u32,
}

impl Plan {
    /// The limits of an account with this plan.
    pub const fn limits(self) -> Limits {
        let (per_ten_seconds, per_day, searches_per_second) = match self {
            Self::Free | Self::Starter => (100, 250_000, 5),
            Self::Professional => (190, 625_000, 5),
            Self::Enterprise => (190, 1_000_000, 5),
            Self::Unlimited => (1_000_000, 2_000_000_000, 10_000),
        };
        Limits { per_ten_seconds, per_day, searches_per_second, url_characters: 16_000 }
    }
}

impl Limits {
    /// The same after so many paid increases.
    pub(crate) const fn increased(mut self, increases: u32) -> Self {
        if increases > 0 {
            self.per_ten_seconds = 250;
            self.per_day = self.per_day.saturating_add(increases.saturating_mul(1_000_000));
        }
        self
    }
}
