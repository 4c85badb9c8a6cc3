//! The zip records of the archive, as PKWARE's APPNOTE.TXT (6.3.10) specifies them.
//!
//! They are written here because an entry's sizes and CRC are known before its first byte is written. So its local
//! header can be complete, which streaming readers need. The zip crates that write pre-deflated entries put both into a
//! data descriptor behind the entry.
//!
//! ZIP64 (section 4.5.3) is used only if a number does not fit into 32 bits. Then both sizes are written as ZIP64: the
//! section requires this in local headers, and `async_zip` 0.0.19 expects them at the beginning of every ZIP64 field of
//! the central directory, even if only the offset does not fit.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// "The value is in the ZIP64 record" in a 4-byte field (section 4.4.1.4), so also the first value that does not fit.
const IN_ZIP64: u32 = u32::MAX;

const VERSION_DEFLATE: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// Section 4.4.2: the upper byte is the system of the file attributes, 3 for Unix.
const MADE_ON_UNIX: u16 = 3 << 8;
/// A regular file that only its owner may read and write: it holds a CRM's data.
const ATTRIBUTES: u32 = 0o100_600 << 16;
/// Section 4.4.4, bit 11: the name is UTF-8.
const UTF8_NAME: u16 = 1 << 11;
/// Section 4.4.5.
const METHOD_DEFLATE: u16 = 8;
/// Section 4.5.3.
const ZIP64_FIELD: u16 = 1;

/// A time as zip headers hold it (section 4.4.6): two-second steps from 1980 to 2107, here always in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DosTime {
    date: u16,
    time: u16,
}

impl DosTime {
    /// The latest time up to `moment` that can be written. The first or last one if it is out of range.
    pub(crate) fn at(moment: Timestamp) -> Self {
        let utc = TimeZone::UTC.to_datetime(moment);
        let number = |part: i8| u16::try_from(part).unwrap_or(0);
        match u16::try_from(i32::from(utc.year()) - 1980) {
            Err(_) => Self::of([0, 1, 1], [0, 0, 0]),
            Ok(128..) => Self::of([127, 12, 31], [23, 59, 59]),
            Ok(year) => Self::of(
                [year, number(utc.month()), number(utc.day())],
                [number(utc.hour()), number(utc.minute()), number(utc.second())],
            ),
        }
    }

    /// Seven bits for the year since 1980, four for the month, five for the day; five for the hour, six for the
    /// minute, five for half the second.
    const fn of([year, month, day]: [u16; 3], [hour, minute, second]: [u16; 3]) -> Self {
        Self { date: (year << 9) + (month << 5) + day, time: (hour << 11) + (minute << 5) + second / 2 }
    }
}

/// The header fields of an entry. Its data is always deflated.
#[derive(Debug, Clone)]
pub(crate) struct EntryRecord {
    /// At most 65,535 bytes.
    pub(crate) name: String,
    pub(crate) modified: DosTime,
    pub(crate) crc32: u32,
    pub(crate) plain_bytes: u64,
    pub(crate) packed_bytes: u64,
    /// Where its local header begins.
    pub(crate) offset: u64,
}

impl EntryRecord {
    /// Section 4.3.7.
    pub(crate) fn local_header(&self) -> Vec<u8> {
        let sizes = self.large_sizes().map(Vec::from).unwrap_or_default();
        let mut out = RecordBytes::new(*b"PK\x03\x04");
        self.common_fields(&mut out, &sizes);
        out.text(&self.name).zip64_field(&sizes);
        out.0
    }

    /// Section 4.3.12.
    pub(crate) fn central_header(&self) -> Vec<u8> {
        let zip64 = match (self.large_sizes(), short(self.offset)) {
            (None, Some(_)) => vec![],
            (Some(sizes), Some(_)) => sizes.to_vec(),
            (_, None) => vec![self.plain_bytes, self.packed_bytes, self.offset],
        };
        let mut out = RecordBytes::new(*b"PK\x01\x02");
        out.u16(MADE_ON_UNIX | VERSION_ZIP64);
        self.common_fields(&mut out, &zip64);
        // No comment, on the first disk, no internal attributes.
        out.u16(0).u16(0).u16(0).u32(ATTRIBUTES).u32(short(self.offset).unwrap_or(IN_ZIP64));
        out.text(&self.name).zip64_field(&zip64);
        out.0
    }

    /// The fields that both headers share, from "version needed" to "extra field length". `zip64` are the values of the
    /// ZIP64 field. If there are any, they begin with both sizes.
    fn common_fields(&self, out: &mut RecordBytes, zip64: &[u64]) {
        let (version, packed, plain) = match (zip64, short(self.packed_bytes), short(self.plain_bytes)) {
            ([], Some(packed), Some(plain)) => (VERSION_DEFLATE, packed, plain),
            _ => (VERSION_ZIP64, IN_ZIP64, IN_ZIP64),
        };
        out.u16(version).u16(UTF8_NAME).u16(METHOD_DEFLATE).u16(self.modified.time).u16(self.modified.date);
        out.u32(self.crc32).u32(packed).u32(plain);
        out.u16(u16::try_from(self.name.len()).expect("the layout takes short names only"));
        out.u16(if zip64.is_empty() { 0 } else { 4 + zip64_bytes(zip64) });
    }

    /// Both sizes if one does not fit into 4 bytes, in the order of the ZIP64 field, which is not that of the 4-byte
    /// fields.
    fn large_sizes(&self) -> Option<[u64; 2]> {
        let fit = short(self.packed_bytes).is_some() && short(self.plain_bytes).is_some();
        (!fit).then_some([self.plain_bytes, self.packed_bytes])
    }
}

/// The position and size of the central directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Directory {
    pub(crate) entries: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

impl Directory {
    /// The records after the central directory: the ZIP64 end record (section 4.3.14) and its locator (4.3.15) if a
    /// number does not fit, then the end record (4.3.16).
    pub(crate) fn end_records(self) -> Vec<u8> {
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        let (bytes, offset) = (short(self.bytes), short(self.offset));
        let mut out = RecordBytes(Vec::new());
        if entries == u16::MAX || bytes.is_none() || offset.is_none() {
            self.zip64_end_records(&mut out);
        }
        out.signature(*b"PK\x05\x06").u16(0).u16(0).u16(entries).u16(entries);
        out.u32(bytes.unwrap_or(IN_ZIP64)).u32(offset.unwrap_or(IN_ZIP64)).u16(0);
        out.0
    }

    fn zip64_end_records(self, out: &mut RecordBytes) {
        /// Bytes of the record after this number.
        const REST: u64 = 44;
        out.signature(*b"PK\x06\x06").u64(REST).u16(MADE_ON_UNIX | VERSION_ZIP64).u16(VERSION_ZIP64);
        out.u32(0).u32(0).u64(self.entries).u64(self.entries).u64(self.bytes).u64(self.offset);
        out.signature(*b"PK\x06\x07").u32(0).u64(self.offset + self.bytes).u32(1);
    }
}

/// The value for a 4-byte field. None if it does not fit.
fn short(value: u64) -> Option<u32> {
    u32::try_from(value).ok().filter(|value| *value != IN_ZIP64)
}

fn zip64_bytes(values: &[u64]) -> u16 {
    8 * u16::try_from(values.len()).expect("three values at most")
}

/// The bytes of a record. Numbers are little-endian (section 4.4.1.1).
struct RecordBytes(Vec<u8>);

impl RecordBytes {
    fn new(signature: [u8; 4]) -> Self {
        Self(signature.to_vec())
    }

    fn signature(&mut self, signature: [u8; 4]) -> &mut Self {
        self.0.extend_from_slice(&signature);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Section 4.5.3: the values that do not fit elsewhere, in a fixed order. No field if there are none.
    fn zip64_field(&mut self, values: &[u64]) {
        if !values.is_empty() {
            self.u16(ZIP64_FIELD).u16(zip64_bytes(values));
            for value in values {
                self.u64(*value);
            }
        }
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DosTime {
        DosTime::at(text.parse().expect("a time"))
    }

    #[test]
    fn times_are_utc_and_stay_in_range() {
        assert_eq!(time("2026-11-22T13:45:59+01:00"), DosTime { date: 0x5D76, time: 0x65BD });
        assert_eq!(time("1979-12-31T23:59:59Z"), time("1980-01-01T00:00:00Z"));
        assert_eq!(time("2108-01-01T00:00:00Z"), time("2107-12-31T23:59:59Z"));
    }

    fn entry(plain_bytes: u64, packed_bytes: u64, offset: u64) -> EntryRecord {
        let modified = DosTime::at(Timestamp::UNIX_EPOCH);
        EntryRecord { name: "a.csv".into(), modified, crc32: 1, plain_bytes, packed_bytes, offset }
    }

    #[test]
    fn zip64_is_used_from_the_first_value_that_does_not_fit() {
        const LARGEST: u64 = u32::MAX as u64 - 1;
        let plain = entry(LARGEST, LARGEST, LARGEST);
        assert_eq!(plain.local_header().len(), 30 + 5);
        assert_eq!(plain.central_header().len(), 46 + 5);
        for large in [entry(LARGEST + 1, 9, 0), entry(9, LARGEST + 1, 0)] {
            assert_eq!(large.local_header().len(), 30 + 5 + 20);
            assert_eq!(large.central_header().len(), 46 + 5 + 20);
        }
        let far = entry(9, 9, LARGEST + 1);
        assert_eq!(far.local_header().len(), 30 + 5);
        assert_eq!(far.central_header().len(), 46 + 5 + 28);
    }

    #[test]
    fn end_records_are_zip64_only_if_a_number_does_not_fit() {
        let directory = |entries, offset, bytes| Directory { entries, offset, bytes }.end_records().len();
        assert_eq!(directory(65_534, u64::from(u32::MAX) - 1, u64::from(u32::MAX) - 1), 22);
        assert_eq!(directory(65_535, 0, 0), 56 + 20 + 22);
        assert_eq!(directory(1, u64::from(u32::MAX), 0), 56 + 20 + 22);
        assert_eq!(directory(1, 0, u64::from(u32::MAX)), 56 + 20 + 22);
    }
}
