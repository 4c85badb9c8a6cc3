//! Reads JSON documents other than pages of records, as tolerantly as [`crate::scan`] reads values.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::scan::{Malformed, without_mark};

/// Reads a document. It may begin with a byte-order mark, and contain half a surrogate pair or invalid UTF-8.
///
/// # Errors
/// [`Malformed`] if it is still not JSON, or has another form.
pub(crate) fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, Malformed> {
    let document = without_mark(document);
    let read = serde_json::from_slice(document).or_else(|error| match mended(document) {
        Cow::Owned(mended) => serde_json::from_slice(&mended),
        Cow::Borrowed(_) => Err(error),
    });
    read.map_err(|error| Malformed { at: error.column() })
}

/// The document with U+FFFD in the place of half a surrogate pair and of invalid UTF-8.
fn mended(document: &[u8]) -> Cow<'_, [u8]> {
    let text = String::from_utf8_lossy(document);
    let mut changed = matches!(text, Cow::Owned(_));
    let (mut whole, mut rest) = (String::with_capacity(text.len()), &*text);
    while let Some((plain, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        whole.push_str(plain);
        let second = escape.get(6..).and_then(surrogate);
        let length = match (surrogate(escape), second) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
            (Some(_), _) => {
                changed = true;
                whole.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (None, _) => escape.chars().take(2).map(char::len_utf8).sum(),
        };
        let (kept, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        whole.push_str(kept);
        rest = after;
    }
    whole.push_str(rest);
    if changed { Cow::Owned(whole.into_bytes()) } else { Cow::Borrowed(document) }
}

/// Half a surrogate pair, if `text` begins with its escape.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digits)?;
    u32::from_str_radix(digits, 16).ok().filter(|half| (0xD800..0xE000).contains(half))
}

/// A list whose entries are read one by one, so that an entry of another form does not make the list unreadable.
#[derive(Deserialize)]
struct Listed {
    results: Vec<Value>,
    #[serde(default)]
    errors: Vec<Value>,
}

/// The entries in a document's `results` that have the expected form.
///
/// # Errors
/// [`Malformed`] if there is no such list, or the document also has errors, so that the list is incomplete.
pub(crate) fn entries<T: DeserializeOwned>(document: &[u8]) -> Result<Vec<T>, Malformed> {
    let listed: Listed = read(document)?;
    if !listed.errors.is_empty() {
        return Err(Malformed { at: 0 });
    }
    Ok(listed.results.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect())
}

/// Reads a member as `None` if it has another form. With `#[serde(default)]` it may also be missing.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// The text of a text or a number.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Result<String, Malformed> {
        read(json.as_bytes())
    }

    /// A7: documents and pages treat half a surrogate pair alike.
    #[test]
    fn half_a_surrogate_pair_becomes_a_replacement_character() {
        for (json, expected) in [
            (r#""\ud83d\ude00""#, "😀"),
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00!""#, "\u{fffd}!"),
            (r#""\ud83d\ud83d\ude00 ü""#, "\u{fffd}😀 ü"),
            (r#""\\ud83d \ud83dx""#, "\\ud83d \u{fffd}x"),
            (r#""\uD83D\n\u00fc""#, "\u{fffd}\nü"),
        ] {
            assert_eq!(text(json).as_deref(), Ok(expected), "{json}");
        }
        assert_eq!(read::<String>(b"\"a\xff\"").as_deref(), Ok("a\u{fffd}"));
        for broken in ["\"\\ud83d", "\"\\", "\\", "\"\\x\"", "\"\\ud8\"", ""] {
            assert!(text(broken).is_err(), "{broken}");
        }
    }

    /// B10: some servers put a byte-order mark before a document.
    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(text("\u{feff}\"a\"").as_deref(), Ok("a"));
        assert_eq!(text("\u{feff}\"\\ud83d\"").as_deref(), Ok("\u{fffd}"));
    }

    /// B10: an unreadable entry does not make the list unreadable.
    #[test]
    fn unreadable_entries_are_left_out_of_a_list() {
        let list = br#"{"results":["a",{"no":"text"},null,"b"]}"#;
        assert_eq!(entries::<String>(list).expect("a list"), ["a", "b"]);
        assert!(entries::<String>(b"{}").is_err());
    }
}
