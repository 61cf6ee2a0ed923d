//! Connections that have done nothing yet move to the worker of the session that their first request is for.

use super::Message;
use super::pass::Home;
use crate::close::close_connection;
use crate::connection::{Connection, Link, State};
use crate::contract::{CloseReason, ConnectionId, ListenerId, SessionId};
use crate::errno;
use crate::frame::Frame;
use crate::inbox::Command;
use crate::plane::{Plane, token_of, worker_of};
use crate::table::Key;
use crate::tap::Tap;
use crate::tls::Tls;
use mio::Interest;
use mio::net::TcpStream;
use msrp_core::frame::record::{kind, word};
use std::mem;
use std::net::SocketAddr;

/// A connection on its way to another worker.
pub struct Moving {
    id: ConnectionId,
    listener: Option<ListenerId>,
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    remote: Option<SocketAddr>,
    local: Option<SocketAddr>,
    /// Bytes that were read and not handled.
    rest: Vec<u8>,
    tap: Option<Box<Tap>>,
    opened_at_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Plane {
    /// The worker that a connection should move to before `frame` of it is handled; none when it stays.
    ///
    /// Only one that has done nothing moves: it has no session, owes no answer, and nobody knows it but by its number. That of a
    /// relay stays: it carries sessions of all workers.
    pub fn should_move(&mut self, key: Key, frame: Frame<'_>) -> Option<usize> {
        if self.others.pending.len() == 1 || !matches!(frame.record[word::KIND], kind::WHOLE | kind::HEAD) {
            return None;
        }
        let connection = self.connections.get(key)?;
        let untouched = connection.incoming
            && connection.probation
            && connection.relay.is_none()
            && connection.sessions.is_empty()
            && connection.routes.is_empty()
            && connection.stand_ins == 0
            && connection.requests == 0
            && connection.outbox.is_empty()
            && connection.pauses == 0
            && worker_of(connection.id) == self.worker;
        if !untouched || frame.is_response() {
            return None;
        }
        match self.home_of(key, frame) {
            Home::There(worker) => Some(worker),
            Home::Here => None,
        }
    }

    /// Moves a connection to another worker with the bytes that it has not handled.
    pub fn move_away(&mut self, key: Key, worker: usize, rest: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Link::Tcp(_) = connection.link else { return };
        let Some(mut connection) = self.connections.remove(key) else { return };
        let Link::Tcp(mut stream) = mem::replace(&mut connection.link, Link::None) else { return };
        let _ = self.registry.deregister(&mut stream);
        self.others.moved.insert(connection.id, worker);
        let moving = Moving {
            id: connection.id,
            listener: connection.listener,
            stream,
            tls: connection.tls,
            remote: connection.remote,
            local: connection.local,
            rest: rest.to_vec(),
            tap: connection.tap,
            opened_at_ms: connection.opened_at_ms,
            bytes_in: connection.bytes_in,
            bytes_out: connection.bytes_out,
        };
        self.others.pending[worker].0.push(Command::Other(Message::Adopt(Box::new(moving))));
    }

    pub(super) fn adopt(&mut self, moving: Moving) {
        let (decoder, now_ms) = (self.decoder(), self.now_ms);
        let mut connection = Connection::new(moving.id, true, State::Open, decoder, now_ms);
        connection.listener = moving.listener;
        connection.tls = moving.tls;
        connection.remote = moving.remote;
        connection.local = moving.local;
        connection.opened_at_ms = moving.opened_at_ms;
        connection.bytes_in = moving.bytes_in;
        connection.bytes_out = moving.bytes_out;
        connection.unhandled = moving.rest;
        connection.traced = moving.tap.is_some();
        connection.tap = moving.tap;
        connection.readable = true;
        let key = self.connections.insert_with(|_| connection);
        self.others.adopted.insert(moving.id, key);
        self.shared.note_moved(moving.id, self.worker);
        let mut stream = moving.stream;
        let registered = self.registry.register(&mut stream, token_of(key), Interest::READABLE | Interest::WRITABLE);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.link = Link::Tcp(stream);
        }
        match registered {
            Ok(()) => {
                // Records of TLS may be on their way out.
                self.touch(key);
                self.read_later(key);
            }
            Err(error) => close_connection(self, key, CloseReason::PeerReset, Some(errno::name(&error))),
        }
    }

    /// A connection that had moved here has gone.
    pub fn forget_adopted(&mut self, id: ConnectionId) {
        if self.others.adopted.remove(&id).is_some() {
            self.shared.forget_moved(id);
            self.others.pending[worker_of(id)].0.push(Command::Other(Message::Forget(id)));
        }
    }

    /// Whether a connection of this worker has moved to another one.
    pub fn has_moved(&self, connection: ConnectionId) -> bool {
        self.others.moved.contains_key(&connection)
    }

    /// A command about a connection that has moved goes after it.
    pub fn pass_on(&mut self, connection: ConnectionId, command: Command) {
        if let Some(&worker) = self.others.moved.get(&connection) {
            self.others.pending[worker].0.push(command);
        }
    }

    /// A command about a session that is not known on the worker of its number: its connection may have moved before it was
    /// opened.
    pub fn pass_to_others(&mut self, session: SessionId, command: impl Fn() -> Command) {
        if worker_of(session) != self.worker {
            return;
        }
        for (worker, (pending, _)) in self.others.pending.iter_mut().enumerate() {
            if worker != self.worker {
                pending.push(command());
            }
        }
    }
}
