//! What a relay changes of a frame on its way: transaction id, paths, and the Byte-Range of a chunk that is cut through. All else
//! is passed on byte for byte (relay R-052…R-056).

use crate::frame::END_MARK;
use crate::frame::record::{Record, bit, word};
use crate::syntax::byte_range::ByteRange;
use crate::syntax::path::uris;
use crate::tid::ForwardTid;
use std::io::Write;

/// Appends what follows the transaction id of a forwarded request, up to its headers: method and paths. The first `hops` URIs of
/// To-Path are this relay's own and go to the front of From-Path, the last one first (relay R-052).
///
/// ```text
/// ␣SEND CRLF
/// To-Path: rest of the path CRLF
/// From-Path: own URIs, path as received CRLF
/// ```
/// False, and nothing appended, when no URI would be left in To-Path.
pub fn append_forward_head(out: &mut Vec<u8>, method: &[u8], to: &[u8], from: &[u8], hops: usize) -> bool {
    if uris(to).nth(hops).is_none() {
        return false;
    }
    out.push(b' ');
    out.extend_from_slice(method);
    out.extend_from_slice(b"\r\nTo-Path:");
    append_uris(out, uris(to).skip(hops));
    let left = uris(to).count() - hops;
    out.extend_from_slice(b"\r\nFrom-Path:");
    append_uris(out, uris(to).rev().skip(left).chain(uris(from)));
    out.extend_from_slice(b"\r\n");
    true
}

fn append_uris<'a>(out: &mut Vec<u8>, uris: impl Iterator<Item = &'a [u8]>) {
    for uri in uris {
        out.push(b' ');
        out.extend_from_slice(uri);
    }
}

/// A frame on its way out, as slices of what came in and of what is new: to be appended one behind the other.
///
/// ```text
/// MSRP ␣ new-tid  head                 headers, empty line, body   CRLF, seven hyphens   new-tid flag CRLF
///                 ␣SEND CRLF paths     as received
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    parts: [&'a [u8]; 7],
}

impl<'a> Forwarded<'a> {
    /// The whole frame of `record` with a new transaction id and the `head` of [`append_forward_head`].
    ///
    /// INVARIANT: the record is WHOLE, and its offsets are those of `bytes`.
    #[must_use]
    pub fn whole(bytes: &'a [u8], record: &Record, tid: &'a ForwardTid, head: &'a [u8]) -> Self {
        let end_line = (record[word::TID_END].saturating_sub(record[word::TID_START])) as usize + "-------".len() + "$\r\n".len();
        // Up to the hyphens of the end-line; the CRLF before them, of a body, included.
        let to = (record[word::END] as usize).saturating_sub(end_line);
        // An empty body whose CRLF is shared goes on in the form that every peer understands (core D-03 f).
        let shared = record[word::BITS] & bit::HAS_BODY != 0 && record[word::BODY_END] as usize == to;
        let rest = bytes.get(record[word::HEADERS_START] as usize..to).unwrap_or_default();
        let mark = if shared { END_MARK } else { END_MARK.get(2..).unwrap_or_default() };
        Self { parts: [b"MSRP ", tid, head, rest, mark, tid, flag_line(record[word::FLAG])] }
    }

    /// What is to be appended, in order; some may be empty.
    pub fn parts(&self) -> impl Iterator<Item = &'a [u8]> {
        self.parts.into_iter()
    }

    /// Sum of the lengths of the parts.
    #[must_use]
    pub fn length(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Appends all parts.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.length());
        for part in self.parts() {
            out.extend_from_slice(part);
        }
    }
}

/// The headers of a SEND that is cut through, without its Byte-Range: what stands before it and behind it (relay R-080).
#[derive(Clone, Copy, Debug)]
pub struct ChunkHeaders<'a> {
    /// Headers before Byte-Range. Without one there are none: it is put in front, for MIME headers must stay last (core C-016).
    pub before: &'a [u8],
    /// Headers behind it.
    pub behind: &'a [u8],
}

impl<'a> ChunkHeaders<'a> {
    /// Of the frame or head of `record`.
    #[must_use]
    pub fn of(bytes: &'a [u8], record: &Record) -> Self {
        let headers = bytes.get(record[word::HEADERS_START] as usize..record[word::HEADERS_END] as usize).unwrap_or_default();
        let line = record[word::BYTE_RANGE_LINE];
        if line == 0 {
            return Self { before: &[], behind: headers };
        }
        let (before, rest) =
            headers.split_at_checked(line.saturating_sub(record[word::HEADERS_START]) as usize).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        Self { before, behind: rest.get(length..).unwrap_or_default() }
    }

    /// Appends the start of a chunk, up to its body: new transaction id, the `head` of [`append_forward_head`], and the Byte-Range
    /// of what is really sent (relay R-056).
    pub fn append_to(&self, out: &mut Vec<u8>, tid: &ForwardTid, head: &[u8], range: ByteRange) {
        for part in [b"MSRP ", &tid[..], head, self.before] {
            out.extend_from_slice(part);
        }
        append_byte_range(out, range);
        out.extend_from_slice(self.behind);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the end of a chunk: the CRLF behind the body, and the end-line.
pub fn append_chunk_end(out: &mut Vec<u8>, tid: &ForwardTid, flag: u8) {
    for part in [END_MARK, tid, flag_line(u32::from(flag))] {
        out.extend_from_slice(part);
    }
}

/// Appends a Byte-Range header line.
pub fn append_byte_range(out: &mut Vec<u8>, range: ByteRange) {
    // Writing to memory does not fail.
    let _ = write!(out, "Byte-Range: {range}\r\n");
}

/// True when the body of a frame holds the id, so that it needs another (core C-031, relay R-083).
#[must_use]
pub fn body_holds(bytes: &[u8], record: &Record, tid: &ForwardTid) -> bool {
    // Without CRLF and hyphens no id ends a frame.
    record[word::BITS] & bit::DASHES != 0
        && bytes
            .get(record[word::BODY_START] as usize..record[word::BODY_END] as usize)
            .is_some_and(|body| memchr::memmem::find(body, tid).is_some())
}

fn flag_line(flag: u32) -> &'static [u8] {
    match u8::try_from(flag) {
        Ok(b'+') => b"+\r\n",
        Ok(b'#') => b"#\r\n",
        _ => b"$\r\n",
    }
}
