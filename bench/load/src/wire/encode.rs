//! Writing frames.

use super::head::{Head, first_uri};
use std::io::Write;

/// Writes a Byte-Range header line for `len` octets from `start` (1 is the first) of `total`. The end of a range that a relay may
/// interrupt is `*` (C-049).
pub fn byte_range(out: &mut Vec<u8>, start: u64, len: u64, total: u64) {
    // Writing into a Vec cannot fail.
    let _ = if len > 2048 {
        write!(out, "Byte-Range: {start}-*/{total}\r\n")
    } else {
        write!(out, "Byte-Range: {start}-{}/{total}\r\n", start + len - 1)
    };
}

/// Writes an end-line, with the CRLF in front of it when `after_body`.
pub fn end_line(out: &mut Vec<u8>, tid: &[u8], flag: u8, after_body: bool) {
    if after_body {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"-------");
    out.extend_from_slice(tid);
    out.extend_from_slice(&[flag, b'\r', b'\n']);
}

/// Writes an AUTH; `authorization` is the value of that header, or empty.
pub fn auth(out: &mut Vec<u8>, tid: &[u8], to: &str, from: &str, authorization: &str) {
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(tid);
    let _ = write!(out, " AUTH\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n");
    if !authorization.is_empty() {
        let _ = write!(out, "Authorization: {authorization}\r\n");
    }
    end_line(out, tid, b'$', false);
}

/// How Message-IDs of [`bind`] begin.
pub const BIND_MARK: &[u8] = b"bind-";

/// Writes a SEND without a body, which binds a connection to a session (C-035).
pub fn bind(out: &mut Vec<u8>, tid: &[u8], to: &str, from: &str) {
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(tid);
    let _ = write!(out, " SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: ");
    out.extend_from_slice(BIND_MARK);
    out.extend_from_slice(tid);
    out.extend_from_slice(b"\r\nByte-Range: 1-0/0\r\n");
    end_line(out, tid, b'$', false);
}

/// Writes the 200 to a SEND: it goes to the first URI of its From-Path (C-073).
pub fn ok(out: &mut Vec<u8>, request: &Head<'_>) {
    for part in [
        b"MSRP ",
        request.tid,
        b" 200 OK\r\nTo-Path: ",
        first_uri(request.from),
        b"\r\nFrom-Path: ",
        first_uri(request.to),
        b"\r\n-------",
        request.tid,
        b"$\r\n",
    ] {
        out.extend_from_slice(part);
    }
}

/// Writes the success REPORT about a message of `total` octets: it goes back along the whole From-Path (C-062).
pub fn success_report(out: &mut Vec<u8>, tid: &[u8], to: &[u8], from: &[u8], message_id: &[u8], total: u64) {
    let range = format!("\r\nByte-Range: 1-{total}/{total}\r\nStatus: 000 200 OK\r\n-------");
    for part in [
        b"MSRP ",
        tid,
        b" REPORT\r\nTo-Path: ",
        to,
        b"\r\nFrom-Path: ",
        from,
        b"\r\nMessage-ID: ",
        message_id,
        range.as_bytes(),
        tid,
        b"$\r\n",
    ] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::{auth, bind, byte_range, ok, success_report};
    use crate::wire::head::{HeadEnd, Kind, Read, read_head};

    #[test]
    fn long_chunks_are_interruptible() {
        let range = |start, len, total| {
            let mut out = Vec::new();
            byte_range(&mut out, start, len, total);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(range(1, 200, 200), "Byte-Range: 1-200/200\r\n");
        assert_eq!(range(2049, 2048, 5000), "Byte-Range: 2049-4096/5000\r\n");
        assert_eq!(range(1, 2049, 2049), "Byte-Range: 1-*/2049\r\n");
        assert_eq!(range(1, 0, 0), "Byte-Range: 1-0/0\r\n");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Vec::new();
        bind(&mut out, b"tid1", "msrp://r:1/s;tcp msrp://a:2/t;tcp", "msrp://b:3/u;tcp");
        let Read::Head(send, HeadEnd::Flag(b'$'), at) = read_head(&out) else { panic!("no SEND") };
        assert_eq!((send.kind, at), (Kind::Request(b"SEND"), out.len()));
        let mut answer = Vec::new();
        ok(&mut answer, &send);
        let Read::Head(response, HeadEnd::Flag(b'$'), _) = read_head(&answer) else { panic!("no response") };
        assert_eq!((response.kind, response.tid), (Kind::Response(200), b"tid1".as_slice()));
        assert_eq!(response.to, b"msrp://b:3/u;tcp");
        assert_eq!(response.from, b"msrp://r:1/s;tcp");

        let mut report = Vec::new();
        success_report(&mut report, b"tid2", b"x y", b"z", b"mmmm", 7);
        let Read::Head(head, HeadEnd::Flag(b'$'), _) = read_head(&report) else { panic!("no REPORT") };
        assert_eq!((head.kind, head.status), (Kind::Request(b"REPORT"), b"000 200 OK".as_slice()));

        let mut request = Vec::new();
        auth(&mut request, b"tid3", "msrp://r:1;tcp", "msrp://a:2/t;tcp", "Digest x");
        let Read::Head(head, HeadEnd::Flag(b'$'), _) = read_head(&request) else { panic!("no AUTH") };
        assert_eq!((head.kind, head.authorization), (Kind::Request(b"AUTH"), b"Digest x".as_slice()));
    }
}
