use crate::error::FrameError;
use crate::frame::line::{is_ident, without};
use crate::frame::record::{Record, bit, method, offset, put, word};

/// What every frame begins with (core C-002).
pub(crate) const PREFIX: &[u8] = b"MSRP ";

/// `MSRP SP tid SP (method | code [SP comment])`, at the offset `line`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "measured: a tenth of the instructions of a frame")]
pub(crate) fn start_line(text: &[u8], line: usize, strict: bool, record: &mut Record) -> Result<(), FrameError> {
    let (tid, rest) = split_at_space(text.get(PREFIX.len()..).unwrap_or_default());
    if tid.is_empty() {
        return Err(FrameError::StartLine);
    }
    if !is_ident(tid) {
        return Err(FrameError::Tid);
    }
    let rest = rest.ok_or(FrameError::StartLine)?;
    // Most frames are SENDs.
    let (third, comment) = if rest == b"SEND" { (rest, None) } else { split_at_space(rest) };
    let first = third.first().ok_or(FrameError::StartLine)?;
    let tid_end = line + PREFIX.len() + tid.len();
    put(record, word::TID_START, line + PREFIX.len(), tid_end);
    put(record, word::WORD_START, tid_end + 1, tid_end + 1 + third.len());
    record[word::LINE_END] = offset(line + text.len());
    record[word::HEADERS_START] = offset(line + text.len() + 2);
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
