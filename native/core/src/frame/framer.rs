use crate::error::FrameError;
use crate::frame::end_line::{END_MARK, find_end_line};
use crate::frame::head::{Head, HeadRules, Progress};
use crate::frame::options::FramerOptions;
use crate::frame::paths::PathBlock;
use crate::frame::record::{RECORD_WORDS, Record, bit, kind, method, offset, word};

/// Where the framer is in the byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Head,
    Body,
    Stream,
    Dead,
}

/// Finds the frames of one byte stream (RFC 4975 section 9, core C-001…C-025). Pure: no clock, no socket, no copy, and nothing
/// allocated for a frame whose paths are no longer than any before.
///
/// It gives the same records for the same bytes as the framer in TypeScript, however these were split.
#[derive(Debug)]
pub struct Framer {
    rules: HeadRules,
    /// `usize::MAX`: no limit.
    non_send_body_bytes: usize,
    stream_after: usize,
    consumed: usize,
    pending: bool,
    at: At,
    /// The frame at hand.
    head: Head,
    /// Record of the frame that is not complete yet, with offsets as they were in the last call.
    draft: Record,
    /// Transaction id of the SEND that is streamed.
    tid: [u8; 32],
    tid_length: usize,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new(options: FramerOptions) -> Self {
        let limits = options.limits.without_zeros();
        Self {
            rules: HeadRules { strict: options.strict, limits, requests: PathBlock::default(), responses: PathBlock::default() },
            non_send_body_bytes: limits.non_send_body_bytes,
            stream_after: options.stream_after_bytes,
            consumed: 0,
            pending: false,
            at: At::Head,
            head: Head::default(),
            draft: [0; RECORD_WORDS],
            tid: [0; 32],
            tid_length: 0,
        }
    }

    /// Scans `bytes[from..to]` and writes records from the start of `records`; returns how many.
    ///
    /// The scan stops at `to`, when `records` has no room for another, or at an ERROR record. [`Self::consumed`] then says up to
    /// where the bytes are done with: the caller shows the bytes from there again, with what has arrived since, in the next call
    /// (moved to wherever it likes). A framer remembers how far it has looked and does not look at them a second time.
    ///
    /// Offsets in records have 32 bits: what lies behind 4 GiB is not looked at.
    pub fn scan(&mut self, bytes: &[u8], from: usize, to: usize, records: &mut [u32]) -> usize {
        self.scan_with(bytes, from, to, records, |_, _| {})
    }

    /// Scans, and lets `each` look at every record as soon as it is there.
    #[inline]
    pub(crate) fn scan_with(
        &mut self,
        bytes: &[u8],
        from: usize,
        to: usize,
        records: &mut [u32],
        mut each: impl FnMut(&[u8], &mut Record),
    ) -> usize {
        let to = to.min(bytes.len()).min(u32::MAX as usize);
        let bytes = bytes.get(..to).unwrap_or_default();
        let mut count = 0;
        let mut at = from;
        self.pending = false;
        for record in records.chunks_exact_mut(RECORD_WORDS) {
            let Ok(record) = <&mut Record>::try_from(record) else { break };
            if at >= to || self.at == At::Dead {
                break;
            }
            let streaming = self.at == At::Stream;
            let next = if streaming { self.stream(bytes, at, record) } else { self.frame(bytes, at, record) };
            let Some(next) = next else {
                self.pending = !streaming;
                break;
            };
            each(bytes, record);
            count += 1;
            at = next;
        }
        self.consumed = at;
        count
    }

    /// Offset behind the last byte that need not be shown again, after [`Self::scan`].
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// True while a header section (or a frame not yet streamed) is incomplete: bytes beyond `consumed` are at hand.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.pending
    }

    /// True between the HEAD and the END record of a SEND.
    #[must_use]
    pub fn streaming(&self) -> bool {
        self.at == At::Stream
    }

    /// Drops the paths remembered of earlier frames: the next frame of each kind has new ones. For one who has let another
    /// framer see some frames of the stream.
    pub fn forget_paths(&mut self) {
        self.rules.requests.forget();
        self.rules.responses.forget();
    }

    /// A piece of a streamed body. Gives the offset behind what was used, `None` when there is nothing to say.
    fn stream(&mut self, bytes: &[u8], from: usize, record: &mut Record) -> Option<usize> {
        let tid = self.tid.get(..self.tid_length).unwrap_or_default();
        let found = find_end_line(bytes, from, tid);
        if found.at.is_none() && found.hold == from {
            return None;
        }
        *record = [0; RECORD_WORDS];
        record[word::BITS] = if found.dashes { bit::HAS_BODY | bit::DASHES } else { bit::HAS_BODY };
        record[word::START] = offset(from);
        record[word::BODY_START] = offset(from);
        let body_end = found.at.unwrap_or(found.hold);
        record[word::BODY_END] = offset(body_end);
        if found.at.is_none() {
            record[word::KIND] = kind::BODY;
            record[word::END] = offset(found.hold);
            return Some(found.hold);
        }
        let flag = body_end + END_MARK.len() + self.tid_length;
        record[word::KIND] = kind::END;
        record[word::FLAG] = u32::from(bytes.get(flag).copied().unwrap_or_default());
        record[word::END] = offset(flag + 3);
        self.at = At::Head;
        Some(flag + 3)
    }

    /// A frame from its start. Gives the offset behind it (or behind its head and first piece), `None` when it is incomplete.
    fn frame(&mut self, bytes: &[u8], start: usize, record: &mut Record) -> Option<usize> {
        if self.at == At::Head && self.head.is_fresh() {
            *record = [0; RECORD_WORDS];
            record[word::START] = offset(start);
        } else {
            self.restore(start, record);
        }
        if self.at == At::Head {
            match self.head.read(&mut self.rules, bytes, start, record) {
                Progress::Body => self.at = At::Body,
                Progress::End(flag, end) => return Some(self.whole(flag, end, record)),
                Progress::Incomplete => return self.keep(record),
                Progress::Failed(error, at) => return Some(self.fail(error, at, bytes.len(), record)),
                Progress::FailedAt(error, at, next) => return Some(self.fail(error, at, next, record)),
            }
        }
        self.body(bytes, start, record)
    }

    fn body(&mut self, bytes: &[u8], start: usize, record: &mut Record) -> Option<usize> {
        let body_start = record[word::BODY_START] as usize;
        let bits = record[word::BITS];
        let is_send = bits & bit::RESPONSE == 0 && record[word::METHOD] == method::SEND;
        let tid = bytes.get(record[word::TID_START] as usize..record[word::TID_END] as usize)?;
        let found = find_end_line(bytes, start + self.head.looked, tid);
        if found.dashes {
            record[word::BITS] = bits | bit::DASHES;
        }
        let sure = found.at.unwrap_or(found.hold);
        if !is_send && sure > body_start.saturating_add(self.non_send_body_bytes) {
            return Some(self.fail(FrameError::Limit, body_start, bytes.len(), record));
        }
        if let Some(mark) = found.at {
            record[word::BODY_END] = offset(mark.max(body_start));
            let flag_at = mark + END_MARK.len() + tid.len();
            let flag = bytes.get(flag_at).copied()?;
            if self.rules.strict && bits & bit::RESPONSE != 0 && flag != b'$' {
                return Some(self.fail(FrameError::EndLine, mark + 2, bytes.len(), record));
            }
            return Some(self.whole(flag, flag_at + 3, record));
        }
        if !is_send || found.hold < body_start.saturating_add(self.stream_after) {
            self.head.looked = found.hold - start;
            return self.keep(record);
        }
        record[word::KIND] = kind::HEAD;
        record[word::BODY_END] = offset(found.hold);
        record[word::END] = offset(found.hold);
        record[word::ISSUE] = self.head.structure(record[word::BITS]);
        self.tid_length = tid.len();
        self.tid.get_mut(..tid.len())?.copy_from_slice(tid);
        self.head = Head::default();
        self.at = At::Stream;
        Some(found.hold)
    }

    #[inline]
    fn whole(&mut self, flag: u8, end: usize, record: &mut Record) -> usize {
        record[word::KIND] = kind::WHOLE;
        record[word::FLAG] = u32::from(flag);
        record[word::END] = offset(end);
        record[word::ISSUE] = self.head.structure(record[word::BITS]);
        self.head = Head::default();
        self.at = At::Head;
        end
    }

    #[cold]
    fn fail(&mut self, error: FrameError, at: usize, next: usize, record: &mut Record) -> usize {
        *record = [0; RECORD_WORDS];
        record[word::KIND] = kind::ERROR;
        record[word::ISSUE] = u32::from(error.code());
        record[word::START] = offset(at);
        self.at = At::Dead;
        next
    }

    /// Keeps the record of an incomplete frame until more bytes are there.
    fn keep(&mut self, record: &Record) -> Option<usize> {
        self.draft = *record;
        None
    }

    /// Puts the kept record back; the frame may lie elsewhere now.
    fn restore(&self, start: usize, record: &mut Record) {
        *record = self.draft;
        record[word::START] = offset(start);
        let moved = offset(start).wrapping_sub(self.draft[word::START]);
        if moved == 0 {
            return;
        }
        for (index, value) in record.iter_mut().enumerate() {
            let is_offset = matches!(index, word::TID_START..=word::BYTE_RANGE_LINE)
                && !matches!(index, word::METHOD | word::FLAG | word::ISSUE);
            // 0 is "absent": no header value lies at the start of the frame.
            if is_offset && *value != 0 {
                *value = value.wrapping_add(moved);
            }
        }
    }
}
