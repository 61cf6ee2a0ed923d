//! An engine under test: its events, its clock, and a gate that holds a worker at the end of its turn.

use crate::peer::{BOB, Peer, send};
use crate::pki::fallback;
use msrp_core::frame::record::method;
use msrp_engine::contract::{Authority, CloseReason, ConnectionId, Event, Limits, SessionId, SessionSpec};
use msrp_engine::tls::{DomainSpec, Server};
use msrp_engine::{Clock, Engine, Options};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes: a deadline is there only so that a test that would hang fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How an engine is made.
pub struct Setup {
    pub workers: usize,
    pub limits: Limits,
    pub ring_events: usize,
}

impl Setup {
    /// Limits of the configuration's defaults, a ring that is never full.
    pub fn workers(workers: usize) -> Self {
        Self { workers, limits: Limits::default(), ring_events: 100_000 }
    }
}

#[derive(Default)]
struct Wakes {
    count: u64,
    hold: bool,
    held: bool,
    /// Turns that may end although they are to be held.
    passes: u32,
    panic: bool,
}

/// What the wake callback of an engine does: it is called on the thread of a worker, at the end of its turn.
#[derive(Default)]
struct Gate {
    wakes: Mutex<Wakes>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Wakes> {
        self.wakes.lock().expect("no test panics with it")
    }

    fn pass(&self) {
        let mut wakes = self.lock();
        wakes.count += 1;
        let panic = wakes.panic;
        self.changed.notify_all();
        if wakes.hold && !wakes.held {
            wakes.held = true;
            self.changed.notify_all();
            let is_held = |wakes: &mut Wakes| wakes.hold && wakes.passes == 0;
            let mut wakes = self.changed.wait_while(wakes, is_held).expect("no test panics with it");
            wakes.held = false;
            wakes.passes = 0;
            self.changed.notify_all();
        } else {
            drop(wakes);
        }
        assert!(!panic, "the wake callback has failed");
    }

    fn wait(&self, what: &str, until: impl Fn(&Wakes) -> bool) {
        let (wakes, late) =
            self.changed.wait_timeout_while(self.lock(), DEADLINE, |wakes| !until(wakes)).expect("no test panics with it");
        drop(wakes);
        assert!(!late.timed_out(), "waited in vain for {what}");
    }
}

/// An engine with a listener.
pub struct Bench {
    pub engine: Engine,
    pub port: u16,
    gate: Arc<Gate>,
    events: Vec<Event>,
    now_ms: u64,
    /// How peers connect: plain, or with TLS.
    pub dial: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub listener: u64,
}

/// A client with an open session.
pub struct Client {
    pub peer: Peer,
    /// URI of the client itself, and the one that the relay has given it.
    pub own: String,
    pub uri: String,
}

impl Client {
    /// To-Path of what is for it.
    pub fn path(&self) -> String {
        format!("{} {}", self.uri, self.own)
    }

    /// `from` sends a thousand messages in one go: they come in order, and so do their responses.
    pub fn gets_a_thousand(&mut self, from: &mut Peer) {
        let text: String = (0..1000).map(|i| send(&format!("t{i:04}"), &self.path(), BOB, &i.to_string())).collect();
        from.write(text);
        for i in 0..1000 {
            let got = self.peer.expect("SEND");
            assert_eq!(got.body, i.to_string().as_bytes());
            self.peer.write(got.response(200));
        }
        for i in 0..1000 {
            assert_eq!(from.expect("200").tid, format!("t{i:04}"));
        }
    }
}

impl Bench {
    pub fn start(setup: Setup) -> Self {
        Self::start_with(setup, |_| None)
    }

    /// With a TLS listener; peers dial it so.
    pub fn secure(setup: Setup, server: impl FnOnce(&Engine) -> Server, client: Arc<ClientConfig>) -> Self {
        let mut bench = Self::start_with(setup, |engine| Some(server(engine)));
        bench.dial = Some((client, ServerName::try_from("relay.example").expect("a name")));
        bench
    }

    fn start_with(setup: Setup, server: impl FnOnce(&Engine) -> Option<Server>) -> Self {
        let gate = Arc::new(Gate::default());
        let passed = Arc::clone(&gate);
        let engine = Engine::start(Options {
            workers: setup.workers,
            limits: setup.limits,
            clock: Clock::Driven,
            now_ms: 1000,
            seed: [7; 32],
            ring_events: setup.ring_events,
            lazy: false,
            wake: Box::new(move || passed.pass()),
        })
        .expect("an engine starts");
        let server = server(&engine);
        let (listener, bound) = engine.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), server).expect("a free port");
        engine.set_authorities(vec![Authority { host: "127.0.0.1".to_owned(), port: bound.port() }]);
        Self { engine, port: bound.port(), gate, events: Vec::new(), now_ms: 1000, dial: None, listener }
    }

    /// Waits for the first event that has what is wanted, and takes it.
    pub fn event<T>(&mut self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let count = self.gate.lock().count;
            self.engine.take_events(&mut self.events);
            if let Some((at, found)) = self.events.iter().enumerate().find_map(|(at, event)| Some((at, wanted(event)?))) {
                self.events.remove(at);
                return found;
            }
            self.gate.wait(what, |wakes| wakes.count > count);
        }
    }

    /// Events that are there.
    pub fn events(&mut self) -> &mut Vec<Event> {
        self.engine.take_events(&mut self.events);
        &mut self.events
    }

    /// Waits until a connection has closed, and returns why.
    pub fn closed(&mut self, id: ConnectionId) -> CloseReason {
        self.event("an end", |event| match event {
            Event::Closed { connection, reason, .. } if *connection == id => Some(*reason),
            _ => None,
        })
    }

    /// A connection, and its number.
    pub fn connect(&mut self) -> Peer {
        let socket = self.socket();
        let mut peer = match self.dial.clone() {
            None => Peer::new(socket),
            Some((config, name)) => {
                let connection = ClientConnection::new(config, name).expect("a configuration");
                Peer::secure(socket, connection.into()).expect("a handshake")
            }
        };
        let own = peer.local();
        peer.id = self.event("a connection", |event| match event {
            Event::Opened { connection, remote, .. } if *remote == own => Some(*connection),
            _ => None,
        });
        peer
    }

    /// From now on the listener has that one domain.
    pub fn use_domain(&self, spec: &DomainSpec) {
        self.engine.update_tls(self.listener, fallback(&self.engine, spec));
    }

    /// A connection on which nothing has been said.
    pub fn socket(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("the relay listens")
    }

    /// A connection that a certain worker has accepted: the kernel spreads them by their ports.
    pub fn connect_on(&mut self, worker: u64) -> Peer {
        loop {
            let peer = self.connect();
            if worker_of(peer.id) == worker {
                return peer;
            }
            // Its end is no turn of some later moment.
            let id = peer.id;
            drop(peer);
            self.closed(id);
        }
    }

    /// A client whose session lives on that worker.
    pub fn client_on(&mut self, worker: u64, name: &str) -> Client {
        let peer = self.connect_on(worker);
        self.client(peer, name)
    }

    /// A client that stays on that worker.
    pub fn busy_client_on(&mut self, worker: u64, name: &str) -> Client {
        let peer = self.connect_on(worker);
        self.busy_client(peer, name)
    }

    /// A client that stays where it is, as one with several sessions does.
    pub fn busy_client(&mut self, peer: Peer, name: &str) -> Client {
        let client = self.client(peer, name);
        let uri = format!("msrp://127.0.0.1:{}/{name}SecondSession0123456789;tcp", self.port);
        let session = self.open(client.peer.id, &uri, &client.own);
        self.until("its second session", |engine| engine.sessions().iter().any(|info| info.session == session));
        client
    }

    /// SENDs that the workers have handled: twice each that passes from one to another through sessions of both.
    pub fn sends(&self) -> u64 {
        self.engine.stats().frames_in[method::SEND as usize]
    }

    /// Opens a session on a connection; returns when it is open.
    pub fn client(&mut self, peer: Peer, name: &str) -> Client {
        let own = format!("msrp://127.0.0.1:{}/{name};tcp", peer.local().port());
        let uri = format!("msrp://127.0.0.1:{}/{name}Session0123456789;tcp", self.port);
        let session = self.open(peer.id, &uri, &own);
        self.until("a session", |engine| engine.sessions().iter().any(|info| info.session == session));
        Client { peer, own, uri }
    }

    /// Opens a session.
    pub fn open(&self, connection: ConnectionId, uri: &str, own: &str) -> SessionId {
        self.engine.open_session(SessionSpec {
            uri: uri.as_bytes().to_vec(),
            client_path: vec![own.as_bytes().to_vec()],
            connection,
            relay: None,
            expires_at_ms: 1e12,
            exclusive_peer: false,
        })
    }

    /// Asks the workers until something is so.
    pub fn until(&self, what: &str, is_so: impl Fn(&Engine) -> bool) {
        let start = Instant::now();
        while !is_so(&self.engine) {
            assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
            thread::yield_now();
        }
    }

    /// Waits until the kernel takes no more for `reader`, whose outbox is full, and `writer` is not read from for that.
    pub fn until_stuck(&self, reader: ConnectionId, writer: ConnectionId) {
        // Each question is answered in a turn of its own, so that a turn has written in between.
        let look = |engine: &Engine| {
            let infos = engine.connections();
            let paused = infos.iter().any(|info| info.connection == writer && info.paused);
            infos.iter().find(|info| info.connection == reader && paused).map(|info| (info.queued_bytes, info.bytes_out))
        };
        self.until("a stop", |engine| match (look(engine), look(engine), look(engine)) {
            (Some(first), Some(second), Some(third)) => first.0 > 0 && first == second && second == third,
            _ => false,
        });
    }

    /// Waits until a session has gone.
    pub fn session_closed(&mut self, id: SessionId) {
        self.event("the end of a session", |event| match event {
            Event::SessionClosed { session, .. } if *session == id => Some(()),
            _ => None,
        });
    }

    /// Moves the clock in ticks, as its owner does.
    pub fn advance(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(100) {
            self.now_ms += 100;
            self.engine.tick(self.now_ms);
        }
    }

    /// Holds the worker of a connection, which closes for it, at the end of a turn. Events before must have been taken.
    pub fn hold(&mut self, victim: &Peer) {
        // A wake of the turn before may still be under way: each worker answers in a later one.
        let _ = self.engine.stats();
        let _ = self.events();
        self.gate.lock().hold = true;
        self.engine.close_connection(victim.id, CloseReason::Command);
        self.gate.wait("the end of a turn", |wakes| wakes.held);
    }

    /// Lets the worker that is held take what it was told meanwhile, and holds it again at the end of the turn that makes an event.
    pub fn hold_again(&mut self) {
        let _ = self.events();
        self.gate.lock().passes = 1;
        self.gate.changed.notify_all();
        self.gate.wait("the end of a turn", |wakes| wakes.passes == 0 && wakes.held);
    }

    /// Holds it no longer.
    pub fn release(&self) {
        self.gate.lock().hold = false;
        self.gate.changed.notify_all();
    }

    /// Waits until the worker of a connection, which closes for it, has read everything that was sent before.
    pub fn turn(&self, mut mark: Peer) {
        self.engine.close_connection(mark.id, CloseReason::Command);
        assert!(mark.next().is_none());
    }

    /// The next wake panics, on the thread of the worker that calls it.
    pub fn poison(&self) {
        self.gate.lock().panic = true;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that has failed holds nobody: the engine waits for its workers.
        self.gate.wakes.lock().unwrap_or_else(PoisonError::into_inner).hold = false;
        self.gate.changed.notify_all();
    }
}

/// The worker that a number was made by.
pub const fn worker_of(id: u64) -> u64 {
    id & 63
}
