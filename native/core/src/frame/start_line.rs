use crate::error::FrameError;
use crate::frame::line::{ident_length, is_ident, may_be_ident, without};
use crate::frame::record::{Record, bit, method, offset, put, word};

/// What every frame begins with (core C-002).
pub(crate) const PREFIX: &[u8] = b"MSRP ";

/// `MSRP SP tid SP (method | code [SP comment])`, at the offset `line`.
pub(crate) fn start_line(text: &[u8], line: usize, strict: bool, record: &mut Record) -> Result<(), FrameError> {
    let (tid, rest) = split_at_space(text.get(PREFIX.len()..).unwrap_or_default());
    if tid.is_empty() {
        return Err(FrameError::StartLine);
    }
    if !is_ident(tid) {
        return Err(FrameError::Tid);
    }
    let (third, comment) = split_at_space(rest.ok_or(FrameError::StartLine)?);
    let first = third.first().ok_or(FrameError::StartLine)?;
    put_words(record, line, tid.len(), third.len(), text.len());
    if first.is_ascii_digit() {
        record[word::METHOD] = status(third).ok_or(FrameError::Status)?;
        record[word::BITS] = if comment.is_some() { bit::RESPONSE | bit::COMMENT } else { bit::RESPONSE };
        return Ok(());
    }
    record[word::METHOD] = match third {
        b"SEND" => method::SEND,
        b"REPORT" => method::REPORT,
        b"AUTH" => method::AUTH,
        b"NICKNAME" => method::NICKNAME,
        _ if is_method(third, strict) => method::OTHER,
        _ => return Err(FrameError::Method),
    };
    if comment.is_some() { Err(FrameError::StartLine) } else { Ok(()) }
}

/// Length of the line of a SEND, which most are; `None` for any other, and for a bad one.
#[inline]
pub(crate) fn plain_send(rest: &[u8], line: usize, record: &mut Record) -> Option<usize> {
    let behind = rest.strip_prefix(PREFIX)?;
    let tid = behind.get(..ident_length(behind))?;
    if !behind.get(tid.len()..)?.starts_with(b" SEND\r\n") || !may_be_ident(tid) {
        return None;
    }
    let length = PREFIX.len() + tid.len() + " SEND".len();
    put_words(record, line, tid.len(), "SEND".len(), length);
    record[word::METHOD] = method::SEND;
    Some(length)
}

/// Writes where the words of the start line at `line` are.
#[inline]
fn put_words(record: &mut Record, line: usize, tid: usize, third: usize, length: usize) {
    let tid_end = line + PREFIX.len() + tid;
    put(record, word::TID_START, line + PREFIX.len(), tid_end);
    put(record, word::WORD_START, tid_end + 1, tid_end + 1 + third);
    record[word::LINE_END] = offset(line + length);
    record[word::HEADERS_START] = offset(line + length + 2);
}

/// What stands before the first space, and behind it when there is one.
#[inline]
fn split_at_space(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (before, behind) = text.split_at_checked(without(text, b' ')).unwrap_or_default();
    (before, behind.get(1..))
}

fn status(third: &[u8]) -> Option<u32> {
    let digits: [u8; 3] = third.try_into().ok()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

/// Upper-case letters; tolerant: underscores behind the first (core C-004, D-03 g).
fn is_method(third: &[u8], strict: bool) -> bool {
    third.iter().enumerate().all(|(at, byte)| byte.is_ascii_uppercase() || (*byte == b'_' && at > 0 && !strict))
}
