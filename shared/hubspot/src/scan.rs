//! A scanner of JSON documents for the hot path only. It looks at every byte once, at eight bytes at a time inside
//! strings, and allocates nothing.
//!
//! It accepts the same documents as `serde_json`, with one exception. A CRM can store half a surrogate pair, and UTF-8
//! cannot; such a half becomes U+FFFD instead of an error. Otherwise one such value would make its object impossible to
//! back up. `benches/page.rs` measures that reading a page into rows takes about as long as `serde_json` takes to skip
//! the page. A visitor on `serde_json` took 2.3 times as long.

/// The document is not JSON, or has an unexpected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the expected JSON near byte {at}")]
pub struct Malformed {
    /// The byte at which the scanner noticed it.
    pub at: usize,
}

/// The deepest nesting that is accepted, so that a hostile document cannot overflow the stack.
const MAX_DEPTH: u8 = 64;

/// A string literal without its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Literal<'b> {
    /// It has no escapes.
    Plain(&'b str),
    Escaped {
        raw: &'b str,
        at: usize,
    },
}

impl<'b> Literal<'b> {
    /// The text. If the literal has escapes, `scratch` stores the text.
    pub(crate) fn decode<'s>(self, scratch: &'s mut String) -> Result<&'s str, Malformed>
    where
        'b: 's,
    {
        self.decode_mending(scratch).map(|(text, _)| text)
    }

    /// The text, and whether half a surrogate pair became U+FFFD.
    pub(crate) fn decode_mending<'s>(self, scratch: &'s mut String) -> Result<(&'s str, bool), Malformed>
    where
        'b: 's,
    {
        match self {
            Self::Plain(text) => Ok((text, false)),
            Self::Escaped { raw, at } => {
                scratch.clear();
                let mended = unescape(raw, scratch).ok_or(Malformed { at })?;
                Ok((scratch, mended))
            }
        }
    }
}

/// A value whose members are not read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'b> {
    Null,
    Text(Literal<'b>),
    /// The JSON text of anything else.
    Other(&'b str),
}

/// A place in a document.
#[derive(Debug)]
pub(crate) struct Scanner<'b> {
    text: &'b str,
    at: usize,
}

impl<'b> Scanner<'b> {
    /// A scanner at the beginning of `document`, or after its byte-order mark. The document must be UTF-8.
    pub(crate) fn new(document: &'b [u8]) -> Result<Self, Malformed> {
        let document = without_mark(document);
        let text = std::str::from_utf8(document).map_err(|error| Malformed { at: error.valid_up_to() })?;
        Ok(Self { text, at: 0 })
    }

    /// An error at the current place.
    pub(crate) fn malformed(&self) -> Malformed {
        Malformed { at: self.at }
    }

    /// The bytes that were not scanned yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not white space. The scanner stays in front of it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, Malformed> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(&byte) => return Ok(byte),
                None => return Err(self.malformed()),
            }
        }
    }

    /// Steps over `prefix` if these are exactly the next bytes.
    #[inline]
    pub(crate) fn step_over(&mut self, prefix: &[u8]) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    /// Steps over white space and `byte`, which must follow.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// After a member of an object or array that ends with `close`, steps over the comma (true) or the end (false).
    #[inline]
    pub(crate) fn goes_on(&mut self, close: u8) -> Result<bool, Malformed> {
        let byte = self.peek()?;
        if byte != b',' && byte != close {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// Steps into an object or array. If it is empty, steps over its end and returns false.
    pub(crate) fn enter(&mut self, open: u8, close: u8) -> Result<bool, Malformed> {
        self.expect(open)?;
        let empty = self.peek()? == close;
        if empty {
            self.at += 1;
        }
        Ok(!empty)
    }

    /// The name of the next member of an object, and its bytes from the opening quote to the colon.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<(Literal<'b>, &'b [u8]), Malformed> {
        if self.peek()? != b'"' {
            return Err(self.malformed());
        }
        let start = self.at;
        let name = self.string()?;
        self.expect(b':')?;
        Ok((name, self.text.as_bytes().get(start..self.at).unwrap_or_default()))
    }

    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'b>, Malformed> {
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'n' => self.word(b"null").map(|()| Value::Null),
            _ => {
                let start = self.at;
                self.skip(MAX_DEPTH)?;
                self.slice(start, self.at).map(Value::Other)
            }
        }
    }

    /// Steps over the next value of any kind.
    pub(crate) fn ignore(&mut self) -> Result<(), Malformed> {
        self.skip(MAX_DEPTH)
    }

    /// Checks that only white space follows.
    pub(crate) fn finish(mut self) -> Result<(), Malformed> {
        match self.peek() {
            Ok(_) => Err(self.malformed()),
            Err(_) => Ok(()),
        }
    }

    fn slice(&self, start: usize, end: usize) -> Result<&'b str, Malformed> {
        self.text.get(start..end).ok_or(Malformed { at: start })
    }

    /// A string literal, at its opening quote.
    #[inline]
    fn string(&mut self) -> Result<Literal<'b>, Malformed> {
        let start = self.at + 1;
        let mut at = self.next_special(start)?;
        if self.text.as_bytes().get(at) == Some(&b'"') {
            self.at = at + 1;
            return self.slice(start, at).map(Literal::Plain);
        }
        loop {
            match self.text.as_bytes().get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return self.slice(start, at).map(|raw| Literal::Escaped { raw, at: start });
                }
                // The character after a backslash cannot end the literal. Decoding the literal checks it.
                Some(b'\\') if self.text.as_bytes().get(at + 1).is_some_and(|&next| next >= b' ') => {
                    at = self.next_special(at + 2)?;
                }
                _ => return Err(Malformed { at }),
            }
        }
    }

    /// The first quote, backslash or control character from `at` on.
    #[inline]
    fn next_special(&self, mut at: usize) -> Result<usize, Malformed> {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let bytes = self.text.as_bytes();
        while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let quote = word ^ (LOW * 0x22);
            let backslash = word ^ (LOW * 0x5C);
            // A byte's high bit is set where the byte is zero (or below 0x20). Borrows can set it wrongly, but only
            // above the first byte that is set rightly, and only the first counts.
            let found = (quote.wrapping_sub(LOW) & !quote)
                | (backslash.wrapping_sub(LOW) & !backslash)
                | (word.wrapping_sub(LOW * 0x20) & !word);
            let found = found & HIGH;
            if found != 0 {
                return Ok(at + (found.trailing_zeros() / 8) as usize);
            }
            at += 8;
        }
        let tail = bytes.get(at..).unwrap_or_default();
        let found = tail.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ');
        found.map(|offset| at + offset).ok_or(Malformed { at: bytes.len() })
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if self.step_over(word) { Ok(()) } else { Err(self.malformed()) }
    }

    /// Steps over the next value and checks its form.
    fn skip(&mut self, depth: u8) -> Result<(), Malformed> {
        match self.peek()? {
            b'"' => {
                let literal = self.string()?;
                literal.decode(&mut String::new()).map(drop)
            }
            b'{' => self.skip_members(depth, b'{', b'}'),
            b'[' => self.skip_members(depth, b'[', b']'),
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            _ => self.number(),
        }
    }

    fn skip_members(&mut self, depth: u8, open: u8, close: u8) -> Result<(), Malformed> {
        let below = depth.checked_sub(1).ok_or(self.malformed())?;
        let mut more = self.enter(open, close)?;
        while more {
            if open == b'{' {
                let (name, _) = self.name()?;
                name.decode(&mut String::new())?;
            }
            self.skip(below)?;
            more = self.goes_on(close)?;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.step_over(b"-");
        if !self.step_over(b"0") {
            self.digits()?;
        }
        if self.step_over(b".") {
            self.digits()?;
        }
        if self.step_over(b"e") || self.step_over(b"E") {
            let _sign = self.step_over(b"+") || self.step_over(b"-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.malformed()) } else { Ok(()) }
    }
}

/// A document without the byte-order mark that some servers put before it.
pub(crate) fn without_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document)
}

/// Appends the text of a literal with escapes to `out`. Returns whether half a surrogate pair was mended, or `None` if
/// an escape is invalid.
fn unescape(mut raw: &str, out: &mut String) -> Option<bool> {
    let mut mended = false;
    while let Some((plain, escape)) = raw.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        let kind = chars.next()?;
        raw = chars.as_str();
        out.push(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (char, is_half) = unicode_escape(&mut raw)?;
                mended |= is_half;
                char
            }
            _ => return None,
        });
    }
    out.push_str(raw);
    Some(mended)
}

/// Reads the digits of a `\u` escape from `raw`, and a second escape if both form a surrogate pair. Returns U+FFFD and
/// true for half a pair.
fn unicode_escape(raw: &mut &str) -> Option<(char, bool)> {
    let first = hex4(raw)?;
    let mut after = *raw;
    if (0xD800..0xDC00).contains(&first) && after.starts_with("\\u") {
        after = after.get(2..)?;
        let second = hex4(&mut after)?;
        if (0xDC00..0xE000).contains(&second) {
            *raw = after;
            return char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).map(|char| (char, false));
        }
    }
    Some(char::from_u32(first).map_or((char::REPLACEMENT_CHARACTER, true), |char| (char, false)))
}

fn hex4(raw: &mut &str) -> Option<u32> {
    let (digits, rest) = raw.split_at_checked(4)?;
    *raw = rest;
    digits.chars().try_fold(0, |value, digit| Some(value * 16 + digit.to_digit(16)?))
}
