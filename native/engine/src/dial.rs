//! Tries the candidates of a next hop in order until one is usable (core section 7, "Resolution").

use crate::close::close_connection;
use crate::connection::{Link, State};
use crate::contract::{CloseReason, ConnectSpec, Event};
use crate::errno;
use crate::plane::{Plane, token_of};
use crate::table::Key;
use mio::net::TcpStream;
use mio::{Interest, Registry};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

/// A dial under way.
#[derive(Debug)]
pub struct Dial {
    spec: ConnectSpec,
    next: usize,
    stream: Option<TcpStream>,
    deadline_ms: u64,
    failures: String,
    last_timed_out: bool,
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
        last_timed_out: false,
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
        failed(plane, key, "timeout", true);
    }
}

/// The poller has something to say of a socket that is being connected.
pub fn on_event(plane: &mut Plane, key: Key) {
    let Some(dial) = plane.connections.get_mut(key).and_then(|connection| connection.dial.as_mut()) else { return };
    let Some(stream) = &dial.stream else { return };
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => {
            failed(plane, key, &errno::name(&error), false);
            return;
        }
        Ok(None) => {}
    }
    match stream.peer_addr() {
        Ok(remote) => opened(plane, key, remote),
        // Not connected yet: the event was a false one.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
        Err(error) => failed(plane, key, &errno::name(&error), false),
    }
}

fn opened(plane: &mut Plane, key: Key, remote: SocketAddr) {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let Some(dial) = connection.dial.take() else { return };
    let Some(stream) = dial.stream else { return };
    let local = stream.local_addr().unwrap_or(remote);
    connection.link = Link::Tcp(stream);
    connection.remote = Some(remote);
    connection.local = Some(local);
    connection.state = State::Open;
    connection.last_active_ms = now_ms;
    connection.readable = true;
    let event = Event::Opened { connection: connection.id, incoming: false, listener: None, remote, local };
    plane.counters.dialled += 1;
    if let Some(relay) = dial.spec.relay {
        plane.identify(key, &relay);
    }
    plane.emit(event);
    plane.touch(key);
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
            let reason = if dial.last_timed_out { CloseReason::ConnectTimeout } else { CloseReason::ConnectFailed };
            close_connection(plane, key, reason, Some(detail));
            return;
        };
        dial.next += 1;
        dial.deadline_ms = now_ms.saturating_add(dial.spec.timeout_ms);
        let connected = connect(registry, key, candidate, &dial.spec).map_err(|error| errno::name(&error));
        let is_under_way = connected.is_ok();
        match connected {
            Ok(stream) => dial.stream = Some(stream),
            Err(error) => note(dial, candidate, &error, false),
        }
        let connection = plane.id_of(key);
        plane.emit(Event::Dialling { connection, remote: candidate });
        if is_under_way {
            return;
        }
    }
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

fn failed(plane: &mut Plane, key: Key, why: &str, timed_out: bool) {
    let Some(dial) = plane.connections.get_mut(key).and_then(|connection| connection.dial.as_mut()) else { return };
    dial.stream = None;
    if let Some(&candidate) = dial.spec.candidates.get(dial.next.wrapping_sub(1)) {
        note(dial, candidate, why, timed_out);
    }
    try_next(plane, key);
}

fn note(dial: &mut Dial, candidate: SocketAddr, why: &str, timed_out: bool) {
    let separator = if dial.failures.is_empty() { "" } else { "; " };
    let _ = write!(dial.failures, "{separator}{} {}: {why}", candidate.ip(), candidate.port());
    dial.last_timed_out = timed_out;
}
