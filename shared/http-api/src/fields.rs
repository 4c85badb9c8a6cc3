//! Reads a JSON body field by field. A problem then names all invalid fields at once, and never repeats a value, which
//! may be a secret.

use std::ops::RangeInclusive;

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::problem::{FieldFault, Problem, catalogue};

/// A JSON object whose fields are taken out one by one. A field that is left over is a fault: a misspelt field must not
/// be ignored silently.
///
/// ```
/// # use http_api::fields::Fields;
/// let mut faults = Vec::new();
/// let mut body = Fields::parse(br#"{"share": 0, "shar": 1}"#).unwrap();
/// assert_eq!(body.whole_number("share", 1..=100, &mut faults), None);
/// body.finish(&mut faults);
/// assert_eq!(faults.len(), 2);
/// ```
#[derive(Debug)]
pub struct Fields {
    path: String,
    members: Map<String, Value>,
}

impl Fields {
    /// The object in `body`; an empty body is an empty object.
    ///
    /// # Errors
    /// A 400 problem if the body is not a JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let members = if body.is_empty() { Ok(Value::Object(Map::new())) } else { serde_json::from_slice(body) };
        match members {
            Ok(Value::Object(members)) => Ok(Self { path: String::new(), members }),
            Ok(_) => Err(Problem::new(catalogue::JSON_MALFORMED, "The body is JSON but not an object.")),
            // The parser's message contains the position and what it expected, but no part of the body.
            Err(error) => Err(Problem::new(catalogue::JSON_MALFORMED, format!("The body is not JSON: {error}."))),
        }
    }

    /// Takes a text of 1 to `longest` characters.
    pub fn text(&mut self, name: &str, longest: usize, faults: &mut Vec<FieldFault>) -> Option<String> {
        match self.members.remove(name)? {
            Value::String(text) if (1..=longest).contains(&text.chars().count()) => Some(text),
            _ => self.fault(name, &format!("It must be a text of 1 to {longest} characters."), faults),
        }
    }

    /// Takes a secret of 1 to `longest` visible ASCII characters, which a header can contain.
    pub fn secret(&mut self, name: &str, longest: usize, faults: &mut Vec<FieldFault>) -> Option<SecretString> {
        match self.members.remove(name)? {
            Value::String(text)
                if (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                Some(text.into())
            }
            _ => self.fault(name, &format!("It must be 1 to {longest} visible ASCII characters."), faults),
        }
    }

    /// Takes one of the texts in `choices` and returns its value.
    pub fn choice<T: Clone>(&mut self, name: &str, choices: &[(&str, T)], faults: &mut Vec<FieldFault>) -> Option<T> {
        let value = self.members.remove(name)?;
        if let Some((_, choice)) = choices.iter().find(|(text, _)| value.as_str() == Some(*text)) {
            return Some(choice.clone());
        }
        let texts: Vec<_> = choices.iter().map(|(text, _)| format!("\"{text}\"")).collect();
        self.fault(name, &format!("It must be {}.", texts.join(" or ")), faults)
    }

    /// Takes a whole number in `range`.
    pub fn whole_number(&mut self, name: &str, range: RangeInclusive<u8>, faults: &mut Vec<FieldFault>) -> Option<u8> {
        let value = self.members.remove(name)?;
        let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
        number.filter(|number| range.contains(number)).or_else(|| {
            let detail = format!("It must be a whole number from {} to {}.", range.start(), range.end());
            self.fault(name, &detail, faults)
        })
    }

    /// Takes `true` or `false`.
    pub fn flag(&mut self, name: &str, faults: &mut Vec<FieldFault>) -> Option<bool> {
        match self.members.remove(name)? {
            Value::Bool(flag) => Some(flag),
            _ => self.fault(name, "It must be true or false.", faults),
        }
    }

    /// Takes any value, and returns whether it is `true`.
    pub fn is_true(&mut self, name: &str) -> bool {
        self.members.remove(name) == Some(Value::Bool(true))
    }

    /// Takes a list of texts of 1 to `longest` characters; `how_many` limits its length. A fault names a text by its
    /// place: `names[2]`.
    pub fn texts(
        &mut self,
        name: &str,
        how_many: RangeInclusive<usize>,
        longest: usize,
        faults: &mut Vec<FieldFault>,
    ) -> Option<Vec<String>> {
        let items = match self.members.remove(name)? {
            Value::Array(items) if how_many.contains(&items.len()) => items,
            _ => {
                let detail = format!("It must be a list of {} to {} texts.", how_many.start(), how_many.end());
                return self.fault(name, &detail, faults);
            }
        };
        let before = faults.len();
        let mut texts = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) if (1..=longest).contains(&text.chars().count()) => texts.push(text),
                _ => {
                    let detail = format!("It must be a text of 1 to {longest} characters.");
                    faults.push(FieldFault::new(format!("{}{name}[{place}]", self.path), detail));
                }
            }
        }
        (faults.len() == before).then_some(texts)
    }

    /// Adds a fault for each of these fields that is missing.
    pub fn require(&self, names: &[&str], faults: &mut Vec<FieldFault>) {
        let missing = names.iter().filter(|&&name| !self.members.contains_key(name));
        faults.extend(missing.map(|name| FieldFault::new(format!("{}{name}", self.path), "It is missing.")));
    }

    /// Takes an object, whose fields have paths such as `crmConnection.token`.
    pub fn object(&mut self, name: &str, faults: &mut Vec<FieldFault>) -> Option<Self> {
        match self.members.remove(name)? {
            Value::Object(members) => Some(Self { path: format!("{}{name}.", self.path), members }),
            _ => self.fault(name, "It must be an object.", faults),
        }
    }

    /// Takes an object or null; `Some(None)` for null.
    pub fn object_or_null(&mut self, name: &str, faults: &mut Vec<FieldFault>) -> Option<Option<Self>> {
        if self.members.get(name) == Some(&Value::Null) {
            self.members.remove(name);
            return Some(None);
        }
        self.object(name, faults).map(Some)
    }

    /// Adds a fault for every field that is left over.
    pub fn finish(self, faults: &mut Vec<FieldFault>) {
        for name in self.members.keys() {
            let name: String = name.chars().take(64).collect();
            faults.push(FieldFault::new(format!("{}{name}", self.path), "This field does not exist."));
        }
    }

    fn fault<T>(&self, name: &str, detail: &str, faults: &mut Vec<FieldFault>) -> Option<T> {
        faults.push(FieldFault::new(format!("{}{name}", self.path), detail));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_path_of_its_field_and_repeats_no_value() {
        let body = br#"{"a": {"text": 1, "secret": "s p", "choice": "v9", "number": 101, "hush": "x"}, "b": null}"#;
        let mut faults = Vec::new();
        let mut body = Fields::parse(body).expect("an object");
        let mut inner = body.object("a", &mut faults).expect("an object");
        assert_eq!(inner.text("text", 10, &mut faults), None);
        assert!(inner.secret("secret", 10, &mut faults).is_none());
        assert_eq!(inner.choice("choice", &[("v3", 3)], &mut faults), None);
        assert_eq!(inner.whole_number("number", 1..=100, &mut faults), None);
        assert_eq!(inner.text("absent", 10, &mut faults), None);
        inner.finish(&mut faults);
        assert!(body.object("b", &mut faults).is_none());
        body.finish(&mut faults);
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["a.text", "a.secret", "a.choice", "a.number", "a.hush", "b"]);
        assert!(faults.iter().all(|fault| !fault.detail.contains("s p") && !fault.detail.contains("v9")));
    }

    #[test]
    fn a_fault_names_an_invalid_text_of_a_list_by_its_place() {
        let read = |body: &str| {
            let mut faults = Vec::new();
            let mut body = Fields::parse(body.as_bytes()).expect("an object");
            let names = body.texts("names", 1..=3, 4, &mut faults);
            (names, faults.into_iter().map(|fault| fault.field).collect::<Vec<_>>())
        };
        assert_eq!(
            read(r#"{"names": ["a", "ünïç", "a"]}"#),
            (Some(["a", "ünïç", "a"].map(str::to_owned).into()), vec![])
        );
        assert_eq!(read("{}"), (None, vec![]));
        let fields = ["names[0]", "names[1]", "names[2]"].map(str::to_owned).to_vec();
        assert_eq!(read(r#"{"names": ["", 1, "abcde"]}"#), (None, fields));
        for whole in ["[]", r#"["a", "b", "c", "d"]"#, r#""a""#, "null", "{}"] {
            assert_eq!(read(&format!(r#"{{"names": {whole}}}"#)), (None, vec!["names".to_owned()]), "{whole}");
        }
    }

    #[test]
    fn flags_are_true_or_false_and_missing_fields_are_named() {
        let mut faults = Vec::new();
        let mut body = Fields::parse(br#"{"a": true, "b": false, "c": "true", "d": null, "e": 1}"#).expect("an object");
        body.require(&["a", "d", "f"], &mut faults);
        assert_eq!((body.flag("a", &mut faults), body.flag("b", &mut faults)), (Some(true), Some(false)));
        assert_eq!((body.flag("c", &mut faults), body.flag("d", &mut faults)), (None, None));
        assert!(!body.is_true("e") && !body.is_true("f"));
        body.finish(&mut faults);
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["f", "c", "d"]);
    }

    #[test]
    fn a_body_must_be_an_object_or_empty() {
        for bad in ["{", "[]", "\"token\"", "{\"a\":1}x", "\u{feff}{}"] {
            assert_eq!(Fields::parse(bad.as_bytes()).expect_err(bad).kind(), catalogue::JSON_MALFORMED);
        }
        assert!(Fields::parse(b"\xff").is_err());
        assert!(Fields::parse(b"").is_ok());
    }
}
