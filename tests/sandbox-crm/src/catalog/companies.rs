//! Companies.

use super::definition::{
    Choices, Definition, area, checkbox, date, external, flag, number, phone, radio, select, text, time,
};
use crate::data::meaning::Meaning::{
    City, Company, Country, Decimal, Domain, Iban, OtherRecord, Street, Text, Url, Whole, Zip,
};

const LIFECYCLE: Choices = &[
    ("subscriber", "Subscriber"),
    ("lead", "Lead"),
    ("marketingqualifiedlead", "Marketing Qualified Lead"),
    ("salesqualifiedlead", "Sales Qualified Lead"),
    ("opportunity", "Opportunity"),
    ("customer", "Customer"),
    ("evangelist", "Evangelist"),
    ("other", "Other"),
];
const INDUSTRIES: Choices = &[
    ("ACCOUNTING", "Accounting"),
    ("AUTOMOTIVE", "Automotive"),
    ("BANKING", "Banking"),
    ("CONSTRUCTION", "Construction"),
    ("COMPUTER_SOFTWARE", "Computer Software"),
    ("EDUCATION_MANAGEMENT", "Education Management"),
    ("FOOD_BEVERAGES", "Food & Beverages"),
    ("HOSPITAL_HEALTH_CARE", "Hospital & Health Care"),
    ("MACHINERY", "Machinery"),
    ("RENEWABLES_ENVIRONMENT", "Renewables & Environment"),
    ("RETAIL", "Retail"),
    ("WHOLESALE", "Wholesale"),
];
const TYPES: Choices = &[
    ("PROSPECT", "Prospect"),
    ("PARTNER", "Partner"),
    ("RESELLER", "Reseller"),
    ("VENDOR", "Vendor"),
    ("OTHER", "Other"),
];
const LEAD_STATUS: Choices =
    &[("NEW", "New"), ("OPEN", "Open"), ("IN_PROGRESS", "In Progress"), ("CONNECTED", "Connected")];
const TRAFFIC: Choices = &[
    ("ORGANIC_SEARCH", "Organic Search"),
    ("REFERRALS", "Referrals"),
    ("DIRECT_TRAFFIC", "Direct"),
    ("OFFLINE", "Offline"),
];
const TECHNOLOGIES: Choices = &[
    ("google_analytics", "Google Analytics"),
    ("wordpress", "WordPress"),
    ("shopify", "Shopify"),
    ("salesforce", "Salesforce"),
    ("zendesk", "Zendesk"),
    ("slack", "Slack"),
];
const FIT: Choices = &[("tier_1", "Tier 1"), ("tier_2", "Tier 2"), ("tier_3", "Tier 3")];
const TERMS: Choices = &[("net_14", "14 Tage netto"), ("net_30", "30 Tage netto"), ("prepaid", "Vorkasse")];

pub(super) const DEFINITIONS: &[Definition] = &[
    text("name", "Company name", Company, 980),
    text("domain", "Company Domain Name", Domain, 850),
    text("website", "Website URL", Url, 500),
    phone("phone", "Phone Number", 500),
    text("address", "Street Address", Street, 450),
    text("address2", "Street Address 2", Text, 60),
    text("city", "City", City, 550),
    text("state", "State/Region", Text, 200),
    text("zip", "Postal Code", Zip, 450),
    text("country", "Country/Region", Country, 550),
    select("industry", "Industry", INDUSTRIES, 500),
    radio("type", "Type", TYPES, 300),
    area("description", "Description", 400),
    area("about_us", "About Us", 120),
    number("numberofemployees", "Number of Employees", Whole(1, 120_000), 450),
    number("annualrevenue", "Annual Revenue", Decimal(10_000, 900_000_000), 350),
    text("timezone", "Time Zone", Text, 250),
    text("founded_year", "Year Founded", Whole(1_780, 2_026), 200),
    flag("is_public", "Is Public", 250),
    radio("lifecyclestage", "Lifecycle Stage", LIFECYCLE, 850),
    radio("hs_lead_status", "Lead Status", LEAD_STATUS, 300),
    text("linkedin_company_page", "LinkedIn Company Page", Url, 300),
    text("facebook_company_page", "Facebook Company Page", Url, 120),
    text("twitterhandle", "Twitter Handle", Text, 90),
    checkbox("web_technologies", "Web Technologies", TECHNOLOGIES, 200),
    select("hs_ideal_customer_profile", "Ideal Customer Profile Tier", FIT, 150),
    flag("hs_is_target_account", "Target Account", 200),
    time("closedate", "Close Date", 150),
    external("hs_parent_company_id", "Parent Company", OtherRecord, 60),
    number("hs_num_child_companies", "Number of child companies", Whole(0, 9), 900).calculated(),
    number("num_associated_contacts", "Number of Associated Contacts", Whole(0, 300), 800).calculated(),
    number("num_associated_deals", "Number of Associated Deals", Whole(0, 40), 400).calculated(),
    number("num_notes", "Number of Sales Activities", Whole(0, 200), 700).read_only(),
    number("num_contacted_notes", "Number of times contacted", Whole(0, 90), 700).read_only(),
    time("notes_last_contacted", "Last Contacted", 500).read_only(),
    time("notes_last_updated", "Last Activity Date", 550).read_only(),
    time("notes_next_activity_date", "Next Activity Date", 100).read_only(),
    time("first_contact_createdate", "First Contact Create Date", 600).calculated(),
    time("first_deal_created_date", "First Deal Created Date", 300).calculated(),
    time("recent_deal_close_date", "Recent Deal Close Date", 200).calculated(),
    number("recent_deal_amount", "Recent Deal Amount", Decimal(0, 900_000), 200).calculated(),
    number("total_revenue", "Total Revenue", Decimal(0, 9_000_000), 200).calculated(),
    number("hs_total_deal_value", "Total open deal value", Decimal(0, 9_000_000), 250).calculated(),
    number("hs_num_open_deals", "Number of open deals", Whole(0, 12), 900).calculated(),
    select("hs_analytics_source", "Original Source Type", TRAFFIC, 700).read_only(),
    number("hs_analytics_num_page_views", "Number of Pageviews", Whole(0, 20_000), 600).read_only(),
    number("hs_analytics_num_visits", "Number of Sessions", Whole(0, 3_000), 600).read_only(),
    time("hs_analytics_first_timestamp", "Time First Seen", 600).read_only(),
    text("hs_last_sales_activity_type", "Last engagement type", Text, 150).read_only(),
    number("hs_target_account_probability", "Target account probability", Decimal(0, 1), 400).calculated(),
    select("payment_terms", "Zahlungsziel", TERMS, 350).custom(),
    date("contract_end", "Vertragsende", 250).custom(),
    number("credit_limit", "Kreditlimit (€)", Decimal(0, 1_000_000), 200).custom(),
    text("vat_id", "USt-IdNr.", Text, 200).custom().unique(),
    area("delivery_instructions", "Delivery instructions", 150).custom(),
    text("billing_iban", "Billing IBAN", Iban, 200).highly_sensitive(),
    number("credit_score", "Credit score", Whole(100, 600), 200).sensitive(),
];
