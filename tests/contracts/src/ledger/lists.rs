//! Lists: order, prefix, start, limit, size.

use domain::ports::ledger::{Key, Ledger, ListPage, ListRequest};
use serde_json::json;

use super::{commit, write};

const SORTS: [&str; 8] = ["A", "A#1", "A#2", "A#3", "B#1", "a#1", "é", "😀"];

async fn fill(ledger: &dyn Ledger) {
    let mut changes: Vec<_> = SORTS.iter().map(|sort| write(&Key::new("p", *sort), None, json!({}))).collect();
    changes.push(write(&Key::new("p2", "A#9"), None, json!({})));
    changes.push(write(&Key::new("o", "A#0"), None, json!({})));
    commit(ledger, &changes).await;
}

fn all_of(prefix: &str, newest_first: bool) -> ListRequest {
    ListRequest { partition: "p".to_owned(), prefix: prefix.to_owned(), after: None, newest_first, limit: 1_000 }
}

async fn list(ledger: &dyn Ledger, request: &ListRequest) -> ListPage {
    ledger.list(request).await.expect("the ledger answers")
}

fn sorts(page: &ListPage) -> Vec<&str> {
    page.records.iter().map(|stored| stored.key.sort.as_str()).collect()
}

/// A partition lists in the order of its sort keys' bytes, or in the opposite order, and lists no other records.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_partition_lists_in_order_both_ways(ledger: &dyn Ledger) {
    fill(ledger).await;

    assert_eq!(sorts(&list(ledger, &all_of("", false)).await), SORTS);
    let mut reversed = SORTS;
    reversed.reverse();
    assert_eq!(sorts(&list(ledger, &all_of("", true)).await), reversed);
    let empty = ListRequest { partition: "nobody".to_owned(), ..all_of("", false) };
    assert_eq!(list(ledger, &empty).await, ListPage { records: Vec::new(), more: false });
}

/// A list with a prefix contains no other records.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_prefix_keeps_everything_else_out(ledger: &dyn Ledger) {
    fill(ledger).await;

    assert_eq!(sorts(&list(ledger, &all_of("A#", false)).await), ["A#1", "A#2", "A#3"]);
    assert_eq!(sorts(&list(ledger, &all_of("A#", true)).await), ["A#3", "A#2", "A#1"]);
    assert_eq!(sorts(&list(ledger, &all_of("A", false)).await), ["A", "A#1", "A#2", "A#3"]);
    assert!(sorts(&list(ledger, &all_of("C", false)).await).is_empty());
}

/// A list starts behind the given sort key, in its own direction, even if there is no record at that key and even if
/// the key does not have the prefix.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_list_starts_behind_a_key(ledger: &dyn Ledger) {
    fill(ledger).await;
    let cases: [(&str, &str, &[&str], &[&str]); 8] = [
        ("A#", "A#2", &["A#3"], &["A#1"]),
        ("A#", "A#25", &["A#3"], &["A#2", "A#1"]),
        ("A#", "A#", &["A#1", "A#2", "A#3"], &[]),
        ("A#", "0", &["A#1", "A#2", "A#3"], &[]),
        ("A#", "B", &[], &["A#3", "A#2", "A#1"]),
        ("A#", "", &["A#1", "A#2", "A#3"], &[]),
        ("", "B#1", &["a#1", "é", "😀"], &["A#3", "A#2", "A#1", "A"]),
        ("", "", &SORTS, &[]),
    ];
    for (prefix, after, upwards, downwards) in cases {
        let from = |newest_first| ListRequest { after: Some(after.to_owned()), ..all_of(prefix, newest_first) };
        assert_eq!(sorts(&list(ledger, &from(false)).await), upwards, "'{prefix}' after '{after}'");
        assert_eq!(sorts(&list(ledger, &from(true)).await), downwards, "'{prefix}' before '{after}'");
    }
}

/// A list has at most the requested number of records, and reports if there may be more. Page by page, all records come
/// once and in order.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn pages_make_the_whole_list(ledger: &dyn Ledger) {
    fill(ledger).await;
    for newest_first in [false, true] {
        for limit in 1..=9 {
            let whole = list(ledger, &all_of("", newest_first)).await;
            let mut request = ListRequest { limit, ..all_of("", newest_first) };
            let mut paged = Vec::new();
            loop {
                let page = list(ledger, &request).await;
                assert!(page.records.len() <= limit as usize);
                request.after = page.records.last().map(|stored| stored.key.sort.clone());
                paged.extend(page.records);
                if !page.more || request.after.is_none() {
                    break;
                }
            }
            assert_eq!(paged, whole.records, "pages of {limit}");
        }
    }
}

/// Records of several megabytes together come in one list.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_list_may_be_megabytes(ledger: &dyn Ledger) {
    let sorts_in_order: Vec<_> = (0..12).map(|n| format!("{n:02}")).collect();
    for sort in &sorts_in_order {
        commit(ledger, &[write(&Key::new("p", sort), None, json!({ "text": sort.repeat(120_000) }))]).await;
    }

    let up = list(ledger, &all_of("", false)).await;
    assert_eq!(sorts(&up), sorts_in_order);
    assert!(!up.more);
    assert!(up.records.iter().all(|stored| stored.body["text"] == stored.key.sort.repeat(120_000)));
    let some = list(ledger, &ListRequest { limit: 11, ..all_of("", true) }).await;
    assert_eq!((some.records.len(), some.more), (11, true));
}
