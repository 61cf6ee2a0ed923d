//! A next hop turns out to be connected already.

use crate::close::close_connection;
use crate::contract::CloseReason;
use crate::plane::Plane;
use crate::send_stream;
use crate::table::Key;
use crate::transaction::NONE;
use std::mem;

/// What was queued for `hop`, what waits for answers, and who waits for room, all goes over to the connection that is there.
pub fn merge(plane: &mut Plane, hop: Key, into: Key) {
    send_stream::interrupt(plane, hop);
    send_stream::interrupt(plane, into);
    let Some(connection) = plane.connections.get_mut(hop) else { return };
    let queued = connection.outbox.take();
    let waiters = mem::take(&mut connection.waiters);
    let asked_by = connection.asked_by;
    if let Some(target) = plane.connections.get_mut(into) {
        target.outbox.buffer(&mut plane.spare).extend_from_slice(&queued);
    }
    for awaited in [true, false] {
        while let Some(connection) = plane.connections.get(hop) {
            let list = if awaited { connection.awaited } else { connection.unanswered };
            if list.oldest == NONE {
                break;
            }
            plane.transactions.move_to(list.oldest, into, &mut plane.connections);
        }
    }
    for source in waiters {
        let waits = plane.connections.get(into).is_some_and(|into| into.waiters.contains(&source));
        if waits {
            // Each waits once for each full connection.
            if let Some(source) = plane.connections.get_mut(source) {
                source.pauses = source.pauses.saturating_sub(1);
            }
        } else if let Some(into) = plane.connections.get_mut(into) {
            into.waiters.push(source);
        }
    }
    let now_ms = plane.now_ms;
    if let Some(into) = plane.connections.get_mut(into)
        && !into.waiters.is_empty()
    {
        into.full_since_ms.get_or_insert(now_ms);
    }
    if let Some(session) = asked_by.and_then(|session| plane.sessions.get_mut(session)) {
        for (_, known) in &mut session.hops {
            if *known == hop {
                *known = into;
            }
        }
    }
    send_stream::retarget(plane, hop, into);
    close_connection(plane, hop, CloseReason::Merged, None);
    plane.touch(into);
}
