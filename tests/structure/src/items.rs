//! Types, functions and documentation of a file.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Field, ImplItemFn, ItemEnum, ItemFn, ItemMod, ItemStruct, ItemTrait, ItemType, Lit, Meta};
use syn::{Block, Ident, ItemConst, ItemImpl, ItemStatic, TraitItemFn, Variant, Visibility};

use crate::files::Source;

/// The most lines of a function, from the first line of its body to the last.
pub const LONGEST_FUNCTION: usize = 60;

/// Documentation of so many words or fewer only repeats a name, unless it quotes something: the name of a variable, a
/// section of a standard.
pub const FEWEST_WORDS: usize = 3;

/// What a file has.
#[derive(Default)]
pub(crate) struct Items {
    pub(crate) types: Vec<String>,
    pub(crate) long: Vec<(String, usize)>,
    pub(crate) empty_words: Vec<(String, String)>,
    /// Public items without documentation. Fields and variants need none.
    pub(crate) undocumented: Vec<String>,
    place: String,
    /// What is visited is an `impl` of a type and not of a trait.
    is_of_type: bool,
}

/// The items of a file, but those for tests.
pub(crate) fn of(source: &Source) -> Items {
    let mut items = Items { place: source.place.clone(), ..Items::default() };
    items.visit_file(&source.syntax);
    items
}

/// Whether `#[cfg(test)]` or `#[test]` stands at something.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::NameValue(_) => false,
    })
}

impl Items {
    fn at(&self, span: Span) -> String {
        format!("{}:{}", self.place, span.start().line)
    }

    fn measure(&mut self, name: &Ident, body: &Block) {
        let braces = body.brace_token.span;
        let lines = braces.close().end().line - braces.open().start().line + 1;
        if lines > LONGEST_FUNCTION {
            self.long.push((format!("{} {name}", self.at(name.span())), lines));
        }
    }

    /// Reads the documentation of an item.
    fn read_item(&mut self, attributes: &[Attribute], name: &Ident, visibility: Option<&Visibility>) {
        self.read(attributes, name.span());
        if matches!(visibility, Some(Visibility::Public(_))) && text_of(attributes).is_empty() {
            self.undocumented.push(format!("{} {name}", self.at(name.span())));
        }
    }

    fn read(&mut self, attributes: &[Attribute], span: Span) {
        let text = text_of(attributes);
        let words = text.split_whitespace().count();
        let quotes = text.contains(|character: char| character == '`' || character.is_ascii_digit());
        if (1..=FEWEST_WORDS).contains(&words) && !quotes {
            self.empty_words.push((self.at(span), text.trim().to_owned()));
        }
    }
}

/// The documentation that stands in attributes.
fn text_of(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(literal) = &pair.value
            && let Lit::Str(line) = &literal.lit
        {
            text.push_str(&line.value());
            text.push('\n');
        }
    }
    text
}

impl Visit<'_> for Items {
    fn visit_item_mod(&mut self, module: &ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &ItemFn) {
        if !is_for_tests(&function.attrs) {
            self.measure(&function.sig.ident, &function.block);
            self.read_item(&function.attrs, &function.sig.ident, Some(&function.vis));
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, item: &ItemImpl) {
        if !is_for_tests(&item.attrs) {
            self.is_of_type = item.trait_.is_none();
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &ImplItemFn) {
        self.measure(&function.sig.ident, &function.block);
        self.read_item(&function.attrs, &function.sig.ident, self.is_of_type.then_some(&function.vis));
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &TraitItemFn) {
        self.read_item(&function.attrs, &function.sig.ident, None);
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_item_struct(&mut self, item: &ItemStruct) {
        if !is_for_tests(&item.attrs) {
            self.types.push(item.ident.to_string());
            self.read_item(&item.attrs, &item.ident, Some(&item.vis));
            visit::visit_item_struct(self, item);
        }
    }

    fn visit_item_enum(&mut self, item: &ItemEnum) {
        if !is_for_tests(&item.attrs) {
            self.types.push(item.ident.to_string());
            self.read_item(&item.attrs, &item.ident, Some(&item.vis));
            visit::visit_item_enum(self, item);
        }
    }

    fn visit_item_trait(&mut self, item: &ItemTrait) {
        self.types.push(item.ident.to_string());
        self.read_item(&item.attrs, &item.ident, Some(&item.vis));
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &ItemType) {
        self.types.push(item.ident.to_string());
        self.read_item(&item.attrs, &item.ident, Some(&item.vis));
    }

    fn visit_item_const(&mut self, item: &ItemConst) {
        self.read_item(&item.attrs, &item.ident, Some(&item.vis));
    }

    fn visit_item_static(&mut self, item: &ItemStatic) {
        self.read_item(&item.attrs, &item.ident, Some(&item.vis));
    }

    fn visit_field(&mut self, field: &Field) {
        self.read(&field.attrs, field.ident.as_ref().map_or_else(Span::call_site, syn::Ident::span));
    }

    fn visit_variant(&mut self, variant: &Variant) {
        self.read(&variant.attrs, variant.ident.span());
        visit::visit_variant(self, variant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Items {
        let syntax = syn::parse_file(text).expect("Rust");
        of(&Source { place: "a.rs".to_owned(), module: Vec::new(), syntax })
    }

    #[test]
    fn short_documentation_long_functions_and_types_are_found_outside_of_tests() {
        let body = "    f();\n".repeat(60);
        let found = items(&format!(
            "/// The account.\nstruct Account {{\n    /// Its id.\n    id: u8,\n    /// Seconds since the epoch, in UTC.\n    \
             at: u8,\n}}\nfn long() {{\n{body}}}\n#[cfg(test)]\nmod tests {{\n    struct Other;\n}}\n"
        ));
        assert_eq!(found.types, ["Account"]);
        let empty: Vec<&str> = found.empty_words.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(empty, ["The account.", "Its id."]);
        assert_eq!(found.long, [("a.rs:8 long".to_owned(), 62)]);
    }

    #[test]
    fn public_items_are_documented_and_fields_need_not_be() {
        let found = items(
            "pub struct A { pub b: u8 }\nimpl A { pub fn c() {} fn d() {} }\nimpl Clone for A { fn clone() {} }\n\
             /// `LOG_LEVEL`.\npub(crate) const E: u8 = 1;",
        );
        assert_eq!(found.undocumented, ["a.rs:1 A", "a.rs:2 c"]);
        assert!(found.empty_words.is_empty());
    }
}
