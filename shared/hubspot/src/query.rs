//! Query strings.

use std::fmt::Write as _;

/// A query string. Commas between the values of a list stay as they are: escaped they take three characters, and URLs
/// with many properties are long enough.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(String);

impl Query {
    /// `None` if there are no parameters.
    pub(crate) fn text(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&self.0)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        escape(value, &mut self.0);
        self
    }

    /// `name=a,b,c`, or `name=a&name=b&name=c` if a comma or a space would change a value.
    pub(crate) fn with_list(mut self, name: &str, values: &[&str]) -> Self {
        let is_plain = |value: &&str| !value.is_empty() && !value.contains(',') && value.trim() == *value;
        if !values.iter().all(is_plain) {
            return values.iter().fold(self, |query, value| query.with(name, value));
        }
        self = self.with(name, "");
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            escape(value, &mut self.0);
        }
        self
    }
}

/// Percent-encodes everything but unreserved characters.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_escaped_and_commas_between_properties_are_not() {
        let query = Query::default().with("after", "MQ==/+&x ü").with_list("properties", &["a_1", "b&c"]);
        assert_eq!(query.0, "after=MQ%3D%3D%2F%2B%26x%20%C3%BC&properties=a_1,b%26c");
    }

    /// A3: a name that contains a comma, or begins or ends with a space, makes the list repeat the parameter.
    #[test]
    fn a_list_repeats_its_parameter_if_a_comma_would_break_a_name() {
        for (names, expected) in [
            (["a", "b,c"], "p=a&p=b%2Cc"),
            (["a", " b"], "p=a&p=%20b"),
            (["a", ""], "p=a&p="),
            (["a", "b c"], "p=a,b%20c"),
        ] {
            assert_eq!(Query::default().with_list("p", &names).0, expected);
        }
    }
}
