use crate::error::FrameError;
use crate::frame::line::{
    CONTENT_TYPE_BIT, FROM_PATH_BIT, KnownHeader, TO_PATH_BIT, canonical_header, is_blank, is_end_line_start, is_mime_name,
    is_token, known_header, printable,
};
use crate::frame::options::FrameLimits;
use crate::frame::paths::PathBlock;
use crate::frame::record::{Record, bit, offset, put, word};
use crate::frame::start_line::{PREFIX, plain_send, start_line};

/// What the head of a frame is read by, and what is known of those before.
#[derive(Debug)]
pub(crate) struct HeadRules {
    pub(crate) strict: bool,
    /// With `usize::MAX` for "none".
    pub(crate) limits: FrameLimits,
    /// Paths of the last request and of the last response.
    pub(crate) requests: PathBlock,
    pub(crate) responses: PathBlock,
}

impl HeadRules {
    fn paths(&mut self, bits: u32) -> &mut PathBlock {
        if bits & bit::RESPONSE == 0 { &mut self.requests } else { &mut self.responses }
    }
}

/// How far the head of a frame has been read: start line, headers, and the line that ends them.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// The start line has been read.
    started: bool,
    /// Mask of known headers seen.
    seen: u32,
    /// First structural objection, 0 for none.
    issue: u32,
    /// Header lines.
    lines: usize,
    /// Where the current line begins, relative to the frame's start.
    line: usize,
    /// First byte not looked at yet, relative to the frame's start; used for the body, too.
    pub(crate) looked: usize,
    odd: Odd,
}

/// What stands in the current line besides printable ASCII and tabs.
#[derive(Debug, Default)]
struct Odd {
    /// First byte that may not stand in it, relative to the line's start.
    control: Option<usize>,
    /// There are bytes above 0x7f.
    high: bool,
}

/// What has come of a head.
pub(crate) enum Progress {
    Incomplete,
    /// Fatal: code and offset.
    Failed(FrameError, usize),
    /// Fatal, and the bytes are done with up to the second offset only.
    FailedAt(FrameError, usize, usize),
    /// An empty line: a body follows.
    Body,
    /// The end-line: its flag, and the offset behind it.
    End(u8, usize),
}

/// Why there is no line.
#[derive(Clone, Copy)]
enum Stop {
    /// Bytes of it that have been looked at.
    Incomplete(usize),
    /// Fatal: code and offset in the line.
    Failed(FrameError, usize),
}

impl Head {
    /// True when nothing of the frame has been looked at.
    pub(crate) fn is_fresh(&self) -> bool {
        self.looked == 0 && !self.started
    }

    /// Reads on, from where it stopped, to the empty line or the end-line.
    #[inline]
    pub(crate) fn read(&mut self, rules: &mut HeadRules, bytes: &[u8], start: usize, record: &mut Record) -> Progress {
        if !self.started
            && let Some(stop) = self.start_line(rules, bytes, start, record)
        {
            return stop;
        }
        let mut rest = bytes.get(start + self.line..).unwrap_or_default();
        let mut looked = self.looked - self.line;
        loop {
            let line = bytes.len() - rest.len();
            let (text, next) = match read_line(&mut self.odd, rules.limits.line_bytes, rest, looked) {
                Ok(line) => line,
                Err(stop) => return self.stop(stop, line, start),
            };
            let end = bytes.len() - next.len();
            match text {
                [] => return self.empty_line(rules, line, start, record),
                [b'-', ..] if is_end_line_start(text) => return end_of_head(rules, text, line, bytes, record),
                _ => {}
            }
            self.lines += 1;
            if self.lines > rules.limits.header_lines || end - start > rules.limits.header_bytes {
                return Progress::Failed(FrameError::Limit, line);
            }
            if let Err(error) = self.header(rules, text, line, bytes, record) {
                return Progress::Failed(error, line);
            }
            rest = next;
            looked = 0;
        }
    }

    #[cold]
    fn stop(&mut self, stop: Stop, line: usize, start: usize) -> Progress {
        match stop {
            Stop::Incomplete(looked) => {
                self.line = line - start;
                self.looked = self.line + looked;
                Progress::Incomplete
            }
            Stop::Failed(error, at) => Progress::Failed(error, line + at),
        }
    }

    #[inline]
    fn start_line(&mut self, rules: &mut HeadRules, bytes: &[u8], start: usize, record: &mut Record) -> Option<Progress> {
        let rest = bytes.get(start..).unwrap_or_default();
        let limit = rules.limits.line_bytes;
        // What comes in pieces is not looked at from its start again.
        let plain = if self.looked == 0 { plain_send(rest, start, record) } else { None };
        let length = match plain {
            Some(length) if length <= limit => length,
            _ => match self.other_start_line(rules.strict, limit, rest, start, record) {
                Ok(length) => length,
                Err(stop) => return Some(stop),
            },
        };
        self.started = true;
        self.line = length + 2;
        self.known_paths(rules, rest.get(self.line..).unwrap_or_default(), start, record);
        self.looked = self.line;
        None
    }

    /// The start line of anything but a plain SEND that is there in one piece. Gives its length.
    #[inline(never)]
    fn other_start_line(
        &mut self,
        strict: bool,
        limit: usize,
        rest: &[u8],
        start: usize,
        record: &mut Record,
    ) -> Result<usize, Progress> {
        if let Some(wrong) = foreign(rest) {
            return Err(Progress::Failed(FrameError::StartLine, start + wrong));
        }
        let (text, _) = read_line(&mut self.odd, limit, rest, self.looked).map_err(|stop| self.stop(stop, start, start))?;
        start_line(text, start, strict, record).map_err(|error| Progress::Failed(error, start))?;
        Ok(text.len())
    }

    /// Takes To-Path and From-Path over from the frame before when they are byte for byte the same.
    #[inline]
    fn known_paths(&mut self, rules: &mut HeadRules, rest: &[u8], start: usize, record: &mut Record) {
        let FrameLimits { header_bytes, header_lines, .. } = rules.limits;
        let paths = rules.paths(record[word::BITS]);
        let Some(length) = paths.matched(rest) else { return };
        if self.line + length > header_bytes || header_lines < 2 {
            return;
        }
        paths.write(offset(start + self.line), record);
        self.line += length;
        record[word::HEADERS_START] = offset(start + self.line);
        self.seen = TO_PATH_BIT | FROM_PATH_BIT;
        self.lines = 2;
    }

    /// One header line.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: a tenth of the instructions of a frame")]
    fn header(
        &mut self,
        rules: &mut HeadRules,
        text: &[u8],
        line: usize,
        bytes: &[u8],
        record: &mut Record,
    ) -> Result<(), FrameError> {
        let mut known = canonical_header(text);
        let name_length = match known {
            Some(header) => header.name_len(),
            None => name_length(text)?,
        };
        let (skipped, value) = match text.get(name_length + 1..) {
            // One space is what nearly everybody sends.
            Some([b' ', value @ ..]) if is_trimmed(value) => (1, value),
            value => trim(value.unwrap_or_default(), rules.strict)?,
        };
        if self.seen & CONTENT_TYPE_BIT != 0 {
            record[word::BITS] |= bit::CONTENT_TYPE_NOT_LAST;
        }
        let name = text.get(..name_length).unwrap_or_default();
        if known.is_none() {
            known = known_header(name);
        }
        let Some(known) = known else {
            if is_mime_name(name) {
                record[word::BITS] |= bit::MIME_HEADER;
            }
            return Ok(());
        };
        if self.seen & known.bit != 0 {
            self.object(FrameError::DuplicateHeader);
            return Ok(());
        }
        self.seen |= known.bit;
        if known.word == 0 {
            return Ok(());
        }
        let start = line + name_length + 1 + skipped;
        put(record, known.word, start, start + value.len());
        if known.word == word::BYTE_RANGE_START {
            record[word::BYTE_RANGE_LINE] = offset(line);
        } else if known.bit & (TO_PATH_BIT | FROM_PATH_BIT) != 0 {
            self.path(rules, known, line + text.len() + 2, bytes, record);
        }
        Ok(())
    }

    /// Order of the paths, and their bytes for [`Self::known_paths`]. `end` is behind the line.
    #[inline(never)]
    fn path(&mut self, rules: &mut HeadRules, known: &KnownHeader, end: usize, bytes: &[u8], record: &mut Record) {
        if self.lines != known.bit as usize {
            self.object(FrameError::PathOrder);
        }
        record[word::HEADERS_START] = offset(end);
        if known.bit != FROM_PATH_BIT || self.issue != 0 || self.seen != TO_PATH_BIT | FROM_PATH_BIT {
            return;
        }
        record[word::BITS] |= bit::NEW_PATHS;
        let from = record[word::LINE_END] + 2;
        let lines = bytes.get(from as usize..end).unwrap_or_default();
        rules.paths(record[word::BITS]).remember(lines, from, record);
    }

    fn empty_line(&mut self, rules: &HeadRules, line: usize, start: usize, record: &mut Record) -> Progress {
        record[word::HEADERS_END] = offset(line);
        record[word::BODY_START] = offset(line + 2);
        record[word::BITS] |= bit::HAS_BODY;
        // The CRLF of the empty line may be that of the end-line, too: an empty body (core D-03 f).
        self.looked = line - start + if rules.strict { 2 } else { 0 };
        Progress::Body
    }

    /// Of two structural objections the one that is checked first stays: order before duplicates.
    fn object(&mut self, error: FrameError) {
        let code = u32::from(error.code());
        self.issue = if self.issue == 0 { code } else { self.issue.min(code) };
    }

    /// The structural objection that comes first in the order of checks, 0 for none.
    pub(crate) fn structure(&self, bits: u32) -> u32 {
        if bits & bit::RESPONSE != 0 && bits & bit::HAS_BODY != 0 {
            u32::from(FrameError::ResponseBody.code())
        } else if self.seen & (TO_PATH_BIT | FROM_PATH_BIT) != TO_PATH_BIT | FROM_PATH_BIT {
            u32::from(FrameError::PathMissing.code())
        } else {
            self.issue
        }
    }
}

/// The line at the start of `rest`, of which so many bytes have been looked at, and what follows it.
#[inline(always)]
#[allow(clippy::inline_always, reason = "measured: a tenth of the instructions of a frame")]
fn read_line<'a>(odd: &mut Odd, limit: usize, rest: &'a [u8], looked: usize) -> Result<(&'a [u8], &'a [u8]), Stop> {
    if looked != 0 {
        return read_odd_line(odd, limit, rest, looked);
    }
    if let [b'\r', b'\n', next @ ..] = rest {
        return Ok((&[], next));
    }
    let end = printable(rest);
    match rest.split_at_checked(end) {
        Some((text, [b'\r', b'\n', next @ ..])) if end <= limit => Ok((text, next)),
        _ => read_odd_line(odd, limit, rest, end),
    }
}

/// The same for a line with other bytes than printable ASCII, and for one that comes in pieces.
#[cold]
#[inline(never)]
fn read_odd_line<'a>(odd: &mut Odd, limit: usize, rest: &'a [u8], mut at: usize) -> Result<(&'a [u8], &'a [u8]), Stop> {
    let end = loop {
        at += printable(rest.get(at..).unwrap_or_default());
        match rest.get(at..).unwrap_or_default() {
            [] | [b'\r' | b'\n', ..] if at > limit => return Err(Stop::Failed(FrameError::Limit, 0)),
            [b'\r', b'\n', ..] => break at,
            [] | [b'\r'] => return Err(Stop::Incomplete(at)),
            [b'\r' | b'\n', ..] => return Err(Stop::Failed(FrameError::LineEnding, at)),
            [b'\t', ..] => at += 1,
            text @ [0x80..=0xff, ..] => {
                odd.high = true;
                at += text.iter().take_while(|byte| !byte.is_ascii()).count();
            }
            _ => {
                odd.control = odd.control.or(Some(at));
                at += 1;
            }
        }
    };
    let (text, next) = rest.split_at_checked(end).unwrap_or_default();
    let Odd { control: mut bad, high } = core::mem::take(odd);
    // Bytes that are no UTF-8 count as control characters do (core C-012, D-01).
    if high && let Err(error) = core::str::from_utf8(text) {
        bad = Some(bad.map_or(error.valid_up_to(), |control| control.min(error.valid_up_to())));
    }
    match bad {
        // Of a line that looks like an end-line, that it is none is said instead.
        Some(bad) if !is_end_line_start(text) => Err(Stop::Failed(FrameError::HeaderChar, bad)),
        _ => Ok((text, next.get(2..).unwrap_or_default())),
    }
}

/// Offset of the first byte that does not belong there when `bytes` cannot begin a frame: foreign protocols are refused as soon
/// as they show (core D-06).
#[inline]
fn foreign(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(PREFIX) {
        return None;
    }
    PREFIX.iter().zip(bytes).position(|(want, got)| want != got)
}

/// The end-line of a frame without a body.
fn end_of_head(rules: &HeadRules, text: &[u8], line: usize, bytes: &[u8], record: &mut Record) -> Progress {
    let tid = bytes.get(record[word::TID_START] as usize..record[word::TID_END] as usize).unwrap_or_default();
    let end = line + text.len();
    let lax = record[word::BITS] & bit::RESPONSE == 0 || !rules.strict;
    match text.get(7..).unwrap_or_default().strip_prefix(tid) {
        Some(&[flag]) if flag == b'$' || (lax && (flag == b'+' || flag == b'#')) => {
            record[word::HEADERS_END] = offset(line);
            Progress::End(flag, end + 2)
        }
        _ => Progress::FailedAt(FrameError::EndLine, line, end),
    }
}

/// Length of the name before the colon (core C-010, C-011).
#[inline(never)]
fn name_length(text: &[u8]) -> Result<usize, FrameError> {
    let length = text.iter().take_while(|&&byte| is_token(byte)).count();
    let colon = text.get(length) == Some(&b':');
    if colon && text.first().is_some_and(u8::is_ascii_alphabetic) { Ok(length) } else { Err(FrameError::HeaderSyntax) }
}

/// True when no white space stands at either end, and something between.
#[inline]
fn is_trimmed(value: &[u8]) -> bool {
    // Nothing that may stand in a line is less than a space but a tab.
    value.first().is_some_and(|&first| first > b' ') && value.last().is_some_and(|&last| last > b' ')
}

/// The value behind a colon, and how many bytes of white space stand before it: one space, or any (core D-03 a).
#[inline(never)]
fn trim(text: &[u8], strict: bool) -> Result<(usize, &[u8]), FrameError> {
    if strict {
        return text.strip_prefix(b" ").map(|value| (1, value)).ok_or(FrameError::HeaderSyntax);
    }
    let mut value = text;
    while let [first, rest @ ..] = value
        && is_blank(*first)
    {
        value = rest;
    }
    let skipped = text.len() - value.len();
    while let [rest @ .., last] = value
        && is_blank(*last)
    {
        value = rest;
    }
    Ok((skipped, value))
}
