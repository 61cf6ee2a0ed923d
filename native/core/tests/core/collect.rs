//! Feeds a decoder as a connection does.

use msrp_core::error::FrameError;
use msrp_core::frame::record::{RECORD_WORDS, bit, kind, word};
use msrp_core::frame::{Framer, FramerOptions};
use msrp_core::syntax::decode::{DecodeOptions, Decoder};

/// What a stream of bytes came to, whatever the pieces.
#[derive(Debug, Default)]
pub struct Collected {
    pub frames: Vec<Frame>,
    /// Code and offset in the stream.
    pub fatal: Option<(&'static str, usize)>,
    /// Bytes at the end that belong to no frame yet.
    pub rest: usize,
    /// Most bytes that had to be kept between two reads: of a head or a frame, of a streamed body.
    pub most_kept: usize,
    pub most_held: usize,
    pub scans: usize,
}

/// One frame with its whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub tid: String,
    pub is_response: bool,
    /// Third word and, behind it, the comment.
    pub third: String,
    pub comment: Option<String>,
    pub status: u32,
    pub to: String,
    pub from: String,
    pub headers: Vec<(String, String)>,
    pub issue: &'static str,
    pub session: String,
    pub reports: u32,
    pub range: [u32; 6],
    pub body: Option<Vec<u8>>,
    pub flag: u8,
    pub end: usize,
}

impl Collected {
    /// Without what depends on the pieces: what is left of a frame that has not ended may have been streamed, or not.
    pub fn strip(&self) -> (Vec<Frame>, Option<(&'static str, usize)>, usize) {
        let ended: Vec<Frame> = self.frames.iter().filter(|frame| frame.flag != 0).cloned().collect();
        let rest = if self.fatal.is_none() && ended.len() == self.frames.len() { self.rest } else { 0 };
        (ended, self.fatal, rest)
    }
}

pub fn options(strict: bool, stream_after_bytes: usize) -> FramerOptions {
    FramerOptions { strict, stream_after_bytes, ..FramerOptions::default() }
}

/// Bytes arrive in pieces cut at `cuts`; what is not consumed is moved to the front of the next buffer, at another offset. A
/// framer without checks sees the same and must say the same of the structure.
pub fn collect(options: FramerOptions, bytes: &[u8], cuts: &[usize]) -> Collected {
    let mut decoder = Decoder::new(options, DecodeOptions { strict: options.strict, ..DecodeOptions::default() });
    let mut framer = Framer::new(options);
    let mut records = [0; 3 * RECORD_WORDS];
    let mut structure = [0; 3 * RECORD_WORDS];
    let mut result = Collected::default();
    let mut kept: Vec<u8> = Vec::new();
    let mut stream_at = 0;
    let mut edges: Vec<usize> = cuts.iter().copied().filter(|&cut| cut > 0 && cut < bytes.len()).collect();
    edges.push(bytes.len());
    edges.sort_unstable();
    edges.dedup();
    let mut before = 0;
    for edge in edges {
        let shift = edge % 5;
        let mut input = vec![b'~'; shift];
        input.extend_from_slice(&kept);
        input.extend_from_slice(&bytes[before..edge]);
        let to = input.len();
        // What lies behind `to` is none of its business.
        input.extend_from_slice(b"\r\n-------");
        before = edge;
        let mut from = shift;
        let at = |offset: u32| stream_at + offset as usize - shift;
        loop {
            result.scans += 1;
            let count = decoder.scan(&input, from, to, &mut records);
            assert_eq!(framer.scan(&input, from, to, &mut structure), count);
            assert_eq!(
                (framer.consumed(), framer.pending(), framer.streaming()),
                (decoder.consumed(), decoder.pending(), decoder.streaming())
            );
            for (record, bare) in records.chunks_exact(RECORD_WORDS).zip(structure.chunks_exact(RECORD_WORDS)).take(count) {
                verify(record, bare, from, to);
                if record[word::KIND] == kind::ERROR {
                    result.fatal = Some((name(record[word::ISSUE]), at(record[word::START])));
                    assert_eq!(decoder.scan(&input, decoder.consumed(), to, &mut records), 0);
                    return result;
                }
                let piece = &input[record[word::BODY_START] as usize..record[word::BODY_END] as usize];
                if matches!(record[word::KIND], kind::WHOLE | kind::HEAD) {
                    let mut frame = frame(&input, record);
                    frame.body = (record[word::BITS] & bit::HAS_BODY != 0).then(|| piece.to_vec());
                    frame.end = at(record[word::END]);
                    result.frames.push(frame);
                } else {
                    let frame = result.frames.last_mut().unwrap();
                    frame.body.as_mut().unwrap().extend_from_slice(piece);
                    if record[word::KIND] == kind::END {
                        frame.flag = u8::try_from(record[word::FLAG]).unwrap();
                        frame.end = at(record[word::END]);
                    }
                }
            }
            assert!(decoder.consumed() >= from && decoder.consumed() <= to);
            let progress = decoder.consumed() > from;
            from = decoder.consumed();
            if from == to || count == 0 || !progress {
                break;
            }
        }
        stream_at += from - shift;
        kept = input[from..to].to_vec();
        if decoder.streaming() {
            result.most_held = result.most_held.max(kept.len());
        } else {
            result.most_kept = result.most_kept.max(kept.len());
        }
        assert_eq!(decoder.pending(), !kept.is_empty() && !decoder.streaming());
    }
    result.rest = kept.len();
    result
}

/// A decoder says what a framer says, and more; all offsets lie in what was shown.
fn verify(record: &[u32], bare: &[u32], from: usize, to: usize) {
    for (index, (with, without)) in record.iter().zip(bare).enumerate() {
        let added = index >= word::SESSION_START;
        assert!(if added { *without == 0 } else { index == word::ISSUE || with == without }, "word {index}");
        if !added && index >= word::START && !matches!(index, word::METHOD | word::FLAG | word::ISSUE) && *with != 0 {
            assert!((from..=to).contains(&(*with as usize)), "word {index} is {with}, not in {from}..{to}");
        }
    }
    if bare[word::ISSUE] != 0 {
        assert_eq!(bare[word::ISSUE], record[word::ISSUE]);
    }
}

fn frame(input: &[u8], record: &[u32]) -> Frame {
    let value = |start: usize| &input[record[start] as usize..record[start + 1] as usize];
    let text = |start: usize| value(start).iter().copied().map(char::from).collect::<String>();
    let bits = record[word::BITS];
    Frame {
        tid: text(word::TID_START),
        is_response: bits & bit::RESPONSE != 0,
        third: text(word::WORD_START),
        comment: (bits & bit::COMMENT != 0).then(|| {
            let comment = &input[record[word::WORD_END] as usize + 1..record[word::LINE_END] as usize];
            String::from_utf8(comment.to_vec()).unwrap()
        }),
        status: record[word::METHOD],
        to: text(word::TO_START),
        from: text(word::FROM_START),
        headers: headers(value(word::HEADERS_START)),
        issue: name(record[word::ISSUE]),
        session: text(word::SESSION_START),
        reports: record[word::REPORTS],
        range: record[word::RANGE_START..word::RANGE_START + 6].try_into().unwrap(),
        body: None,
        flag: u8::try_from(record[word::FLAG]).unwrap(),
        end: 0,
    }
}

fn headers(lines: &[u8]) -> Vec<(String, String)> {
    let lines = std::str::from_utf8(lines).unwrap();
    lines
        .split_terminator("\r\n")
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
        })
        .collect()
}

fn name(code: u32) -> &'static str {
    FrameError::ALL.iter().find(|error| u32::from(error.code()) == code).map_or("", |error| error.name())
}
