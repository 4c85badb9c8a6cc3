//! How a portal behaves where accounts differ, or where HubSpot's documents and what people saw disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// Names of properties per object.
pub type PropertyNames = BTreeMap<String, BTreeSet<String>>;

/// Whether the account has custom objects, and how the CRM answers if not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CustomObjects {
    /// The account may have custom objects.
    #[default]
    Offered,
    /// The account's subscription has none: the list of object types and their records get 403.
    Refused,
    /// The same, but the list of object types is there and empty.
    Empty,
}

/// Whether the token may ever have the scope of tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tickets {
    #[default]
    Offered,
    /// This kind of app cannot have the scope, so tickets get 403.
    Refused,
}

/// How a 403 looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// `MISSING_SCOPES`, with the scopes in `context.requiredGranularScopes`.
    Scopes,
    /// `MISSING_SCOPES` for a scope that is not named, because no app can have it.
    UnnamedScopes,
    /// The same without any category.
    Uncategorised,
    /// `FORBIDDEN`, and no more.
    Forbidden,
    /// The user behind the app lacks a permission, which the message names.
    Permission,
    /// A page in HTML, as from the edge.
    BlockPage,
}

/// Who may read the definitions of sensitive properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SensitiveDefinitions {
    /// Every app that may read definitions.
    #[default]
    Open,
    /// Only who may read the values as well.
    Scoped,
}

/// What a token sees of values that it may not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnseenValues {
    /// The property is not in the answer.
    #[default]
    Absent,
    /// The property is null.
    Null,
    /// The call gets 403 when it asks for one.
    Refused,
}

/// The names of scopes in a 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScopeNames {
    /// Those of the documents, such as `crm.objects.custom.read`.
    Documented,
    /// HubSpot's own, such as `custom-object-read`, which no page of settings shows.
    #[default]
    Granular,
}

/// What a batch read answers when some of its records are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GoneIds {
    /// 2026-09 leaves them out, v3 names them in `errors`.
    #[default]
    Usual,
    /// Both versions name them in `errors`.
    Named,
    /// 404 for the whole call, with their ids.
    Refused,
    /// 404 for the whole call, without their ids.
    RefusedUnnamed,
}

/// The order in which threads are listed when none is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ThreadOrder {
    #[default]
    Id,
    /// The latest message first: a thread that gets one moves to the front.
    LatestFirst,
    /// The latest message last: a thread that gets one moves to the end.
    LatestLast,
}

/// How a request for an order of threads is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ThreadSort {
    #[default]
    Honoured,
    Ignored,
    Refused,
}

/// How a portal behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Variants {
    /// Whether the account may have custom objects.
    pub custom_objects: CustomObjects,
    /// Whether the app may have the scope of tickets.
    pub tickets: Tickets,
    /// Objects of which every call is refused, and how; `schemas` stands for the list of object types.
    pub refused: BTreeMap<String, Refusal>,
    /// Who may read the definitions of sensitive properties.
    pub sensitive_definitions: SensitiveDefinitions,
    /// What a token sees of values that it may not see.
    pub unseen_values: UnseenValues,
    /// The names of scopes in a 403.
    pub scope_names: ScopeNames,
    /// What a batch read answers when some of its records are not there.
    pub gone_ids: GoneIds,
    /// Properties that lists never show. All other calls that read records show them.
    pub unlisted: PropertyNames,
    /// Properties that are defined, and that nothing ever shows.
    pub unreadable: PropertyNames,
    /// The order in which threads are listed when none is asked for.
    pub thread_order: ThreadOrder,
    /// How a request for an order of threads is answered.
    pub thread_sort: ThreadSort,
    /// The most threads on a page. A request for more is refused.
    pub most_threads: usize,
    /// Whether custom objects answer to their bare names, as they did until June 2025, besides the fully qualified name
    /// and the type id.
    pub bare_names: bool,
    /// What people call an object type, in the singular.
    pub labels: BTreeMap<String, String>,
    /// Whether answers are compressed when the client asks for that.
    pub gzip: bool,
    /// Whether answers show the daily limit; answers to `OAuth` tokens do not.
    pub daily_headers: bool,
}

impl Default for Variants {
    fn default() -> Self {
        Self {
            custom_objects: CustomObjects::default(),
            tickets: Tickets::default(),
            refused: BTreeMap::new(),
            sensitive_definitions: SensitiveDefinitions::default(),
            unseen_values: UnseenValues::default(),
            scope_names: ScopeNames::default(),
            gone_ids: GoneIds::default(),
            unlisted: PropertyNames::new(),
            unreadable: PropertyNames::new(),
            thread_order: ThreadOrder::default(),
            thread_sort: ThreadSort::default(),
            most_threads: 500,
            bare_names: false,
            labels: BTreeMap::new(),
            gzip: true,
            daily_headers: true,
        }
    }
}

impl Variants {
    /// The properties of an object that `names` lists under any of the object's names.
    pub(crate) fn names_of(names: &PropertyNames, answers_to: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
        names.iter().filter(move |(object, _)| answers_to(object)).flat_map(|(_, names)| names).map(String::as_str)
    }
}

/// An account as HubSpot sells it: its limits, and what it does not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// No custom objects, no tickets, 100 calls per 10 s.
    Free,
    Starter,
    /// No custom objects, no tickets, 190 calls per 10 s.
    Professional,
    Enterprise,
}

impl Profile {
    /// The subscription that decides the limits.
    pub(crate) const fn plan(self) -> Plan {
        match self {
            Self::Free => Plan::Free,
            Self::Starter => Plan::Starter,
            Self::Professional => Plan::Professional,
            Self::Enterprise => Plan::Enterprise,
        }
    }

    /// `variants` without what such an account does not offer.
    pub(crate) fn within(self, variants: &Variants) -> Variants {
        let mut variants = variants.clone();
        if self != Self::Enterprise {
            variants.tickets = Tickets::Refused;
            if variants.custom_objects == CustomObjects::Offered {
                variants.custom_objects = CustomObjects::Refused;
            }
        }
        variants
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "free" => Ok(Self::Free),
            "starter" => Ok(Self::Starter),
            "professional" => Ok(Self::Professional),
            "enterprise" => Ok(Self::Enterprise),
            _ => Err(format!("'{text}' is not a profile; use free, starter, professional or enterprise")),
        }
    }
}
