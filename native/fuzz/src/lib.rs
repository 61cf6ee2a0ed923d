//! What the targets have in common: options taken from the input, and a stream fed in pieces.

use msrp_core::frame::record::{RECORD_WORDS, Record, bit, kind, word};
use msrp_core::frame::{FrameLimits, FramerOptions};
use msrp_core::syntax::decode::{DecodeOptions, Decoder};

/// Bytes of an input that choose the options.
pub const OPTION_BYTES: usize = 8;

/// Options of a decoder, how many records it is given at a time, and the stream itself.
pub struct Input<'a> {
    pub framing: FramerOptions,
    pub checks: DecodeOptions,
    pub capacity: usize,
    /// Where the stream is cut: a number for a generator.
    pub cuts: u64,
    pub stream: &'a [u8],
}

impl<'a> Input<'a> {
    /// Eight bytes of options (all 0: the defaults), then the stream.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let (options, stream) = data.split_first_chunk::<OPTION_BYTES>()?;
        let [bits, line, lines, header, body, after, capacity, cuts] = *options;
        let strict = bits & 1 != 0;
        let limit = |chosen: u8, default: usize, unit: usize| if chosen == 0 { default } else { usize::from(chosen - 1) * unit };
        let defaults = FrameLimits::default();
        let limits = FrameLimits {
            line_bytes: limit(line, defaults.line_bytes, 8),
            header_lines: limit(lines, defaults.header_lines, 1),
            header_bytes: limit(header, defaults.header_bytes, 16),
            non_send_body_bytes: limit(body, defaults.non_send_body_bytes, 4),
        };
        let stream_after_bytes = if after == 255 { usize::MAX } else { limit(after, 2048, 4) };
        Some(Self {
            framing: FramerOptions { strict, limits, stream_after_bytes },
            checks: DecodeOptions { strict, path_uris: usize::from(bits >> 1 & 31) },
            capacity: usize::from(capacity % 4) + 1,
            cuts: u64::from(cuts),
            stream,
        })
    }

    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.framing, self.checks)
    }

    /// Offsets of about `pieces` cuts.
    pub fn cuts(&self, seed: u64, pieces: usize) -> Vec<usize> {
        let mut state = self.cuts << 8 | seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % (self.stream.len() + 1)
        };
        (0..pieces).map(|_| next()).collect()
    }
}

/// What a stream came to, but for what depends on the pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Frames that have ended: relevant words with offsets made texts, and whole bodies.
    pub frames: Vec<Frame>,
    /// Code and offset in the stream.
    pub fatal: Option<(u32, usize)>,
    /// Bytes at the end that belong to no frame yet; 0 when a frame has begun that was maybe streamed.
    pub rest: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frame {
    texts: Vec<Vec<u8>>,
    numbers: Vec<u32>,
    body: Vec<u8>,
    flag: u32,
    end: usize,
}

/// Feeds the stream as a connection does. What a record says is checked on the way: see [`verify`].
pub fn feed(input: &Input<'_>, mut cuts: Vec<usize>) -> Outcome {
    let mut decoder = input.decoder();
    let mut records = vec![0; input.capacity * RECORD_WORDS];
    let mut outcome = Outcome::default();
    let mut open: Option<Frame> = None;
    cuts.push(input.stream.len());
    cuts.sort_unstable();
    let mut kept = Vec::new();
    let (mut before, mut at) = (0, 0);
    for cut in cuts {
        // It lies at another offset each time.
        let shift = cut % 3;
        let mut bytes = vec![b'M'; shift];
        bytes.extend_from_slice(&kept);
        bytes.extend_from_slice(&input.stream[before..cut]);
        before = cut;
        let mut from = shift;
        loop {
            let count = decoder.scan(&bytes, from, bytes.len(), &mut records);
            for record in records.chunks_exact(RECORD_WORDS).take(count) {
                let record: &Record = record.try_into().expect("words of a record");
                verify(&bytes, from, record);
                let position = |offset: u32| at + offset as usize - shift;
                match record[word::KIND] {
                    kind::ERROR => {
                        outcome.fatal = Some((record[word::ISSUE], position(record[word::START])));
                        return outcome;
                    }
                    kind::WHOLE | kind::HEAD => open = Some(frame(&bytes, record)),
                    _ => {}
                }
                let frame = open.as_mut().expect("a piece belongs to a frame");
                frame.body.extend_from_slice(slice(&bytes, record, word::BODY_START));
                if record[word::FLAG] != 0 {
                    frame.flag = record[word::FLAG];
                    frame.end = position(record[word::END]);
                    outcome.frames.extend(open.take());
                }
            }
            assert!((from..=bytes.len()).contains(&decoder.consumed()));
            let progress = decoder.consumed() > from;
            from = decoder.consumed();
            if from == bytes.len() || !progress {
                break;
            }
        }
        assert_eq!(decoder.pending(), from < bytes.len() && !decoder.streaming());
        assert_eq!(decoder.streaming(), open.is_some());
        at += from - shift;
        kept = bytes.split_off(from);
        assert!(!decoder.streaming() || kept.len() <= 44);
    }
    outcome.rest = if decoder.streaming() { 0 } else { kept.len() };
    outcome
}

fn frame(bytes: &[u8], record: &Record) -> Frame {
    let pairs = [word::TID_START, word::WORD_START, word::TO_START, word::FROM_START, word::HEADERS_START, word::SESSION_START];
    let headers = (word::MESSAGE_ID_START..word::BYTE_RANGE_LINE).step_by(2);
    // Neither dashes (those of the first piece only) nor whether paths are new do not depend on the pieces.
    let lasting = !(bit::DASHES | bit::SAME_PATHS | bit::NEW_PATHS);
    let mut numbers = vec![record[word::BITS] & lasting, record[word::METHOD], record[word::ISSUE], record[word::REPORTS]];
    numbers.extend_from_slice(&record[word::RANGE_START..]);
    Frame {
        texts: pairs.into_iter().chain(headers).map(|start| slice(bytes, record, start).to_vec()).collect(),
        numbers,
        ..Frame::default()
    }
}

fn slice<'a>(bytes: &'a [u8], record: &Record, start: usize) -> &'a [u8] {
    &bytes[record[start] as usize..record[start + 1] as usize]
}

/// All offsets lie in what was shown, in their order, and delimit what they should.
fn verify(bytes: &[u8], from: usize, record: &Record) {
    for (index, &offset) in record.iter().enumerate().take(word::SESSION_END + 1).skip(word::START) {
        if !matches!(index, word::METHOD | word::FLAG | word::ISSUE) && offset != 0 {
            assert!((from..=bytes.len()).contains(&(offset as usize)), "word {index} is {offset}");
        }
    }
    assert!(record[word::BODY_START] <= record[word::BODY_END] && record[word::START] <= bytes.len() as u32);
    match record[word::KIND] {
        kind::WHOLE | kind::HEAD => {
            let has_body = record[word::BITS] & bit::HAS_BODY != 0;
            assert!(bytes[record[word::START] as usize..].starts_with(b"MSRP "));
            assert!(matches!(slice(bytes, record, word::TID_START).len(), 4..=32));
            assert_eq!(&bytes[record[word::LINE_END] as usize..][..2], b"\r\n");
            let end = if has_body { &b"\r\n"[..] } else { b"-------" };
            assert!(bytes[record[word::HEADERS_END] as usize..].starts_with(end));
            let headers = slice(bytes, record, word::HEADERS_START);
            assert!(headers.is_empty() || headers.ends_with(b"\r\n"));
            assert!(core::str::from_utf8(headers).is_ok());
            assert_eq!(has_body, record[word::BODY_START] != 0);
            let line = record[word::BYTE_RANGE_LINE] as usize;
            assert!(line == 0 || bytes[line..][..10].eq_ignore_ascii_case(b"byte-range"));
        }
        kind::BODY => assert!(record[word::BODY_START] < record[word::BODY_END]),
        kind::END => {}
        kind::ERROR => return assert!(matches!(record[word::ISSUE], 1..=9)),
        other => panic!("a record of kind {other}"),
    }
    if matches!(record[word::KIND], kind::WHOLE | kind::END) {
        assert!(matches!(u8::try_from(record[word::FLAG]), Ok(b'$' | b'+' | b'#')));
        let end = &bytes[..record[word::END] as usize];
        assert!(end.ends_with(&[u8::try_from(record[word::FLAG]).expect("a byte"), b'\r', b'\n']));
    } else {
        assert_eq!(record[word::FLAG], 0);
        assert_eq!(record[word::END], record[word::BODY_END]);
    }
}
