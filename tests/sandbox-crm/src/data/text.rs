//! Text as people type it, paste it and import it: everything that breaks a careless export. Not rare, so that a few
//! thousand records contain every kind.

use super::random::Random;
use super::vocabulary::WORDS;

/// Longest generated note, in characters (some have exactly as many).
pub(crate) const LONGEST_NOTE: usize = 65_000;

/// Whole values that were chosen to be awkward.
pub(crate) const AWKWARD: &[&str] = &[
    "Müller, Größe & Söhne: Straße, Äpfel, Öl, Übermut",
    "🚀 Launch 👩‍👩‍👧‍👦 family, flag 🇩🇪, skin tone 👍🏽",
    "株式会社サンプル、東京都千代田区",
    "서울특별시 강남구 테헤란로",
    "مرحبا بالعالم، هذا نص عربي",
    "שלום עולם (עברית) 123",
    "mixed שלום and English \u{202B}embedded\u{202C} text",
    "He said \"yes\", then \"\"maybe\"\"",
    "\"fully quoted\"",
    "\"",
    "\"\"",
    "comma, separated, values,,,",
    ",",
    "semicolon; separated; values",
    "first line\r\nsecond line\r\n\r\nfourth line",
    "unix\nnewline",
    "old mac\rreturn",
    "\r\n",
    "tab\tseparated\tvalue",
    "=SUM(A1:A9)",
    "=HYPERLINK(\"https://example.com\",\"click\")",
    "+49 89 1234567",
    "-1",
    "-2+3+cmd|' /C calc'!A0",
    "@mention",
    " leading space",
    "trailing space ",
    "  ",
    "NULL",
    "null",
    "None",
    "NaN",
    "true",
    "0",
    "007",
    "1e10",
    "12345678901234567890",
    "1,234.56",
    "2024-02-30",
    "\\",
    "back\\slash \\n not a newline \\u0041",
    "<script>alert('x')</script> &amp; <b>bold</b>",
    "{\"json\": [1, 2, \"three\"]}",
    "'; DROP TABLE contacts; --",
    "zero\u{200B}width and no\u{00A0}break and soft\u{00AD}hyphen",
    "e\u{301} is not é, a\u{308} is not ä",
    "\u{FEFF}starts with a byte order mark",
    "line\u{2028}separator paragraph\u{2029}separator next\u{85}line",
    "control \u{1} \u{8} \u{C} \u{1F} \u{7F} characters",
    "replacement \u{FFFD} and private \u{E000} and \u{10FFFF}",
    "𝒻𝒶𝓃𝒸𝓎 𐐷 astral 𠜎 letters",
    "Z̸̢̛a̷l̶g̵o̴",
    "ﬁ ligature, ½, №, ™, €, ﷽",
];

/// Appends a short free text: mostly a few words, sometimes something awkward, sometimes nothing at all.
pub(crate) fn write_short(random: &mut Random, out: &mut String) {
    match random.below(100) {
        0..=11 => out.push_str(random.pick(AWKWARD)),
        12..=13 => {}
        _ => {
            let words = 2 + random.index(7);
            write_words(random, words, out);
        }
    }
}

/// Appends a note: a paragraph or some, and one in four hundred up to [`LONGEST_NOTE`] characters.
pub(crate) fn write_note(random: &mut Random, out: &mut String) {
    match random.below(1_200) {
        0 => write_long(random, LONGEST_NOTE, out),
        1 | 2 => {
            let length = 5_000 + random.index(LONGEST_NOTE - 5_000);
            write_long(random, length, out);
        }
        3..=40 => {}
        41..=200 => out.push_str(random.pick(AWKWARD)),
        _ => {
            for paragraph in 0..=random.below(3) {
                if paragraph > 0 {
                    out.push_str(random.pick(&["\n", "\r\n", "\r\n\r\n"]));
                }
                let words = 3 + random.index(18);
                write_words(random, words, out);
                out.push_str(random.pick(&[".", "!", "...", "", "?"]));
            }
        }
    }
}

/// Appends `words` words.
pub(crate) fn write_words(random: &mut Random, words: usize, out: &mut String) {
    for word in 0..words {
        if word > 0 {
            out.push(' ');
        }
        out.push_str(random.pick(WORDS));
    }
}

/// Appends exactly `length` characters.
fn write_long(random: &mut Random, length: usize, out: &mut String) {
    let mut left = length;
    let mut piece = String::new();
    while left > 0 {
        piece.clear();
        if random.chance(100) {
            piece.push_str(random.pick(AWKWARD));
        } else {
            write_words(random, 12, &mut piece);
        }
        piece.push_str(random.pick(&[". ", "\r\n", "\n", ", "]));
        let characters = piece.chars().count();
        if characters <= left {
            out.push_str(&piece);
            left -= characters;
        } else {
            out.extend(piece.chars().take(left));
            left = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_few_thousand_texts_contain_every_awkward_one() {
        let seen: HashSet<String> = (0..5_000)
            .map(|seed| {
                let mut text = String::new();
                write_short(&mut Random::new(seed), &mut text);
                text
            })
            .collect();
        assert!(seen.contains(""));
        let missing: Vec<_> = AWKWARD.iter().filter(|text| !seen.contains(**text)).collect();
        assert!(missing.is_empty(), "never generated: {missing:?}");
    }

    #[test]
    fn notes_reach_the_limit_and_never_pass_it() {
        let longest = (0..5_000_u64)
            .map(|seed| {
                let mut text = String::new();
                write_note(&mut Random::new(seed), &mut text);
                text.chars().count()
            })
            .max();
        assert_eq!(longest, Some(LONGEST_NOTE));
    }
}
