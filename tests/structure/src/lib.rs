//! Reads the sources of the workspace and finds what makes them hard to understand:
//!
//! - circles: files of a crate that use each other, directly or through others. A `mod.rs` and the files in its folder are one
//!   place, so they may use each other.
//! - type names that stand twice in product crates;
//! - functions of more than [`LONGEST_FUNCTION`] lines;
//! - public types, functions and constants of product crates without documentation;
//! - documentation of at most [`FEWEST_WORDS`] words, which repeats the name that it stands at.
//!
//! `tests/workspace.rs` fails on the first four. `cargo test -p structure -- --nocapture` also prints the last one.

mod circles;
mod files;
mod items;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

pub use self::items::{FEWEST_WORDS, LONGEST_FUNCTION};

#[derive(Debug, Default)]
pub struct Found {
    /// Files that use each other, each circle in the order of their names.
    pub circles: Vec<Vec<String>>,
    /// Files in which a type of a name is defined, of names that stand in more than one place of the product.
    pub twice: BTreeMap<String, Vec<String>>,
    /// Functions that are too long, with the number of their lines.
    pub long: Vec<(String, usize)>,
    /// Public items of the product without documentation.
    pub undocumented: Vec<String>,
    /// Places of documentation that is too short, with its text.
    pub empty_words: Vec<(String, String)>,
}

/// Reads all crates below `root`.
///
/// # Errors
/// When a file cannot be read or is not Rust.
pub fn look(root: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in files::crates(root)? {
        let sources = files::sources(root, &folder)?;
        found.circles.extend(circles::of(&sources));
        for source in &sources {
            let items = items::of(source);
            found.long.extend(items.long);
            found.empty_words.extend(items.empty_words);
            if source.place.starts_with("tests/") {
                continue;
            }
            found.undocumented.extend(items.undocumented);
            for name in items.types {
                places.entry(name).or_default().insert(source.place.clone());
            }
        }
    }
    let twice = places.into_iter().filter(|(_, places)| places.len() > 1);
    found.twice = twice.map(|(name, places)| (name, places.into_iter().collect())).collect();
    found.long.sort_by(|(a, lines_a), (b, lines_b)| lines_b.cmp(lines_a).then_with(|| a.cmp(b)));
    Ok(found)
}
