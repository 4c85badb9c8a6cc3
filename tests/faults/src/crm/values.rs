//! Property values as people type them, each a pure function of where it stands.

use std::sync::LazyLock;

use domain::ids::{ObjectType, RecordId};

/// Values that CSV, UTF-8, spreadsheets or trimming could change.
const NAUGHTY: [&str; 18] = [
    "plain",
    "Müller & Söhne, GmbH",
    "she said \"hi\"",
    "\"",
    "first\r\nsecond",
    "\n",
    "\r",
    " spaced ",
    "=1+1",
    "+49 30 1234",
    "-1",
    "@name",
    "😀 family 👨‍👩‍👧",
    "漢字かな交じり文",
    "שלום עולם",
    "\u{feff}marked",
    "NULL",
    "tab\tand\u{1f}control",
];

/// A value of a record, or None where it is unset; `length` is that of long texts.
pub(super) fn value(object: &ObjectType, id: RecordId, property: &str, length: usize) -> Option<String> {
    let seed = hash(object.as_str().bytes().chain([0]).chain(id.0.to_le_bytes()).chain(property.bytes()));
    if property == LONG_TEXT {
        return Some(long_text(seed, length));
    }
    let choice = usize::try_from(seed % (NAUGHTY.len() as u64 + 3)).unwrap_or(0);
    match NAUGHTY.get(choice) {
        Some(text) => Some(format!("{text}{}", seed % 1_000)),
        None if choice == NAUGHTY.len() => Some(String::new()),
        None if choice == NAUGHTY.len() + 1 => None,
        None => Some(NAUGHTY[usize::try_from(id.0).unwrap_or(0) % NAUGHTY.len()].to_owned()),
    }
}

/// This number of characters makes DEFLATE's window forget what it has seen before.
const LONGEST_TEXT: usize = 4 << 20;

/// The property whose values have the length that the object sets.
pub(super) const LONG_TEXT: &str = "notes";

/// Printable characters that hardly compress: a piece of a text that is made once.
fn long_text(seed: u64, length: usize) -> String {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut random = fastrand::Rng::with_seed(7);
        (0..LONGEST_TEXT).map(|_| char::from(random.u8(b' '..=b'~'))).collect()
    });
    let start = fastrand::Rng::with_seed(seed).usize(..=LONGEST_TEXT - length);
    TEXT[start..start + length].to_owned()
}

/// FNV-1a.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
