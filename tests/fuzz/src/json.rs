//! Changes JSON documents so that they mostly stay JSON, and writes them in all forms that JSON allows.

use std::fmt::Write as _;

use fastrand::Rng;
use serde_json::Value;

/// Values that readers often handle wrongly.
const ODD: [&str; 22] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.0",
    "1e2",
    "1E+400",
    "0.1",
    "255",
    "256",
    "65536",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "[]",
    "{}",
    "\"\"",
    "[null]",
    "{\"\":null}",
];

/// Texts that readers often handle wrongly.
const ODD_TEXTS: [&str; 18] = [
    "",
    " ",
    "0",
    "007",
    "+1",
    "-1",
    "null",
    "true",
    "a,b",
    "\"",
    "\\",
    "\r\n",
    "\u{0}",
    "\u{feff}",
    "ü😀",
    "=1+1",
    "\u{2028}",
    "2026-11-22T03:00:00Z",
];

/// A JSON document whose members keep their order and may occur twice, and whose numbers keep their spelling.
#[derive(Debug, Clone)]
enum Node {
    /// Any other value, as it is written.
    Raw(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
            other => Self::Raw(other.to_string()),
        }
    }
}

/// A changed copy of the document `input`. Some changes use pieces of `other`. None if `input` is not JSON.
pub(crate) fn changed(input: &[u8], other: &[u8], words: &[&str], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut document = Node::from(serde_json::from_slice::<Value>(input).ok()?);
    let other = serde_json::from_slice::<Value>(other).map_or(Node::Object(Vec::new()), Node::from);
    let changes = Changes { other, words };
    for _ in 0..=rng.usize(..4) * rng.usize(..3) {
        changes.make_one(&mut document, rng);
    }
    Some(Style::any(rng).document(&document, rng))
}

/// The same for a document in each line: one line is changed, left out, or repeated.
pub(crate) fn changed_line(input: &[u8], other: &[u8], words: &[&str], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let others: Vec<&[u8]> = other.split(|byte| *byte == b'\n').collect();
    let at = rng.usize(..lines.len());
    let other = others[rng.usize(..others.len())];
    match rng.u8(..10) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, other.to_vec()),
        _ => {
            lines[at] = changed(&lines[at], other, words, rng)?;
            lines[at].retain(|byte| *byte != b'\n');
        }
    }
    Some(lines.join(&b'\n'))
}

impl Node {
    fn count(&self) -> usize {
        1 + match self {
            Self::Raw(_) | Self::Text(_) => 0,
            Self::List(items) => items.iter().map(Self::count).sum(),
            Self::Object(members) => members.iter().map(|(_, value)| value.count()).sum(),
        }
    }

    /// The node at place `at`, counted from the root down.
    fn at(&mut self, at: &mut usize) -> Option<&mut Self> {
        if *at == 0 {
            return Some(self);
        }
        *at -= 1;
        match self {
            Self::Raw(_) | Self::Text(_) => None,
            Self::List(items) => items.iter_mut().find_map(|item| item.at(at)),
            Self::Object(members) => members.iter_mut().find_map(|(_, value)| value.at(at)),
        }
    }

    fn any(&mut self, rng: &mut Rng) -> &mut Self {
        let mut at = rng.usize(..self.count());
        // The place is inside the document.
        if at == 0 { self } else { self.at(&mut at).expect("there are that many nodes") }
    }
}

/// The material of changes.
struct Changes<'w> {
    other: Node,
    words: &'w [&'w str],
}

impl Changes<'_> {
    fn make_one(&self, document: &mut Node, rng: &mut Rng) {
        let own = document.clone().any(rng).clone();
        let node = document.any(rng);
        match (rng.u8(..10), node) {
            (0, node) => *node = own,
            (1, node) => *node = self.other.clone().any(rng).clone(),
            (2, node) => *node = Node::Raw(rng.choice(ODD).unwrap_or("0").to_owned()),
            (3, node) if rng.u8(..20) == 0 => *node = self.deep(rng),
            (3 | 4, node) => *node = Node::Text(self.text(rng)),
            (_, Node::Object(members)) => self.change_members(members, own, rng),
            (_, Node::List(items)) => change_items(items, own, rng),
            (_, Node::Text(text)) => self.change_text(text, rng),
            (_, Node::Raw(raw)) => *raw = number_near(raw, rng),
        }
    }

    fn text(&self, rng: &mut Rng) -> String {
        let words = if self.words.is_empty() || rng.u8(..3) == 0 { &ODD_TEXTS[..] } else { self.words };
        let word = (*rng.choice(words).unwrap_or(&"")).to_owned();
        if rng.u8(..64) == 0 { word.repeat(rng.usize(1..400)) } else { word }
    }

    /// A list in a list in a list, or the same with objects.
    fn deep(&self, rng: &mut Rng) -> Node {
        let depth = rng.usize(1..400);
        let open = format!("{{{}:", Value::from(rng.choice(self.words).copied().unwrap_or("a")));
        let (open, close) = if rng.bool() { ("[", "]") } else { (open.as_str(), "}") };
        Node::Raw(open.repeat(depth) + "0" + &close.repeat(depth))
    }

    fn change_members(&self, members: &mut Vec<(String, Node)>, own: Node, rng: &mut Rng) {
        let at = rng.usize(..=members.len());
        let is_there = at < members.len();
        match rng.u8(..6) {
            0 if is_there => drop(members.remove(at)),
            1 if is_there => members[at].0 = self.text(rng),
            // The same name twice.
            2 if is_there => {
                let name = members[at].0.clone();
                let place = rng.usize(..=members.len());
                members.insert(place, (name, own));
            }
            3 => rng.shuffle(members),
            4 => {
                if let Node::Object(others) = self.other.clone().any(rng) {
                    members.extend(others.drain(..).take(3));
                }
            }
            _ => members.insert(at, (self.text(rng), own)),
        }
    }

    fn change_text(&self, text: &mut String, rng: &mut Rng) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = places[rng.usize(..places.len())];
        match rng.u8(..4) {
            0 => text.truncate(at),
            1 => *text = text.split_off(at),
            2 => text.insert_str(at, &self.text(rng)),
            _ => text.insert(at, rng.char(..)),
        }
    }
}

fn change_items(items: &mut Vec<Node>, own: Node, rng: &mut Rng) {
    let at = rng.usize(..=items.len());
    match rng.u8(..5) {
        0 if at < items.len() => drop(items.remove(at)),
        1 => rng.shuffle(items),
        2 if !items.is_empty() && items.len() < 200 => items.extend_from_within(..),
        _ => items.insert(at, own),
    }
}

/// A number next to `raw`, of ten times its size, or with other digits.
fn number_near(raw: &str, rng: &mut Rng) -> String {
    let near = raw.parse::<i128>().map(|number| match rng.u8(..4) {
        0 => number.saturating_add(1),
        1 => number.saturating_sub(1),
        2 => number.saturating_mul(10),
        _ => -number,
    });
    near.map_or_else(|_| rng.i64(..).to_string(), |number| number.to_string())
}

/// The spelling of a written document.
struct Style {
    gap: &'static str,
    /// One in this many characters is written as an escape. With 0, only those that must be.
    escaped: u8,
    /// Whether texts contain halves of surrogate pairs.
    halves: bool,
    mark: bool,
}

impl Style {
    fn any(rng: &mut Rng) -> Self {
        Self {
            gap: ["", "", "", " ", "\n  ", "\r\n\t"][rng.usize(..6)],
            escaped: [0, 0, 0, 2, 16][rng.usize(..5)],
            halves: rng.u8(..24) == 0,
            mark: rng.u8(..48) == 0,
        }
    }

    fn document(&self, node: &Node, rng: &mut Rng) -> Vec<u8> {
        let mut out = String::from(if self.mark { "\u{feff}" } else { "" });
        self.write(node, &mut out, rng);
        out.push_str(self.gap);
        out.into_bytes()
    }

    fn write(&self, node: &Node, out: &mut String, rng: &mut Rng) {
        match node {
            Node::Raw(raw) => out.push_str(raw),
            Node::Text(text) => self.write_text(text, out, rng),
            Node::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    self.write_gap(place, out);
                    self.write(item, out, rng);
                }
                out.push_str(self.gap);
                out.push(']');
            }
            Node::Object(members) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    self.write_gap(place, out);
                    self.write_text(name, out, rng);
                    out.push_str(self.gap);
                    out.push(':');
                    out.push_str(self.gap);
                    self.write(value, out, rng);
                }
                out.push_str(self.gap);
                out.push('}');
            }
        }
    }

    fn write_gap(&self, place: usize, out: &mut String) {
        if place > 0 {
            out.push_str(self.gap);
            out.push(',');
        }
        out.push_str(self.gap);
    }

    fn write_text(&self, text: &str, out: &mut String, rng: &mut Rng) {
        out.push('"');
        for char in text.chars() {
            if self.escaped > 0 && rng.u8(..self.escaped) == 0 {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            } else {
                let plain = serde_json::to_string(&char).unwrap_or_default();
                out.push_str(plain.get(1..plain.len().saturating_sub(1)).unwrap_or_default());
            }
            if self.halves && rng.u8(..8) == 0 {
                out.push_str(["\\ud83d", "\\ude00", "\\uDBFF", "\\ud83d\\u0041"][rng.usize(..4)]);
            }
        }
        out.push('"');
    }
}
