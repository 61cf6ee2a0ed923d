//! A frame in the bytes that were read: what its record says, by name.

use msrp_core::frame::record::{RECORD_WORDS, Record, STAR, bit, word};
use msrp_core::syntax::path;

/// Bytes and the record of one frame (or head, or piece) in them.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    pub bytes: &'a [u8],
    pub record: &'a Record,
}

/// Failure-Report of a SEND (RFC 4975 section 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReport {
    /// An answer at once, and bad news later.
    Yes,
    /// Nothing.
    No,
    /// Bad news only.
    Partial,
    /// A value that is none of these.
    Bad,
}

#[allow(clippy::should_implement_trait, reason = "the words of the field: To-Path, From-Path")]
impl<'a> Frame<'a> {
    /// The frame of the record at `base`.
    #[inline]
    pub fn at(bytes: &'a [u8], records: &'a [u32], base: usize) -> Option<Self> {
        let record = records.get(base..)?.first_chunk::<RECORD_WORDS>()?;
        Some(Self { bytes, record })
    }

    #[inline]
    pub fn word(&self, word: usize) -> usize {
        self.record[word] as usize
    }

    /// The bytes between two words of the record.
    #[inline]
    pub fn span(&self, start: usize, end: usize) -> &'a [u8] {
        &self.bytes[self.word(start)..self.word(end)]
    }

    #[inline]
    pub fn has(&self, bit: u32) -> bool {
        self.record[word::BITS] & bit != 0
    }

    #[inline]
    pub fn is_response(&self) -> bool {
        self.has(bit::RESPONSE)
    }

    #[inline]
    pub fn tid(&self) -> &'a [u8] {
        self.span(word::TID_START, word::TID_END)
    }

    /// Method, or status code.
    #[inline]
    pub fn method(&self) -> u32 {
        self.record[word::METHOD]
    }

    /// Method or status code as written.
    pub fn name(&self) -> &'a [u8] {
        self.span(word::WORD_START, word::WORD_END)
    }

    /// Everything from the value of To-Path to the end of that of From-Path.
    #[inline]
    pub fn paths(&self) -> &'a [u8] {
        self.span(word::TO_START, word::FROM_END)
    }

    /// Empty when it is no path.
    pub fn to(&self) -> Vec<Box<[u8]>> {
        uris(self.span(word::TO_START, word::TO_END))
    }

    pub fn from(&self) -> Vec<Box<[u8]>> {
        uris(self.span(word::FROM_START, word::FROM_END))
    }

    /// Octets of the body, or of the piece.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.span(word::BODY_START, word::BODY_END)
    }

    /// The header lines behind the paths.
    pub fn headers(&self) -> &'a [u8] {
        self.span(word::HEADERS_START, word::HEADERS_END)
    }

    #[inline]
    pub fn message_id(&self) -> &'a [u8] {
        self.span(word::MESSAGE_ID_START, word::MESSAGE_ID_END)
    }

    #[inline]
    pub fn failure_report(&self) -> FailureReport {
        match self.record[word::REPORTS] >> 8 {
            1 => FailureReport::Yes,
            2 => FailureReport::No,
            3 => FailureReport::Partial,
            _ => FailureReport::Bad,
        }
    }

    #[inline]
    pub fn range_start(&self) -> u64 {
        self.number(word::RANGE_START).unwrap_or(1)
    }

    #[inline]
    pub fn range_total(&self) -> Option<u64> {
        self.number(word::RANGE_TOTAL)
    }

    #[inline]
    fn number(&self, word: usize) -> Option<u64> {
        let upper = self.record[word + 1];
        (upper != STAR).then(|| (u64::from(upper) << 32) | u64::from(self.record[word]))
    }
}

fn uris(value: &[u8]) -> Vec<Box<[u8]>> {
    if path::check_path(value, 0, false).is_none() {
        return Vec::new();
    }
    path::uris(value).map(Box::from).collect()
}

/// Header lines as names and values without the white space around them.
pub fn read_headers(lines: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    lines
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|&byte| byte == b':')?;
            let value = line[colon + 1..].trim_ascii();
            Some((text(&line[..colon]), text(value)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::read_headers;

    #[test]
    fn header_lines_become_names_and_values() {
        let headers = read_headers(b"Expires: 60\r\nX-A:  b: c \t\r\nX-\xc3\xbc:\r\n");
        let expected = [("Expires", "60"), ("X-A", "b: c"), ("X-\u{fc}", "")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
