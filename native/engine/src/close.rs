//! Who goes with whom (docs/CLOSURES.md).

use crate::connection::{Link, State};
use crate::contract::{CloseReason, Event, SessionCloseReason};
use crate::fail::fail_all;
use crate::flow::release_waiters;
use crate::plane::Plane;
use crate::remote::Note;
use crate::send_stream;
use crate::table::Key;
use crate::tls::Tls;
use std::mem;

/// Closes a connection and settles everything that hangs on it: its sessions end, the chunk that it was sending is finished
/// with `#`, what others were sending it fails, sources that waited for it go on. What is queued already is still written,
/// unless the reason says that it cannot be.
pub fn close_connection(plane: &mut Plane, key: Key, reason: CloseReason, detail: Option<String>) {
    close_with_status(plane, key, reason, detail, 408);
}

/// As [`close_connection`]; its transactions fail with `status`.
pub fn close_with_status(plane: &mut Plane, key: Key, reason: CloseReason, detail: Option<String>, status: u16) {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get_mut(key) else { return };
    if connection.state == State::Closing {
        return;
    }
    if connection.is_remote() {
        // Its owner decides; what hangs on the stand-in is settled when the owner says that it has closed.
        connection.shut = !connection.is_link();
        plane.tell_owner(key, Note::Close(reason));
        return;
    }
    let graceful = connection.state == State::Open && !reason.is_abrupt();
    connection.state = State::Closing;
    connection.last_active_ms = now_ms;
    let (handshake, tls_domain) = match connection.failed_handshake.take() {
        Some((failure, domain)) => (Some(failure), domain),
        None => (None, connection.tls.as_deref().and_then(Tls::domain_name).map(str::to_owned)),
    };
    let event = Event::Closed {
        connection: connection.id,
        incoming: connection.incoming,
        listener: connection.listener,
        local: connection.local,
        remote: connection.remote,
        reason,
        detail,
        handshake,
        tls_domain,
        bytes_in: connection.bytes_in,
        bytes_out: connection.bytes_out,
    };
    plane.counters.close(reason);
    settle(plane, key, status);
    if graceful {
        plane.tell_last(key);
    }
    plane.emit(event);
    if graceful {
        plane.touch(key);
    } else {
        destroy(plane, key);
    }
}

/// Everything that hangs on a connection that carries no traffic any more. Its state is Closing already.
pub fn settle(plane: &mut Plane, key: Key, status: u16) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    for session in mem::take(&mut connection.sessions) {
        if plane.sessions.get(session).is_some_and(|session| session.relay.is_none()) {
            close_session(plane, session, SessionCloseReason::ConnectionClosed);
        }
    }
    send_stream::source_lost(plane, key);
    send_stream::target_lost(plane, key);
    fail_all(plane, key, status);
    release_waiters(plane, key);
    let Some(connection) = plane.connections.get_mut(key) else { return };
    let paused = mem::take(&mut connection.pauses) > 0;
    let asks = mem::take(&mut connection.requests) > 0;
    let pool_key = connection.pool_key.take();
    let (id, relay) = (connection.id, connection.relay.clone());
    connection.routes.clear();
    connection.last_route = None;
    connection.rest = Vec::new();
    connection.dial = None;
    let stand_ins = mem::take(&mut connection.stand_ins);
    connection.unsettled = stand_ins;
    if paused {
        for other in plane.connections.values_mut() {
            other.waiters.retain(|&waiter| waiter != key);
        }
    }
    if asks {
        plane.requests.retain(|_, request| request.connection != key);
    }
    if let Some(pool_key) = pool_key {
        plane.shared.unshare(&pool_key, id);
    }
    if let Some(relay) = relay {
        plane.forget_relay(key, &relay);
    }
    if stand_ins != 0 {
        plane.tell_stand_ins(key, stand_ins, Note::Closed);
    }
}

/// The transport is gone, or goes now: the connection leaves the table.
pub fn destroy(plane: &mut Plane, key: Key) {
    let Some(mut connection) = plane.connections.remove(key) else { return };
    if connection.is_remote() {
        return;
    }
    plane.forget_adopted(connection.id);
    // Closing a socket takes it out of the poller; events of this turn that name its key find nothing.
    if let Link::External(_) = mem::replace(&mut connection.link, Link::None) {
        plane.shared.forget_pipe(connection.id);
    }
    if connection.incoming && connection.tls.is_some_and(|tls| tls.handshake.is_some()) {
        plane.shared.handshake_ended();
    }
    plane.shared.leave(connection.incoming.then_some(connection.remote).flatten().map(|remote| remote.ip()));
}

/// Ends a session; the control plane is told, whoever has ended it.
pub fn close_session(plane: &mut Plane, key: Key, reason: SessionCloseReason) {
    let Some(session) = plane.sessions.remove(key) else { return };
    if let Some(connection) = plane.connections.get_mut(session.connection) {
        connection.sessions.retain(|&other| other != key);
        // What was for it may be on its way still.
        connection.may_move = false;
    }
    plane.shared.forget_session(&session.uri);
    plane.emit(Event::SessionClosed { session: session.id, reason });
}
