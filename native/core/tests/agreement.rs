//! What this crate says, against the vectors and the table of the TypeScript side.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use msrp_core::error::FrameError;
use msrp_core::frame::FrameLimits;
use msrp_core::frame::record::{RECORD_WORDS, STAR, bit, kind, method, word};
use msrp_core::syntax::byte_range::ByteRange;
use msrp_core::syntax::status::status_comment;
use msrp_core::tid::{FORWARD_TID_LENGTH, IDENT_LENGTH};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn errors_have_the_numbers_of_the_frame_record() {
    let source = fs::read_to_string(root().join("src/frame/record.ts")).unwrap();
    let table = source.split("export const FRAME_ERROR = {").nth(1).unwrap().split('}').next().unwrap();
    let numbers: Vec<(String, u8)> = table
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').split_once(": "))
        .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
        .collect();
    let ours: Vec<(String, u8)> = FrameError::ALL.iter().map(|error| (error.name().to_owned(), error.code())).collect();
    assert_eq!(numbers, ours);
}

/// Names and numbers of `export const TABLE = { NAME: 1, … }`.
fn table(source: &str, name: &str) -> BTreeMap<String, u32> {
    let body = source.split(&format!("export const {name} = {{")).nth(1).unwrap().split("} as const").next().unwrap();
    body.split(['\n', ','])
        .map(str::trim)
        .filter(|line| !line.starts_with(['/', '*']))
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
        .collect()
}

/// Names and numbers of the constants of `pub mod name { pub const NAME: T = 1; … }`.
fn module(source: &str, name: &str) -> BTreeMap<String, u32> {
    let body = source.split(&format!("pub mod {name} {{")).nth(1).unwrap().split("\n}").next().unwrap();
    body.lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.strip_suffix(';')?.split_once(" = "))
        .map(|(name, number)| (name.split(':').next().unwrap().to_owned(), number.parse().unwrap()))
        .collect()
}

#[test]
fn records_have_the_same_words_on_both_sides() {
    let theirs = fs::read_to_string(root().join("src/frame/record.ts")).unwrap();
    let ours = fs::read_to_string(root().join("native/core/src/frame/record.rs")).unwrap();
    for (there, here, count) in [("R", "word", 47), ("KIND", "kind", 5), ("BIT", "bit", 8), ("METHOD", "method", 5)] {
        let expected = table(&theirs, there);
        assert_eq!(expected.len(), count, "{there}");
        assert_eq!(module(&ours, here), expected, "{there}");
    }
    assert!(theirs.contains(&format!("export const RECORD_WORDS = {RECORD_WORDS};")));
    assert!(theirs.contains(&format!("export const STAR = {STAR:#x};")));
    // What the tests read is what the compiler has read.
    assert_eq!((word::RANGE_TOTAL, kind::ERROR, bit::NEW_PATHS, method::NICKNAME), (48, 5, 128, 4));
}

#[test]
fn reports_and_comments_are_those_of_the_other_side() {
    let values = fs::read_to_string(root().join("src/syntax/header-value.ts")).unwrap();
    let ours = fs::read_to_string(root().join("native/core/src/syntax/header_value.rs")).unwrap();
    assert_eq!(module(&ours, "report"), table(&values, "REPORT"));
    let comments = fs::read_to_string(root().join("src/syntax/status.ts")).unwrap();
    let mut seen = 0;
    for (code, comment) in comments.lines().filter_map(|line| line.trim().strip_suffix("',")?.split_once(": '")) {
        assert_eq!(status_comment(code.parse().unwrap()), comment);
        seen += 1;
    }
    let known = (0..1000).filter(|&code| !status_comment(code).is_empty()).count();
    assert_eq!((seen, known), (15, 15));
}

#[test]
fn defaults_and_lengths_are_those_of_the_other_side() {
    let framer = fs::read_to_string(root().join("src/frame/framer.ts")).unwrap();
    let FrameLimits { line_bytes, header_lines, header_bytes, non_send_body_bytes } = FrameLimits::default();
    for (name, value) in [
        ("lineBytes", line_bytes),
        ("headerLines", header_lines),
        ("headerBytes", header_bytes),
        ("nonSendBodyBytes", non_send_body_bytes),
    ] {
        assert!(framer.contains(&format!("  {name}: {value},")), "{name}");
    }
    let tids = fs::read_to_string(root().join("src/engine/ts/tid-source.ts")).unwrap();
    assert!(tids.contains(&format!("export const FORWARD_TID_LENGTH = {FORWARD_TID_LENGTH};")));
    let idents = fs::read_to_string(root().join("src/syntax/tid.ts")).unwrap();
    assert!(idents.contains(&format!("export const TID_LENGTH = {IDENT_LENGTH};")));
}

#[test]
fn errors_end_as_the_table_says() {
    let source = fs::read_to_string(root().join("src/errors.ts")).unwrap();
    for error in FrameError::ALL {
        let row = source.lines().skip_while(|line| !line.trim().starts_with(&format!("{}: {{", error.name()))).take(5);
        let text: String = row.collect();
        let ends = text.split("ends: '").nth(1).unwrap().split('\'').next().unwrap();
        assert_eq!(ends, if error.is_fatal() { "close" } else { "status" }, "{}", error.name());
    }
}

#[test]
fn byte_ranges_of_the_vectors() {
    let vectors = fs::read_to_string(root().join("test/vectors/frames.jsonl")).unwrap();
    let mut seen = (0, 0);
    for line in vectors.lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        if vector["group"] != "byte-range" {
            continue;
        }
        let input = vector["input"].as_str().unwrap();
        let value = input.split("Byte-Range: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let good = vector["expected"]["kind"] == "request";
        assert_eq!(ByteRange::parse(value.as_bytes()).is_some(), good, "{}", vector["name"]);
        if good { seen.0 += 1 } else { seen.1 += 1 }
    }
    assert_eq!(seen, (7, 13));
}
