//! Records as JSON, written as bytes straight from their values: pages are too many for a tree per record.

use std::sync::Arc;

use crate::data::clock::write_time;
use crate::data::digits::write_number;
use crate::data::overlay::Presence;
use crate::data::view::RecordView;
use crate::property::Property;

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// A property of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) property: Arc<Property>,
    /// Whether it is null in every record.
    pub(crate) is_blank: bool,
}

/// Writes records with a certain selection of properties.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    /// Each property with its name as a JSON key, colon included.
    columns: Vec<(Column, Vec<u8>)>,
    value: String,
}

impl RecordWriter {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        let with_key = |column: Column| {
            let mut key = Vec::new();
            write_string(&column.property.name, &mut key);
            key.push(b':');
            (column, key)
        };
        Self { columns: columns.into_iter().map(with_key).collect(), value: String::new() }
    }

    /// Appends the record as the CRM shows it.
    pub(crate) fn write(&mut self, view: &RecordView<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":\"");
        self.value.clear();
        write_number(view.id, &mut self.value);
        out.extend_from_slice(self.value.as_bytes());
        out.extend_from_slice(b"\",\"properties\":");
        self.write_properties(view, out);
        self.write_time(b",\"createdAt\":\"", view.created_at(), out);
        self.write_time(b"\",\"updatedAt\":\"", view.updated_at(), out);
        if let Presence::Archived(at) = view.presence() {
            out.extend_from_slice(b"\",\"archived\":true");
            self.write_time(b",\"archivedAt\":\"", at, out);
            out.extend_from_slice(b"\"}");
        } else {
            out.extend_from_slice(b"\",\"archived\":false}");
        }
    }

    /// Appends an object of the selected properties.
    pub(crate) fn write_properties(&mut self, view: &RecordView<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (column, key)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            self.value.clear();
            if !column.is_blank && view.write_value(&column.property, &mut self.value) {
                write_string(&self.value, out);
            } else {
                out.extend_from_slice(b"null");
            }
        }
        out.push(b'}');
    }

    fn write_time(&mut self, before: &[u8], millis: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(before);
        self.value.clear();
        write_time(millis, &mut self.value);
        out.extend_from_slice(self.value.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let mut json = Vec::new();
            write_string(&text, &mut json);
            prop_assert_eq!(serde_json::from_slice::<String>(&json).expect("valid JSON"), text);
        }
    }
}
