//! Versions of stored forms. Each kind of stored data has a *format*, a number that goes up when earlier readers would
//! misunderstand a new form. A new member alone does not change the format. The rules are in `docs/stored-records.md`.
//!
//! The ledger stores the format beside each record (see [`Record`](crate::ports::ledger::Record)). Documents, lines and
//! messages are read and written here: a document or a message has the member `format`, and a file of lines begins with
//! the line `{"format": n}`. Without it the format is 1. Format 1 is never written, so files of the first versions have
//! it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

/// The versions of a form that the present code writes and reads. A form is read one release before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub writes: u32,
    /// The highest version that it reads. It reads all lower ones too.
    pub reads: u32,
}

impl Format {
    /// The first version, and the only one of most kinds so far.
    pub const FIRST: Self = Self { writes: 1, reads: 1 };

    /// Checks that the present code reads `found`.
    ///
    /// # Errors
    /// [`NotRead::Newer`].
    pub const fn check(self, found: u32) -> Result<(), NotRead> {
        if found <= self.reads { Ok(()) } else { Err(NotRead::Newer { found, reads: self.reads }) }
    }
}

/// A kind of document, line or message. None has a member called `format`.
pub trait Document: Serialize + DeserializeOwned {
    /// The versions of its form.
    const FORMAT: Format = Format::FIRST;
}

/// Why stored data cannot be read. Quotes none of the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// Its format is higher than the present code's. A later version can read it.
    #[error("it has format {found}, and this version reads formats up to {reads}")]
    Newer { found: u32, reads: u32 },
    /// It is JSON of another form: a member is missing, or a word is unknown. A later version may be able to read it.
    #[error("it has an unknown word or lacks a member at line {line}, column {column}")]
    Unknown { line: usize, column: usize },
    /// It is not JSON. No version can read it.
    #[error("it is not valid JSON at line {line}, column {column}")]
    Broken { line: usize, column: usize },
}

impl From<&serde_json::Error> for NotRead {
    fn from(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data => Self::Unknown { line, column },
            Category::Io | Category::Syntax | Category::Eof => Self::Broken { line, column },
        }
    }
}

/// The member with the format.
#[derive(Deserialize)]
struct FormatMember {
    format: u32,
}

fn format_of(json: &[u8]) -> Option<u32> {
    serde_json::from_slice::<FormatMember>(json).ok().map(|member| member.format)
}

/// Reads a document or a message.
///
/// # Errors
/// [`NotRead`].
pub fn read<T: Document>(json: &[u8]) -> Result<T, NotRead> {
    T::FORMAT.check(format_of(json).unwrap_or(1))?;
    serde_json::from_slice(json).map_err(|error| NotRead::from(&error))
}

/// Reads a file of lines.
///
/// # Errors
/// [`NotRead`], with the line at fault.
pub fn read_lines<T: Document>(bytes: &[u8]) -> Result<Vec<T>, NotRead> {
    lines(bytes).collect()
}

/// The values in a file of lines, one at a time.
///
/// # Errors
/// [`NotRead`] for each line at fault. A file in an unreadable format yields a single error.
pub fn lines<T: Document>(bytes: &[u8]) -> impl Iterator<Item = Result<T, NotRead>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()).peekable();
    let format = lines.peek().and_then(|(_, first)| format_of(first));
    let newer = format.and_then(|format| T::FORMAT.check(format).err());
    if format.is_some() {
        lines.next();
    }
    let most = if newer.is_some() { 0 } else { usize::MAX };
    newer.map(Err).into_iter().chain(lines.take(most).map(read_line))
}

fn read_line<T: Document>((before, line): (usize, &[u8])) -> Result<T, NotRead> {
    serde_json::from_slice(line).map_err(|error| match NotRead::from(&error) {
        NotRead::Unknown { column, .. } => NotRead::Unknown { line: before + 1, column },
        NotRead::Broken { column, .. } => NotRead::Broken { line: before + 1, column },
        newer @ NotRead::Newer { .. } => newer,
    })
}

/// A document with its format.
#[derive(Serialize)]
struct WithFormat<'a, T> {
    format: u32,
    #[serde(flatten)]
    document: &'a T,
}

/// Writes a document or a message.
///
/// # Errors
/// If it cannot be written as JSON, which is a fault of its type.
pub fn write<T: Document>(document: &T) -> Result<Vec<u8>, serde_json::Error> {
    match T::FORMAT.writes {
        1 => serde_json::to_vec(document),
        format => serde_json::to_vec(&WithFormat { format, document }),
    }
}

/// Appends `line` to a file of lines.
///
/// # Errors
/// If it cannot be written as JSON, which is a fault of its type.
pub fn add_line<T: Document>(line: &T, file: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    if file.is_empty() && T::FORMAT.writes > 1 {
        file.extend_from_slice(format!("{{\"format\":{}}}\n", T::FORMAT.writes).as_bytes());
    }
    serde_json::to_writer(&mut *file, line)?;
    file.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct First {
        name: String,
    }

    impl Document for First {}

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Second {
        name: String,
    }

    impl Document for Second {
        const FORMAT: Format = Format { writes: 2, reads: 3 };
    }

    fn second(name: &str) -> Second {
        Second { name: name.to_owned() }
    }

    #[test]
    fn every_format_but_the_first_is_written() {
        let first = First { name: "a".to_owned() };
        assert_eq!(write(&first).expect("JSON"), br#"{"name":"a"}"#);
        assert_eq!(write(&second("a")).expect("JSON"), br#"{"format":2,"name":"a"}"#);

        let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
        add_line(&first, &mut firsts).expect("JSON");
        for name in ["a", "b"] {
            add_line(&second(name), &mut seconds).expect("JSON");
        }
        assert_eq!(firsts, b"{\"name\":\"a\"}\n");
        assert_eq!(seconds, b"{\"format\":2}\n{\"name\":\"a\"}\n{\"name\":\"b\"}\n");
        assert_eq!(read_lines::<Second>(&seconds), Ok(vec![second("a"), second("b")]));
        assert_eq!(read_lines::<First>(&seconds), Err(NotRead::Newer { found: 2, reads: 1 }));
    }

    #[test]
    fn all_formats_up_to_the_highest_can_be_read() {
        for known in [r#"{"name":"a"}"#, r#"{"format":1,"name":"a"}"#, r#"{"name":"a","format":3}"#] {
            assert_eq!(read::<Second>(known.as_bytes()), Ok(second("a")), "{known}");
        }
        let newer = br#"{"format":4,"title":"a"}"#;
        assert_eq!(read::<Second>(newer), Err(NotRead::Newer { found: 4, reads: 3 }));
    }

    /// A later version may be able to read unknown data. No version can read invalid JSON.
    #[test]
    fn unknown_data_and_invalid_json_are_different_errors() {
        assert_eq!(read::<First>(b"{\n\"title\":\"a\"}"), Err(NotRead::Unknown { line: 2, column: 12 }));
        assert_eq!(read::<First>(br#"{"name":"#), Err(NotRead::Broken { line: 1, column: 8 }));
        let lines = |second: &str| format!("{{\"name\":\"a\"}}\n{second}\n");
        let unknown = read_lines::<First>(lines("{}").as_bytes());
        assert_eq!(unknown, Err(NotRead::Unknown { line: 2, column: 2 }));
        assert_eq!(read_lines::<First>(lines("{").as_bytes()), Err(NotRead::Broken { line: 2, column: 1 }));
    }
}
