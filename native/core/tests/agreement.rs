//! What this crate says, against the vectors and the table of the TypeScript side.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use msrp_core::error::FrameError;
use msrp_core::syntax::byte_range::ByteRange;
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
