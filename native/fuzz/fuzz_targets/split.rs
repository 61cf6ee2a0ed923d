//! Splitting a stream anywhere changes nothing (architecture I1).
#![no_main]

use libfuzzer_sys::fuzz_target;
use msrp_fuzz::{Input, feed};

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::parse(data) else { return };
    let whole = feed(&input, Vec::new());
    let everywhere = if input.stream.len() <= 600 { (0..input.stream.len()).collect() } else { input.cuts(3, 100) };
    for cuts in [input.cuts(0, 1), input.cuts(1, 3), input.cuts(2, 12), everywhere] {
        let pieces = feed(&input, cuts.clone());
        // What is left of a frame that has not ended may have been streamed, or not.
        let same_rest = pieces.rest == whole.rest || pieces.rest == 0 || whole.rest == 0;
        assert!(pieces.frames == whole.frames && pieces.fatal == whole.fatal && same_rest, "{cuts:?}\n{whole:?}\n{pieces:?}");
    }
});
