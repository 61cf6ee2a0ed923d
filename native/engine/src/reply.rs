//! Frames that this relay makes itself: responses, and REPORTs of failures.

use crate::connection::State;
use crate::counters::RESPONSE_KIND;
use crate::flow::hold_if_full;
use crate::plane::Plane;
use crate::route::Path;
use crate::send_stream;
use crate::table::Key;
use crate::tid::TID_LENGTH;
use msrp_core::frame::record::method;
use std::io::Write;

/// What a response repeats of its request (core C-073), and where it goes.
pub struct ResponseTo<'a> {
    pub tid: &'a [u8],
    pub to_path: &'a [Box<[u8]>],
    pub from_path: &'a [Box<[u8]>],
}

impl<'a> ResponseTo<'a> {
    /// The response to a SEND goes to the previous hop only, in the name of the first own URI (relay R-060).
    pub fn send(tid: &'a [u8], to_path: &'a Path, from_path: &'a Path) -> Self {
        Self { tid, to_path: first(from_path), from_path: first(to_path) }
    }

    /// Any other response travels the whole path back.
    pub fn other(tid: &'a [u8], to_path: &'a Path, from_path: &'a Path) -> Self {
        Self { tid, to_path: from_path, from_path: first(to_path) }
    }
}

fn first(path: &Path) -> &[Box<[u8]>] {
    path.get(..1).unwrap_or_default()
}

/// Queues a response on the connection that the request came in on; nothing happens when that has gone.
pub fn respond(
    plane: &mut Plane,
    connection: Key,
    status: u16,
    to: &ResponseTo<'_>,
    comment: &str,
    headers: &[(String, String)],
) {
    if plane.connections.get(connection).is_none_or(|connection| connection.state != State::Open) {
        return;
    }
    let Some(out) = begin_frame(plane, connection) else { return };
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(to.tid);
    put(out, format_args!(" {status:03}"));
    if !comment.is_empty() {
        put(out, format_args!(" {comment}"));
    }
    out.extend_from_slice(b"\r\nTo-Path:");
    put_path(out, to.to_path);
    out.extend_from_slice(b"\r\nFrom-Path:");
    put_path(out, to.from_path);
    out.extend_from_slice(b"\r\n");
    // Texts of the control plane never make a second line.
    let ends_line = |text: &str| text.contains(['\r', '\n', '\0']);
    for (name, value) in headers.iter().filter(|(name, value)| !ends_line(name) && !ends_line(value)) {
        put(out, format_args!("{name}: {value}\r\n"));
    }
    out.extend_from_slice(b"-------");
    out.extend_from_slice(to.tid);
    out.extend_from_slice(b"$\r\n");
    plane.touch(connection);
    plane.counters.frames_out[RESPONSE_KIND] += 1;
    plane.counters.response(status);
    hold_if_full(plane, connection, connection);
}

/// As [`respond`], with the usual comment and no headers.
pub fn respond_plainly(plane: &mut Plane, connection: Key, status: u16, to: &ResponseTo<'_>) {
    respond(plane, connection, status, to, status_comment(status), &[]);
}

/// A SEND, or a part of one, that has failed after it was accepted.
pub struct Failure<'a> {
    /// As received.
    pub to_path: &'a Path,
    pub from_path: &'a Path,
    pub message_id: &'a [u8],
    /// First octet, and how many were forwarded.
    pub start: u64,
    pub octets: u64,
    pub total: Option<u64>,
}

/// Queues a failure REPORT for the original sender (relay R-061). Dropped when the previous hop has gone.
pub fn report(plane: &mut Plane, source: Key, failure: &Failure<'_>, status: u16) {
    let open = plane.connections.get(source).is_some_and(|connection| connection.state == State::Open);
    if !open || failure.message_id.is_empty() {
        plane.counters.dropped += 1;
        return;
    }
    let tid = plane.untracked_tid();
    let Some(out) = begin_frame(plane, source) else { return };
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(&tid);
    out.extend_from_slice(b" REPORT\r\nTo-Path:");
    put_path(out, failure.from_path);
    out.extend_from_slice(b"\r\nFrom-Path:");
    put_path(out, first(failure.to_path));
    out.extend_from_slice(b"\r\nMessage-ID: ");
    out.extend_from_slice(failure.message_id);
    put(out, format_args!("\r\nByte-Range: {}-{}/", failure.start, failure.start + failure.octets - 1));
    put_total(out, failure.total);
    put(out, format_args!("\r\nStatus: 000 {status:03}"));
    let comment = status_comment(status);
    if !comment.is_empty() {
        put(out, format_args!(" {comment}"));
    }
    out.extend_from_slice(b"\r\n-------");
    out.extend_from_slice(&tid);
    out.extend_from_slice(b"$\r\n");
    plane.touch(source);
    plane.counters.frames_out[method::REPORT as usize] += 1;
    plane.counters.report(status);
    hold_if_full(plane, source, source);
}

/// Where a whole frame is appended; a chunk that is on its way out is interrupted for it (core C-053).
#[inline]
pub fn begin_frame(plane: &mut Plane, connection: Key) -> Option<&mut Vec<u8>> {
    if plane.connections.get(connection)?.outgoing_stream.is_some() {
        send_stream::interrupt(plane, connection);
    }
    Some(plane.connections.get_mut(connection)?.outbox.buffer(&mut plane.spare))
}

/// Writes text into a buffer.
pub fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Memory does not fail as a file does.
    let _ = out.write_fmt(text);
}

/// The size of a message in a Byte-Range.
pub fn put_total(out: &mut Vec<u8>, total: Option<u64>) {
    match total {
        Some(total) => put(out, format_args!("{total}")),
        None => out.push(b'*'),
    }
}

fn put_path(out: &mut Vec<u8>, path: &[Box<[u8]>]) {
    for uri in path {
        out.push(b' ');
        out.extend_from_slice(uri);
    }
}

/// A transaction id for a frame that nobody answers.
impl Plane {
    pub fn untracked_tid(&mut self) -> [u8; TID_LENGTH] {
        self.tids.next(self.worker, 0, 0)
    }
}

/// Comment of a status code (RFC 4975 section 10, RFC 4976, RFC 7701); empty for an unknown one.
pub fn status_comment(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Timeout",
        413 => "Message Too Large",
        415 => "Unsupported Media Type",
        423 => "Interval Out-of-Bounds",
        424 => "Malformed Nickname",
        425 => "Nickname Reserved or In Use",
        428 => "Private Messages Not Supported",
        481 => "Session Does Not Exist",
        501 => "Not Implemented",
        506 => "Session Already In Use",
        _ => "",
    }
}
