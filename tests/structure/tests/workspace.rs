//! The sources of this workspace.

use std::path::Path;

#[test]
fn the_workspace_is_easy_to_find_ones_way_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace");
    let found = structure::look(&root).expect("all files are Rust");
    println!("{} circles", found.circles.len());
    for circle in &found.circles {
        println!("  {}", circle.join(", "));
    }
    println!("{} names of types stand more than once", found.twice.len());
    for (name, places) in &found.twice {
        println!("  {name}: {}", places.join(", "));
    }
    println!("{} functions of more than {} lines", found.long.len(), structure::LONGEST_FUNCTION);
    for (function, lines) in &found.long {
        println!("  {function}: {lines}");
    }
    println!("{} public items without documentation", found.undocumented.len());
    for item in &found.undocumented {
        println!("  {item}");
    }
    println!("{} texts of {} words or fewer", found.empty_words.len(), structure::FEWEST_WORDS);
    for (place, text) in &found.empty_words {
        println!("  {place}: {text}");
    }
}
