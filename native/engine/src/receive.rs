//! Bytes that have come in: framed, and every frame dealt with. What is incomplete is kept for the next time.

use crate::close::{close_connection, destroy};
use crate::connection::{Connection, Link, State};
use crate::contract::CloseReason;
use crate::counters::RESPONSE_KIND;
use crate::errno;
use crate::external;
use crate::forward::{closes_misdirected, learn_peer, message_limit, on_request, route_of};
use crate::frame::Frame;
use crate::plane::Plane;
use crate::response::on_response;
use crate::route::{Route, Verdict};
use crate::send_stream;
use crate::table::Key;
use crate::tap::Teller;
use crate::tls::{self, Got, HandshakeFailure, Lost};
use mio::net::TcpStream;
use msrp_core::error::FrameError;
use msrp_core::frame::record::{RECORD_WORDS, bit, kind, method, word};
use std::io::{ErrorKind, Read};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

/// Where all connections of a worker are read into, one after the other.
///
/// ```text
/// [ incomplete frame of before | what is read now ................ ]
///   at most PREFIX_BYTES         read_bytes
/// ```
/// Of a TLS connection, records are read into `ciphertext` first, and what they hold is put where a plain one is read to.
pub struct ReadBuffer {
    bytes: Vec<u8>,
    ciphertext: Vec<u8>,
    records: Vec<u32>,
}

/// What was incomplete is copied in front of what is read now, up to this size; a longer one grows in memory of its own.
const PREFIX_BYTES: usize = 16_384;
const RECORDS_PER_SCAN: usize = 128;
/// Bytes of one read: as many as may come on top of a full outbox.
const MIN_READ_BYTES: usize = 16_384;
const MAX_READ_BYTES: usize = 262_144;
/// An incomplete frame of a quiet connection holds no more memory than it needs above this.
const SMALL_REST_BYTES: usize = 1024;

impl ReadBuffer {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; PREFIX_BYTES + MAX_READ_BYTES],
            ciphertext: Vec::new(),
            records: vec![0; RECORDS_PER_SCAN * RECORD_WORDS],
        }
    }
}

/// Reads once from a connection. True when there may be more.
pub fn on_readable(plane: &mut Plane, key: Key, buffer: &mut ReadBuffer) -> bool {
    let read_bytes = match plane.limits.outbox_bytes {
        0 => MAX_READ_BYTES,
        bytes => bytes.clamp(MIN_READ_BYTES, MAX_READ_BYTES),
    };
    let Some(connection) = plane.connections.get_mut(key) else { return false };
    if connection.pauses > 0 && connection.state == State::Open {
        return false;
    }
    if connection.state == State::Handshake && !tls::step_allowed(&mut plane.handshake_steps) {
        return true;
    }
    if !connection.unhandled.is_empty() {
        let bytes = mem::take(&mut connection.unhandled);
        if connection.state != State::Open {
            return true;
        }
        let done = scan_all(plane, key, &bytes, &mut buffer.records);
        keep_rest(plane, key, bytes.get(done..).unwrap_or_default());
        return true;
    }
    if let Link::External(pipe) = &connection.link {
        let pipe = Arc::clone(pipe);
        external::read(plane, key, &pipe, &mut buffer.records);
        return false;
    }
    let Link::Tcp(stream) = &mut connection.link else { return false };
    let kept = connection.rest.len();
    let prefix = if kept <= PREFIX_BYTES { kept } else { 0 };
    let closing = connection.state == State::Closing;
    let got = match &mut connection.tls {
        // What comes after its end is read, so that the end of the peer is seen, and means nothing any more.
        Some(tls) if !closing => {
            tls.read(stream, &mut buffer.ciphertext, read_bytes, &mut buffer.bytes[prefix..], &mut plane.spare)
        }
        _ => read_plain(stream, &mut buffer.bytes[prefix..prefix + read_bytes]),
    };
    let Got { count, more, ended } = match got {
        Ok(got) => got,
        Err(Lost::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
            connection.readable = false;
            return false;
        }
        Err(lost) => {
            connection.readable = false;
            on_lost(plane, key, lost);
            return false;
        }
    };
    if ended {
        connection.readable = false;
        connection.ended = true;
        match connection.state {
            State::Open => close_connection(plane, key, CloseReason::PeerClosed, None),
            State::Handshake => tls::fail(plane, key, HandshakeFailure::Closed, "the peer has closed"),
            _ if connection.shut => destroy(plane, key),
            _ => {}
        }
        return false;
    }
    // A short read has emptied the socket; but for an end that came with it, the poller tells of what follows.
    let more = more || connection.read_closed;
    connection.readable = more;
    if connection.state == State::Handshake && !tls::finish_if_done(plane, key) {
        plane.touch(key);
        return more;
    }
    let Some(connection) = plane.connections.get_mut(key) else { return false };
    if connection.tls.as_ref().is_some_and(|tls| tls.is_urgent()) && !connection.dirty {
        connection.dirty = true;
        plane.dirty.push(key);
    }
    if connection.state != State::Open || count == 0 {
        return more;
    }
    if connection.traced
        && let Some(tap) = &mut connection.tap
    {
        let (events, counters, budget) = (&mut plane.events, &mut plane.counters, &plane.shared.frames);
        let mut teller = Teller { connection: connection.id, events, counters, budget };
        tap.read(&buffer.bytes[prefix..prefix + count], &mut teller);
    }
    let now_ms = plane.now_ms;
    plane.counters.bytes_in += count as u64;
    connection.bytes_in += count as u64;
    connection.last_active_ms = now_ms;
    if prefix == kept {
        buffer.bytes[..prefix].copy_from_slice(&connection.rest);
        connection.rest.clear();
        let ReadBuffer { bytes, records, .. } = buffer;
        let bytes = &bytes[..prefix + count];
        let done = scan_all(plane, key, bytes, records);
        keep_rest(plane, key, bytes.get(done..).unwrap_or_default());
    } else {
        let mut rest = mem::take(&mut connection.rest);
        rest.extend_from_slice(&buffer.bytes[..count]);
        let done = scan_all(plane, key, &rest, &mut buffer.records);
        if let Some(connection) = plane.connections.get_mut(key).filter(|connection| connection.state == State::Open) {
            rest.drain(..done);
            connection.rest = rest;
        }
    }
    more
}

/// One read, and what there is to be said of it.
fn read_plain(stream: &mut TcpStream, room: &mut [u8]) -> Result<Got, Lost> {
    let size = room.len();
    loop {
        match stream.read(room) {
            Ok(count) => return Ok(Got { count, more: count == size, ended: count == 0 }),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Lost::Io(error)),
        }
    }
}

/// A read has shown that a connection is of no use any more.
fn on_lost(plane: &mut Plane, key: Key, lost: Lost) {
    let Some(state) = plane.connections.get(key).map(|connection| connection.state) else { return };
    match (state, lost) {
        (State::Handshake, Lost::Io(error)) => tls::fail(plane, key, HandshakeFailure::Closed, &errno::name(&error)),
        (State::Handshake, Lost::Tls(error)) => tls::fail_with(plane, key, &error),
        (State::Handshake, Lost::Refused(failure, why)) => tls::fail(plane, key, failure, why),
        (State::Open, Lost::Io(error)) => close_connection(plane, key, CloseReason::PeerReset, Some(errno::name(&error))),
        (State::Open, Lost::Tls(error)) => {
            tls::say_last(plane, key);
            close_connection(plane, key, CloseReason::PeerReset, Some(error.to_string()));
        }
        _ => destroy(plane, key),
    }
}

pub fn keep_rest(plane: &mut Plane, key: Key, rest: &[u8]) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    if connection.state != State::Open {
        return;
    }
    if rest.is_empty() && connection.rest.capacity() > SMALL_REST_BYTES {
        connection.rest = Vec::new();
    }
    connection.rest.extend_from_slice(rest);
}

fn is_alive(plane: &Plane, key: Key) -> bool {
    plane.connections.get(key).is_some_and(|connection| connection.state == State::Open)
}

/// Frames and handles all bytes; returns up to where they are done with.
pub fn scan_all(plane: &mut Plane, key: Key, bytes: &[u8], records: &mut [u32]) -> usize {
    let mut from = 0;
    loop {
        let Some(connection) = plane.connections.get_mut(key) else { return bytes.len() };
        let count = connection.decoder.scan(bytes, from, bytes.len(), records);
        let consumed = connection.decoder.consumed();
        for base in (0..count * RECORD_WORDS).step_by(RECORD_WORDS) {
            if let Some(frame) = Frame::at(bytes, records, base) {
                if plane.move_before(key, frame, bytes) {
                    return bytes.len();
                }
                if plane.connections.get(key).is_some_and(Connection::is_link) {
                    on_record(plane, key, frame);
                } else {
                    plane.on_frame(key, frame);
                }
            }
            if !is_alive(plane, key) {
                return bytes.len();
            }
        }
        let progress = consumed > from;
        from = consumed;
        if from == bytes.len() || count == 0 || !progress {
            break;
        }
    }
    let limit = plane.limits.max_msg_chunks;
    let Some(connection) = plane.connections.get_mut(key) else { return bytes.len() };
    if connection.decoder.pending() {
        connection.reads += 1;
        if limit != 0 && connection.reads >= limit {
            close_connection(plane, key, CloseReason::MaxMsgChunks, None);
        }
    } else {
        connection.reads = 0;
    }
    from
}

/// Bytes of a connection that has no socket: those of a link between two workers.
pub fn on_linked(plane: &mut Plane, key: Key, bytes: &[u8]) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let mut all = mem::take(&mut connection.rest);
    all.extend_from_slice(bytes);
    let mut records = vec![0; RECORDS_PER_SCAN * RECORD_WORDS];
    let done = scan_all(plane, key, &all, &mut records);
    keep_rest(plane, key, all.get(done..).unwrap_or_default());
}

/// One record of a connection, its own or that of a stand-in.
pub fn on_record(plane: &mut Plane, key: Key, frame: Frame<'_>) {
    let issue = frame.record[word::ISSUE];
    match frame.record[word::KIND] {
        kind::WHOLE => {
            if let Some(connection) = plane.connections.get_mut(key) {
                connection.reads = 0;
            }
            if issue != 0 {
                plane.counters.reject(issue);
            }
            if frame.is_response() {
                plane.counters.frames_in[RESPONSE_KIND] += 1;
                on_response(plane, key, frame, issue);
            } else {
                plane.counters.frames_in[frame.method() as usize] += 1;
                if let Some(route) = on_request(plane, key, frame, issue) {
                    // Cut as one that comes in piece by piece.
                    let stream = begin_on(plane, key, frame, route, 0);
                    send_stream::finish(plane, stream, frame.record[word::FLAG].to_le_bytes()[0]);
                }
            }
        }
        kind::HEAD => {
            if let Some(connection) = plane.connections.get_mut(key) {
                connection.reads = 0;
            }
            plane.counters.frames_in[method::SEND as usize] += 1;
            begin_stream(plane, key, frame, issue);
        }
        kind::BODY | kind::END => {
            let Some(stream) = plane.connections.get(key).and_then(|connection| connection.incoming_stream) else {
                return;
            };
            send_stream::push(plane, stream, frame.body(), frame.has(bit::DASHES));
            if frame.record[word::KIND] == kind::END {
                send_stream::finish(plane, stream, frame.record[word::FLAG].to_le_bytes()[0]);
            }
        }
        _ => {
            plane.counters.reject(issue);
            let error = FrameError::ALL.into_iter().find(|error| u32::from(error.code()) == issue);
            let reason = if error == Some(FrameError::Limit) { CloseReason::HeaderLimit } else { CloseReason::ProtocolError };
            close_connection(plane, key, reason, error.map(|error| error.name().to_owned()));
        }
    }
}

/// The head of a SEND that is passed on while it comes in: refused now, read to its end all the same (relay R-063).
fn begin_stream(plane: &mut Plane, key: Key, frame: Frame<'_>, issue: u32) {
    let (route, status) = if issue != 0 {
        plane.counters.reject(issue);
        if let Some(connection) = plane.connections.get_mut(key) {
            connection.last_route = None;
        }
        (Rc::new(Route::refused(frame.to(), frame.from(), Verdict::Refuse(400), false)), 400)
    } else {
        let Some(route) = route_of(plane, key, frame) else { return };
        if route.misdirected && closes_misdirected(plane, key) {
            return;
        }
        let status = match route.verdict {
            Verdict::Forward => 0,
            Verdict::Refuse(status) => status,
            // Only a method other than SEND is for this relay itself.
            Verdict::Up => 481,
        };
        (route, status)
    };
    begin_on(plane, key, frame, route, status);
}

/// Begins to pass on a SEND, or to read what is refused with `status`.
fn begin_on(plane: &mut Plane, key: Key, frame: Frame<'_>, route: Rc<Route>, mut status: u16) -> Key {
    if status != 0 {
    } else if frame.word(word::MESSAGE_ID_END) == 0 {
        status = 400;
    } else if !learn_peer(plane, &route, key) {
        status = 506;
    } else if plane.connections.get(route.target).is_none_or(|target| target.shedding) {
        status = 408;
    } else if frame.range_total().is_some_and(|total| total > message_limit(plane)) {
        status = 413;
    }
    let stream = send_stream::begin(plane, key, route, frame, status);
    if let Some(connection) = plane.connections.get_mut(key) {
        connection.incoming_stream = Some(stream);
    }
    send_stream::push(plane, stream, frame.body(), frame.has(bit::DASHES));
    stream
}
