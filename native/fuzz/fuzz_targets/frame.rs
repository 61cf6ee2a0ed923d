//! No panic, and records that keep what they promise, whatever the bytes and the options.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msrp_fuzz::{Input, feed};

fuzz_target!(|data: &[u8]| {
    if let Some(input) = Input::parse(data) {
        feed(&input, Vec::new());
    }
});
