//! A SEND that is passed on while it comes in (relay R-080…R-084).
//!
//! On the way out it is a chunk of its own, or several: whatever else has to go to the same connection interrupts it, and it
//! goes on later with a new transaction id and the Byte-Range of the octets that follow.
//!
//! ```text
//! closed ──open──▶ open ──interrupt '+'──▶ closed ──2048 octets held, or the end──▶ open … ──finish(flag)──▶
//! ```
//! INVARIANT: an open chunk has 2048 octets at least, so that it can be interrupted at any time (core C-050, R-081).

use crate::connection::{Connection, State};
use crate::flow::hold_if_full;
use crate::forward::{count_message, message_limit};
use crate::frame::{FailureReport, Frame};
use crate::plane::Plane;
use crate::reply::{Failure, ResponseTo, put, put_total, report, respond_plainly};
use crate::route::Route;
use crate::table::Key;
use crate::tid::TID_LENGTH;
use crate::transaction::Slot;
use memchr::{memchr, memmem};
use msrp_core::frame::record::{method, word};
use std::mem;
use std::rc::Rc;

/// The state of one such SEND.
#[derive(Debug)]
pub struct SendStream {
    source: Key,
    pub target: Key,
    route: Rc<Route>,
    tid: Vec<u8>,
    failure_report: FailureReport,
    message_id: Vec<u8>,
    start: u64,
    total: Option<u64>,
    /// Headers before and behind where Byte-Range belongs.
    before: Vec<u8>,
    behind: Vec<u8>,
    /// 0 while octets are passed on; else the status that the rest is refused with, at its end (R-063).
    status: u16,
    /// A REPORT has told the sender already.
    reported: bool,
    /// Octets that have come in.
    received: u64,
    /// Of the chunk on the way out.
    open: bool,
    out_tid: [u8; TID_LENGTH],
    slot: Option<Slot>,
    chunk_start: u64,
    chunk_octets: u64,
    /// Octets for the next chunk while there are too few to open it.
    held: Vec<u8>,
    /// The last bytes of the chunk, once something in it looked like an end-line: a false one must not pass in two pieces.
    trail: Option<Vec<u8>>,
}

/// Smallest piece that a message may be cut into (core C-050).
const MIN_CHUNK_OCTETS: usize = 2048;

/// A transaction id split over two pieces lies in this many last bytes of the first, but for one.
const TRAIL_BYTES: usize = TID_LENGTH - 1;

/// Takes the head of a SEND over; `status` other than 0 refuses it.
pub fn begin(plane: &mut Plane, source: Key, route: Rc<Route>, frame: Frame<'_>, status: u16) -> Key {
    let headers_start = frame.word(word::HEADERS_START);
    let headers_end = frame.word(word::HEADERS_END);
    let (line, behind) = match frame.word(word::BYTE_RANGE_LINE) {
        // Without a Byte-Range one is put in front: MIME headers must stay last.
        0 => (headers_start, headers_start),
        line => (line, memchr(b'\n', &frame.bytes[line..]).map_or(headers_end, |end| line + end + 1)),
    };
    let start = frame.range_start();
    let stream = SendStream {
        source,
        target: route.target,
        route,
        tid: frame.tid().to_vec(),
        failure_report: frame.failure_report(),
        message_id: frame.message_id().to_vec(),
        start,
        total: frame.range_total(),
        before: frame.bytes[headers_start..line].to_vec(),
        behind: frame.bytes[behind..headers_end].to_vec(),
        status,
        reported: false,
        received: 0,
        open: false,
        out_tid: [0; TID_LENGTH],
        slot: None,
        chunk_start: start,
        chunk_octets: 0,
        held: Vec::new(),
        trail: None,
    };
    plane.streams.insert_with(|_| stream)
}

/// Octets of the body that have come in. `dashes`: something in them looks like an end-line.
pub fn push(plane: &mut Plane, key: Key, octets: &[u8], dashes: bool) {
    let limit = message_limit(plane);
    let Some(stream) = plane.streams.get_mut(key) else { return };
    stream.received += octets.len() as u64;
    if stream.start - 1 + stream.received > limit {
        fail(plane, key, 413);
    }
    let Some(stream) = plane.streams.get_mut(key) else { return };
    if stream.status != 0 || octets.is_empty() {
        return;
    }
    let (source, target) = (stream.source, stream.target);
    if plane.connections.get(target).is_none_or(|target| !target.usable() || target.shedding) {
        fail(plane, key, 408);
        return;
    }
    if dashes && stream.trail.is_none() {
        stream.trail = Some(Vec::new());
    }
    if stream.open {
        pass(plane, key, octets);
    } else {
        stream.held.extend_from_slice(octets);
        if stream.held.len() < MIN_CHUNK_OCTETS {
            return;
        }
        open_chunk(plane, key);
    }
    hold_if_full(plane, source, target);
}

/// The end of the SEND has come in: the last chunk gets its flag (R-082), the sender its response (R-060).
pub fn finish(plane: &mut Plane, key: Key, flag: u8) {
    let Some(stream) = plane.streams.get(key) else { return };
    let (source, target) = (stream.source, stream.target);
    if let Some(source) = plane.connections.get_mut(source)
        && source.incoming_stream == Some(key)
    {
        source.incoming_stream = None;
    }
    if stream.status == 0 && plane.connections.get(target).is_none_or(|target| !target.usable()) {
        fail(plane, key, 408);
    }
    let Some(stream) = plane.streams.get(key) else { return };
    if stream.status != 0 {
        refuse(plane, key);
        plane.streams.remove(key);
        return;
    }
    // Nothing is left to be said when the chunk was interrupted at its very end and more chunks follow anyway.
    if !stream.open && (!stream.held.is_empty() || flag != b'+') {
        open_chunk(plane, key);
    }
    if plane.streams.get(key).is_some_and(|stream| stream.open) {
        close_chunk(plane, key, flag);
    }
    if let Some(source) = plane.connections.get_mut(source) {
        source.probation = false;
    }
    let Some(stream) = plane.streams.remove(key) else { return };
    count_message(plane, &stream.route, stream.received);
    if stream.failure_report == FailureReport::Yes {
        respond(plane, &stream, 200);
    }
    hold_if_full(plane, source, target);
}

/// Ends the chunk that is open towards `target` so that something else can be written; there is nothing to wait for.
pub fn interrupt(plane: &mut Plane, target: Key) {
    let Some(key) = plane.connections.get(target).and_then(|target| target.outgoing_stream) else { return };
    if plane.streams.get(key).is_some_and(|stream| stream.open) {
        plane.counters.interruptions += 1;
        close_chunk(plane, key, b'+');
    }
}

/// A response to the chunk that is still on its way out to `target`: some answer once they have seen its head. Good news are all
/// that was waited for; bad ones end the chunk, and the rest of the SEND is refused (R-063). False when it answers nothing.
pub fn answered(plane: &mut Plane, target: Key, tid: &[u8], status: u16, is_ours: impl Fn(&Route) -> bool) -> bool {
    let Some(key) = plane.connections.get(target).and_then(|target| target.outgoing_stream) else { return false };
    let Some(stream) = plane.streams.get_mut(key).filter(|stream| stream.open && stream.out_tid == *tid) else { return false };
    if !is_ours(&stream.route) {
        return false;
    }
    let Some(slot) = stream.slot.take() else { return false };
    plane.transactions.release(slot);
    if !(200..=299).contains(&status) {
        fail(plane, key, status);
    }
    true
}

/// The sender has died in the middle: whoever has the first part is told that no more comes (R-084).
pub fn source_lost(plane: &mut Plane, source: Key) {
    let Some(key) = plane.connections.get_mut(source).and_then(|source| source.incoming_stream.take()) else { return };
    let Some(stream) = plane.streams.get(key) else { return };
    if stream.status == 0 && plane.connections.get(stream.target).is_some_and(Connection::usable) {
        if !stream.open {
            open_chunk(plane, key);
        }
        close_chunk(plane, key, b'#');
    } else if let Some(slot) = stream.slot {
        // It has sent to itself: nobody is left to be told.
        plane.counters.dropped += 1;
        plane.transactions.release(slot);
    }
    plane.streams.remove(key);
}

/// The connection that an open chunk went to has closed: the sender is told how far it got (R-084).
pub fn target_lost(plane: &mut Plane, target: Key) {
    let Some(key) = plane.connections.get_mut(target).and_then(|target| target.outgoing_stream.take()) else { return };
    let Some(stream) = plane.streams.get_mut(key) else { return };
    stream.open = false;
    if let Some(slot) = stream.slot.take() {
        plane.transactions.release(slot);
    }
    if stream.status != 0 {
        return;
    }
    stream.status = 408;
    if stream.failure_report == FailureReport::No {
        return;
    }
    stream.reported = true;
    let (source, route) = (stream.source, Rc::clone(&stream.route));
    let (start, octets, total) = (stream.chunk_start, stream.chunk_octets, stream.total);
    let message_id = stream.message_id.clone();
    let (to_path, from_path) = (&route.to_path, &route.from_path);
    report(plane, source, &Failure { to_path, from_path, message_id: &message_id, start, octets, total }, 408);
}

/// What was going to one connection goes to another one from now on.
pub fn retarget(plane: &mut Plane, from: Key, to: Key) {
    for stream in plane.streams.values_mut() {
        if stream.target == from {
            stream.target = to;
        }
    }
}

/// What comes of this SEND from now on is read and dropped; its receiver gets `#`.
fn fail(plane: &mut Plane, key: Key, status: u16) {
    let Some(stream) = plane.streams.get(key) else { return };
    if stream.status != 0 {
        return;
    }
    if stream.open {
        close_chunk(plane, key, b'#');
    }
    let Some(stream) = plane.streams.get_mut(key) else { return };
    stream.held = Vec::new();
    stream.status = status;
}

/// Begins a chunk with what is held.
fn open_chunk(plane: &mut Plane, key: Key) {
    let Some(target) = plane.streams.get(key).map(|stream| stream.target) else { return };
    interrupt(plane, target);
    let Plane { streams, connections, transactions, tids, spare, worker, .. } = plane;
    let (Some(stream), Some(connection)) = (streams.get_mut(key), connections.get_mut(target)) else { return };
    stream.chunk_start += stream.chunk_octets;
    stream.chunk_octets = 0;
    stream.slot = if stream.failure_report == FailureReport::No { None } else { transactions.take() };
    stream.out_tid = match stream.slot {
        Some(slot) => transactions.new_tid(slot, tids),
        None => tids.next(*worker, 0, 0),
    };
    let out = connection.outbox.buffer(spare);
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(&stream.out_tid);
    out.extend_from_slice(&stream.route.send_head);
    out.extend_from_slice(&stream.before);
    put(out, format_args!("Byte-Range: {}-*/", stream.chunk_start));
    put_total(out, stream.total);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&stream.behind);
    out.extend_from_slice(b"\r\n");
    stream.open = true;
    connection.outgoing_stream = Some(key);
    if let Some(trail) = &mut stream.trail {
        trail.clear();
    }
    let held = mem::take(&mut stream.held);
    plane.touch(target);
    pass(plane, key, &held);
    let Some(stream) = plane.streams.get_mut(key) else { return };
    if stream.open {
        if stream.held.is_empty() {
            // Its memory is used again after the next interruption.
            stream.held = held;
            stream.held.clear();
        }
    } else if !stream.held.is_empty() {
        open_chunk(plane, key);
    }
}

/// Appends octets to the open chunk.
fn pass(plane: &mut Plane, key: Key, octets: &[u8]) {
    let Plane { streams, connections, spare, .. } = plane;
    let Some(stream) = streams.get_mut(key) else { return };
    let Some(connection) = connections.get_mut(stream.target) else { return };
    let cut = if stream.trail.is_some() { collision(stream, octets) } else { None };
    let passed = &octets[..cut.unwrap_or(octets.len())];
    connection.outbox.buffer(spare).extend_from_slice(passed);
    stream.chunk_octets += passed.len() as u64;
    let target = stream.target;
    plane.touch(target);
    let Some(cut) = cut else { return };
    // The body holds the id of this very chunk: it ends before that, and goes on under another one (R-083).
    close_chunk(plane, key, b'+');
    let Some(stream) = plane.streams.get_mut(key) else { return };
    stream.held.extend_from_slice(&octets[cut..]);
    if stream.held.len() >= MIN_CHUNK_OCTETS {
        open_chunk(plane, key);
    }
}

/// How many of the octets the open chunk can take when the body holds its id; none when it does not.
fn collision(stream: &mut SendStream, octets: &[u8]) -> Option<usize> {
    let trail = stream.trail.as_mut()?;
    let before = trail.len();
    // Where the id may begin in what has passed and end in what comes now.
    trail.extend_from_slice(&octets[..octets.len().min(TRAIL_BYTES)]);
    let hit = memmem::find(trail, &stream.out_tid)
        .map(|at| at.saturating_sub(before))
        .or_else(|| memmem::find(octets, &stream.out_tid));
    trail.truncate(before);
    if hit.is_some() {
        trail.clear();
    } else {
        trail.extend_from_slice(&octets[octets.len().saturating_sub(TRAIL_BYTES)..]);
        let excess = trail.len().saturating_sub(TRAIL_BYTES);
        trail.drain(..excess);
    }
    hit
}

fn close_chunk(plane: &mut Plane, key: Key, flag: u8) {
    let now_ms = plane.now_ms;
    let transaction_ms = plane.limits.transaction_ms;
    let Plane { streams, connections, transactions, spare, counters, .. } = plane;
    let Some(stream) = streams.get_mut(key) else { return };
    let target = stream.target;
    stream.open = false;
    let slot = stream.slot.take();
    let Some(connection) = connections.get_mut(target) else {
        if let Some(slot) = slot {
            transactions.release(slot);
        }
        return;
    };
    let out = connection.outbox.buffer(spare);
    out.extend_from_slice(b"\r\n-------");
    out.extend_from_slice(&stream.out_tid);
    out.extend_from_slice(&[flag, b'\r', b'\n']);
    counters.frames_out[method::SEND as usize] += 1;
    if connection.outgoing_stream == Some(key) {
        connection.outgoing_stream = None;
    }
    let queued_up_to = connection.queued_total();
    if let Some(slot) = slot {
        let transaction = transactions.at_mut(slot);
        transaction.source = stream.source;
        transaction.target = target;
        transaction.route = Some(Rc::clone(&stream.route));
        transaction.is_send = true;
        transaction.is_auth = false;
        transaction.timed = stream.failure_report == FailureReport::Yes;
        transaction.message_id.clear();
        transaction.message_id.extend_from_slice(&stream.message_id);
        transaction.start = stream.chunk_start;
        transaction.octets = stream.chunk_octets;
        transaction.total = stream.total;
        transaction.started_ms = now_ms;
        transaction.deadline_ms = now_ms.saturating_add(transaction_ms);
        transaction.queued_up_to = queued_up_to;
        transactions.open(slot, connections);
    }
    plane.touch(target);
}

/// The end of a SEND that was refused: its sender gets the response that it waits for, even if a REPORT has come before it.
fn refuse(plane: &mut Plane, key: Key) {
    let Some(stream) = plane.streams.remove(key) else { return };
    plane.counters.refuse(stream.status);
    if stream.failure_report == FailureReport::Yes || stream.failure_report == FailureReport::Partial && !stream.reported {
        respond(plane, &stream, stream.status);
    } else {
        plane.counters.dropped += 1;
    }
}

fn respond(plane: &mut Plane, stream: &SendStream, status: u16) {
    let Route { to_path, from_path, .. } = &*stream.route;
    if to_path.is_empty() || from_path.is_empty() {
        plane.counters.dropped += 1;
    } else if plane.connections.get(stream.source).is_some_and(|source| source.state == State::Open) {
        respond_plainly(plane, stream.source, status, &ResponseTo::send(&stream.tid, to_path, from_path));
    }
}
