//! Calls and tasks.

use super::definition::{Choices, Definition, area, external, flag, html, number, phone, select, text, time};
use crate::data::meaning::Meaning::{EpochMillis, OtherRecord, Owner, TaskSubject, Text, Url, Uuid, Whole};

const DIRECTIONS: Choices = &[("INBOUND", "Inbound"), ("OUTBOUND", "Outbound")];
const CALL_STATUS: Choices = &[
    ("BUSY", "Busy"),
    ("CANCELED", "Canceled"),
    ("COMPLETED", "Completed"),
    ("FAILED", "Failed"),
    ("NO_ANSWER", "No Answer"),
    ("RINGING", "Ringing"),
];
/// HubSpot's own call outcomes are identified by UUIDs.
const OUTCOMES: Choices = &[
    ("9d9162e7-6cf3-4944-bf63-4dff82258764", "Busy"),
    ("f240bbac-87c9-4f6e-bf70-924b57d47db7", "Connected"),
    ("a4c4c377-d246-4b32-a13b-75a56a4cd0ff", "Left live message"),
    ("b2cf5968-551e-4856-9783-52b3da59a7d0", "Left voicemail"),
    ("73a0d17f-1163-4015-bdd5-ec830791da20", "No answer"),
];
const CALL_SOURCES: Choices =
    &[("INTEGRATIONS_PLATFORM", "Integrations platform"), ("MOBILE", "Mobile"), ("ZOOM", "Zoom")];
const TASK_STATUS: Choices = &[
    ("NOT_STARTED", "Not started"),
    ("IN_PROGRESS", "In progress"),
    ("WAITING", "Waiting"),
    ("COMPLETED", "Completed"),
    ("DEFERRED", "Deferred"),
];
const PRIORITIES: Choices = &[("NONE", "None"), ("LOW", "Low"), ("MEDIUM", "Medium"), ("HIGH", "High")];
const TASK_TYPES: Choices = &[("TODO", "To-do"), ("CALL", "Call"), ("EMAIL", "Email")];

/// On calls and on tasks.
pub(super) const SHARED: &[Definition] = &[
    time("hs_timestamp", "Activity date", 990),
    text("hs_activity_type", "Activity type", Text, 150),
    text("hs_body_preview", "Body preview", Text, 600).read_only(),
    text("hs_body_preview_html", "Body preview HTML", Text, 500).read_only().hidden(),
    flag("hs_body_preview_is_truncated", "Body preview truncated", 600).read_only().hidden(),
    external("hs_created_by", "Activity created by", Owner, 900).read_only(),
    external("hs_modified_by", "Updated by", Owner, 900).read_only(),
    text("hs_engagement_source", "Source", Text, 300).read_only().hidden(),
    text("hs_engagement_source_id", "Source ID", Uuid, 200).read_only().hidden(),
    text("hs_attachment_ids", "Attached file IDs", OtherRecord, 100),
    text("hs_gdpr_deleted", "Privacy deleted", Text, 0).read_only().hidden(),
    external("hs_queue_membership_ids", "Queues", OtherRecord, 80),
];

pub(super) const CALLS: &[Definition] = &[
    text("hs_call_title", "Call Title", TaskSubject, 850),
    html("hs_call_body", "Call notes", 800),
    select("hs_call_direction", "Call direction", DIRECTIONS, 900),
    select("hs_call_disposition", "Call outcome", OUTCOMES, 750),
    number("hs_call_duration", "Call duration", Whole(0, 7_200_000), 850),
    select("hs_call_status", "Call status", CALL_STATUS, 900),
    phone("hs_call_from_number", "From number", 700),
    phone("hs_call_to_number", "To number", 700),
    text("hs_call_recording_url", "Recording URL", Url, 250),
    select("hs_call_source", "Call source", CALL_SOURCES, 600).read_only(),
    text("hs_call_external_id", "External call ID", Uuid, 300),
    text("hs_call_callee_object_id", "Callee object ID", OtherRecord, 700),
    flag("hs_call_has_transcript", "Has transcript", 600).read_only(),
    area("hs_call_summary", "Call summary", 250).read_only(),
    text("hs_call_location", "Call location", Text, 60).read_only().hidden(),
];

pub(super) const TASKS: &[Definition] = &[
    text("hs_task_subject", "Task Title", TaskSubject, 980),
    html("hs_task_body", "Task Notes", 600),
    select("hs_task_status", "Task Status", TASK_STATUS, 990),
    select("hs_task_priority", "Priority", PRIORITIES, 900),
    select("hs_task_type", "Task Type", TASK_TYPES, 950),
    time("hs_task_completion_date", "Completed at", 500).read_only(),
    number("hs_task_completion_count", "Times completed", Whole(0, 3), 600).read_only().hidden(),
    number("hs_task_last_contact_outreach", "Last contact outreach", EpochMillis, 100).read_only(),
    text("hs_task_reminders", "Reminders", EpochMillis, 300),
    flag("hs_task_is_all_day", "All day", 700),
    flag("hs_task_is_overdue", "Is overdue", 900).calculated(),
    number("hs_num_associated_contacts", "Number of associated contacts", Whole(0, 4), 900).calculated(),
    number("hs_num_associated_companies", "Number of associated companies", Whole(0, 2), 900).calculated(),
    text("hs_task_sequence_step_order", "Sequence step", Whole(1, 9), 60).read_only().hidden(),
];
