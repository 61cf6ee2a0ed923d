use crate::error::FrameError;
use crate::frame::line::{
    CONTENT_TYPE_BIT, FROM_PATH_BIT, KnownHeader, TO_PATH_BIT, canonical_header, is_blank, is_end_line_start, is_mime_name,
    is_token, known_header, not_printable,
};
use crate::frame::options::FrameLimits;
use crate::frame::paths::PathBlock;
use crate::frame::record::{Record, bit, offset, put, word};
use crate::frame::start_line::{PREFIX, start_line};

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
    /// First byte of the current line that may not stand in it, relative to the frame's start, where it never is; 0: none.
    control: usize,
    /// The current line has bytes above 0x7f.
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

impl Head {
    /// True when nothing of the frame has been looked at.
    pub(crate) fn is_fresh(&self) -> bool {
        self.looked == 0 && !self.started
    }

    /// Reads on, from where it stopped, to the empty line or the end-line.
    pub(crate) fn read(&mut self, rules: &mut HeadRules, bytes: &[u8], start: usize, record: &mut Record) -> Progress {
        loop {
            let end = match self.line_end(rules, bytes, start) {
                Ok(end) => end,
                Err(stop) => return stop,
            };
            let line = start + self.line;
            let text = bytes.get(line..end).unwrap_or_default();
            self.line = end + 2 - start;
            self.looked = self.line;
            let done = if !self.started {
                self.start_line(rules, text, line, bytes, record)
            } else if text.is_empty() {
                self.empty_line(rules, line, record);
                return Progress::Body;
            } else if is_end_line_start(text) {
                return end_of_head(rules, text, line, bytes, record);
            } else {
                self.header(rules, text, line, bytes, record)
            };
            if let Err(error) = done {
                return Progress::Failed(error, if error == FrameError::HeaderChar { start + self.control } else { line });
            }
            self.control = 0;
            self.high = false;
        }
    }

    /// Looks for the end of the current line; notes bytes that may not stand in it. Gives the offset of its CRLF.
    #[inline]
    fn line_end(&mut self, rules: &HeadRules, bytes: &[u8], start: usize) -> Result<usize, Progress> {
        let line = start + self.line;
        let limit = rules.limits.line_bytes;
        let mut at = start + self.looked;
        if !self.started && self.looked < PREFIX.len() {
            // Foreign protocols are refused as soon as they show (core D-06).
            let wrong = PREFIX.iter().zip(bytes.get(start..).unwrap_or_default()).position(|(want, got)| want != got);
            if let Some(wrong) = wrong {
                return Err(Progress::Failed(FrameError::StartLine, start + wrong));
            }
            at = bytes.len().min(start + PREFIX.len());
        }
        loop {
            at = not_printable(bytes, at);
            match bytes.get(at..).unwrap_or_default() {
                [b'\r' | b'\n', ..] if at - line > limit => break,
                [b'\r', b'\n', ..] => return Ok(at),
                [] | [b'\r'] => break,
                [b'\r' | b'\n', ..] => return Err(Progress::Failed(FrameError::LineEnding, at)),
                [b'\t', ..] => {}
                [0x80..=0xff, ..] => self.high = true,
                _ if self.control == 0 => self.control = at - start,
                _ => {}
            }
            at += 1;
        }
        if at - line > limit {
            return Err(Progress::Failed(FrameError::Limit, line));
        }
        self.looked = at - start;
        Err(Progress::Incomplete)
    }

    fn start_line(
        &mut self,
        rules: &mut HeadRules,
        text: &[u8],
        line: usize,
        bytes: &[u8],
        record: &mut Record,
    ) -> Result<(), FrameError> {
        self.characters(text, line, record)?;
        start_line(text, line, rules.strict, record)?;
        self.started = true;
        self.known_paths(rules, bytes, line + text.len() + 2, record);
        Ok(())
    }

    /// Takes To-Path and From-Path over from the frame before when they are byte for byte the same.
    #[inline]
    fn known_paths(&mut self, rules: &mut HeadRules, bytes: &[u8], at: usize, record: &mut Record) {
        let FrameLimits { header_bytes, header_lines, .. } = rules.limits;
        let paths = rules.paths(record[word::BITS]);
        let Some(length) = paths.matched(bytes.get(at..).unwrap_or_default()) else { return };
        if self.line + length > header_bytes || header_lines < 2 {
            return;
        }
        paths.write(offset(at), record);
        record[word::HEADERS_START] = offset(at + length);
        self.seen = TO_PATH_BIT | FROM_PATH_BIT;
        self.lines = 2;
        self.line += length;
        self.looked = self.line;
    }

    /// One header line.
    fn header(
        &mut self,
        rules: &mut HeadRules,
        text: &[u8],
        line: usize,
        bytes: &[u8],
        record: &mut Record,
    ) -> Result<(), FrameError> {
        self.characters(text, line, record)?;
        self.lines += 1;
        if self.lines > rules.limits.header_lines || self.line > rules.limits.header_bytes {
            return Err(FrameError::Limit);
        }
        let mut known = canonical_header(text);
        let name_length = match known {
            Some(header) => header.name_len(),
            None => name_length(text)?,
        };
        let (name, value) = text.split_at_checked(name_length).unwrap_or_default();
        let (skipped, value) = trim(value.get(1..).unwrap_or_default(), rules.strict)?;
        if self.seen & CONTENT_TYPE_BIT != 0 {
            record[word::BITS] |= bit::CONTENT_TYPE_NOT_LAST;
        }
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

    fn empty_line(&mut self, rules: &HeadRules, line: usize, record: &mut Record) {
        record[word::HEADERS_END] = offset(line);
        record[word::BODY_START] = offset(line + 2);
        record[word::BITS] |= bit::HAS_BODY;
        // The CRLF of the empty line may be that of the end-line, too: an empty body (core D-03 f).
        if !rules.strict {
            self.looked -= 2;
        }
    }

    /// Refuses control characters and bytes that are no UTF-8 (core C-012, D-01).
    #[inline]
    fn characters(&mut self, text: &[u8], line: usize, record: &Record) -> Result<(), FrameError> {
        if self.high {
            self.utf8(text, line - record[word::START] as usize);
        }
        if self.control == 0 { Ok(()) } else { Err(FrameError::HeaderChar) }
    }

    #[cold]
    fn utf8(&mut self, text: &[u8], line: usize) {
        let Err(error) = core::str::from_utf8(text) else { return };
        let bad = line + error.valid_up_to();
        if self.control == 0 || bad < self.control {
            self.control = bad;
        }
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
fn name_length(text: &[u8]) -> Result<usize, FrameError> {
    let length = text.iter().take_while(|&&byte| is_token(byte)).count();
    let colon = text.get(length) == Some(&b':');
    if colon && text.first().is_some_and(u8::is_ascii_alphabetic) { Ok(length) } else { Err(FrameError::HeaderSyntax) }
}

/// The value behind a colon, and how many bytes of white space stand before it: one space, or any (core D-03 a).
#[inline]
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
