//! The licences of everything that is linked into functions.
//!
//! cargo-about is not used: it takes minutes to build, and asks a server for what a crate does not contain.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, OrFailure, Result};
use crate::places::Places;
use crate::processes;

use super::linked::{Crate, Linked, Name};

/// How the names of files begin that contain a licence or must go with it, in capital letters.
const BEGINNINGS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// For the crates that name it and contain no text.
const MIT: &str = include_str!("../../package/MIT.txt");

const INTRODUCTION: &str = "\
The functions of crm-backup contain the crates below, and the Rust standard library, whose licences are in
rust-standard-library.html. crm-backup itself is under the licence in LICENSE.
";

/// A line between two texts.
const RULE: &str = "--------------------------------------------------------------------------------";

/// The list of the crates with their licences, and every text once.
pub(super) fn of(places: &Places, linked: &Linked) -> Result<String> {
    let ours = places.root().join("LICENSE");
    let apache = fs::read_to_string(&ours).or_failure(|| format!("cannot read {}", ours.display()))?;
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, one) in linked.of_others() {
        // Writing to a text cannot fail.
        let _ = writeln!(list, "{} {}: {}", name.0, name.1, one.licence);
        for (file, text) in texts_of(name, one, &apache)? {
            texts.entry(text).or_default().push(format!("{} {} ({file})", name.0, name.1));
        }
    }
    let mut sections: Vec<_> = texts.into_iter().map(|(text, crates)| (crates.join("\n"), text)).collect();
    sections.sort();
    let sections = sections.into_iter().map(|(crates, text)| format!("\n{RULE}\n{crates}\n{RULE}\n\n{text}"));
    Ok(format!("{INTRODUCTION}\n{list}{}", sections.collect::<String>()))
}

/// The texts of a crate with the names of their files.
fn texts_of(name: &Name, one: &Crate, apache: &str) -> Result<Vec<(String, String)>> {
    let files = licence_files(&one.folder)?;
    if files.is_empty() {
        return Ok(vec![("the standard text; the crate contains none".to_owned(), standard_text(name, one, apache)?)]);
    }
    let text = |file: PathBuf| {
        let bytes = fs::read(&file).or_failure(|| format!("cannot read {}", file.display()))?;
        let text = String::from_utf8_lossy(&bytes).replace('\r', "");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, format!("{}\n", text.trim_matches('\n'))))
    };
    files.into_iter().map(text).collect()
}

fn licence_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unread = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).or_failure(unread)? {
        let path = entry.or_failure(unread)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Of a licence that the crate names, and whose text is the same for every crate.
fn standard_text(name: &Name, one: &Crate, apache: &str) -> Result<String> {
    let mut choices = one.licence.split(" OR ");
    if choices.clone().any(|licence| licence == "Apache-2.0") {
        return Ok(apache.to_owned());
    }
    if choices.any(|licence| licence == "MIT") {
        return Ok(MIT.replace("{crate}", &name.0));
    }
    let (name, version) = name;
    Err(Failure::new(format!(
        "the crate {name} {version} contains no text of its licence, {}; add it to src/package/licences.rs",
        one.licence
    )))
}

/// What the toolchain says about the standard library and what is in it.
pub(super) fn of_standard_library(places: &Places) -> Result<Vec<u8>> {
    let mut command = Command::new("rustc");
    let root = processes::run_for_stdout("rustc", command.args(["--print", "sysroot"]).current_dir(places.root()))?;
    let root = root.ok_or_else(|| Failure::new("rustc does not say where it is installed, see above"))?;
    let file = Path::new(root.trim()).join("share/doc/rust/COPYRIGHT-library.html");
    fs::read(&file).or_failure(|| {
        format!(
            "the toolchain does not contain the licences of the standard library, {}; install it with rustup",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn without_text(licence: &str) -> Result<String> {
        let folder = PathBuf::new();
        let one = Crate { licence: licence.to_owned(), folder, checksum: None, needs: BTreeSet::new() };
        standard_text(&("small".to_owned(), "1.0.0".to_owned()), &one, "the Apache licence")
    }

    #[test]
    fn a_crate_without_a_text_has_that_of_a_licence_which_it_names() {
        assert_eq!(without_text("MIT OR Apache-2.0").as_deref(), Ok("the Apache licence"));
        assert!(without_text("MIT").is_ok_and(|text| text.contains("the authors of small")));
        assert!(without_text("ISC").is_err_and(|failure| failure.to_string().contains("small 1.0.0")));
        // Both apply, and one of them has no text here.
        assert!(without_text("Apache-2.0 AND ISC").is_err());
    }
}
