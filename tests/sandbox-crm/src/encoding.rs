//! How documents travel: compressed, and with texts that are no valid Unicode.

use std::io::Write as _;

use axum::http::{HeaderMap, header};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::api::reply::Reply;

/// Shorter bodies are not worth it.
const SHORTEST: usize = 256;

/// Whether a client asks for gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let is_refused = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// The reply with its body in gzip, unless it is short.
pub(crate) fn compressed(reply: Reply) -> Reply {
    if reply.body.len() < SHORTEST {
        return reply;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(reply.body.len() / 4), Compression::fast());
    // Writing to a Vec cannot fail; the plain body stays if it does.
    match encoder.write_all(&reply.body).and_then(|()| encoder.finish()) {
        Ok(body) => Reply { body, is_gzip: true, ..reply },
        Err(_) => reply,
    }
}

/// Half a surrogate cannot stand in a text here. The private character U+10D800 to U+10DFFF with the same last four
/// digits stands for it, and becomes an escape such as `\ud83d` in what is sent.
pub(crate) fn with_half_surrogates(document: &mut Vec<u8>) {
    // The first two bytes of these characters in UTF-8; the third is at least 0xA0.
    let is_half = |bytes: &[u8]| bytes[0] == 0xF4 && bytes[1] == 0x8D && bytes[2] >= 0xA0;
    if !document.windows(4).any(is_half) {
        return;
    }
    let mut out = Vec::with_capacity(document.len() + 16);
    let mut rest = document.as_slice();
    while let Some((byte, after)) = rest.split_first() {
        if rest.len() >= 4 && is_half(rest) {
            let low = (u32::from(rest[1] & 0x3F) << 12) | (u32::from(rest[2] & 0x3F) << 6) | u32::from(rest[3] & 0x3F);
            let _ = write!(out, "\\u{:04x}", low & 0xFFFF);
            rest = &rest[4..];
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    *document = out;
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_used_only_when_it_is_asked_for() {
        for (value, accepts) in [("gzip", true), ("br, gzip;q=0.5", true), ("identity", false), ("gzip;q=0", false)] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), accepts, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn private_characters_are_sent_as_half_surrogates() {
        let mut document = "{\"a\":\"x\u{10D83D}y\u{10DFFF}😀\u{10FFFF}\"}".to_owned().into_bytes();
        with_half_surrogates(&mut document);
        assert_eq!(String::from_utf8(document).expect("text"), "{\"a\":\"x\\ud83dy\\udfff😀\u{10FFFF}\"}");
    }
}
