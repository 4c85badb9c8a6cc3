//! Single records: they are read as they were written.

use domain::ports::ledger::{Key, Ledger, LedgerError};
use serde_json::json;

use super::{commit, get, write};

/// A record that was never written is None.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn an_absent_record_is_none(ledger: &dyn Ledger) {
    assert_eq!(get(ledger, &Key::new("p", "absent")).await, None);
}

/// Text in every script, numbers to the last digit, null and empty values survive.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_record_comes_back_as_it_was_written(ledger: &dyn Ledger) {
    let key = Key::new("BACKUP#ü", "OBJECT#日本語#😀");
    let body = json!({
        "text": "Zoë \"q\" \u{0} \r\n 😀 עברית",
        "empty": "", "null": null, "yes": true, "no": false,
        "numbers": [0, u64::MAX, i64::MIN, -1, 9_007_199_254_740_993_u64, 0.5, -1.25e-7],
        "nested": { "none": [], "a.b #:": {}, "list": [null, [], {"deep": ["x"]}] },
    });

    commit(ledger, &[write(&key, None, body.clone())]).await;

    let stored = get(ledger, &key).await.expect("written");
    assert_eq!(stored.key, key);
    assert_eq!(stored.body, body);
}

/// A record of 300 KB is accepted. One over 400 KB is refused for good, and nothing is written.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn large_records_are_kept_and_too_large_ones_refused(ledger: &dyn Ledger) {
    let (large, too_large) = (Key::new("p", "large"), Key::new("p", "too-large"));
    let body = |size: usize| json!({ "text": "ä".repeat(size / 2) });

    commit(ledger, &[write(&large, None, body(300_000))]).await;
    let refused = ledger.commit(&[write(&too_large, None, body(420_000))]).await;

    assert_eq!(get(ledger, &large).await.expect("written").body, body(300_000));
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
    assert_eq!(get(ledger, &too_large).await, None);
}
