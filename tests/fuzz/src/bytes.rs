//! Changes bytes without knowing their meaning.

use std::ops::Range;

use fastrand::Rng;

/// Bytes with a meaning in most formats.
const TELLING: &[u8] = b"\0\t\n\r \"#%&'+,-./0:;<=>?@AZ[\\]_`az{}~\x7f\x80\xc0\xe2\xef\xff";

/// Limits of number fields in binary formats.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// A copy of `input` with one to eight changes, some of which use pieces of `other`.
pub(crate) fn changed(input: &[u8], other: &[u8], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=rng.usize(..4) * rng.usize(..3) {
        change(&mut bytes, other, words, rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], rng: &mut Rng) {
    let at = rng.usize(..=bytes.len());
    match rng.u8(..12) {
        0 => flip(bytes, at, rng),
        1 => replace(bytes, at..at + 1, &[rng.u8(..)]),
        2 | 3 => replace(bytes, at..at + rng.usize(..2), &[telling(rng)]),
        4 => replace(bytes, stretch(bytes.len(), rng), &[]),
        5 => replace(bytes, at..at, &other[stretch(other.len(), rng)]),
        6 => replace(bytes, stretch(bytes.len(), rng), &other[stretch(other.len(), rng)]),
        7 => {
            let piece = bytes[stretch(bytes.len(), rng)].to_vec();
            replace(bytes, at..at, &piece);
        }
        8 => {
            let piece = bytes[stretch(bytes.len().min(40), rng)].to_vec();
            let times = if rng.u8(..32) == 0 { 2_000 } else { rng.usize(2..40) };
            replace(bytes, at..at, &piece.repeat(times));
        }
        9 => edge(bytes, at, rng),
        _ if words.is_empty() => bytes.truncate(at),
        10 => replace(bytes, at..at, rng.choice(words).unwrap_or(&"").as_bytes()),
        _ => replace(bytes, stretch(bytes.len(), rng), rng.choice(words).unwrap_or(&"").as_bytes()),
    }
}

fn telling(rng: &mut Rng) -> u8 {
    TELLING.get(rng.usize(..TELLING.len())).copied().unwrap_or_default()
}

fn flip(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.u8(..8);
    }
}

/// Writes one of [`EDGES`], or a number next to it, in one to eight bytes.
fn edge(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let number = EDGES.get(rng.usize(..EDGES.len())).copied().unwrap_or_default();
    let number = number.wrapping_add(rng.u64(..3)).wrapping_sub(1).to_le_bytes();
    let length = 1 << rng.u8(..4);
    replace(bytes, at..at + length, &number[..length]);
}

/// A random range, more often a short one than a long one.
fn stretch(length: usize, rng: &mut Rng) -> Range<usize> {
    let start = rng.usize(..=length);
    let most = if rng.bool() { 8 } else { length };
    start..(start + rng.usize(..=most)).min(length)
}

fn replace(bytes: &mut Vec<u8>, range: Range<usize>, with: &[u8]) {
    let end = range.end.min(bytes.len());
    bytes.splice(range.start.min(end)..end, with.iter().copied());
}
