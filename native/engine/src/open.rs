//! Where sessions begin.

use crate::connection::State;
use crate::contract::{Event, SessionCloseReason, SessionId, SessionSpec};
use crate::inbox::Command;
use crate::plane::Plane;
use crate::session::Session;
use crate::table::Key;
use std::rc::Rc;

/// Opens a session on its client's connection, wherever that is by now.
pub fn open_session(plane: &mut Plane, id: SessionId, spec: SessionSpec) {
    let Some(key) = plane.key_of(spec.connection) else {
        let connection = spec.connection;
        if plane.has_moved(connection) {
            plane.pass_on(connection, Command::OpenSession { session: id, spec: Box::new(spec) });
        } else {
            not_opened(plane, id, &spec.uri);
        }
        return;
    };
    let open = plane.connections.get(key).is_some_and(|connection| connection.state == State::Open);
    let (worker, client) = (plane.worker, spec.connection);
    let uri: Box<[u8]> = spec.uri.into();
    let session = Session {
        id,
        uri: uri.clone(),
        client_path: spec.client_path.into_iter().map(Into::into).collect(),
        exclusive_peer: spec.exclusive_peer,
        relay: spec.relay.as_deref().map(Rc::from),
        connection: key,
        expires_at_ms: spec.expires_at_ms,
        version: 0,
        peer: None,
        peer_uri: Vec::new(),
        hops: Vec::new(),
        frames_out: 0,
        bytes_out: 0,
        frames_in: 0,
        bytes_in: 0,
    };
    let Some(session) = open.then(|| plane.sessions.add(session)).flatten() else {
        not_opened(plane, id, &uri);
        return;
    };
    // Again: the connection may have moved here.
    plane.shared.note_session(&uri, worker, client);
    if let Some(connection) = plane.connections.get_mut(key) {
        connection.sessions.push(session);
        connection.probation = false;
    }
}

/// The client has gone while its AUTH was being decided, or there is a session of that URI: this one ends before it began.
fn not_opened(plane: &mut Plane, session: SessionId, uri: &[u8]) {
    if plane.sessions.find(uri).is_none() {
        plane.shared.forget_session(uri);
    }
    plane.emit(Event::SessionClosed { session, reason: SessionCloseReason::ConnectionClosed });
}

/// Moves the end of a session.
pub fn extend_session(plane: &mut Plane, key: Key, expires_at_ms: f64) {
    if let Some(session) = plane.sessions.get_mut(key) {
        session.expires_at_ms = expires_at_ms;
    }
}
