//! Byte-Range: what is read is in bounds, and comes back as it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msrp_core::syntax::byte_range::{ByteRange, MAX_OCTETS};

fuzz_target!(|data: &[u8]| {
    let Some(range) = ByteRange::parse(data) else { return };
    assert!((1..=MAX_OCTETS).contains(&range.start));
    assert!(range.end.is_none_or(|end| end <= MAX_OCTETS && end + 1 >= range.start));
    assert!(range.total.is_none_or(|total| total <= MAX_OCTETS && range.end.is_none_or(|end| end <= total)));
    let text = range.to_string();
    assert_eq!(ByteRange::parse(text.as_bytes()), Some(range));
    assert!(text.len() <= data.len() && text.is_ascii());
});
