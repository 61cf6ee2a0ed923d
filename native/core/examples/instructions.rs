//! What a profiler is to count: `instructions` lists cases, `instructions CASE ROUNDS` runs one on 64 frames, again and again.
//!
//! The instructions of one frame are the difference of two runs, divided by that of their frames: what the program does besides
//! is the same in both. `npm run bench:gate` compares them with those of another version of the crate.
#![allow(clippy::indexing_slicing, missing_docs)]

use msrp_core::frame::record::{RECORD_WORDS, Record, bit, word};
use msrp_core::frame::{Framer, FramerOptions};
use msrp_core::rewrite::{Forwarded, append_forward_head};
use msrp_core::syntax::decode::{DecodeOptions, Decoder};
use msrp_core::tid::forward_tid;
use std::hint::black_box;

const FRAMES: usize = 64;
/// Bytes of a whole frame.
const SIZES: [usize; 3] = [100, 500, 2000];
const WORK: [&str; 3] = ["framing", "decoding", "rewriting"];
/// Whether frames have the paths of the frame before, or never do.
const PATHS: [&str; 2] = ["same", "new"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => list(),
        [case, rounds] => {
            let parts: Vec<&str> = case.split('-').collect();
            let [work, paths, size] = parts[..] else { panic!("{case}: there is no such case") };
            run(work, paths == "new", size.parse().expect("bytes"), rounds.parse().expect("rounds"));
        }
        _ => panic!("instructions [CASE ROUNDS]"),
    }
}

fn list() {
    for work in WORK {
        for paths in PATHS {
            for size in SIZES {
                println!("{work}-{paths}-{size}");
            }
        }
    }
}

fn run(work: &str, new_paths: bool, size: usize, rounds: usize) {
    let bytes: Vec<u8> = (0..FRAMES).flat_map(|at| frame(if new_paths { at } else { 0 }, size)).collect();
    assert_eq!(bytes.len(), FRAMES * size);
    let framing = FramerOptions { stream_after_bytes: usize::MAX, ..FramerOptions::default() };
    let mut framer = Framer::new(framing);
    let mut decoder = Decoder::new(framing, DecodeOptions::default());
    let mut records = vec![0; FRAMES * RECORD_WORDS];
    // Before anything is rewritten, and so that paths are known.
    assert_eq!(decoder.scan(&bytes, 0, bytes.len(), &mut records), FRAMES);
    let mut out = Vec::with_capacity(2 * bytes.len());
    for _ in 0..rounds {
        let done = match work {
            "framing" => framer.scan(black_box(&bytes), 0, bytes.len(), &mut records),
            "decoding" => decoder.scan(black_box(&bytes), 0, bytes.len(), &mut records),
            "rewriting" => rewrite(black_box(&bytes), &records, new_paths, &mut out),
            _ => panic!("{work}: there is no such work"),
        };
        assert_eq!(done, FRAMES);
    }
    black_box((&records, &out));
    let last = &records[(FRAMES - 1) * RECORD_WORDS..];
    assert_eq!(last[word::ISSUE], 0);
    assert_eq!(last[word::BITS] & bit::NEW_PATHS != 0, new_paths);
    assert_eq!(last[word::END] as usize, bytes.len());
}

/// Makes what a relay sends on; of the same paths the head is made once.
fn rewrite(bytes: &[u8], records: &[u32], new_paths: bool, out: &mut Vec<u8>) -> usize {
    out.clear();
    let tid = forward_tid(4711, 42, [7; 16]);
    let mut head = Vec::with_capacity(512);
    let mut done = 0;
    for record in records.chunks_exact(RECORD_WORDS) {
        let record: &Record = record.try_into().expect("words of a record");
        if new_paths || head.is_empty() {
            head.clear();
            let value = |start: usize| &bytes[record[start] as usize..record[start + 1] as usize];
            assert!(append_forward_head(&mut head, b"SEND", value(word::TO_START), value(word::FROM_START), 1));
        }
        Forwarded::whole(bytes, record, &tid, &head).append_to(out);
        done += 1;
    }
    done
}

/// A frame of so many bytes: a short one without a body, or a SEND as a chat client sends it.
fn frame(number: usize, size: usize) -> Vec<u8> {
    if size < 400 {
        return short(number, size);
    }
    let tid = "AAABBCd9f0K2mQ7xR4tY1z";
    let with = |body: usize| {
        format!(
            "MSRP {tid} SEND\r\n\
             To-Path: msrp://relay.example.com:2855/s{number:02}tKq8VnXbA7hLm2PzRw;tcp msrp://bob.example.org:2855/b7Jd0;tcp\r\n\
             From-Path: msrp://client.example.net:49152/q3Zt7LrW2p{number:02};tcp\r\n\
             Message-ID: m4711xyzQ8w\r\n\
             Byte-Range: 1-{body}/{body}\r\n\
             Content-Type: text/plain\r\n\r\n"
        )
    };
    let end_line = format!("\r\n-------{tid}$\r\n");
    // The Byte-Range grows with the body: three digits, or four.
    let mut body = size - with(100).len() - end_line.len();
    body -= with(body).len() - with(100).len();
    let mut frame = with(body).into_bytes();
    frame.extend(b"The quick brown fox jumps over the lazy dog. ".iter().cycle().take(body));
    frame.extend_from_slice(end_line.as_bytes());
    frame
}

fn short(number: usize, size: usize) -> Vec<u8> {
    let with = |name: &str| {
        format!(
            "MSRP a1b2 SEND\r\nTo-Path: msrp://{name}.b/s{number:02};tcp msrp://c/t;tcp\r\nFrom-Path: msrp://d/u;tcp\r\n-------a1b2$\r\n"
        )
    };
    with(&"a".repeat(size - with("").len())).into_bytes()
}
