//! Contacts.

use super::definition::{
    Choices, Definition, area, checkbox, date, external, flag, number, phone, radio, select, text, time,
};
use crate::data::meaning::Meaning::{
    City, Company, Country, Decimal, Email, EmailDomain, EpochMillis, FirstName, FullName, Iban, JobTitle, LastName,
    NationalId, OtherRecord, Street, Text, Url, Whole, Zip,
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
const LEAD_STATUS: Choices = &[
    ("NEW", "New"),
    ("OPEN", "Open"),
    ("IN_PROGRESS", "In Progress"),
    ("OPEN_DEAL", "Open Deal"),
    ("UNQUALIFIED", "Unqualified"),
    ("ATTEMPTED_TO_CONTACT", "Attempted to Contact"),
    ("CONNECTED", "Connected"),
    ("BAD_TIMING", "Bad Timing"),
];
const LANGUAGES: Choices =
    &[("de", "German"), ("en", "English"), ("fr", "French"), ("es", "Spanish"), ("ja", "Japanese"), ("ar", "Arabic")];
const TRAFFIC: Choices = &[
    ("ORGANIC_SEARCH", "Organic Search"),
    ("PAID_SEARCH", "Paid Search"),
    ("EMAIL_MARKETING", "Email Marketing"),
    ("SOCIAL_MEDIA", "Organic Social"),
    ("REFERRALS", "Referrals"),
    ("DIRECT_TRAFFIC", "Direct Traffic"),
    ("OFFLINE", "Offline Sources"),
];
const ROLES: Choices = &[
    ("BLOCKER", "Blocker"),
    ("BUDGET_HOLDER", "Budget Holder"),
    ("CHAMPION", "Champion"),
    ("DECISION_MAKER", "Decision Maker"),
    ("END_USER", "End User"),
    ("EXECUTIVE_SPONSOR", "Executive Sponsor"),
    ("INFLUENCER", "Influencer"),
];
const LEGAL_BASIS: Choices = &[
    ("Legitimate interest – prospect/lead", "Legitimate interest – prospect/lead"),
    ("Performance of a contract", "Performance of a contract"),
    ("Freely given consent from contact", "Freely given consent from contact"),
    ("Not applicable", "Not applicable"),
];
const SENIORITY: Choices =
    &[("entry", "Entry"), ("senior", "Senior"), ("manager", "Manager"), ("director", "Director"), ("vp", "VP")];
const TIERS: Choices = &[("tier_1", "Very Likely"), ("tier_2", "Likely"), ("tier_3", "Unlikely")];
const PERSONAS: Choices = &[("persona_1", "Buyer Bianca"), ("persona_2", "Admin Ahmed"), ("persona_3", "Käthe, IT")];
const TOPICS: Choices = &[
    ("news", "News"),
    ("offers", "Offers; seasonal"),
    ("events", "Events"),
    ("tips & tricks", "Tips & tricks"),
    ("research", "Research"),
];
const LOYALTY: Choices = &[("Bronze", "Bronze"), ("Silver", "Silver"), ("Gold", "Gold"), ("Platin", "Platin")];

pub(super) const DEFINITIONS: &[Definition] = &[
    text("firstname", "First Name", FirstName, 940),
    text("lastname", "Last Name", LastName, 920),
    text("email", "Email", Email, 900).unique(),
    text("work_email", "Work email", Email, 80),
    phone("phone", "Phone Number", 600),
    phone("mobilephone", "Mobile Phone Number", 300),
    phone("fax", "Fax Number", 30),
    text("salutation", "Salutation", Text, 100),
    text("jobtitle", "Job Title", JobTitle, 500),
    text("company", "Company Name", Company, 550),
    text("website", "Website URL", Url, 250),
    text("address", "Street Address", Street, 350),
    text("city", "City", City, 450),
    text("state", "State/Region", Text, 150),
    text("zip", "Postal Code", Zip, 350),
    text("country", "Country/Region", Country, 450),
    text("gender", "Gender", Text, 20),
    text("marital_status", "Marital Status", Text, 20),
    text("school", "School", Text, 30),
    text("degree", "Degree", Text, 30),
    text("field_of_study", "Field of study", Text, 20),
    text("graduation_date", "Graduation date", Text, 20),
    text("job_function", "Job function", Text, 60),
    radio("seniority", "Seniority", SENIORITY, 120),
    text("industry", "Industry", Text, 120),
    text("twitterhandle", "Twitter Username", Text, 40),
    text("hs_linkedin_url", "LinkedIn URL", Url, 160),
    number("numemployees", "Number of Employees", Whole(1, 90_000), 120),
    number("annualrevenue", "Annual Revenue", Decimal(10_000, 90_000_000), 90),
    radio("lifecyclestage", "Lifecycle Stage", LIFECYCLE, 900),
    radio("hs_lead_status", "Lead Status", LEAD_STATUS, 450),
    select("hs_persona", "Persona", PERSONAS, 200),
    area("message", "Message", 150),
    select("hs_language", "Preferred language", LANGUAGES, 300),
    text("hs_timezone", "Time Zone", Text, 50),
    checkbox("hs_buying_role", "Buying Role", ROLES, 150),
    checkbox("hs_legal_basis", "Legal basis for processing contact's data", LEGAL_BASIS, 300),
    time("closedate", "Close Date", 200),
    external("associatedcompanyid", "Primary Associated Company ID", OtherRecord, 500),
    text("preferred_contact_time", "Preferred contact time", Text, 150).custom(),
    select("loyalty_tier", "Treuestufe", LOYALTY, 300).custom(),
    checkbox("newsletter_topics", "Newsletter topics", TOPICS, 400).custom(),
    flag("vip", "VIP", 600).custom(),
    date("customer_since", "Customer since", 350).custom(),
    number("balance_due", "Balance due", Decimal(-5_000, 20_000), 300).custom(),
    area("internal_remarks", "Internal remarks", 400).custom(),
];

/// What the CRM gathers by itself.
pub(super) const ANALYTICS: &[Definition] = &[
    text("hs_email_domain", "Email Domain", EmailDomain, 880).calculated(),
    text("hs_full_name_or_email", "Full name or email", FullName, 950).calculated().hidden(),
    text("hs_calculated_phone_number", "Calculated Phone Number", Whole(1_000_000, 999_999_999), 550).calculated(),
    text("hs_searchable_calculated_phone_number", "Searchable phone", Whole(1_000_000, 999_999_999), 550)
        .calculated()
        .hidden(),
    number("num_notes", "Number of Sales Activities", Whole(0, 90), 700).read_only(),
    number("num_contacted_notes", "Number of times contacted", Whole(0, 60), 700).read_only(),
    time("notes_last_contacted", "Last Contacted", 500).read_only(),
    time("notes_last_updated", "Last Activity Date", 550).read_only(),
    time("notes_next_activity_date", "Next Activity Date", 100).read_only(),
    number("num_associated_deals", "Number of Associated Deals", Whole(0, 12), 350).calculated(),
    number("recent_deal_amount", "Recent Deal Amount", Decimal(0, 500_000), 250).calculated(),
    number("total_revenue", "Total Revenue", Decimal(0, 900_000), 150).calculated(),
    time("first_deal_created_date", "First Deal Created Date", 250).calculated(),
    select("hs_analytics_source", "Original Source", TRAFFIC, 950).read_only(),
    text("hs_analytics_source_data_1", "Original Source Drill-Down 1", Text, 900).read_only(),
    text("hs_analytics_first_url", "First Page Seen", Url, 500).read_only(),
    text("hs_analytics_last_url", "Last Page Seen", Url, 500).read_only(),
    time("hs_analytics_first_timestamp", "Time First Seen", 950).read_only(),
    number("hs_analytics_num_page_views", "Number of Pageviews", Whole(0, 4_000), 950).read_only(),
    number("hs_analytics_num_visits", "Number of Sessions", Whole(0, 300), 950).read_only(),
    number("hs_analytics_revenue", "Event Revenue", Decimal(0, 50_000), 950).read_only(),
    select("hs_latest_source", "Latest Source", TRAFFIC, 900).read_only(),
    time("hs_latest_source_timestamp", "Latest Source Date", 900).read_only(),
    flag("hs_email_optout", "Unsubscribed from all email", 80),
    number("hs_email_bounce", "Marketing emails bounced", Whole(0, 5), 60).read_only(),
    number("hs_email_open", "Marketing emails opened", Whole(0, 400), 400).read_only(),
    number("hs_email_click", "Marketing emails clicked", Whole(0, 90), 250).read_only(),
    time("hs_email_last_open_date", "Last marketing email open date", 350).read_only(),
    time("hs_email_last_send_date", "Last marketing email send date", 500).read_only(),
    flag("hs_marketable_status", "Marketing contact status", 980).read_only(),
    time("hs_lifecyclestage_lead_date", "Became a Lead Date", 500).calculated(),
    time("hs_lifecyclestage_customer_date", "Became a Customer Date", 200).calculated(),
    flag("hs_is_unworked", "Contact unworked", 950).calculated(),
    text("hs_ip_timezone", "IP Timezone", Text, 300).read_only(),
    text("ip_city", "IP City", City, 300).read_only(),
    text("ip_country", "IP Country", Country, 300).read_only(),
    number("hubspotscore", "HubSpot Score", Whole(-20, 120), 800).calculated(),
    select("hs_predictivescoringtier", "Contact priority", TIERS, 300).calculated(),
    flag("currentlyinworkflow", "Currently in workflow", 500).read_only(),
    number("hs_first_engagement_object_id", "ID of first engagement", OtherRecord, 300).calculated().hidden(),
    number("hs_registered_member", "Registered since", EpochMillis, 30).read_only().hidden(),
];

pub(super) const SENSITIVE: &[Definition] = &[
    number("salary", "Salary", Decimal(20_000, 250_000), 200).sensitive(),
    area("health_notes", "Health notes", 120).sensitive(),
    date("date_of_birth", "Date of birth", 350).sensitive(),
    text("national_id_number", "National ID number", NationalId, 250).highly_sensitive(),
    text("passport_number", "Passport number", NationalId, 90).highly_sensitive(),
    text("bank_account_iban", "IBAN", Iban, 250).highly_sensitive(),
];
