//! Deals.

use super::definition::{Choices, Definition, area, date, external, flag, number, radio, select, text, time};
use crate::data::meaning::Meaning::{Choice, DealName, Decimal, OtherRecord, Owner, Text, Url, Whole};

const PIPELINES: Choices = &[("default", "Sales Pipeline"), ("18422017", "Bestandskunden")];
const STAGES: Choices = &[
    ("appointmentscheduled", "Appointment Scheduled"),
    ("qualifiedtobuy", "Qualified To Buy"),
    ("presentationscheduled", "Presentation Scheduled"),
    ("decisionmakerboughtin", "Decision Maker Bought-In"),
    ("contractsent", "Contract Sent"),
    ("closedwon", "Closed Won"),
    ("closedlost", "Closed Lost"),
];
const TYPES: Choices = &[("newbusiness", "New Business"), ("existingbusiness", "Existing Business")];
const PRIORITIES: Choices = &[("low", "Low"), ("medium", "Medium"), ("high", "High")];
const FORECAST: Choices = &[
    ("OMIT", "Not forecasted"),
    ("PIPELINE", "Pipeline"),
    ("BEST_CASE", "Best case"),
    ("COMMIT", "Commit"),
    ("CLOSED", "Closed won"),
];
const CURRENCIES: Choices = &[("EUR", "Euro"), ("USD", "US Dollar"), ("CHF", "Schweizer Franken"), ("JPY", "円")];
const TRAFFIC: Choices = &[
    ("ORGANIC_SEARCH", "Organic Search"),
    ("REFERRALS", "Referrals"),
    ("DIRECT_TRAFFIC", "Direct"),
    ("OFFLINE", "Offline"),
];
const REGIONS: Choices =
    &[("DACH", "DACH"), ("Nordics", "Nordics"), ("Southern Europe", "Southern Europe"), ("APAC", "APAC")];

pub(super) const DEFINITIONS: &[Definition] = &[
    text("dealname", "Deal Name", DealName, 990),
    number("amount", "Amount", Decimal(100, 900_000), 850),
    external("pipeline", "Pipeline", Choice, 0).with(PIPELINES, 1_000),
    external("dealstage", "Deal Stage", Choice, 0).with(STAGES, 1_000),
    time("closedate", "Close Date", 800),
    radio("dealtype", "Deal Type", TYPES, 500),
    area("description", "Deal Description", 300),
    area("closed_lost_reason", "Closed Lost Reason", 150),
    area("closed_won_reason", "Closed Won Reason", 120),
    select("hs_priority", "Priority", PRIORITIES, 300),
    select("hs_manual_forecast_category", "Forecast category", FORECAST, 350),
    number("hs_forecast_probability", "Forecast probability", Decimal(0, 1), 250),
    text("hs_next_step", "Next step", Text, 300),
    select("deal_currency_code", "Currency", CURRENCIES, 700),
    number("hs_deal_stage_probability", "Deal probability", Decimal(0, 1), 980).calculated(),
    number("amount_in_home_currency", "Amount in company currency", Decimal(100, 900_000), 850).calculated(),
    number("hs_projected_amount", "Weighted amount", Decimal(0, 900_000), 850).calculated(),
    number("hs_forecast_amount", "Forecast amount", Decimal(0, 900_000), 850).calculated(),
    number("hs_arr", "Annual recurring revenue", Decimal(0, 500_000), 300).calculated(),
    number("hs_mrr", "Monthly recurring revenue", Decimal(0, 50_000), 300).calculated(),
    number("hs_tcv", "Total contract value", Decimal(0, 900_000), 300).calculated(),
    number("hs_acv", "Annual contract value", Decimal(0, 500_000), 300).calculated(),
    flag("hs_is_closed", "Is Deal Closed?", 990).calculated(),
    flag("hs_is_closed_won", "Is Closed Won", 990).calculated(),
    flag("hs_is_closed_lost", "Is closed lost", 990).calculated(),
    number("days_to_close", "Days to close", Whole(0, 900), 800).calculated(),
    time("hs_closed_won_date", "Closed won date", 250).calculated(),
    time("hs_date_entered_closedwon", "Date entered Closed Won", 250).calculated(),
    time("hs_date_exited_appointmentscheduled", "Date exited Appointment Scheduled", 600).calculated(),
    time("hs_createdate", "HubSpot Create Date", 980).read_only().hidden(),
    number("num_associated_contacts", "Number of Associated Contacts", Whole(0, 12), 900).calculated(),
    number("num_notes", "Number of Sales Activities", Whole(0, 120), 700).read_only(),
    number("num_contacted_notes", "Number of times contacted", Whole(0, 50), 700).read_only(),
    time("notes_last_contacted", "Last Contacted", 500).read_only(),
    time("notes_last_updated", "Last Activity Date", 550).read_only(),
    time("notes_next_activity_date", "Next Activity Date", 150).read_only(),
    select("hs_analytics_source", "Original Traffic Source", TRAFFIC, 600).read_only(),
    text("hs_campaign", "Campaign", Text, 60),
    external("hs_deal_collaborators", "Deal Collaborators", Owner, 120),
    number("hs_num_of_associated_line_items", "Number of line items", Whole(0, 20), 900).calculated(),
    number("hs_primary_associated_company", "Primary associated company", OtherRecord, 700).calculated(),
    select("sales_region", "Vertriebsregion", REGIONS, 500).custom(),
    date("contract_start", "Contract start", 300).custom(),
    number("discount_percent", "Discount %", Decimal(0, 40), 250).custom(),
    text("offer_link", "Offer link", Url, 250).custom(),
    area("competitor_notes", "Competitor notes", 150).custom(),
    number("margin", "Margin", Decimal(-10_000, 90_000), 200).sensitive(),
];
