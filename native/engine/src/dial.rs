//! Tries the candidates of a next hop in order until one is usable (core section 7, "Resolution").

use crate::close::close_connection;
use crate::connection::{Link, State};
use crate::contract::{CloseReason, ConnectSpec, Event};
use crate::errno;
use crate::plane::{Plane, token_of};
use crate::table::Key;
use crate::tls::{HandshakeFailure, begin_dial, reason_of};
use mio::net::TcpStream;
use mio::{Interest, Registry};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt::Write;
use std::io;
use std::mem;
use std::net::SocketAddr;

/// A dial under way.
#[derive(Debug)]
pub struct Dial {
    spec: ConnectSpec,
    next: usize,
    stream: Option<TcpStream>,
    deadline_ms: u64,
    failures: String,
    /// What the last failure comes to.
    reason: CloseReason,
    handshake: Option<HandshakeFailure>,
}

/// Begins to dial.
pub fn begin(plane: &mut Plane, key: Key, spec: ConnectSpec) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    connection.dial = Some(Box::new(Dial {
        spec,
        next: 0,
        stream: None,
        deadline_ms: u64::MAX,
        failures: String::new(),
        reason: CloseReason::ConnectFailed,
        handshake: None,
    }));
    try_next(plane, key);
}

/// Gives up on a candidate that has had its time.
pub fn sweep(plane: &mut Plane, key: Key) {
    let late = plane
        .connections
        .get(key)
        .and_then(|connection| connection.dial.as_ref())
        .is_some_and(|dial| plane.now_ms >= dial.deadline_ms);
    if late {
        failed(plane, key, "timeout", CloseReason::ConnectTimeout, None);
    }
}

/// The poller has something to say of a socket that is being connected.
pub fn on_event(plane: &mut Plane, key: Key) {
    let Some(dial) = plane.connections.get_mut(key).and_then(|connection| connection.dial.as_mut()) else { return };
    let Some(stream) = &dial.stream else { return };
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => {
            failed(plane, key, &errno::name(&error), CloseReason::ConnectFailed, None);
            return;
        }
        Ok(None) => {}
    }
    match stream.peer_addr() {
        Ok(remote) => opened(plane, key, remote),
        // Not connected yet: the event was a false one.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
        Err(error) => failed(plane, key, &errno::name(&error), CloseReason::ConnectFailed, None),
    }
}

/// The handshake of a dial is done: there is nothing more to try.
pub fn finished(plane: &mut Plane, key: Key) {
    let Some(dial) = plane.connections.get_mut(key).and_then(|connection| connection.dial.take()) else { return };
    plane.counters.dialled += 1;
    if let Some(relay) = dial.spec.relay {
        plane.identify(key, &relay);
    }
}

/// The handshake of a dial has failed: the next candidate may do better.
pub fn handshake_failed(plane: &mut Plane, key: Key, failure: HandshakeFailure, why: &str) {
    failed(plane, key, why, reason_of(failure), Some(failure));
}

fn opened(plane: &mut Plane, key: Key, remote: SocketAddr) {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let Some(dial) = &mut connection.dial else { return };
    let Some(stream) = mem::take(&mut dial.stream) else { return };
    let tls = dial.spec.tls.clone();
    let local = stream.local_addr().unwrap_or(remote);
    connection.link = Link::Tcp(stream);
    connection.remote = Some(remote);
    connection.local = Some(local);
    connection.last_active_ms = now_ms;
    connection.readable = true;
    if let Some(tls) = tls {
        if let Err(error) = begin_dial(plane, key, &tls) {
            failed(plane, key, &error.to_string(), CloseReason::ConnectFailed, None);
            return;
        }
    } else {
        connection.state = State::Open;
        let event = Event::Opened { connection: connection.id, incoming: false, listener: None, remote, local, tls: None };
        finished(plane, key);
        plane.emit(event);
        plane.touch(key);
    }
    plane.read_later(key);
}

fn try_next(plane: &mut Plane, key: Key) {
    loop {
        let registry = &plane.registry;
        let now_ms = plane.now_ms;
        let Some(dial) = plane.connections.get_mut(key).and_then(|connection| connection.dial.as_mut()) else { return };
        let Some(&candidate) = dial.spec.candidates.get(dial.next) else {
            let none = || dial.spec.why_none.clone().unwrap_or_else(|| "no address".to_owned());
            let detail = if dial.failures.is_empty() { none() } else { dial.failures.clone() };
            let (reason, handshake) = (dial.reason, dial.handshake);
            // What is said begins with what it comes to.
            let detail = handshake.map_or(detail.clone(), |failure| format!("{}: {detail}", failure.name()));
            close_dial(plane, key, reason, detail, handshake);
            return;
        };
        dial.next += 1;
        dial.deadline_ms = now_ms.saturating_add(dial.spec.timeout_ms);
        let connected = connect(registry, key, candidate, &dial.spec).map_err(|error| errno::name(&error));
        let is_under_way = connected.is_ok();
        let tls = dial.spec.tls.is_some();
        match connected {
            Ok(stream) => dial.stream = Some(stream),
            Err(error) => note(dial, candidate, &error, CloseReason::ConnectFailed, None),
        }
        let connection = plane.id_of(key);
        plane.emit(Event::Dialling { connection, remote: candidate, tls });
        if is_under_way {
            return;
        }
    }
}

/// No candidate is left.
fn close_dial(plane: &mut Plane, key: Key, reason: CloseReason, detail: String, handshake: Option<HandshakeFailure>) {
    if let Some(connection) = plane.connections.get_mut(key) {
        let domain = connection.dial.as_ref().and_then(|dial| dial.spec.tls.as_ref()).map(|tls| tls.domain.name.to_string());
        connection.failed_handshake = handshake.map(|failure| (failure, domain));
    }
    close_connection(plane, key, reason, Some(detail));
}

fn connect(registry: &Registry, key: Key, candidate: SocketAddr, spec: &ConnectSpec) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(candidate), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(address) = spec.local_address {
        socket.bind(&SockAddr::from(SocketAddr::new(address, 0)))?;
    }
    match socket.connect(&SockAddr::from(candidate)) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => {}
        Err(error) => return Err(error),
    }
    let mut stream = TcpStream::from_std(socket.into());
    registry.register(&mut stream, token_of(key), Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

fn is_under_way(error: &io::Error) -> bool {
    /// EINPROGRESS, which has no kind of its own.
    const IN_PROGRESS: [i32; 2] = [115, 36];
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error().is_some_and(|code| IN_PROGRESS.contains(&code))
}

fn failed(plane: &mut Plane, key: Key, why: &str, reason: CloseReason, handshake: Option<HandshakeFailure>) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    // Of a handshake nothing is left.
    connection.link = Link::None;
    connection.tls = None;
    connection.state = State::Connecting;
    connection.readable = false;
    connection.read_closed = false;
    connection.ended = false;
    if mem::take(&mut connection.blocked) {
        plane.writing.retain(|&other| other != key);
    }
    let Some(dial) = &mut connection.dial else { return };
    dial.stream = None;
    if let Some(&candidate) = dial.spec.candidates.get(dial.next.wrapping_sub(1)) {
        note(dial, candidate, why, reason, handshake);
    }
    try_next(plane, key);
}

fn note(dial: &mut Dial, candidate: SocketAddr, why: &str, reason: CloseReason, handshake: Option<HandshakeFailure>) {
    let separator = if dial.failures.is_empty() { "" } else { "; " };
    let _ = write!(dial.failures, "{separator}{} {}: {why}", candidate.ip(), candidate.port());
    dial.reason = reason;
    dial.handshake = handshake;
}
