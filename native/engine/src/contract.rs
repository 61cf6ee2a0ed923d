//! The engine contract in Rust: the same commands, events and numbers as `src/engine/engine.ts`.

use crate::tls::{Domain, HandshakeFailure};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Number of a listener.
pub type ListenerId = u64;
/// Number of a connection: slot, worker and generation in 53 bits.
pub type ConnectionId = u64;
/// Number of a session: a counter and the worker that owns it.
pub type SessionId = u64;
/// Number of a request that the control plane has to answer.
pub type RequestId = u64;

/// Limits and timeouts; 0 is no limit. Meaning and defaults: docs/configuration.md.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it, the table of the configuration says the rest")]
pub struct Limits {
    pub send_timeout_ms: u64,
    pub max_msg_chunks: u32,
    pub tls_handshake_timeout_ms: u64,
    pub max_handshakes: usize,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    pub line_bytes: usize,
    pub header_bytes: usize,
    pub header_lines: usize,
    pub path_uris: usize,
    pub non_send_body_bytes: usize,
    pub message_bytes: u64,
    pub outbox_bytes: usize,
    pub transactions_per_connection: usize,
    pub probation_ms: u64,
    pub idle_ms: u64,
    pub transaction_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            send_timeout_ms: 30_000,
            max_msg_chunks: 0,
            tls_handshake_timeout_ms: 10_000,
            max_handshakes: 0,
            max_connections: 0,
            max_connections_per_ip: 0,
            line_bytes: 8192,
            header_bytes: 65_536,
            header_lines: 64,
            path_uris: 16,
            non_send_body_bytes: 10_240,
            message_bytes: 0,
            outbox_bytes: 262_144,
            transactions_per_connection: 16_384,
            probation_ms: 30_000,
            idle_ms: 3_600_000,
            transaction_ms: 30_000,
        }
    }
}

/// A name under which this relay is addressed; port 0 is any port, or none (relay R-042).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Lower case; IPv6 without brackets, in its shortest form.
    pub host: String,
    /// 0: any.
    pub port: u16,
}

/// A session to be opened (relay R-034).
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// The URI handed out in Use-Path.
    pub uri: Vec<u8>,
    /// From-Path of the AUTH.
    pub client_path: Vec<Vec<u8>>,
    /// Connection of the AUTH.
    pub connection: ConnectionId,
    /// The relay that any connection of which stands for the client.
    pub relay: Option<String>,
    /// End of its life on the engine's clock.
    pub expires_at_ms: f64,
    /// 506 for a second peer while the first lives (relay R-094).
    pub exclusive_peer: bool,
}

/// Answer of the control plane to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Three digits.
    pub status: u16,
    /// May be empty.
    pub comment: String,
    /// Behind the paths, in order.
    pub headers: Vec<(String, String)>,
}

/// How to reach a next hop.
#[derive(Clone, Debug)]
pub struct ConnectSpec {
    /// Connections with the same key are shared.
    pub key: String,
    /// Tried in order.
    pub candidates: Vec<SocketAddr>,
    /// Why there are no candidates, for whoever reads of the failure.
    pub why_none: Option<String>,
    /// For each candidate.
    pub timeout_ms: u64,
    /// Address to dial from.
    pub local_address: Option<IpAddr>,
    /// The relay that the connection stands for.
    pub relay: Option<String>,
    /// Absent: plain TCP.
    pub tls: Option<TlsClient>,
}

/// How a dial uses TLS.
#[derive(Clone, Debug)]
pub struct TlsClient {
    /// What is shown and trusted.
    pub domain: Arc<Domain>,
    /// SNI (unless it is an address), and the name that the certificate must carry.
    pub server_name: String,
}

/// What is known of a TLS connection after its handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct TlsInfo {
    pub domain: String,
    pub protocol: &'static str,
    pub cipher: &'static str,
    pub server_name: Option<String>,
    pub resumed: bool,
    pub peer: Option<PeerCertificate>,
}

/// The peer's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct PeerCertificate {
    pub verified: bool,
    pub alt_names: Vec<String>,
    pub subject: String,
    pub issuer: String,
}

/// Why a connection was closed; the names are those of the contract, and each is a row of docs/errors.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "docs/errors.md has a row for each")]
pub enum CloseReason {
    PeerClosed,
    PeerReset,
    ProtocolError,
    HeaderLimit,
    MaxMsgChunks,
    Probation,
    Idle,
    SendTimeout,
    Misdirected,
    AuthFailures,
    MaxConnections,
    MaxConnectionsPerIp,
    TlsHandshakeTimeout,
    TlsHandshakeFailed,
    MaxHandshakes,
    ConnectFailed,
    ConnectTimeout,
    HopRefused,
    Merged,
    Command,
    Shutdown,
}

impl CloseReason {
    /// All reasons, in the order of the contract.
    pub const ALL: [Self; 21] = [
        Self::PeerClosed,
        Self::PeerReset,
        Self::ProtocolError,
        Self::HeaderLimit,
        Self::MaxMsgChunks,
        Self::Probation,
        Self::Idle,
        Self::SendTimeout,
        Self::Misdirected,
        Self::AuthFailures,
        Self::MaxConnections,
        Self::MaxConnectionsPerIp,
        Self::TlsHandshakeTimeout,
        Self::TlsHandshakeFailed,
        Self::MaxHandshakes,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::HopRefused,
        Self::Merged,
        Self::Command,
        Self::Shutdown,
    ];

    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::PeerReset => "peer_reset",
            Self::ProtocolError => "protocol_error",
            Self::HeaderLimit => "header_limit",
            Self::MaxMsgChunks => "max_msg_chunks",
            Self::Probation => "probation",
            Self::Idle => "idle",
            Self::SendTimeout => "send_timeout",
            Self::Misdirected => "misdirected",
            Self::AuthFailures => "auth_failures",
            Self::MaxConnections => "max_connections",
            Self::MaxConnectionsPerIp => "max_connections_per_ip",
            Self::TlsHandshakeTimeout => "tls_handshake_timeout",
            Self::TlsHandshakeFailed => "tls_handshake_failed",
            Self::MaxHandshakes => "max_handshakes",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::HopRefused => "hop_refused",
            Self::Merged => "merged",
            Self::Command => "command",
            Self::Shutdown => "shutdown",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// Nothing can or should be written any more.
    #[must_use]
    pub const fn is_abrupt(self) -> bool {
        matches!(
            self,
            Self::PeerReset
                | Self::SendTimeout
                | Self::Shutdown
                | Self::ConnectFailed
                | Self::ConnectTimeout
                | Self::HopRefused
                | Self::Merged
                | Self::TlsHandshakeFailed
                | Self::TlsHandshakeTimeout
        )
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "docs/errors.md has a row for each")]
pub enum SessionCloseReason {
    Released,
    Expired,
    ConnectionClosed,
    Command,
    Shutdown,
}

impl SessionCloseReason {
    /// All reasons, in the order of the contract.
    pub const ALL: [Self; 5] = [Self::Released, Self::Expired, Self::ConnectionClosed, Self::Command, Self::Shutdown];

    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::ConnectionClosed => "connection_closed",
            Self::Command => "command",
            Self::Shutdown => "shutdown",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// What the data plane tells the control plane; in order for each worker.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in the contract")]
pub enum Event {
    /// A connection is usable.
    Opened {
        connection: ConnectionId,
        incoming: bool,
        listener: Option<ListenerId>,
        remote: SocketAddr,
        local: SocketAddr,
        tls: Option<Arc<TlsInfo>>,
    },
    /// A candidate of a next hop is being connected; with `tls`, a handshake will follow.
    Dialling { connection: ConnectionId, remote: SocketAddr, tls: bool },
    /// A connection has gone, or never came to be; `listener` and `local` are those of one that was turned away, too.
    Closed {
        connection: ConnectionId,
        incoming: bool,
        listener: Option<ListenerId>,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
        reason: CloseReason,
        detail: Option<String>,
        handshake: Option<HandshakeFailure>,
        tls_domain: Option<String>,
        bytes_in: u64,
        bytes_out: u64,
    },
    /// A request for this relay itself.
    Request(Box<Request>),
    /// A session wants to reach a next hop.
    Hop { hop: ConnectionId, session: SessionId, connection: ConnectionId, method: String, uri: String, path_length: usize },
    /// A session has ended.
    SessionClosed { session: SessionId, reason: SessionCloseReason },
    /// Forwarded credentials came back 401 without `stale=true` (relay R-037).
    AuthRejected { connection: ConnectionId },
    /// A frame of a traced connection has gone by: from its peer (`incoming`), or to it.
    Frame { connection: ConnectionId, incoming: bool, frame: FrameSeen },
    /// A worker has panicked: the engine is of no use any more.
    Fault { detail: String },
}

/// A frame as it was on the wire, but for what is left out of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSeen {
    /// Head, what is kept of the body, end-line. Holds secrets: session-ids, digests.
    pub bytes: Vec<u8>,
    /// Octets of the body, and how many of them are in `bytes`.
    pub body_octets: u64,
    #[allow(missing_docs, reason = "see above")]
    pub body_kept: u64,
}

/// A request for this relay itself.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct Request {
    pub request: RequestId,
    pub connection: ConnectionId,
    pub listener: Option<ListenerId>,
    pub remote: SocketAddr,
    pub method: String,
    pub to_path: Vec<String>,
    pub from_path: Vec<String>,
    pub headers: Vec<(String, String)>,
}

/// A connection as operators see it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct ConnectionInfo {
    pub connection: ConnectionId,
    pub incoming: bool,
    pub listener: Option<ListenerId>,
    pub state: &'static str,
    pub remote: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub tls: Option<Arc<TlsInfo>>,
    pub opened_at_ms: f64,
    pub queued_bytes: usize,
    pub sessions: usize,
    pub transactions: usize,
    pub paused: bool,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// A session as operators see it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct SessionInfo {
    pub session: SessionId,
    pub connection: ConnectionId,
    pub peer: Option<ConnectionId>,
    pub expires_at_ms: f64,
    pub frames_out: u64,
    pub bytes_out: u64,
    pub frames_in: u64,
    pub bytes_in: u64,
}

/// Bounds of the latency counters in ms, as in the contract.
pub const LATENCY_BOUNDS_MS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

/// Counters and gauges of all workers together.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct Stats {
    pub connections: u64,
    pub sessions: u64,
    pub transactions: u64,
    pub queued_bytes: u64,
    pub accepted: u64,
    pub dialled: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// By method number of the frame record; 5: responses.
    pub frames_in: [u64; 6],
    pub frames_out: [u64; 6],
    pub rejects: Vec<(String, u64)>,
    pub closes: [u64; CloseReason::ALL.len()],
    pub reports: Vec<(u16, u64)>,
    pub responses: Vec<(u16, u64)>,
    pub dropped: u64,
    pub interruptions: u64,
    pub pauses: u64,
    pub timeouts: u64,
    /// Answered transactions by how long they took, one more than [`LATENCY_BOUNDS_MS`].
    pub latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    pub latency_sum_ms: u64,
    pub trace_frames_lost: u64,
    pub handshakes: u64,
    pub handshake_failures: [u64; HandshakeFailure::ALL.len()],
    /// A chunk is in the middle, or bytes wait: what a drain waits for.
    pub busy: bool,
}
