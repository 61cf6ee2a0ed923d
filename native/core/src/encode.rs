//! Frames made by this side: requests, responses, REPORTs (RFC 4975 section 7). Texts must not hold CR or LF.

use crate::rewrite::append_byte_range;
use crate::syntax::byte_range::ByteRange;
use crate::syntax::status::status_comment;
use std::io::Write;

/// A header: name and value.
pub type Header<'a> = (&'a [u8], &'a [u8]);

/// A request to be written (RFC 4975 section 7.1).
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Transaction id.
    pub tid: &'a [u8],
    /// Method.
    pub method: &'a [u8],
    /// URIs with spaces between them.
    pub to_path: &'a [u8],
    /// URIs with spaces between them.
    pub from_path: &'a [u8],
    /// In order; Content-Type, where there is a body, must be last (core C-016).
    pub headers: &'a [Header<'a>],
}

impl Request<'_> {
    /// Appends the whole request. With a body its headers must end in Content-Type, and the body must not hold the end-line (core
    /// C-031).
    pub fn append_to(&self, out: &mut Vec<u8>, body: Option<&[u8]>, flag: u8) {
        append(out, &[b"MSRP ", self.tid, b" ", self.method, b"\r\n"]);
        append_head(out, self.to_path, self.from_path, self.headers);
        if let Some(body) = body {
            append(out, &[b"\r\n", body, b"\r\n"]);
        }
        append_end_line(out, self.tid, flag);
    }
}

/// A response to be written (RFC 4975 section 7.2).
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// Transaction id of the request.
    pub tid: &'a [u8],
    /// 0…999.
    pub status: u16,
    /// Empty: none.
    pub comment: &'a [u8],
    /// Of SENDs the first URI of From-Path, of other requests all of them (core C-073).
    pub to_path: &'a [u8],
    /// Who answers.
    pub from_path: &'a [u8],
    /// In order.
    pub headers: &'a [Header<'a>],
}

impl<'a> Response<'a> {
    /// A response without headers and with the usual comment.
    #[must_use]
    pub const fn new(tid: &'a [u8], status: u16, to_path: &'a [u8], from_path: &'a [u8]) -> Self {
        Self { tid, status, comment: status_comment(status).as_bytes(), to_path, from_path, headers: &[] }
    }

    /// Appends the whole response; it never has a body, and its flag is always `$` (core C-020).
    pub fn append_to(&self, out: &mut Vec<u8>) {
        append(out, &[b"MSRP ", self.tid, b" ", &digits(self.status)]);
        if !self.comment.is_empty() {
            append(out, &[b" ", self.comment]);
        }
        append(out, &[b"\r\n"]);
        append_head(out, self.to_path, self.from_path, self.headers);
        append_end_line(out, self.tid, b'$');
    }
}

/// A REPORT to be written (RFC 4975 section 7.1.2): of a relay always one of a failure (relay ).
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Transaction id.
    pub tid: &'a [u8],
    /// From-Path of the SEND as received (core C-062).
    pub to_path: &'a [u8],
    /// Who reports.
    pub from_path: &'a [u8],
    /// Of the SEND.
    pub message_id: &'a [u8],
    /// Octets that the report is about; its end is what was really received (core C-066).
    pub range: ByteRange,
    /// A status code, in the namespace 000.
    pub status: u16,
}

impl Report<'_> {
    /// Appends the whole REPORT.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        append(out, &[b"MSRP ", self.tid, b" REPORT\r\n"]);
        append_head(out, self.to_path, self.from_path, &[(b"Message-ID", self.message_id)]);
        append_byte_range(out, self.range);
        append(out, &[b"Status: 000 ", &digits(self.status)]);
        let comment = status_comment(self.status);
        if !comment.is_empty() {
            append(out, &[b" ", comment.as_bytes()]);
        }
        append(out, &[b"\r\n"]);
        append_end_line(out, self.tid, b'$');
    }
}

/// Appends an end-line (core C-019); the CRLF that ends a body is not part of it.
pub fn append_end_line(out: &mut Vec<u8>, tid: &[u8], flag: u8) {
    append(out, &[b"-------", tid, &[flag], b"\r\n"]);
}

fn append_head(out: &mut Vec<u8>, to_path: &[u8], from_path: &[u8], headers: &[Header<'_>]) {
    append(out, &[b"To-Path: ", to_path, b"\r\nFrom-Path: ", from_path, b"\r\n"]);
    for (name, value) in headers {
        append(out, &[name, b": ", value, b"\r\n"]);
    }
}

fn append(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// A status code always has three digits.
fn digits(status: u16) -> [u8; 3] {
    let mut digits = *b"000";
    let _ = write!(&mut digits[..], "{status:03}");
    digits
}
