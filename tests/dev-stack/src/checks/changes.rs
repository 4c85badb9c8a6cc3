//! The crates that a change can break: those with changed files, and those that depend on them.

use std::collections::BTreeSet;
use std::process::Command;

use dev_stack::binaries::cargo;
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use dev_stack::processes;
use serde::Deserialize;

/// Files at the top that every crate is built by.
const FOR_ALL: [&str; 4] = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "clippy.toml"];

/// Folders outside of the crates, and the crates whose tests read them.
const READ_BY: [(&str, &[&str]); 2] = [("docs/", &["account-api", "archive", "read-api"]), ("infra/", &["read-api"])];

/// A crate of the workspace.
#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// None for what the crate itself needs; `dev` for its tests, `build` for its build script.
    kind: Option<String>,
}

/// The crates that the changes since `revision` can break, those in the working tree included.
pub(super) fn crates_to_test(places: &Places, revision: &str) -> Result<BTreeSet<String>> {
    let packages = packages(places)?;
    let changed = git(places, &["diff", "--name-only", "--no-renames", revision, "--"])?;
    let added = git(places, &["ls-files", "--others", "--exclude-standard"])?;
    Ok(affected(changed.lines().chain(added.lines()), &packages))
}

/// All crates of the workspace.
pub(super) fn all_crates(places: &Places) -> Result<BTreeSet<String>> {
    Ok(packages(places)?.into_iter().map(|package| package.name).collect())
}

fn packages(places: &Places) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let mut command = cargo(places);
    command.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let text = processes::run_for_stdout("cargo metadata", &mut command)?;
    let text = text.ok_or_else(|| Failure::new("Cargo cannot list the crates, see above"))?;
    let metadata: Metadata = serde_json::from_str(&text).or_failure(|| "cannot read what Cargo lists".to_owned())?;
    Ok(metadata.packages)
}

fn git(places: &Places, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    let output = processes::run_for_stdout("git", command.current_dir(places.root()).args(arguments))?;
    output.ok_or_else(|| Failure::new("Git cannot list what has changed, see above"))
}

/// The crates that changes of these files can break.
fn affected<'f>(files: impl Iterator<Item = &'f str>, packages: &[Package]) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for file in files {
        if FOR_ALL.contains(&file) || file.starts_with(".cargo/") {
            return packages.iter().map(|package| package.name.clone()).collect();
        }
        changed.extend(crate_of(file).map(str::to_owned));
        let readers = READ_BY.iter().filter(|(folder, _)| file.starts_with(folder));
        changed.extend(readers.flat_map(|(_, readers)| readers.iter().map(|reader| (*reader).to_owned())));
    }
    // Until nothing is added: what depends on a changed crate can break as well.
    loop {
        let more = dependents(packages, &changed, |kind| kind != Some("dev"));
        if more.is_subset(&changed) {
            break;
        }
        changed.extend(more);
    }
    let tested_with = dependents(packages, &changed, |_| true);
    changed.into_iter().chain(tested_with).collect()
}

/// The crate that a file lies in. A crate's folder has its name.
fn crate_of(file: &str) -> Option<&str> {
    let mut parts = file.split('/');
    let is_of_crate = ["functions", "shared", "tests"].contains(&parts.next()?);
    let name = parts.next()?;
    (is_of_crate && parts.next().is_some()).then_some(name)
}

fn dependents(packages: &[Package], of: &BTreeSet<String>, by: impl Fn(Option<&str>) -> bool) -> BTreeSet<String> {
    let depends = |package: &&Package| {
        package.dependencies.iter().any(|needed| of.contains(&needed.name) && by(needed.kind.as_deref()))
    };
    packages.iter().filter(depends).map(|package| package.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reaches_dependents_and_the_tests_that_use_them() {
        let package = |name: &str, needs: &[(&str, Option<&str>)]| Package {
            name: name.to_owned(),
            dependencies: needs
                .iter()
                .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) })
                .collect(),
        };
        let packages = [
            package("domain", &[("golden", Some("dev"))]),
            package("golden", &[]),
            package("aws", &[("domain", None)]),
            package("read-api", &[("aws", None), ("sandbox-crm", Some("dev"))]),
            package("sandbox-crm", &[]),
            package("users", &[("read-api", None)]),
        ];
        let cases: [(&[&str], &[&str]); 6] = [
            (&["shared/aws/src/lib.rs"], &["aws", "read-api", "users"]),
            (&["tests/sandbox-crm/src/lib.rs"], &["read-api", "sandbox-crm"]),
            (&["tests/golden/a.json"], &["domain", "golden"]),
            (&["infra/template.yaml"], &["read-api", "users"]),
            (&["README.md", "tests/README.md"], &[]),
            (&["Cargo.lock"], &["aws", "domain", "golden", "read-api", "sandbox-crm", "users"]),
        ];
        for (files, expected) in cases {
            let found = affected(files.iter().copied(), &packages);
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{files:?}");
        }
    }
}
