//! Connections whose bytes the control plane moves: a pipe where a socket would be.
//!
//! ```text
//! control plane                                                 worker
//!   feed ──▶ input ── Fed ─────────────────────────────────────▶ read: framed where it lies
//!   take ◀── output ◀──────────────────────── Event::Output ──── flush: lent by the outbox, whole frames
//!        ── (the next take) Sent ───────────────────────────────▶ returned to the outbox
//! ```
//! INVARIANT: one piece is out at a time, and counts as queued until it is sent: an external connection holds no more than any
//! other does.

use crate::close::destroy;
use crate::connection::{Connection, Link, State};
use crate::contract::{CloseReason, ConnectionId, Event, ExternalSpec, Output};
use crate::flow::release_if_drained;
use crate::inbox::lock;
use crate::plane::Plane;
use crate::receive::{keep_rest, scan_all};
use crate::send_stream;
use crate::table::Key;
use crate::tap::Teller;
use memchr::{memchr, memmem};
use std::mem;
use std::sync::{Arc, Mutex};

/// What the control plane and a worker share of one connection.
#[derive(Debug, Default)]
pub struct Pipe {
    state: Mutex<Ends>,
}

#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each of one side")]
struct Ends {
    input: Vec<u8>,
    /// The worker was told that there is input, and has not looked yet.
    told_input: bool,
    /// Whoever feeds was told to stop.
    full: bool,
    output: Option<Output>,
    /// The control plane was told that there is output, and has not found none yet.
    told_output: bool,
    /// A piece was taken and is not sent yet.
    taken: bool,
    /// It is sent.
    sent: bool,
}

/// What comes of feeding.
pub struct Fed {
    /// The worker must be told.
    pub is_news: bool,
    /// Bytes that wait to be read.
    pub waiting: usize,
}

/// Bytes that may wait to be read before whoever feeds is told to stop.
const INPUT_BYTES: usize = 65_536;

/// A piece of output is about as long at most, or one frame.
const PIECE_BYTES: usize = 65_536;

impl Pipe {
    pub fn feed(&self, bytes: &[u8]) -> Fed {
        let mut state = lock(&self.state);
        state.input.extend_from_slice(bytes);
        state.full |= state.input.len() >= INPUT_BYTES;
        Fed { is_news: !mem::replace(&mut state.told_input, true), waiting: state.input.len() }
    }

    /// The next piece of output, and whether the worker must be told that the one before is sent.
    pub fn take(&self) -> (Option<Output>, bool) {
        let mut state = lock(&self.state);
        let is_news = mem::take(&mut state.taken);
        state.sent |= is_news;
        let output = state.output.take();
        if output.is_some() {
            state.taken = true;
        } else {
            state.told_output = false;
        }
        (output, is_news)
    }

    /// Everything that was fed, and whether somebody waits for room.
    fn take_input(&self) -> (Vec<u8>, bool) {
        let mut state = lock(&self.state);
        state.told_input = false;
        (mem::take(&mut state.input), mem::take(&mut state.full))
    }

    /// Puts output in. True when the control plane must be told.
    fn offer(&self, output: Output) -> bool {
        let mut state = lock(&self.state);
        state.output = Some(output);
        !mem::replace(&mut state.told_output, true)
    }

    fn take_sent(&self) -> bool {
        mem::take(&mut lock(&self.state).sent)
    }
}

/// Enters an external connection, unless a limit refuses it.
pub fn open(plane: &mut Plane, id: ConnectionId, pipe: Arc<Pipe>, spec: &ExternalSpec) {
    let ExternalSpec { listener, remote, local, chunk_octets } = *spec;
    let limits = &plane.limits;
    let refused = if plane.draining { Some(CloseReason::Shutdown) } else { plane.shared.admit(remote.ip(), limits) };
    if let Some(reason) = refused {
        plane.counters.close(reason);
        plane.shared.forget_pipe(id);
        plane.emit(Event::Closed {
            connection: id,
            incoming: true,
            listener: Some(listener),
            local: Some(local),
            remote: Some(remote),
            reason,
            detail: None,
            handshake: None,
            tls_domain: None,
            bytes_in: 0,
            bytes_out: 0,
        });
        return;
    }
    let mut connection = Connection::new(id, true, State::Open, plane.decoder(), plane.now_ms);
    connection.listener = Some(listener);
    connection.remote = Some(remote);
    connection.local = Some(local);
    connection.chunk_octets = chunk_octets;
    connection.link = Link::External(pipe);
    let key = plane.connections.insert_with(|_| connection);
    plane.others.adopted.insert(id, key);
    if plane.trace_new.is_some() {
        plane.trace_frames(key, plane.trace_new);
    }
    plane.counters.accepted += 1;
    plane.emit(Event::Opened { connection: id, incoming: true, listener: Some(listener), remote, local, tls: None });
}

/// Bytes lie in the pipe.
pub fn fed(plane: &mut Plane, id: ConnectionId) {
    let Some(key) = plane.key_of(id) else { return };
    if let Some(connection) = plane.connections.get_mut(key) {
        connection.readable = true;
    }
    plane.read_later(key);
}

/// What was taken is with the peer.
pub fn sent(plane: &mut Plane, id: ConnectionId) {
    if let Some(key) = plane.key_of(id) {
        plane.touch(key);
    }
}

/// Frames what lies in the pipe.
pub fn read(plane: &mut Plane, key: Key, pipe: &Pipe, records: &mut [u32]) {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get_mut(key) else { return };
    connection.readable = false;
    if connection.state != State::Open {
        return;
    }
    let (mut bytes, awaited) = pipe.take_input();
    if connection.traced
        && let Some(tap) = &mut connection.tap
    {
        let (events, counters, budget) = (&mut plane.events, &mut plane.counters, &plane.shared.frames);
        tap.read(&bytes, &mut Teller { connection: connection.id, events, counters, budget });
    }
    connection.bytes_in += bytes.len() as u64;
    connection.last_active_ms = now_ms;
    plane.counters.bytes_in += bytes.len() as u64;
    let id = connection.id;
    if !connection.rest.is_empty() {
        let mut rest = mem::take(&mut connection.rest);
        rest.extend_from_slice(&bytes);
        bytes = rest;
    }
    let done = scan_all(plane, key, &bytes, records);
    keep_rest(plane, key, bytes.get(done..).unwrap_or_default());
    if awaited {
        plane.emit(Event::Room { connection: id });
    }
}

/// Lends the next piece of the outbox to the control plane when the one before is sent.
pub fn flush(plane: &mut Plane, key: Key) {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let Link::External(pipe) = &connection.link else { return };
    let pipe = Arc::clone(pipe);
    let mut wrote = 0;
    if pipe.take_sent() {
        wrote = connection.outbox.returned();
        connection.bytes_out += wrote as u64;
        connection.last_active_ms = now_ms;
        connection.blocked = false;
        plane.counters.bytes_out += wrote as u64;
        plane.writing.retain(|&other| other != key);
    }
    let Some(connection) = plane.connections.get(key) else { return };
    let told_full = connection.told_full;
    if !connection.blocked && !connection.outbox.is_empty() {
        send_stream::pause_chunk(plane, key);
        let Plane { connections, spare, events, counters, shared, .. } = plane;
        let Some(connection) = connections.get_mut(key) else { return };
        if connection.traced
            && let Some(tap) = &mut connection.tap
        {
            let mut teller = Teller { connection: connection.id, events, counters, budget: &shared.frames };
            tap.before_write(&connection.outbox, &mut teller);
        }
        let ends = frame_ends(connection.outbox.waiting());
        let size = ends.last().map_or(0, |&end| end as usize);
        let bytes = connection.outbox.lend(size, spare);
        if connection.traced
            && let Some(tap) = &mut connection.tap
        {
            tap.after_write(&connection.outbox);
        }
        connection.blocked = true;
        connection.write_progress_ms = now_ms;
        plane.writing.push(key);
        if pipe.offer(Output { bytes, ends }) {
            let connection = connection.id;
            plane.emit(Event::Output { connection });
        }
    }
    let Some(connection) = plane.connections.get(key) else { return };
    if connection.state == State::Closing && connection.unsettled == 0 && connection.outbox.is_empty() {
        destroy(plane, key);
    } else if wrote > 0 {
        release_if_drained(plane, key);
        if told_full != 0 {
            plane.tell_drained(key);
        }
    }
}

/// Where the first frames end, about [`PIECE_BYTES`] of them. INVARIANT: the bytes are whole frames.
fn frame_ends(bytes: &[u8]) -> Vec<u32> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < bytes.len() && (at == 0 || at < PIECE_BYTES) {
        // What has no end cannot be; if it could, it would be one frame with all that follows.
        at = frame_end(&bytes[at..]).map_or(bytes.len(), |size| at + size);
        ends.push(u32::try_from(at).unwrap_or(u32::MAX));
    }
    ends
}

/// Size of the frame that the bytes begin with: it looks for its end-line alone (core D-08).
fn frame_end(bytes: &[u8]) -> Option<usize> {
    let tid = bytes.get(TID_AT..)?;
    let tid = &tid[..memchr(b' ', tid)?];
    let mark = [b"\r\n-------".as_slice(), tid].concat();
    let finder = memmem::Finder::new(&mark);
    let mut at = TID_AT + tid.len();
    loop {
        at += finder.find(&bytes[at..])? + mark.len();
        if let [b'$' | b'+' | b'#', b'\r', b'\n'] = bytes.get(at..at + 3)? {
            return Some(at + 3);
        }
    }
}

/// Behind `MSRP` and a space.
const TID_AT: usize = 5;

#[cfg(test)]
mod tests {
    use super::{PIECE_BYTES, frame_ends};

    #[test]
    fn frames_are_told_apart_by_their_end_lines() {
        let one = b"MSRP a 200 OK\r\nTo-Path: x\r\nFrom-Path: y\r\n-------a$\r\n".as_slice();
        let two = b"MSRP bcde SEND\r\nTo-Path: x\r\n\r\n\r\n-------a$\r\n\r\n-------bcde?\r\n-------bcde+\r\n".as_slice();
        let bytes = [one, two, one].concat();
        assert_eq!(
            frame_ends(&bytes).iter().map(|&end| end as usize).collect::<Vec<_>>(),
            [one.len(), one.len() + two.len(), bytes.len()]
        );
        let many = one.repeat(10_000);
        let last = frame_ends(&many).last().map_or(0, |&end| end as usize);
        assert!((PIECE_BYTES..PIECE_BYTES + one.len()).contains(&last));
    }
}
