//! Golden files: examples of the data that each version of the code has stored, kept for ever. A file `v1/{kind}.json`
//! is a list of values of one kind as that version wrote them, with every member and every variant that it knew. `v0`
//! has values that were stored before that, without members that were added later. Golden files never change; a later
//! version adds files in its own directory. See `docs/stored-records.md`.
//!
//! A test in the crate of a kind calls [`check`]. It fails if the present code
//! - cannot read a value,
//! - writes a value of the latest file of a kind in another way,
//! - loses or changes a member of a value that an earlier version wrote,
//! - knows a member or a variant that no file has.

mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::watch::{Known, Watched};

/// Every kind with golden files.
pub const KINDS: [&str; 28] = [
    "account",
    "allowance",
    "audit-entry",
    "backup",
    "call-budget",
    "chunk",
    "columns",
    "delivery",
    "idempotent-request",
    "import",
    "mail-hour",
    "manifest",
    "notification",
    "object-export",
    "open-plans",
    "outcome",
    "plan-samples",
    "planned-record",
    "pre-image",
    "clearing",
    "restore",
    "restore-definition",
    "restore-lock",
    "restore-slice",
    "schedule",
    "segment",
    "uncommitted-batch",
    "work",
];

/// Members that earlier versions wrote and that the present code drops on purpose, as `kind.member.member`.
const REMOVED: [&str; 0] = [];

/// An enum whose variant is named by the member `tag` of an object.
#[derive(Debug, Clone)]
pub struct Tagged {
    name: &'static str,
    tag: &'static str,
    variants: BTreeSet<String>,
}

impl Tagged {
    /// The variants of `T`, which are named by the member `tag`.
    ///
    /// # Panics
    /// If `T` is not such an enum.
    pub fn of<T: DeserializeOwned>(tag: &'static str) -> Self {
        let name = std::any::type_name::<T>();
        // The error about an unknown variant lists all variants.
        let error = T::deserialize(json!({ tag: "`" })).err().expect("there is no such variant").to_string();
        let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("{name} has no tag {tag}: {error}"));
        let variants = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Self { name, tag, variants }
    }
}

/// Checks the files of `kind`, which contain values of type `T`. `tagged` are the tagged enums in them.
///
/// # Panics
/// If a check fails; see the module.
pub fn check<T: Serialize + DeserializeOwned>(kind: &str, tagged: &[Tagged]) {
    assert!(KINDS.contains(&kind), "{kind} is not listed");
    let files = files(kind);
    let (latest, earlier) = files.split_last().unwrap_or_else(|| panic!("there is no file of {kind}"));
    let (known, mut values) = (Known::default(), Vec::new());
    for (file, is_latest) in earlier.iter().map(|file| (file, false)).chain([(latest, true)]) {
        for (place, stored) in read(file).into_iter().enumerate() {
            let what = format!("{}[{place}]", file.display());
            let thing =
                T::deserialize(Watched::new(&stored, &known)).unwrap_or_else(|e| panic!("{what} is unreadable: {e}"));
            let written = serde_json::to_value(&thing).unwrap_or_else(|e| panic!("{what} cannot be written: {e}"));
            if is_latest {
                assert_eq!(written, stored, "{what} is written in another way");
            } else {
                assert_kept(&stored, &written, kind, &what);
            }
            values.push(stored);
        }
    }
    let missing = known.without_example();
    assert!(missing.is_empty(), "no file of {kind} has {missing:#?}: see docs/stored-records.md");
    for enumeration in tagged {
        let mut missing = enumeration.variants.clone();
        for value in &values {
            remove_tags(value, enumeration.tag, &mut missing);
        }
        assert!(missing.is_empty(), "no file of {kind} has {} as {missing:?}", enumeration.name);
    }
}

/// All values in the files of a kind.
///
/// # Panics
/// If a file cannot be read.
pub fn all(kind: &str) -> Vec<Value> {
    files(kind).iter().flat_map(|file| read(file)).collect()
}

/// The files of a kind, the earliest version first.
fn files(kind: &str) -> Vec<PathBuf> {
    let version = |number: u32| root().join(format!("v{number}"));
    let versions = (0..).map(version).take_while(|version| version.is_dir());
    versions.map(|version| version.join(format!("{kind}.json"))).filter(|file| file.is_file()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &Path) -> Vec<Value> {
    let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Checks that `written` has all members of `stored`, which is at `path` of its kind. It may have more.
fn assert_kept(stored: &Value, written: &Value, path: &str, what: &str) {
    if REMOVED.contains(&path) {
        return;
    }
    match (stored, written) {
        (Value::Object(stored), Value::Object(written)) => {
            for (name, value) in stored {
                assert_kept(value, written.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"), what);
            }
        }
        (Value::Array(stored), Value::Array(written)) => {
            assert_eq!(stored.len(), written.len(), "{what}: {path} has another length");
            stored.iter().zip(written).for_each(|(stored, written)| assert_kept(stored, written, path, what));
        }
        _ => assert_eq!(written, stored, "{what}: {path} is lost or changed"),
    }
}

fn remove_tags(value: &Value, tag: &str, missing: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(word) = members.get(tag).and_then(Value::as_str) {
                missing.remove(word);
            }
            for value in members.values() {
                remove_tags(value, tag, missing);
            }
        }
        Value::Array(elements) => {
            for value in elements {
                remove_tags(value, tag, missing);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn every_file_is_of_a_kind_and_every_kind_has_a_file() {
        let mut found = BTreeSet::new();
        for version in (0..).map(|number| root().join(format!("v{number}"))).take_while(|version| version.is_dir()) {
            for entry in std::fs::read_dir(version).expect("a directory") {
                let name = entry.expect("an entry").file_name().into_string().expect("Unicode");
                found.insert(name.strip_suffix(".json").expect("JSON").to_owned());
            }
        }
        assert_eq!(found, KINDS.map(str::to_owned).into());
    }

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "state", rename_all = "kebab-case")]
    enum Sample {
        One { word: Word },
        TwoHalves,
    }

    #[derive(Serialize, Deserialize)]
    enum Word {
        This,
        That { more: Option<Box<Word>> },
    }

    #[derive(Serialize, Deserialize)]
    struct Thing {
        word: Word,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rare: Option<u8>,
    }

    #[test]
    fn members_without_an_example_are_listed() {
        let missing = |values: &[Value]| {
            let known = Known::default();
            for value in values {
                Thing::deserialize(Watched::new(value, &known)).expect("readable");
            }
            known.without_example()
        };
        assert_eq!(missing(&[json!({ "word": "This" })]), ["Thing.rare", "Word::That"]);
        let nested = json!({ "word": { "That": { "more": "This" } }, "rare": 1 });
        assert_eq!(missing(&[nested]), [""; 0]);
        assert_eq!(missing(&[json!({ "word": { "That": {} }, "rare": 1 })]), ["Word::That.more", "Word::This"]);
        assert_eq!(Tagged::of::<Sample>("state").variants, BTreeSet::from(["one".to_owned(), "two-halves".to_owned()]));
    }

    #[test]
    #[should_panic = "another: x.b.c is lost or changed"]
    fn a_lost_member_is_noticed() {
        let stored = json!({ "a": 1, "b": [{ "c": 2 }] });
        assert_kept(&stored, &json!({ "a": 1, "b": [{ "c": 2, "d": 3 }], "e": 4 }), "x", "one");
        assert_kept(&stored, &json!({ "a": 1, "b": [{ "d": 3 }] }), "x", "another");
    }
}
