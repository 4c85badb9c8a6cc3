//! `cargo dev package`: a folder that the SAM CLI deploys on a machine without Rust and without this checkout.
//!
//! The same commit makes the same bytes on any machine: the toolchain, the linker and all crates have fixed versions, no
//! path of the machine gets into a function, and nothing in the folder has the time at which it was made.

mod build;
mod folder;
mod licences;
mod linked;
mod sbom;
mod source;
mod template;
mod zips;

use std::fs;
use std::path::{Path, PathBuf};

use crate::architecture::Architecture;
use crate::binaries::{Executables, Profile, functions};
use crate::failure::{Failure, OrFailure, Result};
use crate::places::Places;

use self::folder::{Folder, check_empty};
use self::linked::Linked;
use self::source::Source;

/// What the package says about itself. Words in braces are replaced.
const README: &str = include_str!("../../package/README.md");

/// What the operator runs, beside the SAM CLI. All of it needs Python and the AWS CLI only.
const SCRIPTS: [&str; 4] = ["aws_cli.py", "bring-back.py", "check-deployment.py", "sign-in.py"];

/// What a package is made for.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    pub architecture: Architecture,
    /// The folder of the package. It must be empty or missing.
    pub out: Option<&'a Path>,
    /// Only functions of the release profile are for AWS.
    pub profile: Profile,
}

/// A package that was made.
#[derive(Debug)]
pub struct Package {
    pub folder: PathBuf,
    /// The same folder as one file.
    pub zip: PathBuf,
    /// What its README says about where it comes from, in a sentence.
    pub origin: String,
}

/// Builds the functions and makes the package. Prints each step on standard error.
///
/// # Errors
/// When the folder is not empty, a tool is missing, or the functions do not build.
pub fn make(places: &Places, wishes: &Wishes<'_>) -> Result<Package> {
    let folder = wishes.out.map_or_else(|| default_folder(places, wishes.architecture), Path::to_owned);
    check_empty(&folder)?;
    let tools = build::Tools::prepare(places, wishes.architecture)?;
    eprintln!("building the functions for {} …", wishes.architecture.name());
    let executables = build::functions(places, &tools, wishes)?;
    eprintln!("making the package …");
    assemble(places, &folder, wishes.architecture, &executables, &tools.described(wishes.profile)?)
}

/// Makes a package in `folder` from functions that are built already. `built_by` names the tools that have built them.
///
/// # Errors
/// When the folder is not empty, a function is missing, or a crate has no licence that can be shown.
pub fn assemble(
    places: &Places,
    folder: &Path,
    architecture: Architecture,
    executables: &Executables,
    built_by: &str,
) -> Result<Package> {
    let source = Source::of(places)?;
    let mut package = Folder::begin(folder)?;
    let names = functions(places)?;
    let text = read(&places.root().join("infra/template.yaml"))?;
    package.put("template.yaml", template::of_package(&text, architecture, &names)?.as_bytes())?;
    for name in &names {
        let missing = || Failure::new(format!("the function {name} was not built"));
        let executable = executables.get(name).ok_or_else(missing)?;
        package.put(&format!("functions/{name}.zip"), &zips::of_function(executable)?)?;
    }
    let linked = Linked::find(places, architecture, &names)?;
    package.put("sbom.cdx.json", &sbom::of(&linked, &source, architecture)?)?;
    package.put("LICENSES.txt", licences::of(places, &linked)?.as_bytes())?;
    package.put("LICENSE", read(&places.root().join("LICENSE"))?.as_bytes())?;
    package.put("rust-standard-library.html", &licences::of_standard_library(places)?)?;
    for script in SCRIPTS {
        package.put_program(&format!("infra/{script}"), read(&places.root().join("infra").join(script))?.as_bytes())?;
    }
    package.put_documents(&places.root().join("docs"), "docs")?;
    let origin = source.in_words();
    let version = format!(
        "crm-backup {}\n{origin}\nfor {} ({}, glibc {})\nbuilt by {built_by}\n",
        source.version,
        architecture.name(),
        architecture.triple(),
        build::GLIBC,
    );
    package.put("VERSION", version.as_bytes())?;
    let readme = README
        .replace("{version}", &source.version)
        .replace("{architecture}", architecture.name())
        .replace("{origin}", &origin);
    package.put("README.md", readme.as_bytes())?;
    let zip = package.finish()?;
    Ok(Package { folder: folder.to_owned(), zip, origin })
}

fn default_folder(places: &Places, architecture: Architecture) -> PathBuf {
    let name = format!("crm-backup-{}-{}", source::VERSION, architecture.name());
    places.target().join("package").join(name)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).or_failure(|| format!("cannot read {}", file.display()))
}
