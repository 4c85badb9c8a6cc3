//! Checksums of plain bytes.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The CRC-32 for the zip and the SHA-256 for the manifest, of bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct Digests {
    crc32: crc32fast::Hasher,
    sha256: Sha256,
}

impl Digests {
    /// Adds the next bytes.
    pub fn update(&mut self, plain: &[u8]) {
        self.crc32.update(plain);
        self.sha256.update(plain);
    }

    /// The CRC-32, and the SHA-256 in lower-case hexadecimal.
    pub fn finish(self) -> (u32, String) {
        (self.crc32.finalize(), to_hex(&self.sha256.finalize()))
    }

    /// Both checksums of `plain`.
    pub fn of(plain: &[u8]) -> (u32, String) {
        let mut digests = Self::default();
        digests.update(plain);
        digests.finish()
    }
}

/// The SHA-256 over a sequence of SHA-256 digests, in lower-case hexadecimal.
pub(crate) fn sha256_tree(digests: impl IntoIterator<Item = [u8; 32]>) -> String {
    let mut sha256 = Sha256::new();
    digests.into_iter().for_each(|digest| sha256.update(digest));
    to_hex(&sha256.finalize())
}

/// The CRC-32 of consecutive parts, from each part's CRC-32 and length.
pub(crate) fn combined_crc32(parts: impl IntoIterator<Item = (u32, u64)>) -> u32 {
    let mut whole = crc32fast::Hasher::new();
    for (crc32, length) in parts {
        whole.combine(&crc32fast::Hasher::new_with_initial_len(crc32, length));
    }
    whole.finalize()
}

/// The bytes of a SHA-256 of 64 hexadecimal digits. None for any other text.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to memory does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_equal_the_published_ones() {
        let (crc32, sha256) = Digests::of(b"123456789");
        assert_eq!(crc32, 0xCBF4_3926);
        assert_eq!(sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
        assert_eq!(from_hex(&sha256).map(|bytes| to_hex(&bytes)), Some(sha256));
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_digest() {
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"ü".repeat(32), &format!("+{}", "0".repeat(63))] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
