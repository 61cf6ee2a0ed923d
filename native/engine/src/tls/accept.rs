//! Clients: the `ClientHello` says which name they want, and that which domain is for them.

use super::domain::{Domain, Server};
use super::failure::HandshakeFailure;
use super::handshake::{Handshake, fail};
use super::record::{Lost, Side, Tls};
use crate::connection::State;
use crate::contract::ListenerId;
use crate::outbox::{Outbox, Spare};
use crate::plane::Plane;
use crate::table::Key;
use rustls::server::{Acceptor, UnbufferedServerConnection};
use std::sync::Arc;

/// A `ClientHello` that is not complete.
pub struct Hello {
    acceptor: Acceptor,
    server: Arc<Server>,
}

/// What a `ClientHello` comes to: the connection for it, which has heard nothing yet, its domain, and the name that was asked for.
type Chosen = (Side, Arc<Domain>, Option<String>);

/// Alert `unrecognized_name`, fatal, in a record of its own (RFC 6066 section 3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Begins the handshake of a connection that was accepted.
pub fn begin(plane: &mut Plane, key: Key, server: &Arc<Server>) {
    let now_ms = plane.now_ms;
    let deadline_ms = plane.handshake_deadline_ms();
    plane.handshaking.push(key);
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let hello = Hello { acceptor: Acceptor::default(), server: Arc::clone(server) };
    connection.state = State::Handshake;
    connection.last_active_ms = now_ms;
    connection.tls = Some(Box::new(Tls::new(Side::Hello(Box::new(hello)), Handshake::new(deadline_ms))));
}

/// Handshakes of a listener that closes end (docs/CLOSURES.md).
pub fn end_of_listener(plane: &mut Plane, listener: ListenerId) {
    for key in plane.handshaking.clone() {
        let connection = plane.connections.get(key);
        if connection.is_some_and(|connection| connection.state == State::Handshake && connection.listener == Some(listener)) {
            fail(plane, key, HandshakeFailure::Closed, "the listener has closed");
        }
    }
}

impl Hello {
    /// Takes more bytes; none as long as they do not complete the `ClientHello`.
    pub(super) fn take(&mut self, mut bytes: &[u8], outgoing: &mut Outbox, spare: &mut Spare) -> Result<Option<Chosen>, Lost> {
        while !bytes.is_empty() {
            self.acceptor.read_tls(&mut bytes).map_err(Lost::Io)?;
            let accepted = match self.acceptor.accept() {
                Ok(None) => continue,
                Ok(Some(accepted)) => accepted,
                Err((error, mut alert)) => {
                    // Writing to memory does not fail.
                    let _ = alert.write(outgoing.buffer(spare));
                    return Err(Lost::Tls(error));
                }
            };
            let hello = accepted.client_hello();
            let name = hello.server_name().map(str::to_owned);
            let Some(domain) = self.server.choose(name.as_deref()) else {
                outgoing.buffer(spare).extend_from_slice(&UNRECOGNIZED_NAME);
                return Err(Lost::Refused(HandshakeFailure::UnrecognizedName, "no domain has that name"));
            };
            let Some(config) = &domain.server else {
                outgoing.buffer(spare).extend_from_slice(&UNRECOGNIZED_NAME);
                return Err(Lost::Refused(HandshakeFailure::NoSharedCipher, "the domain has no certificate"));
            };
            let connection = UnbufferedServerConnection::new(Arc::clone(config)).map_err(Lost::Tls)?;
            return Ok(Some((Side::Server(Box::new(connection)), Arc::clone(domain), name)));
        }
        Ok(None)
    }
}
