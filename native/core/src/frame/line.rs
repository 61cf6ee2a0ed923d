//! Bytes of a line, and the headers that the framer knows by name.

use crate::frame::record::word;

/// Part of a transaction id (core C-003).
const IDENT: u8 = 1;
/// Letter or digit: may come first in a transaction id.
const FIRST: u8 = 2;
/// Part of a header name (core C-013).
const TOKEN: u8 = 4;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() {
            class |= IDENT | FIRST | TOKEN;
        }
        if matches!(byte, b'.' | b'-' | b'+' | b'%' | b'=') {
            class |= IDENT;
        }
        if matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'~') {
            class |= TOKEN;
        }
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            classes[byte as usize] = class;
        }
        byte += 1;
    }
    classes
}

#[allow(clippy::indexing_slicing, reason = "256 classes for 256 bytes")]
fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

/// True for a token character (core C-013).
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

/// Length of the longest beginning of `text` that is made of ident characters. Four are looked at in one step.
#[inline]
pub(crate) fn ident_length(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((chunk, tail)) = rest.split_first_chunk::<4>()
        && chunk.iter().fold(IDENT, |common, &byte| common & class(byte)) != 0
    {
        rest = tail;
    }
    text.len() - rest.len() + rest.iter().take_while(|&&byte| class(byte) & IDENT != 0).count()
}

/// True for 4 to 32 ident characters of which the first is a letter or digit (core C-003).
#[inline]
pub(crate) fn is_ident(text: &[u8]) -> bool {
    ident_length(text) == text.len() && may_be_ident(text)
}

/// True when ident characters are no more and no fewer than an ident has, and the first is one that may come first.
#[inline]
pub(crate) fn may_be_ident(text: &[u8]) -> bool {
    matches!(text.len(), 4..=32) && text.first().is_some_and(|&first| class(first) & FIRST != 0)
}

/// Length of the longest beginning of `text` that is printable ASCII.
#[inline]
pub(crate) fn printable(text: &[u8]) -> usize {
    let mut rest = text;
    // Sixteen bytes in one step, in a way that compiles to vector instructions; then eight.
    while let Some((chunk, tail)) = rest.split_first_chunk::<16>()
        && chunk.iter().fold(true, |all, &byte| all & is_printable(byte))
    {
        rest = tail;
    }
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let value = u64::from_le_bytes(*chunk);
        let del = value ^ eight(0x7f);
        // A borrow spoils bytes above the first hit only.
        let below = value.wrapping_sub(eight(0x20)) & !value;
        let hits = (below | equal_zero(del) | value) & eight(0x80);
        if hits != 0 {
            return text.len() - rest.len() + (hits.trailing_zeros() / 8) as usize;
        }
        rest = tail;
    }
    text.len() - rest.len() + rest.iter().take_while(|&&byte| is_printable(byte)).count()
}

/// Length of the longest beginning of `text` without that byte.
#[inline]
pub(crate) fn without(text: &[u8], byte: u8) -> usize {
    let mut rest = text;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let hits = equal_zero(u64::from_le_bytes(*chunk) ^ eight(byte)) & eight(0x80);
        if hits != 0 {
            return text.len() - rest.len() + (hits.trailing_zeros() / 8) as usize;
        }
        rest = tail;
    }
    text.len() - rest.len() + rest.iter().take_while(|&&other| other != byte).count()
}

/// Eight bytes of one value.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The upper bit of the first of eight bytes that is zero; bits of bytes above it mean nothing.
#[inline]
const fn equal_zero(value: u64) -> u64 {
    value.wrapping_sub(eight(1)) & !value
}

#[inline]
fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e)
}

/// A header that the framer knows by name.
#[derive(Debug)]
pub(crate) struct KnownHeader {
    name: &'static [u8],
    /// Bit of the "seen" mask: each of these may occur once (core D-09).
    pub(crate) bit: u32,
    /// Index of the word pair for the value; 0: no words for it.
    pub(crate) word: usize,
}

pub(crate) const TO_PATH_BIT: u32 = 1;
pub(crate) const FROM_PATH_BIT: u32 = 2;
pub(crate) const CONTENT_TYPE_BIT: u32 = 1 << 7;

const fn known(name: &'static [u8], index: u32, word: usize) -> KnownHeader {
    KnownHeader { name, bit: 1 << index, word }
}

static TO_PATH: KnownHeader = known(b"To-Path", 0, word::TO_START);
static FROM_PATH: KnownHeader = known(b"From-Path", 1, word::FROM_START);
static MESSAGE_ID: KnownHeader = known(b"Message-ID", 2, word::MESSAGE_ID_START);
static SUCCESS_REPORT: KnownHeader = known(b"Success-Report", 3, word::SUCCESS_REPORT_START);
static FAILURE_REPORT: KnownHeader = known(b"Failure-Report", 4, word::FAILURE_REPORT_START);
static BYTE_RANGE: KnownHeader = known(b"Byte-Range", 5, word::BYTE_RANGE_START);
static STATUS: KnownHeader = known(b"Status", 6, word::STATUS_START);
static CONTENT_TYPE: KnownHeader = known(b"Content-Type", 7, word::CONTENT_TYPE_START);
static EXPIRES: KnownHeader = known(b"Expires", 8, word::EXPIRES_START);
static MIN_EXPIRES: KnownHeader = known(b"Min-Expires", 9, word::MIN_EXPIRES_START);
static MAX_EXPIRES: KnownHeader = known(b"Max-Expires", 10, word::MAX_EXPIRES_START);
static USE_PATH: KnownHeader = known(b"Use-Path", 11, word::USE_PATH_START);
static AUTHORIZATION: KnownHeader = known(b"Authorization", 12, 0);
static WWW_AUTHENTICATE: KnownHeader = known(b"WWW-Authenticate", 13, 0);
static AUTHENTICATION_INFO: KnownHeader = known(b"Authentication-Info", 14, 0);
static USE_NICKNAME: KnownHeader = known(b"Use-Nickname", 15, 0);

/// The known header at the start of a line, when it is spelled as the RFC does (core C-010). Nearly every header is.
#[inline]
pub(crate) fn canonical_header(line: &[u8]) -> Option<&'static KnownHeader> {
    let (begins, header) = match line.first()? {
        b'T' => (line.starts_with(b"To-Path:"), &TO_PATH),
        b'F' if line.starts_with(b"From-Path:") => (true, &FROM_PATH),
        b'F' => (line.starts_with(b"Failure-Report:"), &FAILURE_REPORT),
        b'M' => (line.starts_with(b"Message-ID:"), &MESSAGE_ID),
        b'B' => (line.starts_with(b"Byte-Range:"), &BYTE_RANGE),
        b'C' => (line.starts_with(b"Content-Type:"), &CONTENT_TYPE),
        b'S' if line.starts_with(b"Success-Report:") => (true, &SUCCESS_REPORT),
        b'S' => (line.starts_with(b"Status:"), &STATUS),
        _ => return None,
    };
    begins.then_some(header)
}

/// The known header of that name, whatever its case.
#[inline(never)]
pub(crate) fn known_header(name: &[u8]) -> Option<&'static KnownHeader> {
    let candidates: &[&KnownHeader] = match name.len() {
        6 => &[&STATUS],
        7 => &[&TO_PATH, &EXPIRES],
        8 => &[&USE_PATH],
        9 => &[&FROM_PATH],
        10 => &[&MESSAGE_ID, &BYTE_RANGE],
        11 => &[&MIN_EXPIRES, &MAX_EXPIRES],
        12 => &[&CONTENT_TYPE, &USE_NICKNAME],
        13 => &[&AUTHORIZATION],
        14 => &[&SUCCESS_REPORT, &FAILURE_REPORT],
        16 => &[&WWW_AUTHENTICATE],
        19 => &[&AUTHENTICATION_INFO],
        _ => return None,
    };
    candidates.iter().find(|header| header.name.eq_ignore_ascii_case(name)).copied()
}

impl KnownHeader {
    /// Length of the name.
    pub(crate) fn name_len(&self) -> usize {
        self.name.len()
    }
}

/// True for a MIME header other than Content-Type: `Content-…`, `MIME-…` (core C-016).
#[inline(never)]
pub(crate) fn is_mime_name(name: &[u8]) -> bool {
    begins(name, b"content-") || begins(name, b"mime-")
}

fn begins(name: &[u8], with: &[u8]) -> bool {
    name.len() > with.len() && name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// True for a line that starts with seven hyphens.
#[inline]
pub(crate) fn is_end_line_start(line: &[u8]) -> bool {
    line.starts_with(b"-------")
}

/// True for SP and HTAB.
#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::{printable, without};

    #[test]
    fn the_first_byte_is_found_wherever_it_stands() {
        for byte in 0..=255_u8 {
            for at in 0..40 {
                for behind in 0..20 {
                    let mut bytes = vec![b'~'; at];
                    bytes.push(byte);
                    bytes.resize(at + 1 + behind, b' ');
                    bytes.push(0x80);
                    let expected = if (0x20..=0x7e).contains(&byte) { at + 1 + behind } else { at };
                    assert_eq!(printable(&bytes), expected);
                    let space = if byte == b' ' || behind == 0 { at } else { at + 1 };
                    let space = if behind == 0 && byte != b' ' { bytes.len() } else { space };
                    assert_eq!(without(&bytes, b' '), space);
                    if byte != b'~' && byte != b' ' && byte != 0x80 {
                        assert_eq!(without(&bytes, byte), at);
                    }
                }
            }
        }
        assert_eq!(printable(b""), 0);
        assert_eq!(without(b"", b' '), 0);
    }
}
