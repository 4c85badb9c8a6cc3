//! Tickets.

use super::definition::{Choices, Definition, area, checkbox, external, flag, number, select, text, time};
use crate::data::meaning::Meaning::{Choice, NationalId, OtherRecord, Text, TicketSubject, Url, Whole};

const PIPELINES: Choices = &[("0", "Support Pipeline"), ("77120", "Reklamationen")];
const STAGES: Choices = &[("1", "New"), ("2", "Waiting on contact"), ("3", "Waiting on us"), ("4", "Closed")];
const PRIORITIES: Choices = &[("LOW", "Low"), ("MEDIUM", "Medium"), ("HIGH", "High"), ("URGENT", "Urgent")];
const CATEGORIES: Choices = &[
    ("PRODUCT_ISSUE", "Product Issue"),
    ("BILLING_ISSUE", "Billing Issue"),
    ("FEATURE_REQUEST", "Feature Request"),
    ("GENERAL_INQUIRY", "General Inquiry"),
];
const SOURCES: Choices = &[("CHAT", "Chat"), ("EMAIL", "Email"), ("FORM", "Form"), ("PHONE", "Phone")];
const RESOLUTIONS: Choices = &[
    ("ISSUE_FIXED", "Issue fixed"),
    ("NOT_AN_ISSUE", "Not an issue"),
    ("DUPLICATE", "Duplicate"),
    ("KNOWN", "Known; won't fix"),
];
const LANGUAGES: Choices = &[("de", "German"), ("en", "English"), ("fr", "French"), ("ja", "Japanese")];
const AREAS: Choices = &[("web", "Web"), ("mobile", "Mobile"), ("api", "API"), ("billing", "Billing")];

pub(super) const DEFINITIONS: &[Definition] = &[
    text("subject", "Ticket name", TicketSubject, 990),
    area("content", "Ticket description", 850),
    external("hs_pipeline", "Pipeline", Choice, 0).with(PIPELINES, 1_000),
    external("hs_pipeline_stage", "Ticket status", Choice, 0).with(STAGES, 1_000),
    select("hs_ticket_priority", "Priority", PRIORITIES, 700),
    checkbox("hs_ticket_category", "Category", CATEGORIES, 500),
    select("source_type", "Source", SOURCES, 800),
    select("hs_resolution", "Resolution", RESOLUTIONS, 350),
    select("hs_ticket_language_ai_tag", "Ticket language", LANGUAGES, 400).read_only(),
    time("closed_date", "Close date", 500),
    time("first_agent_reply_date", "First agent response date", 600).read_only(),
    time("last_reply_date", "Last response date", 600).read_only(),
    time("hs_last_message_received_at", "Date of last message received", 500).read_only(),
    time("hs_last_message_sent_at", "Date of last message sent", 500).read_only(),
    number("time_to_close", "Time to close", Whole(60_000, 900_000_000), 500).calculated(),
    number("time_to_first_agent_reply", "Time to first agent reply", Whole(1_000, 90_000_000), 600).calculated(),
    number("hs_num_times_contacted", "Number of times contacted", Whole(0, 30), 800).read_only(),
    number("num_notes", "Number of Sales Activities", Whole(0, 60), 700).read_only(),
    time("notes_last_contacted", "Last contacted date", 500).read_only(),
    time("notes_last_updated", "Last activity date", 600).read_only(),
    time("notes_next_activity_date", "Next activity date", 50).read_only(),
    flag("hs_is_closed", "Is Closed", 990).calculated().hidden(),
    text("hs_thread_ids_to_restore", "Conversation thread IDs", OtherRecord, 300).read_only().hidden(),
    number("hs_num_associated_companies", "Number of associated companies", Whole(0, 3), 900).calculated(),
    number("hs_num_associated_conversations", "Number of associated conversations", Whole(0, 3), 900).calculated(),
    text("hs_file_upload", "File upload", Url, 80),
    select("hs_time_to_close_sla_status", "SLA close status", &[("0", "On time"), ("1", "Overdue")], 300).calculated(),
    time("hs_time_to_close_sla_at", "SLA close due date", 300).calculated(),
    text("created_by", "Created by", OtherRecord, 200).read_only(),
    checkbox("affected_areas", "Affected areas", AREAS, 350).custom(),
    text("serial_number", "Serial number", NationalId, 200).custom(),
    text("root_cause", "Root cause", Text, 250).custom(),
    area("workaround", "Workaround", 150).custom(),
    area("patient_details", "Patient details", 60).sensitive(),
];
