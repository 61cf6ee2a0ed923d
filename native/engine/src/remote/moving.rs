//! Connections move before their first request to the worker where it leads to.
//!
//! | whose it is | its first request | where it moves |
//! |---|---|---|
//! | a peer's, which has done nothing yet | for a session | to the worker of that session |
//! | a client's, with one session, after its AUTH | through that session to another one of this relay | to the worker of that one |
//!
//! Nothing can be on its way to the worker that it leaves: a peer is known to nobody yet, and a session that another worker has asked
//! for stays (directory.rs). So order is kept (architecture invariant I6). Nor does anything on that worker hang on it: what was
//! forwarded from it or to it makes it stay (`may_move`).

use super::{LINK, Message};
use crate::close::close_connection;
use crate::connection::{Connection, Link, State};
use crate::contract::{CloseReason, ConnectionId, ListenerId, SessionId, SessionSpec};
use crate::directory::secret_of;
use crate::errno;
use crate::frame::Frame;
use crate::inbox::Command;
use crate::open::open_session;
use crate::plane::{Plane, token_of, worker_of};
use crate::table::Key;
use crate::tap::Tap;
use crate::tls::Tls;
use mio::Interest;
use mio::net::TcpStream;
use msrp_core::frame::record::{kind, method, word};
use msrp_core::syntax::path::uris;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

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
    probation: bool,
    /// The session of its client.
    session: Option<(SessionId, SessionSpec)>,
}

impl Plane {
    /// Moves a connection to another worker before `frame`, which lies in `bytes`, is handled, if that is where it belongs. True when
    /// it has gone, with this frame and what follows it.
    #[inline]
    pub fn move_before(&mut self, key: Key, frame: Frame<'_>, bytes: &[u8]) -> bool {
        let may_move = self.others.links.len() > 1 && self.connections.get(key).is_some_and(|connection| connection.may_move);
        may_move && self.move_if_apart(key, frame, bytes)
    }

    fn move_if_apart(&mut self, key: Key, frame: Frame<'_>, bytes: &[u8]) -> bool {
        let request = matches!(frame.record[word::KIND], kind::WHOLE | kind::HEAD) && !frame.is_response();
        // An AUTH makes a client of it, whose next request decides.
        if !request || frame.record[word::ISSUE] != 0 || frame.method() == method::AUTH {
            return false;
        }
        let Some(connection) = self.connections.get_mut(key) else { return false };
        let untouched = matches!(connection.link, Link::Tcp(_))
            && connection.relay.is_none()
            && connection.stand_ins == 0
            && connection.requests == 0
            && connection.outbox.is_empty()
            && connection.pauses == 0
            && worker_of(connection.id) == self.worker;
        let traced = connection.traced;
        let (id, shared) = (connection.id, Arc::clone(&self.shared));
        let secret = frame.span(word::SESSION_START, word::SESSION_END);
        let rest = &bytes[frame.word(word::START)..];
        if !connection.sessions.is_empty() {
            connection.may_move = false;
            let other = uris(frame.span(word::TO_START, word::TO_END)).nth(1).and_then(secret_of);
            // What is told of a traced one would come from two workers.
            let may = untouched && !traced && self.is_only_session(key, secret);
            let Some(other) = other.filter(|_| may) else { return false };
            let mut refused = None;
            let moved = shared.directory.bring_together(secret, other, |worker| {
                refused = self.take_out(key, worker, rest).and_then(|moving| shared.inbox(worker).arrive(moving).err());
                refused.is_none()
            });
            let Some(moving) = refused else { return moved };
            self.adopt(*moving);
            return true;
        }
        let Some(worker) = shared.directory.worker_of(secret, id) else { return false };
        connection.may_move = false;
        if !untouched || worker == self.worker {
            return false;
        }
        // Behind what this turn tells of it.
        let moving = self.take_out(key, worker, rest).map(|moving| Command::Other(Message::Adopt(moving)));
        self.others.pending[worker].0.extend(moving);
        true
    }

    /// Whether that is the one session of a client that is known by this connection alone.
    fn is_only_session(&self, key: Key, secret: &[u8]) -> bool {
        let only = match self.connections.get(key).map(|connection| connection.sessions.as_slice()) {
            Some([session]) => self.sessions.get(*session),
            _ => None,
        };
        only.is_some_and(|session| session.relay.is_none() && secret_of(&session.uri) == Some(secret))
    }

    /// Takes out a connection that moves to another worker, with the bytes that it has not handled.
    fn take_out(&mut self, key: Key, worker: usize, rest: &[u8]) -> Option<Box<Moving>> {
        let mut connection = self.connections.remove(key)?;
        let Link::Tcp(mut stream) = mem::replace(&mut connection.link, Link::None) else { return None };
        let _ = self.registry.deregister(&mut stream);
        self.others.moved.insert(connection.id, worker);
        let session = connection.sessions.first().and_then(|&session| self.sessions.remove(session)).map(|session| {
            let spec = SessionSpec {
                uri: session.uri.into(),
                client_path: session.client_path.into_iter().map(Into::into).collect(),
                connection: connection.id,
                relay: None,
                expires_at_ms: session.expires_at_ms,
                exclusive_peer: session.exclusive_peer,
            };
            (session.id, spec)
        });
        Some(Box::new(Moving {
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
            probation: connection.probation,
            session,
        }))
    }

    /// Takes over a connection of another worker, or its own again.
    pub fn adopt(&mut self, moving: Moving) {
        let (decoder, now_ms) = (self.decoder(), self.now_ms);
        let mut connection = Connection::new(moving.id, true, State::Open, decoder, now_ms);
        connection.may_move = false;
        connection.probation = moving.probation;
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
        self.others.moved.remove(&moving.id);
        self.others.adopted.insert(moving.id, key);
        self.shared.note_moved(moving.id, self.worker);
        let mut stream = moving.stream;
        let registered = self.registry.register(&mut stream, token_of(key), Interest::READABLE | Interest::WRITABLE);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.link = Link::Tcp(stream);
        }
        if let Some((session, spec)) = moving.session {
            open_session(self, session, spec);
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

    /// The session whose URI this is: one that lives here, or that is on its way here.
    pub fn find_session(&mut self, uri: &[u8]) -> Option<Key> {
        let found = self.sessions.find(uri);
        if found.is_some() || self.others.links.len() == 1 {
            return found;
        }
        if self.shared.directory.worker_of(secret_of(uri)?, LINK) != Some(self.worker) {
            return None;
        }
        for moving in Arc::clone(&self.shared).inbox(self.worker).take_arrivals() {
            self.adopt(moving);
        }
        self.sessions.find(uri)
    }

    /// A connection that had moved here has gone.
    pub fn forget_adopted(&mut self, id: ConnectionId) {
        if self.others.adopted.remove(&id).is_some() {
            if worker_of(id) == self.worker {
                // An external one: it has never been elsewhere.
                return;
            }
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
