//! Pages of records have the same values as with `serde_json`, and never cause a panic.

use std::fmt::Write as _;

use domain::ids::RecordId;
use domain::rows::RowBuffer;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{Malformed, Shape, read_page};

/// The value of a property in a document.
#[derive(Debug, Clone)]
enum Written {
    Null,
    Json(&'static str),
    /// A text, and a bit for each character that is written as a `\u` escape.
    Text(String, u64),
}

impl Written {
    fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Json(json) => (*json).to_owned(),
            Self::Text(text, escaped) => literal(text, *escaped),
        }
    }
}

fn literal(text: &str, escaped: u64) -> String {
    let mut json = String::from('"');
    for (place, char) in text.chars().enumerate() {
        if escaped >> (place % 64) & 1 == 1 {
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(json, "\\u{unit:04x}").expect("strings take everything");
            }
        } else {
            let plain = serde_json::to_string(&char).expect("a character");
            json.push_str(&plain[1..plain.len() - 1]);
        }
    }
    json + "\""
}

fn written() -> impl Strategy<Value = Written> {
    let text =
        prop_oneof!["[a-z0-9]{0,40}", any::<String>(), "(\\PC|[\"\\\\/\n\r\t\u{0}\u{1f}\u{7f}\u{2028}😀ü]){0,30}",];
    prop_oneof![
        4 => Just(Written::Null),
        4 => (text, prop_oneof![Just(0), any::<u64>()]).prop_map(|(text, escaped)| Written::Text(text, escaped)),
        1 => prop::sample::select(vec![
            "0", "-1.5e+3", "12345678901234567890123", "true", "false", "[]", "{}", r#"[1,{"a":"]\"}"}]"#,
        ]).prop_map(Written::Json),
    ]
}

const NAMES: [&str; 8] = ["a", "b", "createdate", "email", "hs_object_id", "id", "properties", "ünlü"];

/// The properties of a record in the order of the document.
type Record = Vec<(&'static str, Written)>;

fn record() -> impl Strategy<Value = Record> {
    let usual = Just(NAMES.to_vec());
    let odd = prop::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len()).prop_shuffle();
    let names = prop_oneof![3 => usual, 1 => odd];
    (names, vec(written(), NAMES.len())).prop_map(|(names, values)| names.into_iter().zip(values).collect())
}

/// A page with `gap` in every place where JSON allows white space.
fn page(records: &[Record], gap: &str) -> String {
    let list = |items: Vec<String>| items.join(&format!("{gap},{gap}"));
    let records = records.iter().enumerate().map(|(place, record)| {
        let members = record.iter().map(|(name, value)| {
            let name = serde_json::to_string(name).expect("a name");
            format!("{name}{gap}:{gap}{}", value.json())
        });
        let mut members = [
            format!(r#""id"{gap}:"{}""#, 1_000 + place),
            format!(r#""properties":{gap}{{{gap}{}{gap}}}"#, list(members.collect())),
            r#""archived":false"#.to_owned(),
            r#""objectWriteTraceId":null"#.to_owned(),
        ];
        members.rotate_left(place % 3);
        format!("{{{gap}{}{gap}}}", list(members.into()))
    });
    let results = format!("[{gap}{}{gap}]", list(records.collect()));
    format!(r#"{{{gap}"results":{results},"paging":{{"next":{{"link":"x","after":"c\u0031"}}}}{gap}}}{gap}"#)
}

fn read(document: &[u8], columns: &[&str]) -> Result<(RowBuffer, Option<String>), Malformed> {
    let mut rows = RowBuffer::new(columns.len());
    let next = read_page(document, Shape::Nested, columns, &mut rows)?;
    Ok((rows, next))
}

fn is_the_value(text: &str, value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => text.is_empty(),
        Some(Value::String(expected)) => text == expected,
        Some(other) => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *other),
    }
}

proptest! {
    /// Every value gets into its column, whatever the order of the names and the white space.
    #[test]
    fn values_are_the_same_as_with_serde_json(
        records in vec(record(), 0..6),
        gap in prop::sample::select(vec!["", " ", "\r\n\t"]),
        columns in prop::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len()).prop_shuffle(),
    ) {
        let document = page(&records, gap);
        let tree: Value = serde_json::from_str(&document).expect("the page is JSON");
        let (rows, next) = read(document.as_bytes(), &columns).expect("the page is a page");
        prop_assert_eq!(next.as_deref(), Some("c1"));
        prop_assert_eq!(rows.len(), records.len());
        for row in 0..rows.len() {
            prop_assert_eq!(rows.ids()[row], RecordId(1_000 + row as u64));
            let properties = &tree["results"][row]["properties"];
            for (name, value) in columns.iter().zip(rows.values(row)) {
                let text = std::str::from_utf8(value).expect("text");
                prop_assert!(is_the_value(text, properties.get(name)), "{name}: {text:?} in {properties}");
            }
        }
    }

    /// A page that ends early must never count as complete.
    #[test]
    fn a_page_that_is_cut_off_is_malformed(records in vec(record(), 0..3), cut in any::<prop::sample::Index>()) {
        let document = page(&records, "");
        let cut = cut.index(document.len());
        prop_assert!(read(&document.as_bytes()[..cut], &NAMES).is_err());
    }

    /// A damaged page is accepted if and only if it is still JSON and still a page.
    #[test]
    fn damage_is_noticed_if_serde_json_notices_it(
        records in vec(record(), 1..3),
        place in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(br#""\{}[]:,0eu-"#.to_vec())],
    ) {
        let mut document = page(&records, "").into_bytes();
        let place = place.index(document.len());
        document[place] = byte;
        let accepted = read(&document, &NAMES).is_ok();
        if accepted {
            prop_assert!(serde_json::from_slice::<IgnoredAny>(&document).is_ok());
        } else if let Ok(tree) = serde_json::from_slice::<Value>(&document) {
            let records = tree["results"].as_array();
            let whole = |record: &Value| (record["properties"].is_object() || record["properties"].is_null())
                && record["id"].as_str().is_some_and(|id| id.parse::<u64>().is_ok() && !id.starts_with('+'));
            let is_page = records.is_some_and(|records| records.iter().all(whole));
            prop_assert!(!is_page, "refused: {}", String::from_utf8_lossy(&document));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(document in vec(any::<u8>(), 0..200)) {
        let _whatever = read(&document, &NAMES);
    }
}

fn one_value(json: &str) -> Result<String, Malformed> {
    let document = format!(r#"{{"results":[{{"id":"1","properties":{{"a":{json}}}}}]}}"#);
    let (rows, _) = read(document.as_bytes(), &["a"])?;
    let value = rows.values(0).next().expect("one column").to_vec();
    Ok(String::from_utf8(value).expect("text"))
}

#[test]
fn half_a_surrogate_pair_becomes_a_replacement_character() {
    for (json, text) in [
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ude00!""#, "\u{fffd}!"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
    ] {
        assert_eq!(one_value(json).as_deref(), Ok(text), "{json}");
    }
}

#[test]
fn invalid_json_is_malformed() {
    for json in [
        "",
        "nul",
        "nulll",
        "tru",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "'a'",
        r#""\x""#,
        r#""\u12""#,
        r#""\u+123""#,
        "\"a\nb\"",
        "\"\u{1}\"",
        "[1,]",
        "[,]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{1:2}",
        "]",
        "\"\\",
    ] {
        assert!(one_value(json).is_err(), "{json}");
    }
    let hostile = "[".repeat(100_000);
    assert!(one_value(&hostile).is_err());
    assert!(read(b"{\"results\":[{\"id\":\"1\",\"properties\":{\"a\":\"\xff\"}}]}", &["a"]).is_err(), "not UTF-8");
}

#[test]
fn a_page_needs_results_and_every_record_a_decimal_id() {
    for document in [
        "{}",
        "[]",
        r#"{"results":null}"#,
        r#"{"results":[]} x"#,
        r#"{"results":[{"properties":{}}]}"#,
        r#"{"results":[{"id":null}]}"#,
        r#"{"results":[{"id":"-1"}]}"#,
        r#"{"results":[{"id":"abc"}]}"#,
        r#"{"results":[{"id":1.5}]}"#,
        r#"{"results":[{"id":"1","properties":[]}]}"#,
    ] {
        assert!(read(document.as_bytes(), &[]).is_err(), "{document}");
    }
    let (rows, next) = read(br#"{"paging":null,"results":[{"properties":{},"id":18446744073709551615}]}"#, &[])
        .expect("ids may come last and as numbers");
    assert_eq!((rows.ids(), next), (&[RecordId(u64::MAX)][..], None));
}

/// A deeply nested document is refused and does not overflow the stack.
#[test]
fn cursors_do_not_nest() {
    let hostile = format!(r#"{{"results":[],"paging":{}"#, r#"{"next":"#.repeat(1_000_000));
    assert!(read(hostile.as_bytes(), &[]).is_err());
    for (paging, next) in [
        (r#"{"next":{"after":"a"}}"#, Some("a")),
        (r#"{"after":"a"}"#, None),
        (r#"{"next":{"next":{"after":"a"}}}"#, None),
        (r#"{"prev":{"after":"a"},"next":null}"#, None),
    ] {
        let document = format!(r#"{{"results":[],"paging":{paging}}}"#);
        let (_, found) = read(document.as_bytes(), &[]).expect("a page");
        assert_eq!(found.as_deref(), next, "{paging}");
    }
}

/// Apart from the id, every member of a thread is a value, whatever its name.
#[test]
fn values_of_threads_may_have_any_name() {
    let document = br#"{"results":[{"id":"1","after":"a","next":"b","properties":"c"}]}"#;
    let mut rows = RowBuffer::new(3);
    read_page(document, Shape::Flat, &["after", "next", "properties"], &mut rows).expect("a page");
    assert_eq!(rows.values(0).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
}
