//! What all stages of one worker share: tables, limits, counters, the clock of this turn, and what is to be done at its end.

use crate::connection::{Connection, State};
use crate::contract::{Authority, ConnectionId, Event, Limits, RequestId};
use crate::counters::Counters;
use crate::flow::{pause, resume};
use crate::inbox::Shared;
use crate::outbox::Spare;
use crate::remote::Remote;
use crate::route::Path;
use crate::send_stream::SendStream;
use crate::session::SessionTable;
use crate::table::{Key, Table};
use crate::tid::TidSource;
use crate::tls::Sealing;
use crate::transaction::TransactionTable;
use ahash::AHashMap;
use mio::{Registry, Token};
use msrp_core::frame::{FrameLimits, FramerOptions};
use msrp_core::syntax::decode::{DecodeOptions, Decoder};
use msrp_core::syntax::uri::{Host, Uri};
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

/// A request that the control plane has to answer.
pub struct OpenRequest {
    pub connection: Key,
    pub tid: Box<[u8]>,
    pub to_path: Path,
    pub from_path: Path,
}

/// The state of one worker.
pub struct Plane {
    pub worker: usize,
    pub shared: Arc<Shared>,
    pub registry: Registry,
    pub connections: Table<Connection>,
    pub sessions: SessionTable,
    pub streams: Table<SendStream>,
    pub transactions: TransactionTable,
    pub tids: TidSource,
    pub requests: AHashMap<RequestId, OpenRequest>,
    /// Connections of each relay known by certificate, latest last.
    pub relays: AHashMap<Rc<str>, Vec<Key>>,
    /// Other workers: stand-ins, and what goes to them at the end of the turn.
    pub others: Remote,
    pub counters: Counters,
    pub spare: Spare,
    pub limits: Limits,
    pub authorities: Arc<Vec<Authority>>,
    /// Time of this turn.
    pub now_ms: u64,
    /// Octets of bodies that are told of new connections, whose frames are traced from the first; none: they are not.
    pub trace_new: Option<usize>,
    /// Nothing new is accepted any more.
    pub draining: bool,
    /// Connections with a write that the kernel has not taken whole.
    pub writing: Vec<Key>,
    /// Connections that are being dialled.
    pub dialling: Vec<Key>,
    /// Connections whose handshakes are under way, and how many steps of them this turn has made.
    pub handshaking: Vec<Key>,
    pub handshake_steps: u32,
    pub sealing: Sealing,
    /// Events that the ring has no room for yet, or that this turn has made.
    pub events: VecDeque<Event>,
    /// The ring is full: whoever makes an event is not read from.
    pub ring_full: bool,
    waiting_for_ring: Vec<Key>,
    pub ready: VecDeque<Key>,
    pub dirty: Vec<Key>,
    last_request: u64,
}

/// Bits of a number in the contract that name the worker.
pub const WORKER_BITS: u32 = 6;
/// … and the slot of a connection.
const SLOT_BITS: u32 = 20;

/// The worker that a number was made by.
#[allow(clippy::cast_possible_truncation, reason = "six bits")]
pub const fn worker_of(id: u64) -> usize {
    (id & ((1 << WORKER_BITS) - 1)) as usize
}

/// Token of a connection for the poller; those of the listeners and of the waker lie above.
#[allow(clippy::cast_possible_truncation, reason = "checked for 64 bits at compile time")]
pub fn token_of(key: Key) -> Token {
    Token(key.pack() as usize)
}

const _: () = assert!(usize::BITS == 64, "tokens hold a slot and its generation");

/// A decoder of the tolerant profile.
pub fn decoder(limits: FrameLimits, path_uris: usize) -> Decoder {
    let framing = FramerOptions { limits, ..FramerOptions::default() };
    Decoder::new(framing, DecodeOptions { strict: false, path_uris })
}

impl Plane {
    #[allow(clippy::too_many_arguments, reason = "made in one place")]
    pub fn new(
        worker: usize,
        shared: Arc<Shared>,
        registry: Registry,
        limits: Limits,
        authorities: Arc<Vec<Authority>>,
        seed: [u8; 32],
        now_ms: u64,
    ) -> Self {
        let workers = shared.workers();
        Self {
            worker,
            shared,
            registry,
            connections: Table::default(),
            sessions: SessionTable::default(),
            streams: Table::default(),
            transactions: TransactionTable::new(worker),
            tids: TidSource::new(seed),
            requests: AHashMap::new(),
            relays: AHashMap::new(),
            others: Remote::new(workers),
            counters: Counters::default(),
            spare: Spare::default(),
            limits,
            authorities,
            now_ms,
            trace_new: None,
            draining: false,
            writing: Vec::new(),
            dialling: Vec::new(),
            handshaking: Vec::new(),
            handshake_steps: 0,
            sealing: Sealing::default(),
            events: VecDeque::new(),
            ring_full: false,
            waiting_for_ring: Vec::new(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            last_request: 0,
        }
    }

    /// Time of this turn as the contract has it.
    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
    pub fn now(&self) -> f64 {
        self.now_ms as f64
    }

    /// The number of a connection in the contract.
    pub fn id_of(&self, key: Key) -> ConnectionId {
        (u64::from(key.generation) << (SLOT_BITS + WORKER_BITS)) | (u64::from(key.index) << WORKER_BITS) | self.worker as u64
    }

    /// The connection of that number, of those that this worker has the socket of.
    #[allow(clippy::cast_possible_truncation, reason = "the parts of the number")]
    pub fn key_of(&self, id: ConnectionId) -> Option<Key> {
        if worker_of(id) == self.worker {
            let index = (id >> WORKER_BITS) as u32 & ((1 << SLOT_BITS) - 1);
            let key = Key { index, generation: (id >> (SLOT_BITS + WORKER_BITS)) as u32 };
            if self.connections.get(key).is_some_and(|connection| connection.id == id) {
                return Some(key);
            }
        }
        self.others.adopted.get(&id).copied()
    }

    /// Makes a connection and enters it into the table; whoever counts connections has done so.
    pub fn add_connection(&mut self, incoming: bool, state: State) -> Key {
        let decoder = self.decoder();
        let (now_ms, worker) = (self.now_ms, self.worker as u64);
        let key = self.connections.insert_with(|key| {
            let id = (u64::from(key.generation) << (SLOT_BITS + WORKER_BITS)) | (u64::from(key.index) << WORKER_BITS) | worker;
            Connection::new(id, incoming, state, decoder, now_ms)
        });
        if self.trace_new.is_some() {
            self.trace_frames(key, self.trace_new);
        }
        key
    }

    /// A decoder with the limits of now.
    pub fn decoder(&self) -> Decoder {
        let limits = &self.limits;
        let of_frames = FrameLimits {
            line_bytes: limits.line_bytes,
            header_lines: limits.header_lines,
            header_bytes: limits.header_bytes,
            non_send_body_bytes: limits.non_send_body_bytes,
        };
        decoder(of_frames, limits.path_uris)
    }

    /// Whether a URI names this relay: host and port, whatever its session-id (relay R-042).
    pub fn is_own(&self, uri: &Uri<'_>) -> bool {
        self.authorities.iter().any(|authority| {
            let host = match authority.host.parse() {
                Ok(address) => Host::Ipv6(address),
                Err(_) => Host::Name(authority.host.as_bytes()),
            };
            host.is_same(&uri.host) && (authority.port == 0 || uri.port.is_none_or(|port| port == authority.port))
        })
    }

    /// Says that a connection stands for a relay of that name (relay R-030).
    pub fn identify(&mut self, key: Key, relay: &str) {
        let Some(connection) = self.connections.get(key) else { return };
        if connection.relay.as_deref() == Some(relay) {
            return;
        }
        if let Some(before) = connection.relay.clone() {
            self.forget_relay(key, &before);
        }
        let name: Rc<str> = Rc::from(relay);
        self.relays.entry(Rc::clone(&name)).or_default().push(key);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.relay = Some(name);
        }
    }

    /// A connection does not stand for that relay any more.
    pub fn forget_relay(&mut self, key: Key, relay: &Rc<str>) {
        if let Some(others) = self.relays.get_mut(relay) {
            others.retain(|&other| other != key);
            if others.is_empty() {
                self.relays.remove(relay);
            }
        }
    }

    pub fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        (self.last_request << WORKER_BITS) | self.worker as u64
    }

    /// Tells the control plane; it hears at the end of the turn, or when the ring has room.
    pub fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Tells the control plane what a peer has caused: while the ring is full, that peer is not read from.
    pub fn emit_from(&mut self, source: Key, event: Event) {
        self.emit(event);
        if self.ring_full && !self.waiting_for_ring.contains(&source) {
            self.waiting_for_ring.push(source);
            pause(self, source);
        }
    }

    /// The ring has taken everything.
    pub fn ring_has_room(&mut self) {
        self.ring_full = false;
        for source in mem::take(&mut self.waiting_for_ring) {
            resume(self, source);
        }
    }

    /// Notes that a connection has something to write at the end of this turn.
    #[inline]
    pub fn touch(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(key);
        }
    }

    /// Notes that a connection may have something to be read.
    pub fn read_later(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.readable && !connection.queued_read {
            connection.queued_read = true;
            self.ready.push_back(key);
        }
    }

    /// Drops from the list of dials those that have ended.
    pub fn forget_dialled(&mut self) {
        let connections = &self.connections;
        self.dialling.retain(|&key| connections.get(key).is_some_and(|connection| connection.dial.is_some()));
    }
}
