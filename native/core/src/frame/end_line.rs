//! Search for the end-line of a body: CRLF, seven hyphens, the transaction id of its own frame, a flag, CRLF (core D-08).
//! Anything that only looks like it is body.

use crate::frame::line::without;

/// What stands before the transaction id of an end-line: the CRLF that ends a body, and seven hyphens (core C-019).
pub const END_MARK: &[u8] = b"\r\n-------";

/// What a search came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Offset of the CRLF before the end-line.
    pub(crate) at: Option<usize>,
    /// When not found: everything before this offset is body for certain; the bytes from here may begin the end-line (D-07).
    pub(crate) hold: usize,
    /// CRLF and seven hyphens were seen that do not end the frame: some other transaction id could be hidden there.
    pub(crate) dashes: bool,
}

/// Searches `bytes[from..]` for the end-line of `tid`.
///
/// Each byte is looked at a bounded number of times, whatever a peer sends.
pub(crate) fn find_end_line(bytes: &[u8], from: usize, tid: &[u8]) -> Found {
    let mut found = Found { at: None, hold: bytes.len(), dashes: false };
    let mut at = from;
    while let Some(mark) = find_mark(bytes, at) {
        match end_line(bytes.get(mark + END_MARK.len()..).unwrap_or_default(), tid) {
            Match::Whole => {
                found.at = Some(mark);
                return found;
            }
            Match::Begun => {
                found.hold = mark;
                return found;
            }
            Match::Not => found.dashes = true,
        }
        at = mark + 2;
    }
    found.hold = bytes.len() - held_back(bytes.get(from..).unwrap_or_default());
    found
}

/// Offset of the first CRLF followed by seven hyphens in `bytes[from..]`.
#[inline]
fn find_mark(bytes: &[u8], from: usize) -> Option<usize> {
    // INVARIANT: the last hyphen of the next mark stands at `probe` or behind it.
    let mut probe = from + END_MARK.len() - 1;
    loop {
        let rest = bytes.get(probe..)?;
        let stretches = without_hyphens(rest);
        let free = stretches + without(rest.get(stretches..)?, b'-');
        let hyphen = probe + free;
        // What stands before the probe has not been looked at.
        let before = if free == 0 { hyphens(bytes.get(from + 2..probe)?.iter().rev()) } else { 0 };
        let first = hyphen - before;
        if bytes.get(first..)?.starts_with(b"-------") && bytes.get(from..first)?.ends_with(b"\r\n") {
            return Some(first - 2);
        }
        // Only the first hyphen of a run can follow a CRLF: skip the run, and the byte that ends it.
        probe = hyphen + hyphens(bytes.get(hyphen..)?.iter()) + 7;
    }
}

fn hyphens<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    bytes.take_while(|&&byte| byte == b'-').count()
}

/// Bytes at the start of `rest` that are no hyphens, in whole stretches: what vector instructions see at once. Long stretches
/// cost least for each byte, short ones leave least to be looked at byte by byte.
#[inline]
fn without_hyphens(rest: &[u8]) -> usize {
    let long = free_stretches::<64>(rest);
    long + free_stretches::<16>(rest.get(long..).unwrap_or_default())
}

#[inline]
fn free_stretches<const SIZE: usize>(mut rest: &[u8]) -> usize {
    let length = rest.len();
    while let Some((stretch, tail)) = rest.split_first_chunk::<SIZE>()
        && stretch.iter().fold(true, |all, &byte| all & is_no_hyphen(byte))
    {
        rest = tail;
    }
    length - rest.len()
}

#[inline]
fn is_no_hyphen(byte: u8) -> bool {
    byte != b'-'
}

enum Match {
    Whole,
    Begun,
    Not,
}

/// Compares what stands behind seven hyphens with transaction id, flag and CRLF.
#[inline]
fn end_line(rest: &[u8], tid: &[u8]) -> Match {
    let Some((own, rest)) = rest.split_at_checked(tid.len()) else {
        return if tid.starts_with(rest) { Match::Begun } else { Match::Not };
    };
    if own != tid {
        return Match::Not;
    }
    match rest {
        [b'$' | b'+' | b'#', b'\r', b'\n', ..] => Match::Whole,
        [] | [b'$' | b'+' | b'#'] | [b'$' | b'+' | b'#', b'\r'] => Match::Begun,
        _ => Match::Not,
    }
}

/// Length of the longest suffix that begins CRLF and seven hyphens.
fn held_back(bytes: &[u8]) -> usize {
    let hyphens = bytes.iter().rev().take(8).take_while(|&&byte| byte == b'-').count();
    let before = bytes.get(..bytes.len() - hyphens).unwrap_or_default();
    match before {
        _ if hyphens > 7 => 0,
        [.., b'\r', b'\n'] => hyphens + 2,
        [.., b'\r'] if hyphens == 0 => 1,
        _ => 0,
    }
}
