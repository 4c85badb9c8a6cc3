use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;

/// A record with what makes unknown members hard: members that are left out when empty, optional objects, maps by data,
/// lists, variants of both kinds and a renamed member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    name: String,
    #[serde(default, alias = "formerly")]
    renamed: u32,
    #[serde(default, skip_serializing_if = "Part::is_empty")]
    part: Part,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    by_name: BTreeMap<String, Held>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<Held>,
    fate: Fate,
    event: Event,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Part {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u32>,
}

impl Part {
    fn is_empty(&self) -> bool {
        self.since.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Held {
    number: u32,
    #[serde(default)]
    part: Part,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    Open,
    Done { at: u32 },
    Failed { code: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Begun { by: String },
    Ended { by: String },
}

fn held(number: u32) -> Held {
    Held { number, part: Part::default() }
}

fn sample() -> Sample {
    Sample {
        name: "a".to_owned(),
        renamed: 1,
        part: Part::default(),
        held: Some(held(1)),
        by_name: BTreeMap::from([("x".to_owned(), held(1)), ("y".to_owned(), held(2))]),
        list: vec![held(1), held(2), held(3)],
        fate: Fate::Done { at: 7 },
        event: Event::Begun { by: "b".to_owned() },
    }
}

/// Replaces what is stored, after `change`.
fn replaced(stored: &Value, change: impl FnOnce(&mut Sample)) -> Value {
    let mut next = Sample::deserialize(stored).expect("readable");
    let unknown = Unknown::of(stored, &next);
    change(&mut next);
    let own = serde_json::to_value(&next).expect("JSON");
    let written = unknown.with::<Sample>(own);
    assert_eq!(Sample::deserialize(&written).expect("readable"), next);
    written
}

/// `sample` with an unknown member in each of its objects that is none of names.
fn with_unknown() -> Value {
    let mut stored = serde_json::to_value(sample()).expect("JSON");
    stored["part"] = json!({});
    for place in
        ["", "/part", "/held", "/held/part", "/by_name/x", "/list/0", "/list/1", "/list/2", "/fate/done", "/event"]
    {
        stored.pointer_mut(place).expect("there")["later"] = json!({ "at": place });
    }
    stored
}

#[test]
fn unknown_members_stay_where_nothing_changes() {
    let stored = with_unknown();
    assert_eq!(replaced(&stored, |_| ()), stored);
}

#[test]
fn unknown_members_stay_while_known_ones_change() {
    let stored = with_unknown();
    let written = replaced(&stored, |next| {
        next.name = "changed".to_owned();
        next.part.since = Some(1);
        next.held = Some(held(2));
        next.event = Event::Begun { by: "changed".to_owned() };
    });
    let mut expected = stored;
    expected["name"] = json!("changed");
    expected["part"]["since"] = json!(1);
    expected["held"]["number"] = json!(2);
    expected["event"]["by"] = json!("changed");
    assert_eq!(written, expected);
}

/// What the present code leaves out as empty is not empty for a later version.
#[test]
fn an_object_that_looks_empty_keeps_what_is_unknown_in_it() {
    let mut stored = with_unknown();
    stored["part"]["since"] = json!(1);
    let written = replaced(&stored, |next| next.part.since = None);
    assert_eq!(written["part"], json!({ "later": { "at": "/part" } }));
}

#[test]
fn what_was_removed_takes_its_unknown_members_along() {
    let written = replaced(&with_unknown(), |next| {
        next.held = None;
        next.by_name.remove("x");
        next.fate = Fate::Open;
    });
    assert_eq!((written.get("held"), &written["by_name"]), (None, &json!({ "y": { "number": 2, "part": {} } })));
    assert_eq!(written["fate"], json!("open"));
    let failed = replaced(&with_unknown(), |next| next.fate = Fate::Failed { code: "x".to_owned() });
    assert_eq!(failed["fate"], json!({ "failed": { "code": "x" } }));
}

#[test]
fn elements_that_did_not_change_keep_their_unknown_members() {
    let stored = with_unknown();
    let places = |change: &dyn Fn(&mut Vec<Held>)| -> Vec<Value> {
        let written = replaced(&stored, |next| change(&mut next.list));
        let list = written.get("list").and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().map(|element| element["later"]["at"].clone()).collect()
    };
    let (zero, one, two, none) = (json!("/list/0"), json!("/list/1"), json!("/list/2"), Value::Null);
    assert_eq!(places(&|list| list.push(held(4))), [zero.clone(), one.clone(), two.clone(), none.clone()]);
    assert_eq!(places(&|list| list.retain(|held| held.number != 1)), [one.clone(), two.clone()]);
    assert_eq!(places(&|list| list.retain(|held| held.number != 2)), [zero.clone(), two.clone()]);
    assert_eq!(places(&|list| list[1].number = 9), [zero, none, two]);
    assert_eq!(places(&Vec::clear), [] as [Value; 0]);
}

/// The former name of a member is known, so it must not stand beside the present one: that cannot be read.
#[test]
fn a_former_name_is_not_written_back() {
    let mut stored = serde_json::to_value(sample()).expect("JSON");
    let members = stored.as_object_mut().expect("an object");
    members.remove("renamed");
    members.insert("formerly".to_owned(), json!(5));
    let written = replaced(&stored, |next| next.renamed += 1);
    assert_eq!((written.get("renamed"), written.get("formerly")), (Some(&json!(6)), None));
}

/// Values of the parts of a sample.
fn any_sample() -> impl Strategy<Value = Sample> {
    let part = prop::option::of(0_u32..3).prop_map(|since| Part { since });
    let one = (0_u32..3, part.clone()).prop_map(|(number, part)| Held { number, part });
    let fate = prop_oneof![
        Just(Fate::Open),
        (0_u32..3).prop_map(|at| Fate::Done { at }),
        "[a-c]".prop_map(|code| Fate::Failed { code })
    ];
    let event = prop_oneof!["[a-c]".prop_map(|by| Event::Begun { by }), "[a-c]".prop_map(|by| Event::Ended { by })];
    let maps = prop::collection::btree_map("[a-c]", one.clone(), 0..4);
    let lists = prop::collection::vec(one.clone(), 0..5);
    ("[a-c]", 0_u32..3, part, prop::option::of(one), maps, lists, fate, event).prop_map(
        |(name, renamed, part, held, by_name, list, fate, event)| Sample {
            name,
            renamed,
            part,
            held,
            by_name,
            list,
            fate,
            event,
        },
    )
}

/// Adds an unknown member to each object that takes one, and `part` where it was left out.
fn added(mut value: Value, path: &str) -> Value {
    let is_map = path.ends_with("/by_name") || path.ends_with("/fate");
    match &mut value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                *member = added(member.take(), &format!("{path}/{name}"));
            }
            if path.is_empty() {
                members.entry("part").or_insert_with(|| json!({ "later": "/part" }));
            }
            if !is_map {
                members.insert("later".to_owned(), path.into());
            }
        }
        Value::Array(elements) => {
            for (place, element) in elements.iter_mut().enumerate() {
                *element = added(element.take(), &format!("{path}/{place}"));
            }
        }
        _ => {}
    }
    value
}

/// Takes every unknown member away again.
fn stripped(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            members.remove("later");
            members.values_mut().for_each(|member| *member = stripped(member.take()));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| *element = stripped(element.take())),
        _ => {}
    }
    value
}

proptest! {
    /// Whatever replaces whatever: the new value is read as it is, and an object that is in both keeps what is unknown.
    #[test]
    fn no_unknown_member_is_lost_and_no_known_one_comes_back(before in any_sample(), after in any_sample()) {
        let stored = added(serde_json::to_value(&before).expect("JSON"), "");
        let written = replaced(&stored, |next| *next = after.clone());

        prop_assert_eq!(&written["later"], &stored["later"]);
        prop_assert_eq!(&written["part"]["later"], &stored["part"]["later"]);
        prop_assert_eq!(written["event"].get("later"), stored["event"].get("later"));
        let keeps = before.held.is_some() && after.held.is_some();
        prop_assert_eq!(written["held"].get("later"), stored["held"].get("later").filter(|_| keeps));
        for name in after.by_name.keys() {
            prop_assert_eq!(written["by_name"][name].get("later"), stored["by_name"][name].get("later"));
        }
        let mut own = serde_json::to_value(&after).expect("JSON");
        own.as_object_mut().expect("an object").entry("part").or_insert_with(|| json!({}));
        prop_assert_eq!(stripped(written), own);
    }

    /// Without anything unknown nothing but the new value is written.
    #[test]
    fn known_values_are_written_as_they_are(before in any_sample(), after in any_sample()) {
        let stored = serde_json::to_value(&before).expect("JSON");
        let own = serde_json::to_value(&after).expect("JSON");
        prop_assert_eq!(replaced(&stored, |next| *next = after.clone()), own);
    }
}
