use crate::error::FrameError;
use crate::frame::record::{Record, STAR, bit, word};
use crate::syntax::byte_range::ByteRange;
use crate::syntax::decode::DecodeOptions;
use crate::syntax::header_value::{is_content_type, is_message_id, is_seconds, report, report_value};
use crate::syntax::path::{PathStart, check_path};
use crate::syntax::status::Status;

/// The checks of a delimited frame that do not decide its boundary (core D-05), in the order of the test vectors: structure,
/// URIs of To-Path and From-Path, other header values in order of appearance, agreement of body and Content-Type.
///
/// One checker belongs to one byte stream: what it found of the paths holds for the next frame with the same ones.
#[derive(Debug)]
pub(crate) struct Checker {
    options: DecodeOptions,
    /// What the last paths of a request and of a response begin with; `None`: they are bad.
    requests: Option<PathStart>,
    responses: Option<PathStart>,
}

impl Checker {
    pub(crate) fn new(options: DecodeOptions) -> Self {
        Self { options, requests: None, responses: None }
    }

    /// Checks the frame (or head) of a record, and fills the words that a framer leaves.
    pub(crate) fn check(&mut self, bytes: &[u8], record: &mut Record) {
        let bits = record[word::BITS];
        write_range(record, ByteRange::ANY);
        // Who may be answered depends on these even when the rest is wrong.
        record[word::REPORTS] = reports(bytes, record);
        let mut paths = None;
        if bits & (bit::NEW_PATHS | bit::SAME_PATHS) != 0 {
            paths = self.paths(bits, bytes, record);
            if let Some(PathStart { session: [start, end] }) = paths
                && end != 0
            {
                record[word::SESSION_START] = record[word::TO_START] + start;
                record[word::SESSION_END] = record[word::TO_START] + end;
            }
        }
        if record[word::ISSUE] != 0 {
            return;
        }
        let checked = if paths.is_none() { Err(FrameError::Uri) } else { self.values(bytes, record) };
        match checked.and_then(|range| self.content(bits, record).map(|()| range)) {
            Ok(range) => write_range(record, range),
            Err(error) => record[word::ISSUE] = u32::from(error.code()),
        }
    }

    /// Of new paths, or of the same as before.
    #[inline]
    fn paths(&mut self, bits: u32, bytes: &[u8], record: &Record) -> Option<PathStart> {
        if bits & bit::NEW_PATHS != 0 {
            let start = self.path(value(bytes, record[word::TO_START], record[word::TO_END]));
            let from = self.path(value(bytes, record[word::FROM_START], record[word::FROM_END]));
            *self.known(bits) = start.filter(|_| from.is_some());
        }
        *self.known(bits)
    }

    fn known(&mut self, bits: u32) -> &mut Option<PathStart> {
        if bits & bit::RESPONSE == 0 { &mut self.requests } else { &mut self.responses }
    }

    fn path(&self, value: &[u8]) -> Option<PathStart> {
        check_path(value, self.options.path_uris, self.options.strict)
    }

    /// Header values. The only one that is no `E_HEADER_VALUE` is Use-Path, so order matters for that one alone.
    fn values(&self, bytes: &[u8], record: &Record) -> Result<ByteRange, FrameError> {
        let mut bad = FirstBad(u32::MAX);
        let strict = self.options.strict;
        bad.unless(bytes, record, word::MESSAGE_ID_START, |value| is_message_id(value, strict));
        let reports = record[word::REPORTS];
        if matches!(reports & 0xff, 0 | report::PARTIAL) {
            bad.at(record[word::SUCCESS_REPORT_START]);
        }
        if reports >> 8 == 0 {
            bad.at(record[word::FAILURE_REPORT_START]);
        }
        let mut range = ByteRange::ANY;
        bad.unless(bytes, record, word::BYTE_RANGE_START, |value| match ByteRange::parse(value) {
            Some(parsed) => {
                range = parsed;
                true
            }
            None => false,
        });
        bad.unless(bytes, record, word::CONTENT_TYPE_START, |value| is_content_type(value, strict));
        bad.unless(bytes, record, word::STATUS_START, |value| Status::parse(value).is_some());
        for expires in [word::EXPIRES_START, word::MIN_EXPIRES_START, word::MAX_EXPIRES_START] {
            bad.unless(bytes, record, expires, is_seconds);
        }
        let (start, end) = (record[word::USE_PATH_START], record[word::USE_PATH_END]);
        if end != 0 && start < bad.0 && self.path(value(bytes, start, end)).is_none() {
            return Err(FrameError::Uri);
        }
        if bad.0 == u32::MAX { Ok(range) } else { Err(FrameError::HeaderValue) }
    }

    /// Whether there is a body decides whether there may be a Content-Type (core C-016, C-017, D-03 d and e).
    fn content(&self, bits: u32, record: &Record) -> Result<(), FrameError> {
        let strict = self.options.strict;
        let typed = record[word::CONTENT_TYPE_START] != 0;
        let good = if bits & bit::HAS_BODY != 0 {
            typed && !(strict && bits & bit::CONTENT_TYPE_NOT_LAST != 0)
        } else {
            !(strict && (typed || bits & bit::MIME_HEADER != 0))
        };
        if good { Ok(()) } else { Err(FrameError::Content) }
    }
}

/// Offset of the first bad value.
struct FirstBad(u32);

impl FirstBad {
    fn at(&mut self, offset: u32) {
        self.0 = self.0.min(offset);
    }

    /// Notes the value of the pair at `start`, if there is one, unless it is good.
    #[inline]
    fn unless(&mut self, bytes: &[u8], record: &Record, start: usize, good: impl FnOnce(&[u8]) -> bool) {
        if let Some(&[start, end, ..]) = record.get(start..)
            && end != 0
            && !good(value(bytes, start, end))
        {
            self.at(start);
        }
    }
}

/// Success-Report and Failure-Report with their defaults (RFC 4975 section 7.1.1, core C-042).
fn reports(bytes: &[u8], record: &Record) -> u32 {
    let read = |start, end, default| if end == 0 { default } else { report_value(value(bytes, start, end)) };
    let success = read(record[word::SUCCESS_REPORT_START], record[word::SUCCESS_REPORT_END], report::NO);
    let failure = read(record[word::FAILURE_REPORT_START], record[word::FAILURE_REPORT_END], report::YES);
    success | failure << 8
}

fn write_range(record: &mut Record, range: ByteRange) {
    let [end, total] = [range.end, range.total].map(|number| number.map_or([0, STAR], halves));
    let numbers = [halves(range.start), end, total];
    for (words, halves) in record.get_mut(word::RANGE_START..).unwrap_or_default().chunks_exact_mut(2).zip(numbers) {
        words.copy_from_slice(&halves);
    }
}

/// A number of at most 53 bits as two words, the lower one first.
#[allow(clippy::cast_possible_truncation, reason = "the point of it")]
fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

#[inline]
fn value(bytes: &[u8], start: u32, end: u32) -> &[u8] {
    bytes.get(start as usize..end as usize).unwrap_or_default()
}
