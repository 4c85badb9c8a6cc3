//! The crates that are linked into functions: what `cargo tree` lists, with what `cargo metadata` knows about each.
//!
//! `cargo tree` alone chooses the features of the functions' packages. `cargo metadata` chooses those of the whole
//! workspace, tests included, which has some crates more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::architecture::Architecture;
use crate::binaries::cargo;
use crate::failure::{Failure, OrFailure, Result};
use crate::places::Places;
use crate::processes;

/// The crates of all functions, the functions included, by name and version.
pub(super) struct Linked {
    pub(super) crates: BTreeMap<Name, Crate>,
    pub(super) functions: Vec<Name>,
}

/// A crate's name and version, which together occur once.
pub(super) type Name = (String, String);

pub(super) struct Crate {
    /// An expression of SPDX, in its present form.
    pub(super) licence: String,
    /// Where its sources are on this machine.
    pub(super) folder: PathBuf,
    /// The SHA-256 of what the registry has given. None for a crate of this workspace.
    pub(super) checksum: Option<String>,
    /// What it needs to run.
    pub(super) needs: BTreeSet<Name>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    /// None for a crate of this workspace.
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None for what the crate itself needs.
    kind: Option<String>,
}

impl Linked {
    pub(super) fn find(places: &Places, architecture: Architecture, functions: &[String]) -> Result<Self> {
        let chosen = chosen(places, architecture, functions)?;
        let mut command = cargo(places);
        command.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", architecture.triple()]);
        let text = ask("cargo metadata", &mut command)?;
        let metadata: Metadata =
            serde_json::from_str(&text).or_failure(|| "cannot read what Cargo lists".to_owned())?;
        let lock = places.root().join("Cargo.lock");
        let lock = fs::read_to_string(&lock).or_failure(|| format!("cannot read {}", lock.display()))?;
        Self::from(metadata, &chosen, &checksums(&lock), functions)
    }

    fn from(
        metadata: Metadata,
        chosen: &BTreeSet<Name>,
        checksums: &BTreeMap<Name, String>,
        functions: &[String],
    ) -> Result<Self> {
        let mut needs = edges(&metadata, chosen);
        let mut crates = BTreeMap::new();
        for package in metadata.packages {
            let name = (package.name, package.version);
            if !chosen.contains(&name) {
                continue;
            }
            let unlicensed = || Failure::new(format!("the crate {} {} names no licence", name.0, name.1));
            let licence = normal(&package.license.ok_or_else(unlicensed)?);
            let folder = package.manifest_path.parent().map(PathBuf::from).unwrap_or_default();
            let checksum = package.source.and_then(|_| checksums.get(&name).cloned());
            let needs = needs.remove(&name).unwrap_or_default();
            crates.insert(name, Crate { licence, folder, checksum, needs });
        }
        if let Some((name, version)) = chosen.iter().find(|name| !crates.contains_key(name)) {
            return Err(Failure::new(format!("Cargo lists {name} {version} and says nothing about it")));
        }
        let functions = crates.keys().filter(|(name, _)| functions.contains(name)).cloned().collect();
        Ok(Self { crates, functions })
    }

    /// The crates that are not of this workspace.
    pub(super) fn of_others(&self) -> impl Iterator<Item = (&Name, &Crate)> {
        self.crates.iter().filter(|(_, one)| one.checksum.is_some())
    }
}

/// What `cargo tree` lists for the functions, without macros, which run only while a crate is built.
fn chosen(places: &Places, architecture: Architecture, functions: &[String]) -> Result<BTreeSet<Name>> {
    let mut command = cargo(places);
    command.args(["tree", "--locked", "--target", architecture.triple(), "--edges", "normal,no-proc-macro"]);
    command.args(["--prefix", "none", "--format", "{p}"]);
    command.args(functions.iter().flat_map(|name| ["--package", name]));
    let text = ask("cargo tree", &mut command)?;
    Ok(text.lines().filter_map(name_in_tree).collect())
}

/// The name and the version of a line like `serde v1.0.0 (/path) (*)`.
fn name_in_tree(line: &str) -> Option<Name> {
    let mut words = line.split(' ');
    Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
}

/// What each crate needs to run, as far as it is linked.
fn edges(metadata: &Metadata, chosen: &BTreeSet<Name>) -> BTreeMap<Name, BTreeSet<Name>> {
    let name = |package: &Package| (package.name.clone(), package.version.clone());
    let names: BTreeMap<&str, Name> =
        metadata.packages.iter().map(|package| (package.id.as_str(), name(package))).collect();
    let of = |node: &Node| {
        let needed = node.deps.iter().filter(|needed| needed.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        needed
            .filter_map(|needed| names.get(needed.pkg.as_str()))
            .filter(|name| chosen.contains(name))
            .cloned()
            .collect()
    };
    metadata.resolve.nodes.iter().filter_map(|node| Some((names.get(node.id.as_str())?.clone(), of(node)))).collect()
}

/// The checksums of Cargo.lock.
fn checksums(lock: &str) -> BTreeMap<Name, String> {
    let value = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        line.and_then(|line| line.strip_suffix('"')).map(str::to_owned)
    };
    let of = |block| Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?));
    lock.split("[[package]]").filter_map(of).collect()
}

/// Old crates write `MIT/Apache-2.0` for a choice.
fn normal(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

fn ask(name: &str, command: &mut std::process::Command) -> Result<String> {
    let text = processes::run_for_stdout(name, command)?;
    text.ok_or_else(|| Failure::new("Cargo cannot list the crates of the functions, see above"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_listed_is_found_with_what_it_needs() {
        let package = |name: &str, source: Option<&str>, license: &str| {
            json!({
                "id": format!("#{name}"), "name": name, "version": "1.0.0", "license": license, "source": source,
                "manifest_path": format!("/x/{name}/Cargo.toml"),
            })
        };
        let needed =
            |name: &str, kind: Option<&str>| json!({ "pkg": format!("#{name}"), "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [
                package("read-api", None, "Apache-2.0"), package("bytes", Some("registry"), "MIT/Apache-2.0"),
                package("proptest", Some("registry"), "MIT"), package("serde-derive", Some("registry"), "MIT"),
            ],
            "resolve": { "nodes": [{
                "id": "#read-api",
                "deps": [needed("bytes", None), needed("proptest", Some("dev")), needed("serde-derive", None)],
            }] },
        });
        let metadata = serde_json::from_value(metadata).expect("as Cargo writes it");
        let tree = "read-api v1.0.0 (/x/read-api)\nbytes v1.0.0\nbytes v1.0.0 (*)\n";
        let chosen: BTreeSet<Name> = tree.lines().filter_map(name_in_tree).collect();
        let lock = "version = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1.0.0\"\nchecksum = \"ab12\"\n";
        let linked = Linked::from(metadata, &chosen, &checksums(lock), &["read-api".to_owned()]).expect("crates");

        let named = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        assert_eq!(linked.functions, [named("read-api")]);
        assert_eq!(linked.crates.keys().cloned().collect::<Vec<_>>(), [named("bytes"), named("read-api")]);
        assert_eq!(linked.crates[&named("read-api")].needs, BTreeSet::from([named("bytes")]));
        let (name, bytes) = linked.of_others().next().expect("a crate of others");
        assert_eq!((name, bytes.licence.as_str()), (&named("bytes"), "MIT OR Apache-2.0"));
        assert_eq!(bytes.checksum.as_deref(), Some("ab12"));
    }
}
