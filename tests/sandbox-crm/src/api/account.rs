//! Who the token belongs to, and how many records there are.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Value, json};

use super::reply::Reply;
use crate::catalog::CONVERSATIONS;
use crate::portal::Portal;
use crate::variants::CustomObjects;

/// Records that an object may have.
const RECORD_LIMIT: u64 = 15_000_000;

pub(super) fn details(portal: &Portal) -> Reply {
    let (time_zone, name) = portal.time_zone();
    let offset = time_zone.to_offset(Timestamp::now());
    Reply::json(
        200,
        &json!({
            "portalId": portal.portal_id(),
            "accountType": "STANDARD",
            "timeZone": name,
            "companyCurrency": "EUR",
            "additionalCurrencies": ["USD"],
            "utcOffset": offset_text(offset),
            "utcOffsetMilliseconds": i64::from(offset.seconds()) * 1_000,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "eu1",
        }),
    )
}

/// Such as `-05:00`.
fn offset_text(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

pub(super) fn record_limits(portal: &Portal) -> Reply {
    let (mut standard, mut custom, mut custom_records) = (Vec::new(), Vec::new(), 0);
    for store in portal.stores() {
        let schema = store.schema();
        let usage = store.read().live_count();
        let mut entry = json!({
            "objectTypeId": schema.type_id,
            "singularLabel": schema.singular,
            "pluralLabel": schema.plural,
            "usage": usage,
        });
        if schema.custom.is_some() {
            if portal.settings().variants.custom_objects != CustomObjects::Offered {
                continue;
            }
            custom_records += usage;
            custom.push(entry);
        } else if schema.name != CONVERSATIONS {
            entry["limit"] = json!(RECORD_LIMIT);
            entry["percentage"] = percentage(usage);
            standard.push(entry);
        }
    }
    Reply::json(
        200,
        &json!({
            "hubspotDefinedObjectTypes": standard,
            "customObjectTypes": {
                "overallLimit": RECORD_LIMIT,
                "overallUsage": custom_records,
                "overallPercentage": percentage(custom_records),
                "byObjectType": custom,
            },
        }),
    )
}

fn percentage(usage: u64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more")]
    let share = usage as f64 * 100.0 / RECORD_LIMIT as f64;
    json!((share * 1_000.0).round() / 1_000.0)
}
