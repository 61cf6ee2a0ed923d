//! What threads say to a worker, and what all workers share.

use crate::contract::{Answer, Authority, ConnectSpec, ConnectionId, ConnectionInfo, ListenerId, RequestId};
use crate::contract::{CloseReason, ExternalSpec, Limits, SessionCloseReason, SessionId, SessionInfo, SessionSpec, Stats};
use crate::directory::Directory;
use crate::external::Pipe;
use crate::remote::{Message, Moving};
use crate::tap::FrameBudget;
use crate::tls::Server;
use ahash::AHashMap;
use mio::Waker;
use std::mem;
use std::net::{IpAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// A command to one worker.
pub enum Command {
    Listen {
        listener: ListenerId,
        socket: TcpListener,
        tls: Option<Arc<Server>>,
    },
    UpdateTls {
        listener: ListenerId,
        tls: Arc<Server>,
    },
    Unlisten(ListenerId),
    SetAuthorities(Arc<Vec<Authority>>),
    SetLimits(Box<Limits>),
    OpenSession {
        session: SessionId,
        spec: Box<SessionSpec>,
    },
    ExtendSession {
        session: SessionId,
        expires_at_ms: f64,
    },
    CloseSession {
        session: SessionId,
        reason: SessionCloseReason,
    },
    Answer {
        request: RequestId,
        answer: Box<Answer>,
    },
    ConnectHop {
        hop: ConnectionId,
        spec: Box<ConnectSpec>,
    },
    RefuseHop {
        hop: ConnectionId,
        status: u16,
    },
    Identify {
        connection: ConnectionId,
        relay: String,
    },
    CloseConnection {
        connection: ConnectionId,
        reason: CloseReason,
    },
    OpenExternal {
        connection: ConnectionId,
        pipe: Arc<Pipe>,
        spec: Box<ExternalSpec>,
    },
    /// Bytes lie in the pipe of an external connection.
    Fed(ConnectionId),
    /// What was taken out of it is sent.
    Sent(ConnectionId),
    EndExternal {
        connection: ConnectionId,
        reason: CloseReason,
        detail: Option<String>,
    },
    /// Of connections that come to be from now on; none: no more.
    TraceNew(Option<usize>),
    /// None: no more.
    TraceFrames {
        connection: ConnectionId,
        body_bytes: Option<usize>,
    },
    /// The clock has moved, of an engine whose time is passed in.
    Tick(u64),
    Drain,
    Query(Query),
    /// From another worker.
    Other(Message),
    /// Everything at once; the worker ends.
    Stop,
}

/// A question that is answered at once, behind all commands before it.
pub enum Query {
    Connections(SyncSender<Vec<ConnectionInfo>>),
    Sessions(SyncSender<Vec<SessionInfo>>),
    Stats(SyncSender<Stats>),
}

/// Commands for one worker.
pub struct Inbox {
    queue: Mutex<Queue>,
    /// Bytes of frames in it: changed under the lock, looked at without.
    bytes: AtomicUsize,
    /// The worker was woken, and has not looked yet.
    woken: AtomicBool,
    waker: Waker,
}

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    arrivals: Vec<Moving>,
    /// Somebody does not read because this inbox is full.
    awaited: bool,
    /// The worker has ended: nobody looks any more.
    closed: bool,
}

/// What an inbox held.
pub struct Taken {
    /// Clients that move to this worker.
    pub arrivals: Vec<Moving>,
    /// Somebody waits for room.
    pub awaited: bool,
}

/// Frames that may wait in an inbox, in bytes; whoever feeds it stops reading above, until it is emptied. As much as one read: it comes
/// on top of what the outbox of a slow reader may hold.
pub const INBOX_BYTES: usize = 1 << 18;

impl Inbox {
    pub fn new(waker: Waker) -> Self {
        Self { queue: Mutex::default(), bytes: AtomicUsize::new(0), woken: AtomicBool::new(false), waker }
    }

    /// Puts commands in, in order, with one wake. For a worker that has ended they are dropped, and whoever waits for the answer
    /// to a question among them hears that none comes; connections among them come back.
    pub fn put(&self, commands: &mut Vec<Command>, bytes: usize) -> Vec<Moving> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            drop(queue);
            let moving = moving_of(commands);
            commands.clear();
            return moving;
        }
        queue.commands.append(commands);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        drop(queue);
        self.wake();
        Vec::new()
    }

    /// Puts a command in without a wake; for a worker that has ended it is dropped.
    pub fn add(&self, command: Command) {
        let mut queue = lock(&self.queue);
        if !queue.closed {
            queue.commands.push(command);
        }
    }

    /// Makes the worker look if there is something to be seen.
    pub fn wake_if_waiting(&self) {
        let waiting = !lock(&self.queue).commands.is_empty();
        if waiting {
            self.wake();
        }
    }

    /// Makes the worker look.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // Fails only when the poller is gone, and the worker with it.
            let _ = self.waker.wake();
        }
    }

    /// Puts a connection in that moves to this worker, at once, with a wake. A worker that has ended takes none.
    pub fn arrive(&self, moving: Box<Moving>) -> Result<(), Box<Moving>> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(moving);
        }
        queue.arrivals.push(*moving);
        drop(queue);
        self.wake();
        Ok(())
    }

    /// Takes everything out, the commands into `into`.
    pub fn take(&self, into: &mut Vec<Command>) -> Taken {
        self.woken.store(false, Ordering::Release);
        let mut queue = lock(&self.queue);
        mem::swap(&mut queue.commands, into);
        self.bytes.store(0, Ordering::Relaxed);
        Taken { arrivals: mem::take(&mut queue.arrivals), awaited: mem::take(&mut queue.awaited) }
    }

    /// Takes out the clients that move to this worker, which may be ahead of commands.
    pub fn take_arrivals(&self) -> Vec<Moving> {
        mem::take(&mut lock(&self.queue).arrivals)
    }

    /// The worker ends: it takes nothing from now on. Returns what moves to it and has not been looked at.
    pub fn close(&self) -> Vec<Moving> {
        let (mut commands, mut arrivals) = {
            let mut queue = lock(&self.queue);
            queue.closed = true;
            self.bytes.store(0, Ordering::Relaxed);
            (mem::take(&mut queue.commands), mem::take(&mut queue.arrivals))
        };
        arrivals.append(&mut moving_of(&mut commands));
        arrivals
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > INBOX_BYTES
    }

    /// True while it is full, and then whoever asks is woken when there is room. Under the lock: a worker that empties its inbox
    /// meanwhile either finds the wish, or has made the room.
    pub fn await_room(&self) -> bool {
        let mut queue = lock(&self.queue);
        queue.awaited |= self.is_full();
        self.is_full()
    }
}

/// Takes the connections that move out of a list of commands.
pub fn moving_of(commands: &mut Vec<Command>) -> Vec<Moving> {
    let mut moving = Vec::new();
    for command in mem::take(commands) {
        match command {
            Command::Other(Message::Adopt(one)) => moving.push(*one),
            other => commands.push(other),
        }
    }
    moving
}

/// What the workers share.
pub struct Shared {
    inboxes: Vec<Inbox>,
    /// The worker of each session; unused with one worker.
    pub directory: Directory,
    connections: AtomicUsize,
    /// Handshakes of accepted connections under way.
    handshakes: AtomicUsize,
    per_ip: Mutex<AHashMap<IpAddr, usize>>,
    /// Where connections are that have moved; unused with one worker.
    moved: RwLock<AHashMap<ConnectionId, usize>>,
    /// Outgoing connections of all workers by the key under which they are shared.
    pool: Mutex<AHashMap<Box<str>, ConnectionId>>,
    /// Between the control plane and its external connections.
    pipes: RwLock<AHashMap<ConnectionId, Arc<Pipe>>>,
    /// Frames of traced connections on their way to the control plane.
    pub frames: FrameBudget,
    /// The last counters of workers that have ended.
    pub last_stats: Mutex<Stats>,
}

impl Shared {
    pub fn new(inboxes: Vec<Inbox>) -> Self {
        Self {
            inboxes,
            directory: Directory::default(),
            moved: RwLock::default(),
            connections: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
            per_ip: Mutex::default(),
            pool: Mutex::default(),
            pipes: RwLock::default(),
            frames: FrameBudget::default(),
            last_stats: Mutex::default(),
        }
    }

    pub fn workers(&self) -> usize {
        self.inboxes.len()
    }

    pub fn inbox(&self, worker: usize) -> &Inbox {
        &self.inboxes[worker]
    }

    pub fn inboxes(&self) -> &[Inbox] {
        &self.inboxes
    }

    /// Why a peer is not admitted; none admits it, and counts it. At once: other workers accept, too.
    pub fn admit(&self, address: IpAddr, limits: &Limits) -> Option<CloseReason> {
        let connections = self.connections.fetch_add(1, Ordering::Relaxed);
        if limits.max_connections != 0 && connections >= limits.max_connections {
            self.leave(None);
            return Some(CloseReason::MaxConnections);
        }
        let mut per_ip = lock(&self.per_ip);
        let same = per_ip.get(&address).copied().unwrap_or(0);
        if limits.max_connections_per_ip != 0 && same >= limits.max_connections_per_ip {
            self.leave(None);
            return Some(CloseReason::MaxConnectionsPerIp);
        }
        per_ip.insert(address, same + 1);
        None
    }

    /// Counts a handshake that begins. False when there are as many as there may be.
    pub fn handshake_begins(&self, max: usize) -> bool {
        let under_way = self.handshakes.fetch_add(1, Ordering::Relaxed);
        let admitted = max == 0 || under_way < max;
        if !admitted {
            self.handshake_ended();
        }
        admitted
    }

    /// A handshake of an accepted connection is over.
    pub fn handshake_ended(&self) {
        self.handshakes.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a next hop.
    pub fn enter(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has gone; `address`: of an accepted one.
    pub fn leave(&self, address: Option<IpAddr>) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = address else { return };
        let mut per_ip = lock(&self.per_ip);
        if let Some(same) = per_ip.get_mut(&address) {
            *same -= 1;
            if *same == 0 {
                per_ip.remove(&address);
            }
        }
    }

    /// A connection has arrived on another worker than that of its number.
    pub fn note_moved(&self, connection: ConnectionId, worker: usize) {
        self.moved.write().unwrap_or_else(PoisonError::into_inner).insert(connection, worker);
    }

    /// A connection that had moved has gone.
    pub fn forget_moved(&self, connection: ConnectionId) {
        self.moved.write().unwrap_or_else(PoisonError::into_inner).remove(&connection);
    }

    /// Where a connection has moved to, once it has arrived there.
    pub fn moved_to(&self, connection: ConnectionId) -> Option<usize> {
        if self.workers() == 1 {
            return None;
        }
        self.moved.read().unwrap_or_else(PoisonError::into_inner).get(&connection).copied()
    }

    /// The outgoing connection with that key; when there is none, `connection` is it from now on.
    pub fn share(&self, key: &str, connection: ConnectionId) -> Option<ConnectionId> {
        let mut pool = lock(&self.pool);
        let known = pool.get(key).copied();
        if known.is_none() {
            pool.insert(key.into(), connection);
        }
        known
    }

    /// An outgoing connection is not to be shared any more.
    pub fn unshare(&self, key: &str, connection: ConnectionId) {
        let mut pool = lock(&self.pool);
        if pool.get(key) == Some(&connection) {
            pool.remove(key);
        }
    }

    /// Enters the pipe of an external connection.
    pub fn note_pipe(&self, connection: ConnectionId, pipe: Arc<Pipe>) {
        self.pipes.write().unwrap_or_else(PoisonError::into_inner).insert(connection, pipe);
    }

    /// An external connection has gone.
    pub fn forget_pipe(&self, connection: ConnectionId) {
        self.pipes.write().unwrap_or_else(PoisonError::into_inner).remove(&connection);
    }

    pub fn pipe(&self, connection: ConnectionId) -> Option<Arc<Pipe>> {
        self.pipes.read().unwrap_or_else(PoisonError::into_inner).get(&connection).cloned()
    }

    /// Enters a session of that client, which lives on that worker.
    pub fn note_session(&self, uri: &[u8], worker: usize, client: ConnectionId) {
        if self.workers() > 1 {
            self.directory.note(uri, worker, client);
        }
    }

    pub fn forget_session(&self, uri: &[u8]) {
        if self.workers() > 1 {
            self.directory.forget(uri);
        }
    }
}

/// A lock that a panic elsewhere has not made useless: what it guards is whole between two calls.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
