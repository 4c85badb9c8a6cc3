//! Reads the body of an answer and decompresses it.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::body_room::{BodyPlace, BodyRoom, LARGE, LARGEST, NoRoom};

/// The most bytes of an answer.
pub(crate) const MAX_ANSWER: usize = LARGEST;
/// The most bytes of an answer with the values of several records.
pub(crate) const MAX_PAGE: usize = LARGE;
/// The most bytes of an error document. One about a hundred records can quote all of their values.
pub(crate) const MAX_ERROR: usize = 8 << 20;

/// A body that was read to its end.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// The length of the body as it was sent, which may be compressed.
    pub(crate) wire_bytes: u64,
    pub(crate) place: BodyPlace,
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

impl From<NoRoom> for Unread {
    fn from(_: NoRoom) -> Self {
        Self::TooLarge
    }
}

/// Reads a body of at most `limit` bytes and decompresses it if necessary. Waits while `room` has none for it.
pub(crate) async fn read(mut response: Response, limit: usize, room: &BodyRoom) -> Result<Body, Unread> {
    let compressed = is_compressed(response.headers());
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|announced| announced > limit) {
        return Err(Unread::TooLarge);
    }
    let mut place = BodyPlace::default();
    place.grow(announced.unwrap_or(0), room).await?;
    let mut bytes = Vec::with_capacity(announced.unwrap_or(64 << 10));
    while let Some(part) = response.chunk().await.map_err(Unread::Lost)? {
        if bytes.len() + part.len() > limit {
            return Err(Unread::TooLarge);
        }
        place.grow(bytes.len() + part.len(), room).await?;
        bytes.extend_from_slice(&part);
    }
    let wire_bytes = bytes.len() as u64;
    if compressed && !bytes.is_empty() {
        bytes = decompress_in(&mut place, &bytes, limit, room).await?;
    }
    Ok(Body { bytes, wire_bytes, place })
}

/// Decompresses a body. Its stated length may be wrong, so the place grows until the body fits.
async fn decompress_in(
    place: &mut BodyPlace,
    compressed: &[u8],
    limit: usize,
    room: &BodyRoom,
) -> Result<Vec<u8>, Unread> {
    place.grow(stated_length(compressed).min(limit), room).await?;
    loop {
        let most = place.most().min(limit);
        match decompress(compressed, most) {
            Err(Unread::TooLarge) if most < limit => place.grow(most + 1, room).await?,
            other => return other,
        }
    }
}

fn is_compressed(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(encoding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip")
}

/// The last four bytes are the length, unless the body is broken.
fn stated_length(compressed: &[u8]) -> usize {
    compressed.last_chunk::<4>().map_or(0, |&length| u32::from_le_bytes(length) as usize)
}

fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Unread> {
    let stated = stated_length(compressed);
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
