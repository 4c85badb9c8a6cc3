//! Rules for the sources of this workspace.

use std::path::Path;
use std::sync::LazyLock;

use structure::{FEWEST_WORDS, Found, LONGEST_FUNCTION};

/// Names of types that may stand more than once, each with the reason.
const SAME_NAMES: [(&str, &str); 1] = [("Handler", "the four functions behind the API are built alike")];

/// So many functions may be longer than [`LONGEST_FUNCTION`] lines. Each of them is one long `match` or one long loop.
const MOST_LONG_FUNCTIONS: usize = 4;

static FOUND: LazyLock<Found> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace");
    structure::look(&root).expect("all files are Rust")
});

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    let circles = &FOUND.circles;
    assert!(circles.is_empty(), "move what both sides need into a file that needs neither: {circles:#?}");
}

#[test]
fn a_name_of_a_type_stands_once_in_the_product() {
    let is_allowed = |name: &str| SAME_NAMES.iter().any(|(allowed, _)| *allowed == name);
    let twice: Vec<_> = FOUND.twice.iter().filter(|(name, _)| !is_allowed(name)).collect();
    assert!(twice.is_empty(), "rename one of each: {twice:#?}");
}

#[test]
fn few_functions_are_long() {
    let long = &FOUND.long;
    assert!(
        long.len() <= MOST_LONG_FUNCTIONS,
        "at most {MOST_LONG_FUNCTIONS} functions may have more than {LONGEST_FUNCTION} lines: {long:#?}"
    );
}

#[test]
fn public_items_of_the_product_have_documentation() {
    let undocumented = &FOUND.undocumented;
    assert!(undocumented.is_empty(), "write why each exists: {undocumented:#?}");
}

/// Fails for nothing: some short texts are all that there is to write.
#[test]
fn short_documentation_is_printed() {
    println!("{} texts of {FEWEST_WORDS} words or fewer", FOUND.empty_words.len());
    for (place, text) in &FOUND.empty_words {
        println!("  {place}: {text}");
    }
    println!("{} circles still to mend", FOUND.circles.len());
    for circle in &FOUND.circles {
        println!("  {}", circle.join(", "));
    }
}
