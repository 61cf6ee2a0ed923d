//! The loop of one worker: a turn is what happens between two visits to the poller.
//!
//! ```text
//! poll → commands → accept, read, route → (tick) → write → deliver to other workers → tell the control plane
//! ```

use crate::close::{close_connection, close_session, close_with_status, destroy};
use crate::connection::State;
use crate::contract::SessionCloseReason;
use crate::contract::{Answer, CloseReason, ConnectSpec, ConnectionId, RequestId};
use crate::dial;
use crate::external;
use crate::forward::request_done;
use crate::inbox::{Command, Query, Taken, lock, moving_of};
use crate::listener::{FIRST_LISTENER, Listener};
use crate::merge::merge;
use crate::open::{extend_session, open_session};
use crate::plane::Plane;
use crate::receive::{ReadBuffer, on_readable};
use crate::remote::tell_of_room;
use crate::reply::{ResponseTo, respond};
use crate::ring::Ring;
use crate::sweep::{Sweeper, TICK_MS};
use crate::table::Key;
use crate::write::{flush, on_writable};
use mio::event::Event as PollEvent;
use mio::{Events, Poll, Token};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Token of the waker.
pub const WAKER: Token = Token(usize::MAX - 1);

/// Connections read from in one turn: events of the poller and those that had more than one read.
const EVENTS_PER_TURN: usize = 1024;

/// Where the time of a worker comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The monotonic clock, which stood at that many ms at that instant.
    Monotonic(Instant, u64),
    /// Whoever owns the engine says when it moves.
    Driven,
}

/// One worker.
pub struct Worker {
    plane: Plane,
    poll: Poll,
    ring: Arc<Ring>,
    clock: Clock,
    listeners: Vec<Option<Listener>>,
    buffer: ReadBuffer,
    sweeper: Sweeper,
    next_tick_ms: u64,
    commands: Vec<Command>,
    stopped: bool,
}

impl Worker {
    pub fn new(plane: Plane, poll: Poll, ring: Arc<Ring>, clock: Clock) -> Self {
        let next_tick_ms = plane.now_ms + TICK_MS;
        Self {
            plane,
            poll,
            ring,
            clock,
            listeners: Vec::new(),
            buffer: ReadBuffer::new(),
            sweeper: Sweeper::default(),
            next_tick_ms,
            commands: Vec::new(),
            stopped: false,
        }
    }

    /// Turns until it is stopped.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !self.stopped {
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                panic!("the poller has failed: {error}");
            }
            self.read_clock();
            for event in &events {
                self.on_event(event);
            }
            self.take_commands();
            self.accept();
            self.read();
            if matches!(self.clock, Clock::Monotonic(..)) && self.plane.now_ms >= self.next_tick_ms {
                self.next_tick_ms = self.plane.now_ms + TICK_MS;
                self.tick();
            }
            self.end_turn();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let accepting = || self.listeners.iter().flatten().any(|listener| listener.readable) && !self.plane.ring_full;
        if !self.plane.ready.is_empty() || accepting() {
            return Some(Duration::ZERO);
        }
        match self.clock {
            Clock::Monotonic(..) => Some(Duration::from_millis(self.next_tick_ms.saturating_sub(self.plane.now_ms).max(1))),
            Clock::Driven => None,
        }
    }

    fn read_clock(&mut self) {
        if let Clock::Monotonic(start, start_ms) = self.clock {
            self.plane.now_ms = start_ms + u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
    }

    fn on_event(&mut self, event: &PollEvent) {
        let token = event.token();
        if token == WAKER {
            return;
        }
        if token.0 >= FIRST_LISTENER {
            if let Some(Some(listener)) = self.listeners.get_mut(token.0 - FIRST_LISTENER) {
                listener.readable = true;
            }
            return;
        }
        let key = Key::unpack(token.0 as u64);
        let plane = &mut self.plane;
        let Some(connection) = plane.connections.get_mut(key) else { return };
        if connection.state == State::Connecting {
            dial::on_event(plane, key);
        }
        // What a peer has said before it was known here to be connected is told once, by this event.
        let Some(connection) = plane.connections.get_mut(key).filter(|connection| connection.state != State::Connecting) else {
            return;
        };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.readable = true;
            connection.read_closed |= event.is_read_closed() || event.is_error();
            plane.read_later(key);
        }
        if event.is_writable() {
            on_writable(plane, key);
        }
    }

    fn accept(&mut self) {
        for listener in self.listeners.iter_mut().flatten() {
            if listener.readable {
                listener.accept(&mut self.plane);
            }
        }
    }

    /// One read of each connection that may have something.
    fn read(&mut self) {
        self.plane.handshake_steps = 0;
        for _ in 0..self.plane.ready.len() {
            let Some(key) = self.plane.ready.pop_front() else { break };
            let Some(connection) = self.plane.connections.get_mut(key) else { continue };
            connection.queued_read = false;
            if on_readable(&mut self.plane, key, &mut self.buffer) {
                self.plane.read_later(key);
            }
        }
    }

    fn tick(&mut self) {
        self.sweeper.tick(&mut self.plane);
        // An accept that failed for want of resources may succeed now.
        for listener in self.listeners.iter_mut().flatten() {
            listener.readable = true;
        }
    }

    fn end_turn(&mut self) {
        let plane = &mut self.plane;
        loop {
            while !plane.dirty.is_empty() {
                let mut dirty = mem::take(&mut plane.dirty);
                for key in dirty.drain(..) {
                    flush(plane, key);
                }
                if plane.dirty.is_empty() {
                    plane.dirty = dirty;
                    break;
                }
            }
            if !plane.events.is_empty() {
                let mut events = mem::take(&mut plane.events);
                if self.ring.push(&mut events) {
                    plane.ring_has_room();
                } else {
                    plane.ring_full = true;
                }
                plane.events = events;
            }
            plane.deliver();
            // Room elsewhere lets stand-ins go on, which have something to hand over at once: nobody wakes this worker for it.
            if plane.dirty.is_empty() {
                break;
            }
        }
    }

    fn take_commands(&mut self) {
        let mut commands = mem::take(&mut self.commands);
        let shared = Arc::clone(&self.plane.shared);
        let Taken { arrivals, awaited } = shared.inbox(self.plane.worker).take(&mut commands);
        if awaited {
            tell_of_room(shared.inboxes());
        }
        // First: what else there is may be for them.
        for moving in arrivals {
            self.plane.adopt(moving);
        }
        for command in commands.drain(..) {
            self.on_command(command);
        }
        self.commands = commands;
        if self.stopped {
            self.stop();
            return;
        }
        self.plane.look_for_room();
    }

    fn on_command(&mut self, command: Command) {
        let plane = &mut self.plane;
        match command {
            Command::Listen { listener, socket, tls } => {
                let token = Token(FIRST_LISTENER + self.listeners.len());
                // What cannot be polled cannot be listened on; the socket closes.
                self.listeners.push(Listener::new(plane, listener, socket, tls, token).ok());
            }
            Command::UpdateTls { listener, tls } => {
                let same = |known: &&mut Listener| known.id == listener;
                if let Some(listener) = self.listeners.iter_mut().flatten().find(same) {
                    listener.update_tls(tls);
                }
            }
            Command::Unlisten(id) => self.unlisten(id),
            Command::SetAuthorities(authorities) => plane.authorities = authorities,
            Command::SetLimits(limits) => plane.limits = *limits,
            Command::OpenSession { session, spec } => open_session(plane, session, *spec),
            Command::ExtendSession { session, expires_at_ms } => match plane.sessions.key_of(session) {
                Some(key) => extend_session(plane, key, expires_at_ms),
                None => plane.pass_to_others(session, || Command::ExtendSession { session, expires_at_ms }),
            },
            Command::CloseSession { session, reason } => match plane.sessions.key_of(session) {
                Some(key) => close_session(plane, key, reason),
                None => plane.pass_to_others(session, || Command::CloseSession { session, reason }),
            },
            Command::Answer { request, answer } => self::answer(plane, request, &answer),
            Command::ConnectHop { hop, spec } => connect_hop(plane, hop, *spec),
            Command::RefuseHop { hop, status } => {
                let asking = |key: &Key| plane.connections.get(*key).is_some_and(|hop| hop.state == State::Asking);
                if let Some(key) = plane.key_of(hop).filter(asking) {
                    close_with_status(plane, key, CloseReason::HopRefused, Some(status.to_string()), status);
                }
            }
            Command::Identify { connection, relay } => match plane.key_of(connection) {
                Some(key) => plane.identify(key, &relay),
                None => plane.pass_on(connection, Command::Identify { connection, relay }),
            },
            Command::CloseConnection { connection, reason } => match plane.key_of(connection) {
                Some(key) => close_connection(plane, key, reason, None),
                None => plane.pass_on(connection, Command::CloseConnection { connection, reason }),
            },
            Command::OpenExternal { connection, pipe, spec } => external::open(plane, connection, pipe, &spec),
            Command::Fed(connection) => external::fed(plane, connection),
            Command::Sent(connection) => external::sent(plane, connection),
            Command::EndExternal { connection, reason, detail } => {
                if let Some(key) = plane.key_of(connection) {
                    close_connection(plane, key, reason, detail);
                    destroy(plane, key);
                }
            }
            Command::TraceNew(body_bytes) => plane.trace_new = body_bytes,
            Command::TraceFrames { connection, body_bytes } => match plane.key_of(connection) {
                Some(key) => plane.trace_frames(key, body_bytes),
                None => plane.pass_on(connection, Command::TraceFrames { connection, body_bytes }),
            },
            Command::Tick(now_ms) => {
                plane.now_ms = plane.now_ms.max(now_ms);
                self.tick();
            }
            Command::Drain => {
                plane.draining = true;
                self.unlisten_all();
            }
            Command::Query(query) => self.answer_query(&query),
            Command::Other(message) => plane.on_message(message),
            Command::Stop => self.stopped = true,
        }
    }

    /// Answers what was asked; nobody minds when whoever asked has gone.
    fn answer_query(&self, query: &Query) {
        let plane = &self.plane;
        match query {
            Query::Connections(to) => _ = to.send(plane.connection_infos()),
            Query::Sessions(to) => _ = to.send(plane.session_infos()),
            Query::Stats(to) => _ = to.send(plane.stats()),
        }
    }

    fn unlisten(&mut self, id: u64) {
        for slot in &mut self.listeners {
            if slot.as_ref().is_some_and(|listener| listener.id == id)
                && let Some(listener) = slot.take()
            {
                listener.close(&mut self.plane);
            }
        }
    }

    fn unlisten_all(&mut self) {
        for listener in self.listeners.iter_mut().filter_map(Option::take) {
            listener.close(&mut self.plane);
        }
    }

    fn stop(&mut self) {
        self.unlisten_all();
        let plane = &mut self.plane;
        plane.draining = true;
        // Who has come here in this moment, or was to leave, is told of, too.
        let mut moving = plane.shared.inbox(plane.worker).close();
        for (pending, _) in &mut plane.others.pending {
            moving.append(&mut moving_of(pending));
        }
        for moving in moving {
            plane.adopt(moving);
        }
        let connections: Vec<Key> = plane.connections.keys(0, usize::MAX).collect();
        for key in connections {
            close_connection(plane, key, CloseReason::Shutdown, None);
        }
        let sessions: Vec<Key> = plane.sessions.keys(0, usize::MAX).collect();
        for key in sessions {
            close_session(plane, key, SessionCloseReason::Shutdown);
        }
        lock(&plane.shared.last_stats).add(&plane.stats());
        // The last events are told whether the ring has room or not: there is no later.
        for event in mem::take(&mut plane.events) {
            self.ring.force(event);
        }
    }
}

fn answer(plane: &mut Plane, id: RequestId, answer: &Answer) {
    let Some(request) = plane.requests.remove(&id) else { return };
    let key = request.connection;
    request_done(plane, key);
    if (200..=299).contains(&answer.status)
        && let Some(connection) = plane.connections.get_mut(key)
    {
        connection.probation = false;
        plane.tell_if_proven(key);
    }
    let to = ResponseTo::other(&request.tid, &request.to_path, &request.from_path);
    respond(plane, key, answer.status, &to, &answer.comment, &answer.headers);
}

fn connect_hop(plane: &mut Plane, id: ConnectionId, spec: ConnectSpec) {
    let Some(hop) = plane.key_of(id) else { return };
    if plane.connections.get(hop).is_none_or(|hop| hop.state != State::Asking) {
        return;
    }
    if let Some(shared) = plane.shared.share(&spec.key, id).filter(|&shared| shared != id) {
        let into = plane.key_of(shared).unwrap_or_else(|| plane.stand_in_for(shared));
        merge(plane, hop, into);
        return;
    }
    let key: Box<str> = spec.key.as_str().into();
    if let Some(connection) = plane.connections.get_mut(hop) {
        connection.state = State::Connecting;
        connection.pool_key = Some(key);
    }
    plane.dialling.push(hop);
    dial::begin(plane, hop, spec);
}
