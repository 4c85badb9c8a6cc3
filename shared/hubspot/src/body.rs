//! Reads the body of an answer and decompresses it.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// The most bytes of an answer, so that it cannot use up the memory of a small function. A page of a hundred usual
/// records is far smaller.
pub(crate) const MAX_ANSWER: usize = 32 << 20;
/// The most bytes of an error document. One about a hundred records can quote all of their values.
pub(crate) const MAX_ERROR: usize = 8 << 20;

/// A body that was read to its end.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// The length of the body as it was sent, which may be compressed.
    pub(crate) wire_bytes: u64,
}

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum Unread {
    Lost(reqwest::Error),
    /// It exceeds the limit, compressed or decompressed.
    TooLarge,
    /// Its compression is broken, or it ends too early.
    Broken {
        at: usize,
    },
}

/// Reads a body of at most `limit` bytes and decompresses it if necessary.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Body, Unread> {
    let compressed = is_compressed(response.headers());
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
    let bytes = if compressed && !bytes.is_empty() { decompress(&bytes, limit)? } else { bytes };
    Ok(Body { bytes, wire_bytes })
}

fn is_compressed(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(encoding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip")
}

fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Unread> {
    // The last four bytes are the length, unless the body is broken.
    let stated = compressed.last_chunk::<4>().map_or(0, |&length| u32::from_le_bytes(length) as usize);
    let mut bytes = Vec::with_capacity(stated.min(limit).min(compressed.len().saturating_mul(32)) + 1);
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut decoder = MultiGzDecoder::new(compressed).take(most + 1);
    decoder.read_to_end(&mut bytes).map_err(|_| Unread::Broken { at: compressed.len() })?;
    if bytes.len() > limit { Err(Unread::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use fuzz::{Form, Target};

    use super::*;

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }

    /// C4: a compressed body may be cut off, or far longer than it looks.
    #[test]
    fn compressed_bodies_are_read_to_their_end_or_to_the_limit() {
        let bytes = b"{\"results\":[]}".repeat(1_000);
        let compressed = compress(&bytes);
        assert_eq!(decompress(&compressed, bytes.len()).expect("whole"), bytes);
        let twice = [compressed.as_slice(), &compress(b"!")].concat();
        assert_eq!(decompress(&twice, 20_000).expect("whole").last(), Some(&b'!'));
        for cut in [1, 9, compressed.len() / 2, compressed.len() - 1] {
            assert!(matches!(decompress(&compressed[..cut], 20_000), Err(Unread::Broken { .. })), "{cut}");
        }
        assert!(matches!(decompress(&compress(&vec![0; 1 << 20]), (1 << 20) - 1), Err(Unread::TooLarge)));
    }

    /// A body is decompressed completely, or refused if it exceeds the limit. A second compressed part follows the
    /// first.
    #[test]
    fn fuzz_crm_body() {
        const LIMIT: usize = 64 << 10;
        Target::new("crm_body", Form::Bytes, &["\u{1f}", "\u{8}"]).fuzz(|input| match decompress(input, LIMIT) {
            Ok(bytes) => {
                assert!(bytes.len() <= LIMIT, "{} bytes are read", bytes.len());
                let longer = decompress(&[input, &compress(b"!")].concat(), LIMIT + 1).expect("two bodies in one");
                assert!(longer == [&bytes[..], b"!"].concat(), "the bytes differ");
                bytes.len().min(1_000)
            }
            Err(Unread::TooLarge) => 1_001,
            Err(_) => 1_002,
        });
    }
}
