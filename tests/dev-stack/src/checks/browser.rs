//! The journeys in a browser: `tests/end-to-end/browser`, run by Node.js with playwright-core and a Chromium of this
//! machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use dev_stack::processes;
use dev_stack::stack::STACK_FILE;

use super::npm;
use super::on_path::file_on_path;
use super::report::Outcome;

/// It drives a browser that is there already, needs no other package, and brings no browser along. Apache-2.0.
const PACKAGE: &str = "playwright-core@1.65.1";

/// What the package needs.
const NODE: u32 = 20;

/// The names under which distributions have Chromium, and Google's own.
const BROWSERS: [&str; 4] = ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"];

/// The words after `browser`, if the journeys in a browser are named on the command line.
pub(super) fn words(names: &[String]) -> Option<Vec<&str>> {
    let mut words = names.iter().flat_map(|name| name.split_whitespace());
    (words.next() == Some("browser")).then(|| words.collect())
}

/// Runs the journeys that have all `words` in their names, in this order, through the stack that `state_file`
/// describes. Prints the output if one fails.
pub(super) fn run(places: &Places, state_file: &Path, words: &[&str]) -> Result<Outcome> {
    let package = match fetch(places)? {
        Ok(package) => package,
        Err(lack) => return Ok(Outcome::Skipped(lack)),
    };
    let Some(browser) = file_on_path(&BROWSERS) else {
        return Ok(Outcome::Skipped("there is no Chromium".to_owned()));
    };
    let mut node = Command::new("node");
    node.current_dir(places.root()).args(["--test", "--test-reporter=tap", "--test-concurrency=2"]);
    if !words.is_empty() {
        node.arg(format!("--test-name-pattern={}", words.join(".*")));
    }
    node.args(files(places)?);
    node.env("PLAYWRIGHT_CORE", package).env("CHROMIUM", browser).env(STACK_FILE, state_file);
    let output = processes::run_for_output("node", &mut node, "")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (passed, failed) = (count(&text, "pass"), count(&text, "fail"));
    if !output.status.success() {
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        return Err(Failure::new(format!("{failed} of {} journeys in a browser failed", passed + failed)));
    }
    match passed {
        0 => Err(Failure::new("there are no such journeys in a browser")),
        _ => Ok(Outcome::Passed(format!("{passed} tests passed"))),
    }
}

/// The package's folder. It is fetched where it is missing. Names what this machine lacks for it.
pub(super) fn fetch(places: &Places) -> Result<std::result::Result<PathBuf, String>> {
    if !is_node_new_enough() {
        return Ok(Err(format!("there is no Node.js {NODE} or newer")));
    }
    let folder = places.tools().join(PACKAGE);
    let package = folder.join("package");
    if package.join("index.mjs").is_file() {
        return Ok(Ok(package));
    }
    Ok(npm::unpack(PACKAGE, &folder)?.map(|()| package))
}

fn is_node_new_enough() -> bool {
    let Ok(output) = Command::new("node").arg("--version").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // v20.20.2
    let major = text.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= NODE)
}

/// One program each; Node.js starts two at a time.
fn files(places: &Places) -> Result<Vec<PathBuf>> {
    let folder = places.root().join("tests/end-to-end/browser");
    let entries = fs::read_dir(&folder).or_failure(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    Ok(files)
}

/// A number of the summary, such as `# pass 7`.
fn count(output: &str, what: &str) -> u64 {
    let start = format!("# {what} ");
    output.lines().rev().find_map(|line| line.strip_prefix(&start)?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_node_is_read() {
        let output = "ok 1 - x\n# tests 9\n# pass 7\n# fail 2\n# skipped 0\n";
        assert_eq!((count(output, "pass"), count(output, "fail"), count(output, "todo")), (7, 2, 0));
    }

    #[test]
    fn the_first_word_names_the_journeys_in_a_browser() {
        let words_of = |names: &[&str]| {
            words(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).map(|words| words.join(" "))
        };
        assert_eq!(words_of(&["browser"]).as_deref(), Some(""));
        assert_eq!(words_of(&["browser sign", "out"]).as_deref(), Some("sign out"));
        assert_eq!(words_of(&["journeys", "browser"]), None);
        assert_eq!(words_of(&[]), None);
    }
}
