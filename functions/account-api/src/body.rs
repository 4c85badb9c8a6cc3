//! The body of a request that changes an account.

use domain::account::ApiVersion;
use domain::tier::{TIERS, TierName};
use http_api::fields::Fields;
use http_api::problem::{FieldFault, Problem};
use workflows::change_account::{AccountChange, ConnectionChange, WebhookChange};

/// Longer than any base URL that a deployment allows.
const LONGEST_URL: usize = 200;
/// Tokens of HubSpot's private apps have fewer than 100 characters; access tokens of public apps are longer.
const LONGEST_TOKEN: usize = 4_096;

const API_VERSIONS: [(&str, ApiVersion); 2] =
    [(ApiVersion::V2026_09.as_str(), ApiVersion::V2026_09), (ApiVersion::V3.as_str(), ApiVersion::V3)];

/// The most e-mail addresses of an account.
const MOST_ADDRESSES: usize = 10;
/// The longest address in SMTP (RFC 5321, 4.5.3.1.3, without the brackets).
const LONGEST_ADDRESS: usize = 254;
/// The longest URL of a webhook. Its form is checked when its host is looked up.
const LONGEST_WEBHOOK: usize = 2_000;

/// Reads `{plan, crmConnection: {baseUrl, token, apiVersion}, callShare: {burstPercent, dailyPercent},
/// notificationTargets: {email, webhook: {url, newSecret} | null}, freshSecondFactor}`. All fields are optional; an absent field stays
/// unchanged.
///
/// # Errors
/// A 422 problem that names every invalid field.
pub(crate) fn parse(mut body: Fields) -> Result<AccountChange, Problem> {
    let mut faults = Vec::new();
    let mut change = AccountChange::default();
    if let Some(mut connection) = body.object("crmConnection", &mut faults) {
        change.connection = Some(ConnectionChange {
            base_url: connection.text("baseUrl", LONGEST_URL, &mut faults),
            api_version: connection.choice("apiVersion", &API_VERSIONS, &mut faults),
            token: connection.secret("token", LONGEST_TOKEN, &mut faults),
        });
        connection.finish(&mut faults);
    }
    if let Some(mut share) = body.object("callShare", &mut faults) {
        change.burst_percent = share.whole_number("burstPercent", 1..=100, &mut faults);
        change.daily_percent = share.whole_number("dailyPercent", 1..=100, &mut faults);
        share.finish(&mut faults);
    }
    change.tier = tier(&mut body, &mut faults);
    if let Some(mut targets) = body.object("notificationTargets", &mut faults) {
        change.email = email(&mut targets, &mut faults);
        change.webhook = webhook(&mut targets, &mut faults);
        targets.finish(&mut faults);
    }
    change.fresh_second_factor = body.flag("freshSecondFactor", &mut faults);
    body.finish(&mut faults);
    if faults.is_empty() { Ok(change) } else { Err(Problem::input_invalid(faults)) }
}

fn tier(body: &mut Fields, faults: &mut Vec<FieldFault>) -> Option<TierName> {
    let plans = TIERS.iter().filter_map(|plan| Some((plan.name, TierName::parse(plan.name).ok()?)));
    body.choice("plan", &plans.collect::<Vec<_>>(), faults)
}

fn email(targets: &mut Fields, faults: &mut Vec<FieldFault>) -> Option<Vec<String>> {
    let addresses = targets.texts("email", 0..=MOST_ADDRESSES, LONGEST_ADDRESS, faults)?;
    for (place, _) in addresses.iter().enumerate().filter(|(_, address)| !is_address(address)) {
        let field = format!("notificationTargets.email[{place}]");
        faults.push(FieldFault::new(field, "It must be an e-mail address such as ada@example.com, without a name."));
    }
    Some(addresses)
}

/// Whether the text has the form of an address. Only a delivered e-mail proves that the address exists.
fn is_address(text: &str) -> bool {
    let visible = text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"<>,;\"()".contains(c));
    visible
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'))
}

fn webhook(targets: &mut Fields, faults: &mut Vec<FieldFault>) -> Option<WebhookChange> {
    let Some(mut webhook) = targets.object_or_null("webhook", faults)? else { return Some(WebhookChange::Removed) };
    webhook.require(&["url"], faults);
    let url = webhook.text("url", LONGEST_WEBHOOK, faults);
    let new_secret = webhook.flag("newSecret", faults).unwrap_or(false);
    webhook.finish(faults);
    Some(WebhookChange::Set { url: url?, new_secret })
}
