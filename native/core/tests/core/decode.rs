//! What a decoder adds to the records of a framer.
use msrp_core::error::FrameError;
use msrp_core::frame::FramerOptions;
use msrp_core::frame::record::{RECORD_WORDS, STAR, word};
use msrp_core::syntax::decode::{DecodeOptions, Decoder};
use msrp_core::syntax::header_value::report;

const PATHS: &str = "To-Path: msrp://u@a:1/x+y;tcp msrp://c:1/z;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n";

fn decode(head: &str) -> (String, Vec<u32>) {
    let mut decoder = Decoder::new(FramerOptions::default(), DecodeOptions::default());
    let bytes = format!("MSRP abcd {head}-------abcd$\r\n");
    let mut records = [0; 2 * RECORD_WORDS];
    assert_eq!(decoder.scan(bytes.as_bytes(), 0, bytes.len(), &mut records), 1);
    (bytes, records[..RECORD_WORDS].to_vec())
}

fn issue(record: &[u32]) -> u32 {
    record[word::ISSUE]
}

fn code(error: FrameError) -> u32 {
    u32::from(error.code())
}

#[test]
fn defaults() {
    let (bytes, record) = decode(&format!("SEND\r\n{PATHS}"));
    assert_eq!(issue(&record), 0);
    assert_eq!(&bytes[record[word::SESSION_START] as usize..record[word::SESSION_END] as usize], "x+y");
    assert_eq!(record[word::REPORTS], report::NO | report::YES << 8);
    assert_eq!(record[word::RANGE_START..word::RANGE_TOTAL + 2], [1, 0, 0, STAR, 0, STAR]);
}

#[test]
fn numbers_of_two_words() {
    let (_, record) = decode(&format!("SEND\r\n{PATHS}Byte-Range: 4294967297-*/9007199254740991\r\n"));
    assert_eq!(record[word::RANGE_START..word::RANGE_TOTAL + 2], [1, 1, 0, STAR, 0xffff_ffff, 0x1f_ffff]);
    let (_, record) = decode(&format!("SEND\r\n{PATHS}Byte-Range: 3-2/7\r\n"));
    assert_eq!(record[word::RANGE_START..word::RANGE_TOTAL + 2], [3, 0, 2, 0, 7, 0]);
}

#[test]
fn reports_are_told_whatever_else_is_wrong() {
    let (_, record) = decode(&format!("SEND\r\n{PATHS}Byte-Range: 5-9/9\r\nFailure-Report: NO\r\nMessage-ID: a b\r\n"));
    assert_eq!(issue(&record), code(FrameError::HeaderValue));
    assert_eq!(record[word::REPORTS], report::NO | report::NO << 8);
    assert_eq!(record[word::RANGE_START..word::RANGE_TOTAL + 2], [1, 0, 0, STAR, 0, STAR]);
    assert_ne!(record[word::SESSION_END], 0);
    let (_, record) = decode(&format!("SEND\r\n{PATHS}Success-Report: partial\r\nFailure-Report: maybe\r\n"));
    assert_eq!(issue(&record), code(FrameError::HeaderValue));
    assert_eq!(record[word::REPORTS], report::PARTIAL);
}

#[test]
fn no_session_of_bad_paths() {
    for (paths, expected) in [
        ("To-Path: msrp://a:1/x;tcp\r\n", FrameError::PathMissing),
        ("From-Path: msrp://a:1/x;tcp\r\nTo-Path: msrp://a:1/x;tcp\r\n", FrameError::PathOrder),
        ("To-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://a:1/x\r\n", FrameError::Uri),
        ("To-Path: msrp://a:1/x;tcp msrp://a\r\nFrom-Path: msrp://a:1/x;tcp\r\n", FrameError::Uri),
    ] {
        let (_, record) = decode(&format!("SEND\r\n{paths}"));
        assert_eq!((issue(&record), record[word::SESSION_START], record[word::SESSION_END]), (code(expected), 0, 0), "{paths}");
    }
    let (_, record) = decode("SEND\r\nTo-Path: msrp://a:1;tcp\r\nFrom-Path: msrp://a:1/x;tcp\r\n");
    assert_eq!((issue(&record), record[word::SESSION_END]), (0, 0));
}

#[test]
fn the_first_bad_value_decides_between_use_path_and_the_rest() {
    let (_, record) = decode(&format!("200\r\n{PATHS}Use-Path: nowhere\r\nExpires: x\r\n"));
    assert_eq!(issue(&record), code(FrameError::Uri));
    let (_, record) = decode(&format!("200\r\n{PATHS}Expires: x\r\nUse-Path: nowhere\r\n"));
    assert_eq!(issue(&record), code(FrameError::HeaderValue));
}

#[test]
fn paths_of_requests_and_of_responses_are_known_apart() {
    let mut decoder = Decoder::new(FramerOptions::default(), DecodeOptions::default());
    let bad = PATHS.replace("c:1", "c:");
    let frames = [("SEND", PATHS), ("200", &bad), ("SEND", PATHS), ("200", &bad), ("200", PATHS), ("SEND", PATHS)]
        .map(|(word, paths)| format!("MSRP abcd {word}\r\n{paths}-------abcd$\r\n"))
        .concat();
    let mut records = [0; 6 * RECORD_WORDS];
    assert_eq!(decoder.scan(frames.as_bytes(), 0, frames.len(), &mut records), 6);
    let issues: Vec<_> = records.chunks_exact(RECORD_WORDS).map(issue).collect();
    let uri = code(FrameError::Uri);
    assert_eq!(issues, [0, uri, 0, uri, 0, 0]);
}

#[test]
fn as_many_uris_as_allowed() {
    for (limit, good) in [(0, true), (2, true), (1, false)] {
        let mut decoder = Decoder::new(FramerOptions::default(), DecodeOptions { path_uris: limit, ..DecodeOptions::default() });
        let bytes = format!("MSRP abcd SEND\r\n{PATHS}-------abcd$\r\n");
        let mut records = [0; RECORD_WORDS];
        assert_eq!(decoder.scan(bytes.as_bytes(), 0, bytes.len(), &mut records), 1);
        assert_eq!(issue(&records) == 0, good);
    }
}
