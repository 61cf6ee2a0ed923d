//! The handle: commands go down and return at once, events come up through a ring.

use crate::contract::{Answer, Authority, CloseReason, ConnectSpec, ConnectionId, ConnectionInfo, Event, Limits};
use crate::contract::{
    ExternalSpec, ListenerId, Output, RequestId, SessionCloseReason, SessionId, SessionInfo, SessionSpec, Stats,
};
use crate::external::Pipe;
use crate::inbox::{Command, Inbox, Query, Shared, lock};
use crate::info::STAND_IN;
use crate::plane::{Plane, WORKER_BITS, external_id, worker_of};
use crate::ring::{Ring, Wake};
use crate::tid::MAX_WORKERS;
use crate::tls::{self, DomainError, DomainSpec, Server, Tickets};
use crate::worker::{Clock, WAKER, Worker};
use ahash::AHashSet;
use mio::{Poll, Waker};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// How an engine is made.
pub struct Options {
    /// Threads, 1…62.
    pub workers: usize,
    /// Limits and timeouts.
    pub limits: Limits,
    /// Time: read by the workers themselves, or passed in by [`Engine::tick`].
    pub clock: Clock,
    /// The clock now, in ms.
    pub now_ms: u64,
    /// 32 strong random bytes that all transaction ids come from.
    pub seed: [u8; 32],
    /// Events that may wait for the control plane; above, the connections that cause them are not read from.
    pub ring_events: usize,
    /// Commands wait until [`Engine::flush`] (or a question) wakes their worker, unless it is awake anyway.
    pub lazy: bool,
    /// Called (on any thread) when events wait, until the engine has stopped; must not block.
    pub wake: Wake,
}

/// An engine: worker threads that own listeners, connections, sessions and transactions.
pub struct Engine {
    shared: Arc<Shared>,
    ring: Arc<Ring>,
    threads: Vec<JoinHandle<()>>,
    last_session: AtomicU64,
    last_listener: AtomicU64,
    last_external: AtomicU64,
    tickets: Tickets,
    lazy: bool,
}

impl Engine {
    /// Starts the workers.
    ///
    /// # Errors
    /// When the operating system refuses a poller or a thread.
    pub fn start(options: Options) -> io::Result<Self> {
        let workers = options.workers.clamp(1, MAX_WORKERS);
        let mut polls = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..workers {
            let poll = Poll::new()?;
            inboxes.push(Inbox::new(Waker::new(poll.registry(), WAKER)?));
            polls.push(poll);
        }
        let shared = Arc::new(Shared::new(inboxes));
        let ring = Arc::new(Ring::new(options.ring_events.max(1), options.wake));
        // When a thread is refused, those before it end with this.
        let mut engine = Self {
            shared: Arc::clone(&shared),
            ring: Arc::clone(&ring),
            threads: Vec::new(),
            last_session: AtomicU64::new(0),
            last_listener: AtomicU64::new(0),
            last_external: AtomicU64::new(0),
            tickets: Tickets::default(),
            lazy: options.lazy,
        };
        for (number, poll) in polls.into_iter().enumerate() {
            let (shared, ring) = (Arc::clone(&shared), Arc::clone(&ring));
            let (limits, clock, now_ms) = (options.limits.clone(), options.clock, options.now_ms);
            let seed = seed_of(options.seed, number);
            let registry = poll.registry().try_clone()?;
            let thread = thread::Builder::new().name(format!("msrp-{number}")).spawn(move || {
                let (events, own) = (Arc::clone(&ring), Arc::clone(&shared));
                let work = AssertUnwindSafe(move || {
                    let plane = Plane::new(number, shared, registry, limits, Arc::default(), seed, now_ms);
                    Worker::new(plane, poll, ring, clock).run();
                });
                let outcome = catch_unwind(work);
                // Whoever waits for an answer of this worker waits no longer.
                drop(own.inbox(number).close());
                if let Err(panic) = outcome {
                    events.force(Event::Fault { detail: text_of(panic.as_ref()) });
                }
            })?;
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// Workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.workers()
    }

    /// Binds a listener on each worker and starts accepting. Port 0: any free port, the same on all. Without `tls`: plain TCP.
    ///
    /// # Errors
    /// When the address cannot be bound: it is taken, or not one of this machine.
    pub fn listen(&self, address: SocketAddr, tls: Option<Server>) -> io::Result<(ListenerId, SocketAddr)> {
        let sockets = bind(address, self.workers())?;
        let bound = sockets.first().map_or(Ok(address), TcpListener::local_addr)?;
        let listener = self.last_listener.fetch_add(1, Ordering::Relaxed) + 1;
        let tls = tls.map(Arc::new);
        for (worker, socket) in sockets.into_iter().enumerate() {
            self.send(worker, Command::Listen { listener, socket, tls: tls.clone() });
        }
        Ok((listener, bound))
    }

    /// Stops accepting; connections stay.
    pub fn unlisten(&self, listener: ListenerId) {
        self.send_all(|| Command::Unlisten(listener));
    }

    /// Makes a TLS domain, for listeners and dials of this engine. One that is made again under the same name keeps its ticket keys
    /// while it trusts the same.
    ///
    /// # Errors
    /// When the PEM texts cannot be read, or do not fit together.
    pub fn domain(&self, spec: &DomainSpec) -> Result<Arc<tls::Domain>, DomainError> {
        tls::Domain::new(spec, &self.tickets)
    }

    /// Replaces the domains of a TLS listener for handshakes that begin from now on.
    pub fn update_tls(&self, listener: ListenerId, tls: Server) {
        let tls = Arc::new(tls);
        self.send_all(|| Command::UpdateTls { listener, tls: Arc::clone(&tls) });
    }

    /// Names under which this relay is addressed (relay R-042).
    pub fn set_authorities(&self, authorities: Vec<Authority>) {
        let authorities = Arc::new(authorities);
        self.send_all(|| Command::SetAuthorities(Arc::clone(&authorities)));
    }

    /// Replaces the limits; those of frames hold for connections opened from now on.
    pub fn set_limits(&self, limits: &Limits) {
        self.send_all(|| Command::SetLimits(Box::new(limits.clone())));
    }

    /// Opens a session (relay R-034).
    pub fn open_session(&self, spec: SessionSpec) -> SessionId {
        let connection = spec.connection;
        let worker = self.shared.moved_to(connection).unwrap_or_else(|| self.worker_of(connection));
        // At once, so that a request that comes in on any worker from now on finds the session behind this command.
        self.shared.note_session(&spec.uri, worker, connection);
        let session = ((self.last_session.fetch_add(1, Ordering::Relaxed) + 1) << WORKER_BITS) | worker as u64;
        self.send(worker, Command::OpenSession { session, spec: Box::new(spec) });
        session
    }

    /// Moves the end of a session.
    pub fn extend_session(&self, session: SessionId, expires_at_ms: f64) {
        self.send(self.worker_of(session), Command::ExtendSession { session, expires_at_ms });
    }

    /// Ends a session.
    pub fn close_session(&self, session: SessionId, reason: SessionCloseReason) {
        self.send(self.worker_of(session), Command::CloseSession { session, reason });
    }

    /// Answers a request.
    pub fn answer(&self, request: RequestId, answer: Answer) {
        self.send(self.worker_of(request), Command::Answer { request, answer: Box::new(answer) });
    }

    /// Decides a hop: use a connection with the same key, else dial.
    pub fn connect_hop(&self, hop: ConnectionId, spec: ConnectSpec) {
        self.send(self.worker_of(hop), Command::ConnectHop { hop, spec: Box::new(spec) });
    }

    /// Decides a hop: what was queued for it fails with that status.
    pub fn refuse_hop(&self, hop: ConnectionId, status: u16) {
        self.send(self.worker_of(hop), Command::RefuseHop { hop, status });
    }

    /// Says that a connection stands for a relay.
    pub fn identify(&self, connection: ConnectionId, relay: String) {
        self.send(self.worker_of(connection), Command::Identify { connection, relay });
    }

    /// Closes a connection.
    pub fn close_connection(&self, connection: ConnectionId, reason: CloseReason) {
        self.send(self.worker_of(connection), Command::CloseConnection { connection, reason });
    }

    /// Opens a connection whose bytes the caller moves, by [`feed`](Self::feed) and [`take`](Self::take).
    pub fn open_external(&self, spec: ExternalSpec) -> ConnectionId {
        let count = self.last_external.fetch_add(1, Ordering::Relaxed) + 1;
        let worker = usize::try_from(count).unwrap_or(0) % self.workers();
        let connection = external_id(count, worker);
        let pipe = Arc::new(Pipe::default());
        self.shared.note_pipe(connection, Arc::clone(&pipe));
        self.send(worker, Command::OpenExternal { connection, pipe, spec: Box::new(spec) });
        connection
    }

    /// Hands in bytes that have come in on an external connection. Gives how many wait to be read: above some 64 KiB, no more
    /// before [`Event::Room`].
    pub fn feed(&self, connection: ConnectionId, bytes: &[u8]) -> usize {
        let Some(pipe) = self.shared.pipe(connection) else { return 0 };
        let fed = pipe.feed(bytes);
        if fed.is_news {
            self.send(self.worker_of(connection), Command::Fed(connection));
        }
        fed.waiting
    }

    /// Takes out what goes out on an external connection, whole frames; what was taken before counts as sent from now on.
    pub fn take(&self, connection: ConnectionId) -> Option<Output> {
        let (output, is_news) = self.shared.pipe(connection)?.take();
        if is_news {
            self.send(self.worker_of(connection), Command::Sent(connection));
        }
        output
    }

    /// An external connection has gone: nothing is written any more.
    pub fn end_external(&self, connection: ConnectionId, reason: CloseReason, detail: Option<String>) {
        self.send(self.worker_of(connection), Command::EndExternal { connection, reason, detail });
    }

    /// As [`Self::trace_frames`] for each connection that comes to be from now on, from its first frame on.
    pub fn trace_new(&self, body_bytes: Option<usize>) {
        self.send_all(|| Command::TraceNew(body_bytes));
    }

    /// From now on each frame of a connection is told, with at most so many octets of its body; none ends that.
    pub fn trace_frames(&self, connection: ConnectionId, body_bytes: Option<usize>) {
        self.send(self.worker_of(connection), Command::TraceFrames { connection, body_bytes });
    }

    /// Moves a driven clock: every 100 ms of its time, timers are looked at.
    pub fn tick(&self, now_ms: u64) {
        self.send_all(|| Command::Tick(now_ms));
    }

    /// Connections as operators see them.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let mut owned: Vec<ConnectionInfo> = Vec::new();
        let mut stand_ins = Vec::new();
        for info in self.ask(Query::Connections).into_iter().flatten() {
            if info.state == STAND_IN { stand_ins.push(info) } else { owned.push(info) }
        }
        // One that has moved while the workers were asked is there twice.
        let mut seen = AHashSet::new();
        owned.retain(|info| seen.insert(info.connection));
        for stand_in in stand_ins {
            if let Some(info) = owned.iter_mut().find(|info| info.connection == stand_in.connection) {
                info.transactions += stand_in.transactions;
            }
        }
        owned
    }

    /// Sessions as operators see them.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let mut seen = AHashSet::new();
        self.ask(Query::Sessions).into_iter().flatten().filter(|info| seen.insert(info.session)).collect()
    }

    /// Counters and gauges.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = lock(&self.shared.last_stats).clone();
        for other in self.ask(Query::Stats) {
            stats.add(&other);
        }
        stats
    }

    /// Takes events out, in order for each worker; workers that waited for room go on.
    pub fn take_events(&self, into: &mut Vec<Event>) {
        let before = into.len();
        let awaited = self.ring.take(into);
        self.shared.frames.give_back(into.get(before..).unwrap_or_default());
        if awaited {
            for inbox in self.shared.inboxes() {
                inbox.wake();
            }
        }
    }

    /// Accepts nothing any more; what is under way goes on.
    pub fn drain(&self) {
        self.send_all(|| Command::Drain);
    }

    /// Closes everything at once and waits for the threads. Events and counters can still be taken.
    pub fn stop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.send_all(|| Command::Stop);
        self.flush();
        for thread in self.threads.drain(..) {
            // A worker that has panicked has said so by its last event.
            let _ = thread.join();
        }
        self.ring.close();
    }

    /// Wakes the workers that commands wait for.
    pub fn flush(&self) {
        for inbox in self.shared.inboxes() {
            inbox.wake_if_waiting();
        }
    }

    fn worker_of(&self, id: u64) -> usize {
        // Numbers come from outside: one that no worker has made is for the first, which does not know it.
        Some(worker_of(id)).filter(|&worker| worker < self.workers()).unwrap_or(0)
    }

    fn send(&self, worker: usize, command: Command) {
        let inbox = self.shared.inbox(worker);
        inbox.add(command);
        if !self.lazy {
            inbox.wake();
        }
    }

    fn send_all(&self, command: impl Fn() -> Command) {
        for worker in 0..self.workers() {
            self.send(worker, command());
        }
    }

    /// Asks all workers, one after the other. A worker that is gone says nothing.
    fn ask<T>(&self, query: impl Fn(SyncSender<T>) -> Query) -> Vec<T> {
        if self.threads.is_empty() {
            return Vec::new();
        }
        let mut answers = Vec::new();
        for worker in 0..self.workers() {
            let (to, from) = sync_channel(1);
            self.send(worker, Command::Query(query(to)));
            self.shared.inbox(worker).wake();
            answers.extend(from.recv());
        }
        answers
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A socket for each worker, on the same port.
fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    // A port that others listen on is refused: among sockets that all share their port it would go unnoticed.
    let probe = socket(address, false)?;
    if workers == 1 {
        return Ok(vec![listening(probe)?]);
    }
    let mut bound = address;
    if let Some(local) = probe.local_addr()?.as_socket() {
        bound.set_port(local.port());
    }
    drop(probe);
    (0..workers).map(|_| listening(socket(bound, true)?)).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Accepted connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that wait to be accepted: a burst of reconnecting clients must not be refused by the kernel.
const BACKLOG: i32 = 4096;

/// A seed of its own for each worker.
fn seed_of(mut seed: [u8; 32], worker: usize) -> [u8; 32] {
    for (byte, part) in seed.iter_mut().zip(worker.to_le_bytes()) {
        *byte ^= part;
    }
    seed
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a worker has panicked".to_owned())
}
