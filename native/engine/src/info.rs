//! Connections, sessions and counters as operators see them.

use crate::connection::{Connection, State};
use crate::contract::{ConnectionInfo, SessionInfo, Stats};
use crate::plane::Plane;

impl Plane {
    /// Connections whose sockets this worker owns; and, with the transactions alone, its stand-ins of others.
    pub fn connection_infos(&self) -> Vec<ConnectionInfo> {
        self.connections
            .iter()
            .map(|(_, connection)| connection)
            .filter(|connection| !connection.is_link())
            .map(connection_info)
            .collect()
    }

    pub fn session_infos(&self) -> Vec<SessionInfo> {
        self.sessions
            .iter()
            .map(|(_, session)| SessionInfo {
                session: session.id,
                connection: self.connections.get(session.connection).map_or(0, |connection| connection.id),
                peer: session
                    .peer
                    .and_then(|peer| self.connections.get(peer))
                    .filter(|peer| peer.state == State::Open)
                    .map(|peer| peer.id),
                expires_at_ms: session.expires_at_ms,
                frames_out: session.frames_out,
                bytes_out: session.bytes_out,
                frames_in: session.frames_in,
                bytes_in: session.bytes_in,
            })
            .collect()
    }

    pub fn stats(&self) -> Stats {
        let owned = || self.connections.iter().map(|(_, connection)| connection).filter(|connection| !connection.is_remote());
        let queued: usize = self.connections.iter().map(|(_, connection)| connection.outbox.len()).sum();
        let streaming = self.connections.iter().any(|(_, connection)| connection.incoming_stream.is_some());
        let in_handshake = |connection: &&Connection| connection.incoming && connection.state == State::Handshake;
        let handshakes = owned().filter(in_handshake).count();
        Stats {
            connections: owned().count() as u64,
            sessions: self.sessions.len() as u64,
            transactions: self.transactions.count as u64,
            queued_bytes: queued as u64,
            handshakes: handshakes as u64,
            busy: self.transactions.count > 0 || queued > 0 || streaming,
            ..self.counters.snapshot()
        }
    }
}

fn connection_info(connection: &Connection) -> ConnectionInfo {
    let state = match connection.state {
        _ if connection.is_remote() => STAND_IN,
        State::Asking => "asking",
        State::Connecting => "connecting",
        State::Handshake => "handshake",
        State::Open if connection.probation => "probation",
        State::Open => "open",
        State::Closing => "closing",
    };
    #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
    ConnectionInfo {
        connection: connection.id,
        incoming: connection.incoming,
        listener: connection.listener,
        state,
        remote: connection.remote,
        local: connection.local,
        tls: connection.tls.as_ref().and_then(|tls| tls.info.clone()),
        opened_at_ms: connection.opened_at_ms as f64,
        queued_bytes: connection.outbox.len(),
        sessions: connection.sessions.len(),
        transactions: connection.awaited.count,
        paused: connection.pauses > 0,
        bytes_in: connection.bytes_in,
        bytes_out: connection.bytes_out,
    }
}

/// State of a stand-in, which the engine adds to the connection that it stands for.
pub const STAND_IN: &str = "stand-in";
