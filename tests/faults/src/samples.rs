//! Accounts to back up.

use domain::ids::RecordId;
use jiff::{SignedDuration, Timestamp};

use crate::crm::Cursors;
use crate::{Pace, SimulatedClock, SimulatedObject};

/// When every simulation begins: not on the second, as in life.
///
/// # Panics
/// Never.
pub fn beginning() -> Timestamp {
    "2026-11-20T09:30:00.123456789Z".parse().expect("a time")
}

/// A clock at the beginning of every simulation.
pub fn clock(pace: Pace) -> SimulatedClock {
    SimulatedClock::at(beginning(), pace)
}

/// Ids as a CRM gives them: some close together, some far apart.
pub fn clumpy_ids(count: u64) -> Vec<u64> {
    (0..count).map(|n| 101 + n * 3 + (n / 70) * 1_000 + (n / 900) * 5_000_000).collect()
}

fn long_ago() -> Timestamp {
    beginning() - SignedDuration::from_hours(24 * 400)
}

/// One of everything, so small that every call of a backup can be tried: contacts with sensitive properties over
/// several pages, companies without any record, conversations, and a custom object.
pub fn one_of_everything() -> Vec<SimulatedObject> {
    vec![
        SimulatedObject::new(
            "contacts",
            &["email", "hs_object_id", "sensitive_diet", "highly_sensitive_iban", "name, with comma"],
            clumpy_ids(350),
            long_ago(),
        ),
        SimulatedObject::new("companies", &["domain"], [], long_ago()),
        SimulatedObject::new("conversations", &["status"], 1..=130, long_ago()).uncounted(),
        SimulatedObject::new("p7654321_pets", &["name", "kind"], [7, 8, 4_000_000_000], long_ago()),
    ]
}

/// Contacts that are worth several workers, with `cursors`.
pub fn many_contacts(count: u64, cursors: Cursors) -> SimulatedObject {
    SimulatedObject::new("contacts", &["email"], clumpy_ids(count), long_ago()).with_cursors(cursors)
}

/// An object whose records are so large that segments are copied inside storage.
pub fn long_notes(name: &str, count: u64, length: usize) -> SimulatedObject {
    let mut object = SimulatedObject::new(name, &["notes"], 1..=count, long_ago());
    object.text_length = length;
    object
}

/// An id between two of [`clumpy_ids`], right above `id`.
pub fn beside(id: RecordId) -> RecordId {
    RecordId(id.0 + 1)
}
