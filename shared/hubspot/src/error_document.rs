//! The documents with which HubSpot reports errors. Any member may be missing, and proxies answer with HTML instead.

use serde_json::Value;

use crate::documents;
use crate::scan::without_mark;

/// Reads an error document. A body that is not JSON becomes null.
pub(crate) fn read(body: &[u8]) -> Value {
    documents::read(body).unwrap_or_default()
}

/// Whether a body is an HTML page.
pub(crate) fn is_html(body: &[u8]) -> bool {
    without_mark(body).trim_ascii_start().starts_with(b"<")
}

/// A member of a document, if it is a text.
pub(crate) fn text<'v>(document: &'v Value, name: &str) -> Option<&'v str> {
    document.get(name).and_then(Value::as_str)
}

/// A member of a document as an identifier: its letters, digits and `_ - .`.
pub(crate) fn identifier(document: &Value, name: &str) -> Option<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let identifier: String = text(document, name)?.chars().filter(|&c| is_allowed(c)).take(60).collect();
    Some(identifier).filter(|identifier| !identifier.is_empty())
}

/// A message on one line of at most `longest` characters.
pub(crate) fn one_line(message: &str, longest: usize) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(longest).collect()
}

/// The same without links.
pub(crate) fn one_line_without_links(message: &str, longest: usize) -> String {
    let words: Vec<&str> = message.split_whitespace().filter(|word| !word.contains("://")).collect();
    one_line(&words.join(" "), longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B4: an HTML page comes from a proxy in front of HubSpot.
    #[test]
    fn html_pages_are_recognised() {
        assert!(is_html(b"\xEF\xBB\xBF \n<!DOCTYPE html>") && is_html(b"<html>"));
        assert!(!is_html(b"{}") && !is_html(b""));
    }
}
