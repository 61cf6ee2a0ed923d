//! Writes what a connection has queued: at the end of a turn, once.

use crate::close::{close_connection, destroy};
use crate::connection::{Link, State};
use crate::contract::CloseReason;
use crate::errno;
use crate::flow::release_if_drained;
use crate::outbox::{Outbox, Spare};
use crate::plane::Plane;
use crate::table::Key;
use crate::tap::Teller;
use crate::tls::{self, HandshakeFailure};
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;

/// Hands the outbox to the kernel; what it does not take waits until the poller says that it does.
pub fn flush(plane: &mut Plane, key: Key) {
    let now_ms = plane.now_ms;
    let Plane { connections, spare, counters, writing, sealing, events, shared, .. } = plane;
    let Some(connection) = connections.get_mut(key) else { return };
    connection.dirty = false;
    if connection.is_remote() {
        plane.flush_to_owner(key);
        return;
    }
    if !matches!(connection.state, State::Open | State::Closing | State::Handshake) {
        return;
    }
    let Link::Tcp(stream) = &mut connection.link else { return };
    let mut failure = None;
    let mut wrote = 0;
    let settled = connection.state == State::Closing && connection.unsettled == 0;
    if !connection.blocked {
        if connection.traced
            && connection.state != State::Handshake
            && let Some(tap) = &mut connection.tap
        {
            let mut teller = Teller { connection: connection.id, events, counters, budget: &shared.frames };
            tap.before_write(&connection.outbox, &mut teller);
        }
        let (count, outcome) = match &mut connection.tls {
            None => write_plain(stream, &mut connection.outbox, spare),
            Some(tls) => {
                let outbox = (connection.state != State::Handshake).then_some(&mut connection.outbox);
                tls.write(stream, outbox, settled, sealing, spare)
            }
        };
        wrote = count;
        if connection.traced
            && let Some(tap) = &mut connection.tap
        {
            tap.after_write(&connection.outbox);
        }
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                connection.blocked = true;
                connection.write_progress_ms = now_ms;
                writing.push(key);
            }
            Err(error) => failure = Some(error),
        }
    }
    connection.bytes_out += wrote as u64;
    counters.bytes_out += wrote as u64;
    if wrote > 0 {
        connection.last_active_ms = now_ms;
    }
    let closing = connection.state == State::Closing;
    if let Some(error) = failure {
        if closing {
            destroy(plane, key);
        } else if connection.state == State::Handshake {
            tls::fail(plane, key, HandshakeFailure::Closed, &errno::name(&error));
        } else {
            close_connection(plane, key, CloseReason::PeerReset, Some(errno::name(&error)));
        }
        return;
    }
    let flushed = connection.outbox.is_empty() && connection.tls.as_ref().is_none_or(|tls| tls.is_flushed());
    if flushed && settled && !connection.shut {
        // Both sides have said all: nothing is left to wait for.
        if connection.ended {
            destroy(plane, key);
            return;
        }
        connection.shut = true;
        let _ = stream.shutdown(Shutdown::Write);
    }
    let told_full = connection.told_full;
    if wrote > 0 {
        release_if_drained(plane, key);
        if told_full != 0 {
            plane.tell_drained(key);
        }
    }
}

/// Writes an outbox as far as the kernel takes it: bytes, and whether it takes more.
fn write_plain(stream: &mut TcpStream, outbox: &mut Outbox, spare: &mut Spare) -> (usize, io::Result<bool>) {
    let mut wrote = 0;
    while !outbox.is_empty() {
        match stream.write(outbox.waiting()) {
            Ok(count) => {
                wrote += count;
                outbox.written(count, spare);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (wrote, Ok(false)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (wrote, Err(error)),
        }
    }
    (wrote, Ok(true))
}

/// The kernel takes more.
pub fn on_writable(plane: &mut Plane, key: Key) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    if connection.blocked {
        connection.blocked = false;
        plane.writing.retain(|&other| other != key);
        flush(plane, key);
    }
}

/// `send_timeout`: while data waits, the kernel must take some of it now and then.
pub fn check_progress(plane: &mut Plane) {
    let send_timeout_ms = plane.limits.send_timeout_ms;
    if send_timeout_ms == 0 || plane.writing.is_empty() {
        return;
    }
    let late: Vec<Key> = plane
        .writing
        .iter()
        .copied()
        .filter(|&key| {
            plane
                .connections
                .get(key)
                .is_none_or(|connection| plane.now_ms.saturating_sub(connection.write_progress_ms) >= send_timeout_ms)
        })
        .collect();
    for key in late {
        plane.writing.retain(|&other| other != key);
        match plane.connections.get(key).map(|connection| connection.state) {
            Some(State::Open) => close_connection(plane, key, CloseReason::SendTimeout, None),
            Some(_) => destroy(plane, key),
            None => {}
        }
    }
}
