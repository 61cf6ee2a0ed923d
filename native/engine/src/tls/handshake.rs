//! Handshakes under way: their time, their end, and what is counted of them.

use super::domain::Domain;
use super::failure::HandshakeFailure;
use super::info::describe;
use super::record::Tls;
use super::verify::Role;
use crate::close::close_connection;
use crate::connection::{Link, State};
use crate::contract::{CloseReason, Event};
use crate::dial;
use crate::plane::Plane;
use crate::table::Key;
use rustls::Error;
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// A handshake that is not done.
pub struct Handshake {
    deadline_ms: u64,
    /// From the `ClientHello` on.
    pub domain: Option<Arc<Domain>>,
    /// SNI of a client that has sent one.
    pub server_name: Option<String>,
    /// Of a dial: the name that the certificate must have.
    pub name: Option<ServerName<'static>>,
}

/// Steps of handshakes in one turn of a worker: each may cost a signature, and the others have their turn, too.
const STEPS_PER_TURN: u32 = 8;

impl Handshake {
    pub fn new(deadline_ms: u64) -> Self {
        Self { deadline_ms, domain: None, server_name: None, name: None }
    }
}

impl Plane {
    /// When a handshake that begins now has to be done.
    pub fn handshake_deadline_ms(&self) -> u64 {
        match self.limits.tls_handshake_timeout_ms {
            0 => u64::MAX,
            timeout_ms => self.now_ms.saturating_add(timeout_ms),
        }
    }
}

/// Whether one more step of a handshake is for this turn, which has made `steps`.
pub fn step_allowed(steps: &mut u32) -> bool {
    *steps += 1;
    *steps <= STEPS_PER_TURN
}

/// Opens a connection whose handshake is done. False when it is not open (yet).
pub fn finish_if_done(plane: &mut Plane, key: Key) -> bool {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get_mut(key) else { return false };
    let Some(tls) = &mut connection.tls else { return false };
    let (Some(handshake), Some(common)) = (&tls.handshake, tls.common()) else { return false };
    if common.is_handshaking() {
        return false;
    }
    let Some(domain) = &handshake.domain else { return false };
    let role = handshake.name.as_ref().map_or(Role::Client, Role::Server);
    let info = match describe(common, domain, handshake.server_name.as_deref(), role) {
        Ok(info) => Arc::new(info),
        Err(error) => {
            fail_with(plane, key, &error);
            return false;
        }
    };
    let version = common.protocol_version();
    tls.handshake = None;
    if connection.incoming {
        tls.accepted(version);
    }
    let urgent = tls.is_urgent();
    tls.info = Some(Arc::clone(&info));
    connection.state = State::Open;
    // It begins now, for its probation too.
    connection.opened_at_ms = now_ms;
    connection.last_active_ms = now_ms;
    let (id, incoming, listener) = (connection.id, connection.incoming, connection.listener);
    let (Some(remote), Some(local)) = (connection.remote, connection.local) else { return false };
    if incoming {
        plane.shared.handshake_ended();
    } else {
        dial::finished(plane, key);
    }
    plane.emit(Event::Opened { connection: id, incoming, listener, remote, local, tls: Some(info) });
    if urgent || !incoming {
        plane.touch(key);
    }
    true
}

/// A handshake has failed: the peer hears the alert that is due, and the connection closes, or the next candidate is tried.
pub fn fail(plane: &mut Plane, key: Key, failure: HandshakeFailure, why: &str) {
    plane.counters.handshake_failure(failure);
    say_last(plane, key);
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let detail = format!("{}: {why}", failure.name());
    if connection.dial.is_some() {
        dial::handshake_failed(plane, key, failure, &detail);
        return;
    }
    let domain = connection.tls.as_deref().and_then(Tls::domain_name).map(str::to_owned);
    connection.failed_handshake = Some((failure, domain));
    close_connection(plane, key, reason_of(failure), Some(detail));
}

/// A handshake has failed with an error of rustls.
pub fn fail_with(plane: &mut Plane, key: Key, error: &Error) {
    let Some(connection) = plane.connections.get(key) else { return };
    let (failure, why) = HandshakeFailure::told(error, if connection.incoming { "client" } else { "server" });
    fail(plane, key, failure, &why);
}

/// A connection has failed: the peer hears the alert for it, as far as the kernel takes it at once.
pub fn say_last(plane: &mut Plane, key: Key) {
    let Plane { connections, spare, .. } = plane;
    let Some(connection) = connections.get_mut(key) else { return };
    if let (Some(tls), Link::Tcp(stream)) = (&mut connection.tls, &mut connection.link) {
        tls.say_last(stream, spare);
    }
}

/// The reason that a connection closes for when its handshake has failed so.
pub fn reason_of(failure: HandshakeFailure) -> CloseReason {
    match failure {
        HandshakeFailure::Timeout => CloseReason::TlsHandshakeTimeout,
        _ => CloseReason::TlsHandshakeFailed,
    }
}

/// Ends handshakes that take too long. The ticket of one that is done, and that no answer has taken along, goes out now.
pub fn sweep(plane: &mut Plane) {
    let now_ms = plane.now_ms;
    let connections = &mut plane.connections;
    let (mut late, mut ticketed) = (Vec::new(), Vec::new());
    plane.handshaking.retain(|&key| {
        let Some(tls) = connections.get_mut(key).and_then(|connection| connection.tls.as_mut()) else { return false };
        let Some(handshake) = &tls.handshake else {
            if tls.ticket_is_due() {
                ticketed.push(key);
            }
            return false;
        };
        if now_ms >= handshake.deadline_ms {
            late.push(key);
        }
        true
    });
    for key in ticketed {
        plane.touch(key);
    }
    for key in late {
        fail(plane, key, HandshakeFailure::Timeout, "it takes too long");
    }
}
