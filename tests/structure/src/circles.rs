//! Circles between the files of a crate.

use std::collections::BTreeSet;

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Path, UseTree};

use crate::files::Source;
use crate::items::is_for_tests;

/// The circles of a crate, each with the places of its files.
pub(crate) fn of(sources: &[Source]) -> Vec<Vec<String>> {
    let mut uses = DiGraphMap::<usize, ()>::new();
    for (place, source) in sources.iter().enumerate() {
        uses.add_node(place);
        for path in used(source) {
            let Some(other) = file_of(sources, &path) else { continue };
            if !is_one_place(&source.module, &sources[other].module) {
                uses.add_edge(place, other, ());
            }
        }
    }
    let circles = tarjan_scc(&uses).into_iter().filter(|circle| circle.len() > 1);
    let named = circles.map(|circle| circle.into_iter().map(|place| sources[place].place.clone()).collect());
    let mut circles: Vec<Vec<String>> = named.collect();
    for circle in &mut circles {
        circle.sort();
    }
    circles.sort();
    circles
}

/// Whether one of two modules lies in the other.
fn is_one_place(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The file that defines what a path from the crate's root leads to.
fn file_of(sources: &[Source], path: &[String]) -> Option<usize> {
    let holding = sources.iter().enumerate().filter(|(_, source)| path.starts_with(&source.module));
    holding.max_by_key(|(_, source)| source.module.len()).map(|(place, _)| place)
}

/// The paths that a file uses, from the crate's root.
fn used(source: &Source) -> BTreeSet<Vec<String>> {
    let mut uses = Uses { module: source.module.clone(), paths: BTreeSet::new() };
    uses.visit_file(&source.syntax);
    uses.paths
}

struct Uses {
    module: Vec<String>,
    paths: BTreeSet<Vec<String>>,
}

impl Uses {
    /// Notes a path if it begins with `crate`, `super` or `self`.
    fn note(&mut self, path: &[String]) {
        let mut from = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            _ => return,
        };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => drop(from.pop()),
                part => from.push(part.to_owned()),
            }
        }
        self.paths.insert(from);
    }

    fn note_tree(&mut self, before: &[String], tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.note_tree(&[before, &[path.ident.to_string()]].concat(), &path.tree),
            UseTree::Name(name) if name.ident == "self" => self.note(before),
            UseTree::Name(name) => self.note(&[before, &[name.ident.to_string()]].concat()),
            UseTree::Rename(rename) => self.note(&[before, &[rename.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.note(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(before, tree)),
        }
    }
}

impl Visit<'_> for Uses {
    fn visit_item_mod(&mut self, module: &ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.note_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&parts);
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(place: &str, module: &[&str], text: &str) -> Source {
        let module = module.iter().map(|part| (*part).to_owned()).collect();
        Source { place: place.to_owned(), module, syntax: syn::parse_file(text).expect("Rust") }
    }

    #[test]
    fn files_that_use_each_other_are_a_circle_and_a_folder_is_one_place() {
        let sources = [
            source("lib.rs", &[], "mod a; mod b; mod c; pub use self::a::A;"),
            source("a.rs", &["a"], "use crate::b::{self, B}; #[cfg(test)] mod tests { use crate::d::D; }"),
            source("b/mod.rs", &["b"], "mod e; fn f() { crate::c::g() }"),
            source("b/e.rs", &["b", "e"], "use super::B;"),
            source("c.rs", &["c"], "use super::a::A;"),
            source("d.rs", &["d"], "use crate::a::A;"),
        ];
        assert_eq!(of(&sources), [["a.rs", "b/mod.rs", "c.rs"]]);
        assert_eq!(of(&sources[..4]), [[""; 0]; 0]);
    }
}
