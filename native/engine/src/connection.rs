//! One transport connection, or one to be, with all that belongs to it. No behaviour: the stages of the engine work on it.

use crate::contract::{ConnectionId, ListenerId};
use crate::dial::Dial;
use crate::external::Pipe;
use crate::outbox::Outbox;
use crate::remote::LINK;
use crate::route::Route;
use crate::table::Key;
use crate::tap::Tap;
use crate::tls::{HandshakeFailure, Tls};
use crate::transaction::List;
use ahash::AHashMap;
use mio::net::TcpStream;
use msrp_core::syntax::decode::Decoder;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Life of a connection. Closed ones are out of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A next hop that the control plane has not decided about; collects what is to be sent.
    Asking,
    /// Being dialled; collects what is to be sent.
    Connecting,
    /// The transport is there, TLS is not yet; one that was dialled collects what is to be sent.
    Handshake,
    /// Carries traffic.
    Open,
    /// The last bytes go out.
    Closing,
}

/// Where the bytes of a connection go.
#[derive(Debug)]
pub enum Link {
    /// Nowhere yet.
    None,
    /// A socket of this worker.
    Tcp(TcpStream),
    /// The control plane, which moves the bytes itself.
    External(Arc<Pipe>),
    /// Another worker owns the socket: this is its stand-in here, for the sessions that live here (remote.rs).
    Remote {
        /// The worker that owns it.
        worker: usize,
    },
}

/// A connection.
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each looked at alone")]
pub struct Connection {
    /// Number in the contract; of a stand-in, that of the connection that it stands for.
    pub id: ConnectionId,
    /// The peer has opened it.
    pub incoming: bool,
    /// Nothing on this worker hangs on it but its session, and the request that decides on which worker it stays is still to come.
    pub may_move: bool,
    pub listener: Option<ListenerId>,
    pub state: State,
    pub link: Link,
    /// Most octets of a body in one SEND to it.
    pub chunk_octets: u64,
    /// Between the socket and everything else.
    pub tls: Option<Box<Tls>>,
    pub remote: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    /// Host of the relay that it stands for (relay R-030).
    pub relay: Option<Rc<str>>,
    /// Key under which outgoing connections are shared.
    pub pool_key: Option<Box<str>>,
    pub dial: Option<Box<Dial>>,
    /// Its TLS handshake has failed: why, and in which domain.
    pub failed_handshake: Option<(HandshakeFailure, Option<String>)>,
    /// The session that asks for this next hop.
    pub asked_by: Option<Key>,

    pub decoder: Decoder,
    /// Incoming bytes that are not done with: an incomplete header section, or what may begin an end-line.
    pub rest: Vec<u8>,
    /// Reads since the header section at hand began (`max_msg_chunks`).
    pub reads: u32,
    /// The SEND that it is in the middle of sending us.
    pub incoming_stream: Option<Key>,
    /// The stream whose chunk is open on the way out: interrupted before anything else is written.
    pub outgoing_stream: Option<Key>,

    /// Route of the last request, for the next with the same paths.
    pub last_route: Option<Rc<Route>>,
    /// Routes by the bytes of their paths.
    pub routes: AHashMap<Box<[u8]>, Rc<Route>>,

    /// Sessions whose client is behind it.
    pub sessions: Vec<Key>,
    /// Requests that it owes an answer to, and SENDs that it only answers to refuse (Failure-Report `partial`).
    pub awaited: List,
    pub unanswered: List,
    /// Requests with the control plane.
    pub requests: u32,

    pub outbox: Outbox,
    /// The kernel takes no more; an event says when it does again.
    pub blocked: bool,
    /// There may be something to read: what the poller said and a read has not disproved.
    pub readable: bool,
    /// The peer has ended its side: reads go on until they say so.
    pub read_closed: bool,
    /// It has been read to its end.
    pub ended: bool,
    /// In the list of those to be read from, or to be written to, in this turn.
    pub queued_read: bool,
    pub dirty: bool,
    /// Its frames are told: it has a tap. A flag of its own among those that every read and write looks at anyway.
    pub traced: bool,
    /// The write side was shut down; of a stand-in: its owner was told to close it.
    pub shut: bool,
    pub write_progress_ms: u64,

    /// Connections that are not read from because this one is full.
    pub waiters: Vec<Key>,
    /// Causes that keep this one from being read.
    pub pauses: u32,
    /// Of a stand-in: the owner of the socket says that its outbox is full.
    pub full_elsewhere: bool,
    pub full_since_ms: Option<u64>,
    /// Sources wait for it because of the answers that it owes.
    pub owes_too_many: bool,
    /// Full for so long that what is meant for it fails (relay R-085).
    pub shedding: bool,

    pub opened_at_ms: u64,
    pub last_active_ms: u64,
    pub probation: bool,
    pub misdirected: u32,
    pub misdirected_since_ms: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Workers that have a stand-in for it, and those that were told that its outbox is full (bit by worker).
    pub stand_ins: u64,
    pub told_full: u64,
    /// Of one that closes: workers whose stand-ins may have something for it yet.
    pub unsettled: u64,
    /// Of a stand-in: the owner was told that it has made a request that was a success.
    pub told_proven: bool,
    /// The worker of the session that the last request was for; of the SEND that is coming in.
    pub last_home: Option<usize>,
    /// The request at hand has the paths of that one.
    pub same_home: bool,
    pub stream_home: Option<usize>,
    /// Bytes that the worker that it has moved from had read and not handled.
    pub unhandled: Vec<u8>,
    /// INVARIANT: there while `traced`.
    pub tap: Option<Box<Tap>>,
}

impl Connection {
    /// A connection that has not begun.
    pub fn new(id: ConnectionId, incoming: bool, state: State, decoder: Decoder, now_ms: u64) -> Self {
        Self {
            id,
            incoming,
            may_move: incoming,
            listener: None,
            state,
            link: Link::None,
            chunk_octets: u64::MAX,
            tls: None,
            remote: None,
            local: None,
            relay: None,
            pool_key: None,
            dial: None,
            failed_handshake: None,
            asked_by: None,
            decoder,
            rest: Vec::new(),
            reads: 0,
            incoming_stream: None,
            outgoing_stream: None,
            last_route: None,
            routes: AHashMap::new(),
            sessions: Vec::new(),
            awaited: List::default(),
            unanswered: List::default(),
            requests: 0,
            outbox: Outbox::default(),
            blocked: false,
            readable: false,
            read_closed: false,
            ended: false,
            queued_read: false,
            dirty: false,
            traced: false,
            shut: false,
            write_progress_ms: 0,
            waiters: Vec::new(),
            pauses: 0,
            full_elsewhere: false,
            full_since_ms: None,
            owes_too_many: false,
            shedding: false,
            opened_at_ms: now_ms,
            last_active_ms: now_ms,
            probation: incoming,
            misdirected: 0,
            misdirected_since_ms: 0,
            bytes_in: 0,
            bytes_out: 0,
            stand_ins: 0,
            told_full: 0,
            unsettled: 0,
            told_proven: false,
            last_home: None,
            same_home: false,
            stream_home: None,
            unhandled: Vec::new(),
            tap: None,
        }
    }

    /// True while what is queued for it has a chance to go out.
    pub fn usable(&self) -> bool {
        !matches!(self.state, State::Closing)
    }

    /// Bytes ever queued: what the kernel has, and what waits.
    pub fn queued_total(&self) -> u64 {
        self.bytes_out + self.outbox.len() as u64
    }

    /// True for the connection in memory to another worker.
    pub fn is_link(&self) -> bool {
        self.id == LINK
    }

    /// True for a stand-in.
    pub fn is_remote(&self) -> bool {
        matches!(self.link, Link::Remote { .. })
    }
}
