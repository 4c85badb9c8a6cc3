//! Conversation threads. They are no CRM records: the fields of a thread stand in for properties.

use super::definition::{Definition, flag, select, text, time};
use crate::data::meaning::Meaning::{OtherRecord, Whole};
use crate::property::Source;

pub(super) const DEFINITIONS: &[Definition] = &[
    text("id", "Thread ID", OtherRecord, 0).from(Source::RecordId),
    select("status", "Status", &[("OPEN", "Open"), ("CLOSED", "Closed")], 1_000),
    time("createdAt", "Created at", 0).from(Source::CreatedAt),
    time("closedAt", "Closed at", 450),
    text("inboxId", "Inbox", Whole(100, 104), 1_000),
    text("originalChannelId", "Channel", Whole(1_000, 1_003), 1_000),
    text("originalChannelAccountId", "Channel account", Whole(20_000, 20_009), 1_000),
    text("assignedTo", "Assigned to", Whole(1_000_000, 1_000_025), 600),
    text("associatedContactId", "Contact", OtherRecord, 900),
    time("latestMessageTimestamp", "Latest message", 0).from(Source::UpdatedAt),
    time("latestMessageReceivedTimestamp", "Latest message received", 900),
    time("latestMessageSentTimestamp", "Latest message sent", 700),
    flag("spam", "Spam", 1_000),
    flag("archived", "Archived", 1_000).never(),
];
