//! Frames without end for a profiler: `frames framer|decoder same|new BODY-BYTES COUNT` scans COUNT frames, 64 in each call.
//! The instructions of one frame are the difference of two runs, divided by that of their counts:
//!
//! ```sh
//! cargo build --release -p msrp-core --example frames
//! for count in 640 6400; do
//!   valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/frames decoder same 500 $count
//! done
//! ```
#![allow(clippy::indexing_slicing, missing_docs)]

use msrp_core::frame::record::{RECORD_WORDS, bit, word};
use msrp_core::frame::{Framer, FramerOptions};
use msrp_core::syntax::decode::{DecodeOptions, Decoder};

const FRAMES: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, paths, body, count] = &arguments[..] else { panic!("framer|decoder same|new BODY-BYTES COUNT") };
    let body: usize = body.parse().expect("bytes of a body");
    let count: usize = count.parse().expect("number of frames");
    let new_paths = paths == "new";
    let bytes: Vec<u8> = (0..FRAMES).flat_map(|at| frame(if new_paths { at } else { 0 }, body)).collect();
    let mut framer = Framer::new(FramerOptions { stream_after_bytes: usize::MAX, ..FramerOptions::default() });
    let mut decoder =
        Decoder::new(FramerOptions { stream_after_bytes: usize::MAX, ..FramerOptions::default() }, DecodeOptions::default());
    let mut records = vec![0; FRAMES * RECORD_WORDS];
    for _ in 0..count / FRAMES {
        let done = match what.as_str() {
            "framer" => framer.scan(&bytes, 0, bytes.len(), &mut records),
            _ => decoder.scan(&bytes, 0, bytes.len(), &mut records),
        };
        assert_eq!(done, FRAMES);
    }
    let last = &records[(FRAMES - 1) * RECORD_WORDS..];
    assert_eq!(last[word::ISSUE], 0);
    assert_eq!(last[word::BITS] & bit::NEW_PATHS != 0, new_paths);
    println!("{} bytes a frame", bytes.len() / FRAMES);
}

fn frame(number: usize, body: usize) -> Vec<u8> {
    let mut frame = format!(
        "MSRP AAABBCd9f0K2mQ7xR4tY1z SEND\r\n\
         To-Path: msrp://relay.example.com:2855/s{number:02}tKq8VnXbA7hLm2PzRw;tcp\r\n\
         From-Path: msrp://client.example.net:49152/q3Zt7LrW2p{number:02};tcp\r\n\
         Message-ID: m4711xyzQ8w\r\n\
         Byte-Range: 1-{body}/{body}\r\n\
         Content-Type: text/plain\r\n\r\n"
    )
    .into_bytes();
    frame.extend(b"The quick brown fox jumps over the lazy dog. ".iter().cycle().take(body));
    frame.extend_from_slice(b"\r\n-------AAABBCd9f0K2mQ7xR4tY1z$\r\n");
    frame
}
