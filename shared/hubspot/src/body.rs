//! The bytes of an answer, as they come over the wire and as they are.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// No page of a hundred usual records comes near this. It keeps an answer from using up the memory of a small function.
pub(crate) const MAX_ANSWER: usize = 32 << 20;
/// What is read of an error document. One about a hundred records can quote all of their values.
pub(crate) const MAX_ERROR: usize = 8 << 20;

/// A body that was read to its end.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// Its length on the wire.
    pub(crate) wire_bytes: u64,
}

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    Lost(reqwest::Error),
    /// It is longer than what fits, packed or unpacked.
    TooLarge,
    /// It is not what its headers say, or ends too early.
    Broken {
        at: usize,
    },
}

/// Reads a body, and unpacks it where it is packed.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Body, Unread> {
    let packed = is_packed(response.headers());
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|announced| announced > limit) {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or(64 << 10));
    while let Some(part) = response.chunk().await.map_err(Unread::Lost)? {
        if bytes.len() + part.len() > limit {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&part);
    }
    let wire_bytes = bytes.len() as u64;
    let bytes = if packed && !bytes.is_empty() { unpacked(&bytes, limit)? } else { bytes };
    Ok(Body { bytes, wire_bytes })
}

fn is_packed(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(encoding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip")
}

fn unpacked(packed: &[u8], limit: usize) -> Result<Vec<u8>, Unread> {
    // The last four bytes tell the length, if they are what they should be.
    let told = packed.last_chunk::<4>().map_or(0, |&length| u32::from_le_bytes(length) as usize);
    let mut bytes = Vec::with_capacity(told.min(limit).min(packed.len().saturating_mul(32)) + 1);
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut unpacking = MultiGzDecoder::new(packed).take(most + 1);
    unpacking.read_to_end(&mut bytes).map_err(|_| Unread::Broken { at: packed.len() })?;
    if bytes.len() > limit { Err(Unread::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use fuzz::{Form, Target};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }

    /// C4: a body that is packed, cut off, or far longer than it looks.
    #[test]
    fn packed_bodies_are_unpacked_to_their_end_and_to_the_limit() {
        let bytes = b"{\"results\":[]}".repeat(1_000);
        let packed_bytes = packed(&bytes);
        assert_eq!(unpacked(&packed_bytes, bytes.len()).expect("whole"), bytes);
        let twice = [packed_bytes.as_slice(), &packed(b"!")].concat();
        assert_eq!(unpacked(&twice, 20_000).expect("whole").last(), Some(&b'!'));
        for cut in [1, 9, packed_bytes.len() / 2, packed_bytes.len() - 1] {
            assert!(matches!(unpacked(&packed_bytes[..cut], 20_000), Err(Unread::Broken { .. })), "{cut}");
        }
        assert!(matches!(unpacked(&packed(&vec![0; 1 << 20]), (1 << 20) - 1), Err(Unread::TooLarge)));
    }

    /// No more than the limit is unpacked, and all of it: what is packed behind it comes behind it.
    #[test]
    fn fuzz_crm_body() {
        const LIMIT: usize = 64 << 10;
        Target::new("crm_body", Form::Bytes, &["\u{1f}", "\u{8}"]).fuzz(|input| match unpacked(input, LIMIT) {
            Ok(bytes) => {
                assert!(bytes.len() <= LIMIT, "{} bytes are taken", bytes.len());
                let longer = unpacked(&[input, &packed(b"!")].concat(), LIMIT + 1).expect("two bodies in one");
                assert!(longer == [&bytes[..], b"!"].concat(), "other bytes");
                bytes.len().min(1_000)
            }
            Err(Unread::TooLarge) => 1_001,
            Err(_) => 1_002,
        });
    }
}
