//! What a relay changes of a frame, and frames of its own.

use crate::generate::frame;
use crate::random::Random;
use crate::vectors::{is_valid, vectors};
use msrp_core::encode::{Report, Request, Response};
use msrp_core::frame::FramerOptions;
use msrp_core::frame::record::{RECORD_WORDS, Record, bit, kind, word};
use msrp_core::rewrite::{ChunkHeaders, Forwarded, append_chunk_end, append_forward_head, body_holds};
use msrp_core::syntax::byte_range::ByteRange;
use msrp_core::syntax::decode::{DecodeOptions, Decoder};
use msrp_core::syntax::path::uris;
use msrp_core::tid::forward_tid;

/// The first frame, which must be whole.
fn decode(bytes: &[u8], stream_after_bytes: usize) -> Record {
    let mut decoder = Decoder::new(FramerOptions { stream_after_bytes, ..FramerOptions::default() }, DecodeOptions::default());
    let mut record = [0; RECORD_WORDS];
    assert_eq!(decoder.scan(bytes, 0, bytes.len(), &mut record), 1, "{}", bytes.escape_ascii());
    record
}

fn value<'a>(bytes: &'a [u8], record: &Record, start: usize) -> &'a [u8] {
    &bytes[record[start] as usize..record[start + 1] as usize]
}

fn forward(bytes: &[u8], record: &Record) -> Vec<u8> {
    let mut head = Vec::new();
    let method = value(bytes, record, word::WORD_START);
    let (to, from) = (value(bytes, record, word::TO_START), value(bytes, record, word::FROM_START));
    assert!(append_forward_head(&mut head, method, to, from, 1));
    let mut out = b"before".to_vec();
    let forwarded = [9; 16];
    let tid = forward_tid(5, 6, forwarded);
    let whole = Forwarded::whole(bytes, record, &tid, &head);
    whole.append_to(&mut out);
    assert_eq!(out.len(), 6 + whole.length());
    assert_eq!(whole.parts().collect::<Vec<_>>().concat(), out[6..]);
    out.split_off(6)
}

/// Nothing but the transaction id and the paths differs (relay R-052…R-054).
fn assert_forwarded(bytes: &[u8], record: &Record) {
    let out = forward(bytes, record);
    let sent = decode(&out, usize::MAX);
    assert_eq!((sent[word::KIND], sent[word::END] as usize), (kind::WHOLE, out.len()));
    assert_eq!(sent[word::ISSUE], 0);
    assert_eq!(value(&out, &sent, word::TID_START), forward_tid(5, 6, [9; 16]));
    for same in [word::WORD_START, word::HEADERS_START, word::BODY_START] {
        assert_eq!(value(&out, &sent, same), value(bytes, record, same));
    }
    assert_eq!((sent[word::FLAG], sent[word::BITS] & bit::HAS_BODY), (record[word::FLAG], record[word::BITS] & bit::HAS_BODY));
    let path = |bytes: &[u8], record: &Record, start: usize| -> Vec<Vec<u8>> {
        uris(value(bytes, record, start)).map(<[u8]>::to_vec).collect()
    };
    let mut to = path(bytes, record, word::TO_START);
    let own = to.remove(0);
    assert_eq!(path(&out, &sent, word::TO_START), to);
    let from = [vec![own], path(bytes, record, word::FROM_START)].concat();
    assert_eq!(path(&out, &sent, word::FROM_START), from);
}

#[test]
fn vectors_are_forwarded() {
    let mut forwarded = 0;
    for vector in vectors() {
        if !is_valid(&vector.expected) || vector.expected["kind"] == "response" {
            continue;
        }
        let record = decode(&vector.bytes, usize::MAX);
        if uris(value(&vector.bytes, &record, word::TO_START)).count() > 1 {
            assert_forwarded(&vector.bytes, &record);
            forwarded += 1;
        }
    }
    assert!(forwarded >= 3, "{forwarded}");
}

#[test]
fn frames_are_forwarded() {
    for seed in 0..400 {
        let bytes = frame(&mut Random(seed));
        let record = decode(&bytes, usize::MAX);
        if record[word::BITS] & bit::RESPONSE == 0 {
            assert_forwarded(&bytes, &record);
        }
    }
}

#[test]
fn an_empty_body_whose_crlf_is_shared_gets_its_own() {
    let paths = "To-Path: msrp://r:1/s;tcp msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n";
    let shared = format!("MSRP abcd SEND\r\n{paths}Content-Type: a/b\r\n\r\n-------abcd+\r\n");
    let out = forward(shared.as_bytes(), &decode(shared.as_bytes(), 2048));
    let tid = forward_tid(5, 6, [9; 16]).escape_ascii().to_string();
    let expected = format!(
        "MSRP {tid} SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://r:1/s;tcp msrp://b:1/y;tcp\r\n\
         Content-Type: a/b\r\n\r\n\r\n-------{tid}+\r\n"
    );
    assert_eq!(out, expected.as_bytes());
}

#[test]
fn own_uris_go_to_the_front_of_from_path_the_last_one_first() {
    let mut head = Vec::new();
    assert!(append_forward_head(&mut head, b"REPORT", b"a b  c d", b"e f", 3));
    let whole = b" REPORT\r\nTo-Path: d\r\nFrom-Path: c b a e f\r\n";
    assert_eq!(head, whole);
    assert!(!append_forward_head(&mut head, b"REPORT", b"a b", b"e", 2));
    assert_eq!(head, whole);
}

#[test]
fn a_chunk_that_is_cut_through_says_what_it_really_holds() {
    let tid = forward_tid(1, 2, [3; 16]);
    let name = tid.escape_ascii().to_string();
    for (received, sent) in [
        ("X: 1\r\nByte-Range: 1-9/9\r\nContent-Type: a/b\r\n", "X: 1\r\nByte-Range: 7-*/9\r\nContent-Type: a/b\r\n"),
        ("byte-range:1-*/9\r\nX: 1\r\nContent-Type: a/b\r\n", "Byte-Range: 7-*/9\r\nX: 1\r\nContent-Type: a/b\r\n"),
        ("X: 1\r\nContent-Type: a/b\r\n", "Byte-Range: 7-*/9\r\nX: 1\r\nContent-Type: a/b\r\n"),
    ] {
        let frame = format!(
            "MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n{received}\r\n{}",
            "x".repeat(3000)
        );
        let record = decode(frame.as_bytes(), 2048);
        assert_eq!(record[word::KIND], kind::HEAD);
        let mut out = Vec::new();
        let range = ByteRange { start: 7, end: None, total: Some(9) };
        ChunkHeaders::of(frame.as_bytes(), &record).append_to(&mut out, &tid, b" SEND\r\npaths\r\n", range);
        out.extend_from_slice(b"body");
        append_chunk_end(&mut out, &tid, b'#');
        assert_eq!(out, format!("MSRP {name} SEND\r\npaths\r\n{sent}\r\nbody\r\n-------{name}#\r\n").as_bytes());
    }
}

#[test]
fn an_id_in_the_body_is_seen() {
    let tid = forward_tid(1, 2, [3; 16]);
    for (body, holds) in [
        (format!("\r\n-------{}", tid.escape_ascii()), true),
        ("\r\n-------abc".to_owned(), false),
        // Without CRLF and hyphens it ends no frame.
        (tid.escape_ascii().to_string(), false),
    ] {
        let frame = format!(
            "MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\nContent-Type: a/b\r\n\r\n{body}\r\n-------abcd$\r\n"
        );
        assert_eq!(body_holds(frame.as_bytes(), &decode(frame.as_bytes(), 2048), &tid), holds);
    }
}

#[test]
fn own_frames() {
    let (to_path, from_path) = (&b"msrp://a:1/x;tcp"[..], &b"msrp://b:1/y;tcp"[..]);
    let paths = "To-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n";
    let mut out = Vec::new();
    Response::new(b"abcd", 481, to_path, from_path).append_to(&mut out);
    assert_eq!(out, format!("MSRP abcd 481 Session Does Not Exist\r\n{paths}-------abcd$\r\n").as_bytes());
    out.clear();
    Response { headers: &[(b"Expires", b"9")], ..Response::new(b"abcd", 299, to_path, from_path) }.append_to(&mut out);
    assert_eq!(out, format!("MSRP abcd 299\r\n{paths}Expires: 9\r\n-------abcd$\r\n").as_bytes());
    out.clear();
    let range = ByteRange { start: 1, end: Some(0), total: None };
    Report { tid: b"abcd", to_path, from_path, message_id: b"m123", range, status: 408 }.append_to(&mut out);
    let expected = format!(
        "MSRP abcd REPORT\r\n{paths}Message-ID: m123\r\nByte-Range: 1-0/*\r\nStatus: 000 408 Timeout\r\n-------abcd$\r\n"
    );
    assert_eq!(out, expected.as_bytes());
    assert_eq!(decode(&out, 2048)[word::ISSUE], 0);
    out.clear();
    let headers: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"a/b")];
    let request = Request { tid: b"abcd", method: b"SEND", to_path, from_path, headers: &headers };
    request.append_to(&mut out, Some(b"hello"), b'+');
    assert_eq!(out, format!("MSRP abcd SEND\r\n{paths}Content-Type: a/b\r\n\r\nhello\r\n-------abcd+\r\n").as_bytes());
    out.clear();
    Request { headers: &[], ..request }.append_to(&mut out, None, b'$');
    assert_eq!(out, format!("MSRP abcd SEND\r\n{paths}-------abcd$\r\n").as_bytes());
}
