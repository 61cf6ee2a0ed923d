//! Forwarding changes the transaction id and the paths, and nothing else (relay R-052…R-054).
#![no_main]

use libfuzzer_sys::fuzz_target;
use msrp_core::frame::FramerOptions;
use msrp_core::frame::record::{RECORD_WORDS, Record, bit, kind, word};
use msrp_core::rewrite::{ChunkHeaders, Forwarded, append_chunk_end, append_forward_head, body_holds};
use msrp_core::syntax::byte_range::ByteRange;
use msrp_core::syntax::decode::{DecodeOptions, Decoder};
use msrp_core::syntax::path::uris;
use msrp_core::tid::{forward_tid, slot_of_tid};

fuzz_target!(|data: &[u8]| {
    let Some((&[hops, streamed, random], bytes)) = data.split_first_chunk::<3>() else { return };
    let stream_after = if streamed & 1 == 0 { usize::MAX } else { 16 };
    let Some(record) = decode(bytes, stream_after) else { return };
    if record[word::ISSUE] != 0 || record[word::BITS] & bit::RESPONSE != 0 || record[word::KIND] == kind::ERROR {
        return;
    }
    let hops = usize::from(hops % 3);
    let value = |start: usize| slice(bytes, &record, start);
    let tid = forward_tid(77, 5, [random; 16]);
    assert_eq!(slot_of_tid(&tid), Some(77));
    let mut head = Vec::new();
    let (to, from) = (value(word::TO_START), value(word::FROM_START));
    if !append_forward_head(&mut head, value(word::WORD_START), to, from, hops) {
        assert!(head.is_empty() && uris(to).count() <= hops);
        return;
    }
    let mut out = Vec::new();
    if record[word::KIND] == kind::WHOLE {
        if body_holds(bytes, &record, &tid) {
            return;
        }
        let whole = Forwarded::whole(bytes, &record, &tid, &head);
        whole.append_to(&mut out);
        assert_eq!(out.len(), whole.length());
    } else {
        let range = ByteRange { start: 9, end: None, total: None };
        ChunkHeaders::of(bytes, &record).append_to(&mut out, &tid, &head, range);
        out.extend_from_slice(value(word::BODY_START));
        append_chunk_end(&mut out, &tid, b'+');
    }
    let Some(sent) = decode(&out, usize::MAX) else { panic!("what is sent is a frame: {}", out.escape_ascii()) };
    if record[word::KIND] == kind::HEAD && body_contains(&out, &sent, &tid) {
        return;
    }
    assert_eq!((sent[word::KIND], sent[word::END] as usize), (kind::WHOLE, out.len()), "{}", out.escape_ascii());
    assert_eq!(slice(&out, &sent, word::TID_START), tid);
    // More hops than URIs allowed, or longer lines, are not for the next hop to accept.
    for same in [word::WORD_START, word::BODY_START, word::MESSAGE_ID_START, word::CONTENT_TYPE_START] {
        assert_eq!(slice(&out, &sent, same), value(same));
    }
    if record[word::KIND] == kind::WHOLE {
        assert_eq!(sent[word::FLAG], record[word::FLAG]);
        assert_eq!(slice(&out, &sent, word::HEADERS_START), value(word::HEADERS_START));
    } else {
        assert_eq!(slice(&out, &sent, word::BYTE_RANGE_START), b"9-*/*");
    }
    let own: Vec<_> = uris(to).take(hops).collect();
    assert!(uris(slice(&out, &sent, word::TO_START)).eq(uris(to).skip(hops)));
    assert!(uris(slice(&out, &sent, word::FROM_START)).eq(own.into_iter().rev().chain(uris(from))));
});

/// The first record; nothing has a limit, so that what was accepted is accepted again when it is longer.
fn decode(bytes: &[u8], stream_after_bytes: usize) -> Option<Record> {
    let mut limits = msrp_core::frame::FrameLimits::default();
    (limits.line_bytes, limits.header_lines, limits.header_bytes) = (0, 0, 0);
    let framing = FramerOptions { stream_after_bytes, limits, ..FramerOptions::default() };
    let mut decoder = Decoder::new(framing, DecodeOptions { path_uris: 0, ..DecodeOptions::default() });
    let mut record = [0; RECORD_WORDS];
    (decoder.scan(bytes, 0, bytes.len(), &mut record) == 1).then_some(record)
}

/// The first piece of a body may hold the id, too; a relay looks for that in every piece.
fn body_contains(out: &[u8], sent: &Record, tid: &[u8]) -> bool {
    let first = slice(out, sent, word::TID_END).len() + sent[word::TID_END] as usize;
    out.get(first..).is_some_and(|rest| rest.windows(tid.len()).filter(|window| *window == tid).count() > 1)
}

fn slice<'a>(bytes: &'a [u8], record: &Record, start: usize) -> &'a [u8] {
    &bytes[record[start] as usize..record[start + 1] as usize]
}
