//! What the functions consist of, in the form of `CycloneDX` 1.6 (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! cargo-cyclonedx is not used: it takes minutes to build, writes one file for each crate into the sources, and puts
//! the time and a random number into it.

use serde_json::{Value, json};

use crate::architecture::Architecture;
use crate::failure::{OrFailure, Result};

use super::linked::{Crate, Linked, Name};
use super::source::Source;

/// The name of the whole in the graph.
const WHOLE: &str = "crm-backup";

/// The document, as JSON in UTF-8.
pub(super) fn of(linked: &Linked, source: &Source, architecture: Architecture) -> Result<Vec<u8>> {
    let commit = source.commit.as_ref();
    let whole = json!({
        "type": "application", "bom-ref": WHOLE, "name": WHOLE, "version": source.version,
        "licenses": [{ "expression": "Apache-2.0" }],
    });
    let mut about = json!({
        "component": whole,
        "properties": [
            { "name": "crm-backup:architecture", "value": architecture.name() },
            { "name": "crm-backup:source", "value": source.in_words() },
        ],
    });
    if let Some(commit) = commit {
        about["timestamp"] = json!(commit.date);
    }
    let needs = |of: &mut dyn Iterator<Item = &Name>| of.map(reference).collect::<Vec<_>>();
    let mut graph = vec![json!({ "ref": WHOLE, "dependsOn": needs(&mut linked.functions.iter()) })];
    graph.extend(
        linked
            .crates
            .iter()
            .map(|(name, one)| json!({ "ref": reference(name), "dependsOn": needs(&mut one.needs.iter()) })),
    );
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": about,
        "components": linked.crates.iter().map(|(name, one)| component(linked, name, one)).collect::<Vec<_>>(),
        "dependencies": graph,
    });
    let mut text = serde_json::to_vec_pretty(&document).or_failure(|| "cannot write the SBOM".to_owned())?;
    text.push(b'\n');
    Ok(text)
}

fn component(linked: &Linked, name: &Name, one: &Crate) -> Value {
    let kind = if linked.functions.contains(name) { "application" } else { "library" };
    let mut component = json!({
        "type": kind, "bom-ref": reference(name), "name": name.0, "version": name.1,
        "licenses": [{ "expression": one.licence }],
    });
    if let Some(checksum) = &one.checksum {
        component["purl"] = json!(format!("pkg:cargo/{}@{}", name.0, name.1));
        // Of what the registry has given, as in Cargo.lock.
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn reference((name, version): &Name) -> String {
    format!("{name}@{version}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;

    use super::super::source::Commit;
    use super::*;

    #[test]
    fn crates_of_others_have_what_scanners_look_them_up_by() {
        let named = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        let one = |checksum: Option<&str>, needs: &[&str]| Crate {
            licence: "MIT".to_owned(),
            folder: PathBuf::new(),
            checksum: checksum.map(str::to_owned),
            needs: needs.iter().map(|name| named(name)).collect::<BTreeSet<_>>(),
        };
        let crates =
            BTreeMap::from([(named("read-api"), one(None, &["bytes"])), (named("bytes"), one(Some("ab12"), &[]))]);
        let linked = Linked { crates, functions: vec![named("read-api")] };
        let commit = Commit { id: "0a1b".to_owned(), date: "2026-12-01T08:00:00+00:00".to_owned() };
        let source = Source::for_tests(Some(commit));
        let text = of(&linked, &source, Architecture::Arm64).expect("a document");
        assert_eq!(text, of(&linked, &source, Architecture::Arm64).expect("the same"), "nothing in it is by chance");

        let document: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!((&document["bomFormat"], &document["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
        assert_eq!(document["metadata"]["timestamp"], "2026-12-01T08:00:00+00:00");
        let [bytes, function] = document["components"].as_array().expect("a list").as_slice() else {
            panic!("not two")
        };
        assert_eq!((&bytes["type"], &bytes["purl"]), (&json!("library"), &json!("pkg:cargo/bytes@1.0.0")));
        assert_eq!(bytes["hashes"], json!([{ "alg": "SHA-256", "content": "ab12" }]));
        assert_eq!((&function["type"], &function["purl"]), (&json!("application"), &Value::Null));
        assert_eq!(
            document["dependencies"],
            json!([
                { "ref": "crm-backup", "dependsOn": ["read-api@1.0.0"] },
                { "ref": "bytes@1.0.0", "dependsOn": [] },
                { "ref": "read-api@1.0.0", "dependsOn": ["bytes@1.0.0"] },
            ])
        );
    }
}
