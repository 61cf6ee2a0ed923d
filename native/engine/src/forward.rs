//! Whole requests: routed, and appended to the outbox of their target, all in one call.

use crate::close::close_connection;
use crate::connection::{Connection, State};
use crate::contract::{CloseReason, Event, Request};
use crate::counters::RESPONSE_KIND;
use crate::flow::{hold_if_full, pause, resume};
use crate::frame::{FailureReport, Frame, read_headers};
use crate::plane::{OpenRequest, Plane};
use crate::reply::{ResponseTo, begin_frame, respond_plainly};
use crate::route::{Path, Route, Verdict, resolve};
use crate::send_stream::MIN_CHUNK_OCTETS;
use crate::table::Key;
use crate::tid::TID_LENGTH;
use crate::transaction::Slot;
use msrp_core::frame::record::{bit, method, word};
use msrp_core::syntax::byte_range::MAX_OCTETS;
use std::rc::Rc;

/// A whole request. `issue`: the objection to it, 0 for none. A SEND whose body is longer than its target takes at once (relay R-086) is
/// left to the caller, with its route.
pub fn on_request(plane: &mut Plane, source: Key, frame: Frame<'_>, issue: u32) -> Option<Rc<Route>> {
    if issue != 0 {
        refuse_malformed(plane, source, frame);
        return None;
    }
    let route = route_of(plane, source, frame)?;
    if route.verdict != Verdict::Forward {
        refuse(plane, source, frame, &route, route.verdict);
    } else if frame.method() != method::SEND {
        forward_other(plane, source, frame, &route);
    } else if is_too_long(plane, frame, &route) {
        return Some(route);
    } else {
        forward_send(plane, source, frame, &route);
    }
    None
}

#[inline]
fn is_too_long(plane: &Plane, frame: Frame<'_>, route: &Route) -> bool {
    let octets = frame.body().len();
    octets > MIN_CHUNK_OCTETS && plane.connections.get(route.target).is_some_and(|target| octets as u64 > target.chunk_octets)
}

/// The route of a request: that of the one before, when its paths are the same and nothing has changed since.
#[inline]
pub fn route_of(plane: &mut Plane, source: Key, frame: Frame<'_>) -> Option<Rc<Route>> {
    if frame.has(bit::SAME_PATHS)
        && let Some(route) = &plane.connections.get(source)?.last_route
        && route.is_current(plane)
    {
        return Some(Rc::clone(route));
    }
    find_route(plane, source, frame)
}

fn find_route(plane: &mut Plane, source: Key, frame: Frame<'_>) -> Option<Rc<Route>> {
    let key = frame.paths();
    let known = plane.connections.get(source)?.routes.get(key).filter(|route| route.is_current(plane)).cloned();
    let route = if let Some(route) = known {
        route
    } else {
        let route = Rc::new(resolve(plane, source, frame.method(), frame.name(), frame.to(), frame.from()));
        if route.verdict == Verdict::Forward {
            // From now on there is something here that hangs on either.
            for end in [source, route.target] {
                plane.connections.get_mut(end)?.may_move = false;
            }
        }
        let routes = &mut plane.connections.get_mut(source)?.routes;
        routes.remove(key);
        if route.verdict == Verdict::Forward && key.len() <= CACHED_PATH_BYTES {
            if routes.len() >= CACHED_ROUTES {
                routes.clear();
            }
            routes.insert(key.into(), Rc::clone(&route));
        }
        route
    };
    plane.connections.get_mut(source)?.last_route = Some(Rc::clone(&route));
    Some(route)
}

/// Routes kept for one connection, and the longest paths kept: what a peer can make this relay remember.
const CACHED_ROUTES: usize = 1024;
const CACHED_PATH_BYTES: usize = 1024;

/// The peer of a session is learned from its SENDs (relay R-094). False when another live connection has the session already,
/// which is answered 506 (core C-081).
pub fn learn_peer(plane: &mut Plane, route: &Route, source: Key) -> bool {
    let (true, [key]) = (route.to_client, route.sessions.as_slice()) else { return true };
    let Some(session) = plane.sessions.get(*key) else { return true };
    let Some(from) = route.from_path.first() else { return true };
    if session.peer == Some(source) && session.peer_uri == **from {
        return true;
    }
    // Over a link all sessions of another worker come, each known by its URI: as on a path through two sessions of one worker.
    if plane.connections.get(source).is_some_and(Connection::is_link) {
        return true;
    }
    if session.exclusive_peer
        && let Some(other) = session.peer
        && other != source
        && plane.connections.get(other).is_some_and(|other| other.state == State::Open)
        && plane.connections.get(source).is_some_and(|source| source.relay.is_none())
    {
        return false;
    }
    if let Some(session) = plane.sessions.get_mut(*key) {
        session.peer = Some(source);
        session.peer_uri.clear();
        session.peer_uri.extend_from_slice(from);
        session.version = session.version.wrapping_add(1);
    }
    true
}

fn forward_send(plane: &mut Plane, source: Key, frame: Frame<'_>, route: &Rc<Route>) {
    let octets = frame.body().len() as u64;
    let failure_report = frame.failure_report();
    let wants_news = failure_report != FailureReport::No;
    let limit = message_limit(plane);
    let (start, total) = (frame.range_start(), frame.range_total());
    let mut refusal = 0;
    let mut slot = None;
    if frame.word(word::MESSAGE_ID_END) == 0 {
        refusal = 400;
    } else if !learn_peer(plane, route, source) {
        refusal = 506;
    } else if plane.connections.get(route.target).is_none_or(|target| target.shedding) {
        refusal = 408;
    } else if total.unwrap_or(0) > limit || start - 1 + octets > limit {
        refusal = 413;
    } else if wants_news {
        slot = plane.transactions.take();
        if slot.is_none() {
            refusal = 408;
        }
    }
    if refusal != 0 {
        refuse(plane, source, frame, route, Verdict::Refuse(refusal));
        return;
    }
    append_forwarded(plane, route.target, frame, &route.send_head, slot);
    if let Some(slot) = slot {
        let queued_up_to = plane.connections.get(route.target).map_or(0, Connection::queued_total);
        let started_ms = plane.now_ms;
        let deadline_ms = started_ms.saturating_add(plane.limits.transaction_ms);
        let transaction = plane.transactions.at_mut(slot);
        transaction.source = source;
        transaction.target = route.target;
        transaction.route = Some(Rc::clone(route));
        transaction.is_send = true;
        transaction.is_auth = false;
        transaction.timed = failure_report == FailureReport::Yes;
        transaction.message_id.clear();
        transaction.message_id.extend_from_slice(frame.message_id());
        transaction.start = start;
        transaction.octets = octets;
        transaction.total = total;
        transaction.started_ms = started_ms;
        transaction.deadline_ms = deadline_ms;
        transaction.queued_up_to = queued_up_to;
        plane.transactions.open(slot, &mut plane.connections);
    }
    count_message(plane, route, octets);
    plane.counters.frames_out[method::SEND as usize] += 1;
    if failure_report == FailureReport::Yes {
        acknowledge(plane, source, frame, route);
    }
    if let Some(source) = plane.connections.get_mut(source) {
        source.probation = false;
    }
    hold_if_full(plane, source, route.target);
}

/// Octets that a message may have: at most as many as a Byte-Range can count.
pub fn message_limit(plane: &Plane) -> u64 {
    match plane.limits.message_bytes {
        0 => MAX_OCTETS,
        limit => limit,
    }
}

/// Counts a message that has passed, for each session on its way.
pub fn count_message(plane: &mut Plane, route: &Route, octets: u64) {
    let last = route.sessions.len().saturating_sub(1);
    for (i, &key) in route.sessions.iter().enumerate() {
        let Some(session) = plane.sessions.get_mut(key) else { continue };
        if route.to_client && i == last {
            session.frames_in += 1;
            session.bytes_in += octets;
        } else {
            session.frames_out += 1;
            session.bytes_out += octets;
        }
    }
}

/// 200 for a SEND that this hop has got whole (relay R-060).
fn acknowledge(plane: &mut Plane, source: Key, frame: Frame<'_>, route: &Route) {
    let tid = frame.tid();
    let Some(out) = begin_frame(plane, source) else { return };
    out.reserve(5 + 2 * tid.len() + route.ok_tail.len() + 3);
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(tid);
    out.extend_from_slice(&route.ok_tail);
    out.extend_from_slice(tid);
    out.extend_from_slice(b"$\r\n");
    plane.counters.frames_out[RESPONSE_KIND] += 1;
    plane.counters.ok_responses += 1;
    plane.touch(source);
    hold_if_full(plane, source, source);
}

/// REPORT and any method but SEND: whole or not at all (core C-033).
fn forward_other(plane: &mut Plane, source: Key, frame: Frame<'_>, route: &Rc<Route>) {
    let number = frame.method();
    let is_report = number == method::REPORT;
    // A REPORT without Status says nothing, and only a SEND can be continued (core C-060, C-033).
    let bad = frame.word(word::FLAG) != usize::from(b'$') || is_report && frame.word(word::STATUS_END) == 0;
    let shedding = plane.connections.get(route.target).is_none_or(|target| target.shedding);
    let slot = if bad || is_report || shedding { None } else { plane.transactions.take() };
    if bad || shedding || slot.is_none() && !is_report {
        let status = if bad { 400 } else { 408 };
        refuse(plane, source, frame, route, Verdict::Refuse(status));
        return;
    }
    let head = [b" ".as_slice(), frame.name(), b"\r\n", &route.paths].concat();
    append_forwarded(plane, route.target, frame, &head, slot);
    if let Some(slot) = slot {
        let is_auth = number == method::AUTH;
        let has_credentials =
            is_auth && read_headers(frame.headers()).iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let queued_up_to = plane.connections.get(route.target).map_or(0, Connection::queued_total);
        let started_ms = plane.now_ms;
        let deadline_ms = started_ms.saturating_add(plane.limits.transaction_ms);
        let transaction = plane.transactions.at_mut(slot);
        transaction.source = source;
        transaction.target = route.target;
        transaction.route = Some(Rc::clone(route));
        transaction.is_send = false;
        transaction.is_auth = is_auth;
        transaction.has_credentials = has_credentials;
        transaction.source_tid.clear();
        transaction.source_tid.extend_from_slice(frame.tid());
        transaction.started_ms = started_ms;
        transaction.deadline_ms = deadline_ms;
        transaction.queued_up_to = queued_up_to;
        plane.transactions.open(slot, &mut plane.connections);
    }
    plane.counters.frames_out[number as usize] += 1;
    if let Some(source) = plane.connections.get_mut(source) {
        source.probation = false;
    }
    hold_if_full(plane, source, route.target);
}

/// Appends the frame with a new transaction id and new paths; everything else is copied byte for byte (relay R-052…R-054).
///
/// ```text
/// MSRP ␣ new-tid  head                 headers, empty line, body, CRLF, seven hyphens   new-tid flag CRLF
///                 ␣SEND CRLF paths     as received                                      ↑ tid of the received end-line
/// ```
#[inline]
fn append_forwarded(plane: &mut Plane, target: Key, frame: Frame<'_>, head: &[u8], slot: Option<Slot>) {
    let tid = fresh_tid(plane, frame, slot);
    let from = frame.word(word::HEADERS_START);
    let tid_length = frame.word(word::TID_END) - frame.word(word::TID_START);
    let to = frame.word(word::END) - 3 - tid_length;
    let body_end = frame.word(word::BODY_END);
    // An empty body whose CRLF is shared goes on in the form that every peer understands (core D-03 f).
    let shared = body_end != 0 && to - 7 == body_end;
    let Some(out) = begin_frame(plane, target) else { return };
    out.reserve(5 + 2 * TID_LENGTH + head.len() + (to - from) + 3 + 2);
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(&tid);
    out.extend_from_slice(head);
    if shared {
        out.extend_from_slice(&frame.bytes[from..to - 7]);
        out.extend_from_slice(b"\r\n-------");
    } else {
        out.extend_from_slice(&frame.bytes[from..to]);
    }
    out.extend_from_slice(&tid);
    out.extend_from_slice(&[frame.record[word::FLAG].to_le_bytes()[0], b'\r', b'\n']);
    plane.touch(target);
}

/// A new transaction id that the body does not contain (core C-031, relay R-083).
#[inline]
fn fresh_tid(plane: &mut Plane, frame: Frame<'_>, slot: Option<Slot>) -> [u8; TID_LENGTH] {
    loop {
        let tid = match slot {
            Some(slot) => plane.transactions.new_tid(slot, &mut plane.tids),
            None => plane.untracked_tid(),
        };
        if !frame.has(bit::DASHES) || memchr::memmem::find(frame.body(), &tid).is_none() {
            return tid;
        }
    }
}

/// Answers what is malformed but delimited with 400 (core D-05, D-12), where an answer is allowed and has an address.
fn refuse_malformed(plane: &mut Plane, source: Key, frame: Frame<'_>) {
    if let Some(connection) = plane.connections.get_mut(source) {
        connection.last_route = None;
    }
    refuse_paths(plane, source, frame, &frame.to(), &frame.from(), 400);
}

/// Refuses a request whose paths are good, or hands it to the control plane.
fn refuse(plane: &mut Plane, source: Key, frame: Frame<'_>, route: &Route, verdict: Verdict) {
    let status = match verdict {
        Verdict::Refuse(status) => status,
        // What comes out of another own session is for no control plane (route.rs, `unknown`).
        _ if plane.connections.get(source).is_some_and(Connection::is_link) => 481,
        _ => {
            pass_up(plane, source, frame, route);
            return;
        }
    };
    plane.counters.refuse(status);
    if route.misdirected && closes_misdirected(plane, source) {
        return;
    }
    refuse_paths(plane, source, frame, &route.to_path, &route.from_path, status);
}

/// Who may be told what: no response to a REPORT, nor to a SEND that wants none (core C-061, C-070).
fn refuse_paths(plane: &mut Plane, source: Key, frame: Frame<'_>, to_path: &Path, from_path: &Path, status: u16) {
    let number = frame.method();
    let silent = number == method::REPORT
        || number == method::SEND && frame.failure_report() == FailureReport::No
        || to_path.is_empty()
        || from_path.is_empty();
    if silent {
        plane.counters.dropped += 1;
        return;
    }
    let to = if number == method::SEND {
        ResponseTo::send(frame.tid(), to_path, from_path)
    } else {
        ResponseTo::other(frame.tid(), to_path, from_path)
    };
    respond_plainly(plane, source, status, &to);
}

/// A request for another host (relay D-42): closes a connection on probation, and one that does it again and again; never one
/// that a relay shares among many. True when the connection was closed.
pub fn closes_misdirected(plane: &mut Plane, key: Key) -> bool {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get_mut(key) else { return true };
    let close = connection.probation || {
        if connection.relay.is_some() || !connection.incoming {
            return false;
        }
        if now_ms.saturating_sub(connection.misdirected_since_ms) > MISDIRECTED_WINDOW_MS {
            connection.misdirected = 0;
            connection.misdirected_since_ms = now_ms;
        }
        connection.misdirected += 1;
        connection.misdirected >= MISDIRECTED_LIMIT
    };
    if close {
        close_connection(plane, key, CloseReason::Misdirected, None);
    }
    close
}

const MISDIRECTED_LIMIT: u32 = 3;
const MISDIRECTED_WINDOW_MS: u64 = 60_000;

/// Hands a request for this relay to the control plane.
fn pass_up(plane: &mut Plane, source: Key, frame: Frame<'_>, route: &Route) {
    let request = plane.next_request();
    let Some(connection) = plane.connections.get_mut(source) else { return };
    let Some(remote) = connection.remote else { return };
    connection.requests += 1;
    // A peer that asks faster than it is answered is not read from meanwhile.
    let pauses = connection.requests == OPEN_REQUESTS;
    let texts = |path: &Path| path.iter().map(|uri| String::from_utf8_lossy(uri).into_owned()).collect();
    let event = Event::Request(Box::new(Request {
        request,
        connection: connection.id,
        listener: connection.listener,
        remote,
        method: String::from_utf8_lossy(frame.name()).into_owned(),
        to_path: texts(&route.to_path),
        from_path: texts(&route.from_path),
        headers: read_headers(frame.headers()),
    }));
    let open = OpenRequest {
        connection: source,
        tid: frame.tid().into(),
        to_path: route.to_path.clone(),
        from_path: route.from_path.clone(),
    };
    plane.requests.insert(request, open);
    if pauses {
        pause(plane, source);
    }
    plane.emit_from(source, event);
}

/// A request of the control plane has been answered.
pub fn request_done(plane: &mut Plane, key: Key) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let resumes = connection.requests == OPEN_REQUESTS;
    connection.requests = connection.requests.saturating_sub(1);
    if resumes {
        resume(plane, key);
    }
}

/// Requests with the control plane, of one connection. A relay may carry many clients; one client has one (R-003).
const OPEN_REQUESTS: u32 = 16;
