//! Ids and names: each accepted one is written back unchanged, and cannot leave the path or URL that it becomes a part
//! of.

use domain::ids::{AccountId, AuditEntryId, BackupId, MalformedId, NotificationId, ObjectType, RecordId, RestoreId};
use domain::tier::TierName;
use fuzz::{Form, Target};
use serde::de::DeserializeOwned;
use workflows::idempotency::IdempotencyKey;

#[test]
fn fuzz_ids() {
    let words = [
        "0198a000-0000-7000-8000-000000000000",
        "contacts",
        "p_",
        "18446744073709551615",
        "#",
        "/",
        "..",
        "-",
        "urn:uuid:",
        "enterprise",
    ];
    Target::new("ids", Form::Bytes, &words).fuzz(|input| {
        let text = &*String::from_utf8_lossy(input);
        let ids = [
            taken::<AccountId>(text, AccountId::parse),
            taken::<ObjectType>(text, ObjectType::parse),
            taken::<BackupId>(text, BackupId::parse),
            taken::<RestoreId>(text, RestoreId::parse),
            taken::<NotificationId>(text, NotificationId::parse),
            taken::<AuditEntryId>(text, AuditEntryId::parse),
        ];
        if let Ok(id) = BackupId::parse(text) {
            let again = BackupId::new(id.created_at(), id.random());
            assert_eq!(again.created_at(), id.created_at().max(again.created_at()), "made earlier than it says");
        }
        let record = RecordId::parse(text).ok();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        assert_eq!(record.map(|id| id.0), text.parse().ok().filter(|_| digits), "a record id");
        assert!(
            record.is_none_or(|id| RecordId::parse(&id.to_string()) == Ok(id)),
            "a record id that is not read back"
        );
        let key = IdempotencyKey::parse(text);
        assert!(key.as_ref().is_ok_and(|key| key.to_string() == text) || key.is_err(), "a key is changed");
        assert!(key.is_err() || (text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic())));
        (ids, record.is_some(), key.is_ok(), TierName::parse(text).is_ok(), text.len().min(40))
    });
}

/// Whether the text is an id. If so, the id equals the text, also when stored.
fn taken<T: DeserializeOwned + Into<String>>(text: &str, parse: fn(&str) -> Result<T, MalformedId>) -> bool {
    let parsed: Option<String> = parse(text).ok().map(Into::into);
    let stored: Option<String> = serde_json::from_value::<T>(text.into()).ok().map(Into::into);
    assert_eq!(parsed, stored, "a stored id is read otherwise");
    assert!(parsed.as_ref().is_none_or(|id| id == text), "{text:?} became {parsed:?}");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    assert!(parsed.is_none() || (!text.is_empty() && text.bytes().all(plain)), "{text:?} is no part of a key");
    parsed.is_some()
}
