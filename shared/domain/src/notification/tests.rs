use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn notification(event: Event) -> Notification {
    Notification::new(AccountId::parse("42").expect("digits"), [7; 10], event, None, NOW)
}

fn backup_id() -> BackupId {
    BackupId::new(NOW, [7; 10])
}

fn completed() -> Event {
    let expires_at = NOW + SignedDuration::from_hours(14 * 24);
    Event::BackupCompleted {
        backup_id: backup_id(),
        bytes: 1,
        expires_at,
        contains_sensitive_data: true,
        shortfalls: Shortfalls::default(),
        another_allowed: false,
    }
}

#[test]
fn the_path_of_a_backup_leads_to_the_route_that_makes_links() {
    let path = notification(completed()).path().expect("a path");
    assert_eq!(path, format!("/accounts/42/backups/{}/download", backup_id()));
    let expiring = Event::BackupExpiring { backup_id: backup_id(), expires_at: NOW };
    assert_eq!(notification(expiring).path(), Some(path));
}

#[test]
fn events_at_the_same_time_have_the_same_notification_only_if_they_are_equal() {
    let expiring = Event::BackupExpiring { backup_id: backup_id(), expires_at: NOW };
    assert_eq!(notification(completed()).notification_id, notification(completed()).notification_id);
    assert_ne!(notification(completed()).notification_id, notification(expiring).notification_id);
}

#[test]
fn each_person_has_their_own_reading_mark() {
    let read = notification(completed()).marked("ada", true).marked("ada", true);
    assert!(read.is_read_by("ada") && !read.is_read_by("grace"));
    assert!(!read.marked("ada", false).is_read_by("ada"));
    let crowd = (0..300).fold(read, |all, reader| all.marked(&format!("r{reader}"), true));
    assert!(crowd.read_by.len() <= MOST_READERS && crowd.is_read_by("r299"));
}

#[test]
fn a_notification_is_announced_once_and_forgotten_after_ninety_days() {
    let new = notification(completed());
    assert!(new.due_at().is_some());
    let announced = new.announced(NOW).expect("new");
    assert!(announced.due_at().is_none() && announced.announced(NOW).is_err());
    assert!(!announced.is_forgotten(NOW + KEPT_FOR - SignedDuration::from_secs(1)));
    assert!(announced.is_forgotten(NOW + KEPT_FOR));
}

#[test]
fn an_event_is_stored_with_its_slug() {
    for event in [completed(), Event::DeadLetters { step: "export".into(), run_id: "r".into() }] {
        let stored = serde_json::to_value(&event).expect("JSON");
        assert_eq!(stored["event"], event.slug());
    }
}

#[test]
fn a_notification_remembers_a_hundred_readers() {
    let read = |count: usize| {
        (0..count).fold(notification(completed()), |one, nth| one.marked(&format!("user-{nth:03}"), true))
    };
    assert!((0..MOST_READERS).all(|nth| read(MOST_READERS).is_read_by(&format!("user-{nth:03}"))));
    let more = read(MOST_READERS + 1);
    assert_eq!(more.read_by.len(), MOST_READERS);
    assert!(more.is_read_by(&format!("user-{MOST_READERS:03}")), "the latest reader is among them");
}
