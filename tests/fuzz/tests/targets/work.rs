//! Messages between the functions: each that is read is written back unchanged, and names its subject.

use domain::work::Work;
use fuzz::{Form, Target};
use serde_json::Value;

const WORDS: &[&str] = &[
    "work",
    "discover",
    "export",
    "close-object",
    "assemble",
    "sweep",
    "restore",
    "restore-slice",
    "announce",
    "deliver",
    "backup",
    "chunk",
    "accountId",
    "backupId",
    "restoreId",
    "notificationId",
    "objectType",
    "generation",
    "lower",
    "slice",
    "channel",
    "email",
    "webhook",
    "event-bus",
];

#[test]
fn fuzz_work() {
    Target::new("work", Form::Json, WORDS).fuzz(|input| {
        let Ok(work) = serde_json::from_slice::<Work>(input) else { return None };
        let document: Value = serde_json::from_slice(input).expect("JSON");
        assert_eq!(document["work"], work.slug(), "another kind of work");
        let account = work.account_id().as_str();
        assert!((1..=20).contains(&account.len()) && account.bytes().all(|byte| byte.is_ascii_digit()), "{account}");
        let id = work.run_id();
        let is_id = |char: u8| matches!(char, b'0'..=b'9' | b'a'..=b'f' | b'-');
        assert!(id.len() == 36 && id.bytes().all(is_id), "{id}");
        let (made, _) = work.run_stamp();
        let written = serde_json::to_vec(&work).expect("a message can be written");
        assert!(
            serde_json::from_slice::<Work>(&written).is_ok_and(|read| read == work),
            "it is read as something else"
        );
        Some((work.slug(), made.as_second() == 0))
    });
}
