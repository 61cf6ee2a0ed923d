//! Listening sockets of one worker.

use crate::connection::{Link, State};
use crate::contract::{CloseReason, Event, ListenerId};
use crate::plane::{Plane, token_of};
use crate::tls::{HandshakeFailure, Server, begin_accept, end_of_listener};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Token};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// One listening socket.
pub struct Listener {
    pub id: ListenerId,
    socket: TcpListener,
    /// Address that accepted connections have here, unless it is any address.
    local: Option<SocketAddr>,
    /// Absent: plain TCP.
    tls: Option<Arc<Server>>,
    /// There may be somebody to accept.
    pub readable: bool,
}

/// Tokens of listeners lie above those of connections; this is the first.
pub const FIRST_LISTENER: usize = 1 << 62;

/// Connections accepted in one turn, so that a storm of them does not keep the others from their turn.
const ACCEPTED_PER_TURN: usize = 64;

impl Listener {
    pub fn new(
        plane: &Plane,
        id: ListenerId,
        socket: std::net::TcpListener,
        tls: Option<Arc<Server>>,
        token: Token,
    ) -> io::Result<Self> {
        let mut socket = TcpListener::from_std(socket);
        plane.registry.register(&mut socket, token, Interest::READABLE)?;
        let local = socket.local_addr().ok().filter(|local| !local.ip().is_unspecified());
        Ok(Self { id, socket, local, tls, readable: true })
    }

    pub fn close(mut self, plane: &mut Plane) {
        let _ = plane.registry.deregister(&mut self.socket);
        end_of_listener(plane, self.id);
    }

    /// Domains for handshakes that begin from now on.
    pub fn update_tls(&mut self, tls: Arc<Server>) {
        self.tls = Some(tls);
    }

    /// Accepts who waits, up to a bound.
    pub fn accept(&mut self, plane: &mut Plane) {
        for _ in 0..ACCEPTED_PER_TURN {
            if plane.ring_full {
                // Whoever is accepted must be told of; the queue of the kernel waits.
                return;
            }
            match self.socket.accept() {
                Ok((stream, remote)) => self.admit(plane, stream, remote),
                // A peer that has gone already; others may wait behind it.
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                // Nobody waits; or no file descriptor is left, and the next tick tries again.
                Err(_) => {
                    self.readable = false;
                    return;
                }
            }
        }
    }

    fn admit(&self, plane: &mut Plane, mut stream: TcpStream, remote: SocketAddr) {
        let refused = if plane.draining { Some(CloseReason::Shutdown) } else { self.refusal(plane, remote) };
        if let Some(reason) = refused {
            plane.counters.close(reason);
            let handshake = (reason == CloseReason::MaxHandshakes).then_some(HandshakeFailure::MaxHandshakes);
            if let Some(failure) = handshake {
                plane.counters.handshake_failure(failure);
            }
            let id = plane.unused_id();
            plane.emit(Event::Closed {
                connection: id,
                incoming: true,
                listener: Some(self.id),
                local: self.local.or_else(|| stream.local_addr().ok()),
                remote: Some(remote),
                reason,
                detail: None,
                handshake,
                tls_domain: None,
                bytes_in: 0,
                bytes_out: 0,
            });
            return;
        }
        let local = self.local.or_else(|| stream.local_addr().ok()).unwrap_or(remote);
        let key = plane.add_connection(true, State::Open);
        plane.counters.accepted += 1;
        let registered = plane.registry.register(&mut stream, token_of(key), Interest::READABLE | Interest::WRITABLE);
        let Some(connection) = plane.connections.get_mut(key) else { return };
        connection.listener = Some(self.id);
        connection.remote = Some(remote);
        connection.local = Some(local);
        connection.link = Link::Tcp(stream);
        connection.readable = true;
        let id = connection.id;
        if let Some(tls) = &self.tls {
            begin_accept(plane, key, tls);
        } else {
            plane.emit(Event::Opened { connection: id, incoming: true, listener: Some(self.id), remote, local, tls: None });
        }
        match registered {
            Ok(()) => plane.read_later(key),
            Err(error) => {
                let detail = Some(crate::errno::name(&error));
                crate::close::close_connection(plane, key, CloseReason::PeerReset, detail);
            }
        }
    }
}

impl Listener {
    /// Why a peer is not admitted; none admits it, and counts it.
    fn refusal(&self, plane: &Plane, remote: SocketAddr) -> Option<CloseReason> {
        let limits = &plane.limits;
        if self.tls.is_some() && !plane.shared.handshake_begins(limits.max_handshakes) {
            return Some(CloseReason::MaxHandshakes);
        }
        let refused = plane.shared.admit(remote.ip(), limits);
        if refused.is_some() && self.tls.is_some() {
            plane.shared.handshake_ended();
        }
        refused
    }
}

impl Plane {
    /// A number that no connection has, or will have.
    fn unused_id(&mut self) -> u64 {
        let key = self.add_connection(true, State::Open);
        let id = self.id_of(key);
        self.connections.remove(key);
        id
    }
}
