//! Forwarded requests that have failed.

use crate::connection::State;
use crate::flow::release_if_drained;
use crate::plane::Plane;
use crate::reply::{Failure, ResponseTo, report, respond_plainly};
use crate::table::Key;
use crate::transaction::{NONE, Slot};
use std::mem;

/// A forwarded request has failed: the next hop refused it, was silent, or has gone (relay ). A SEND gets a failure
/// REPORT; another request the response that will not come.
pub fn fail_transaction(plane: &mut Plane, slot: Slot, status: u16) {
    let transaction = plane.transactions.at_mut(slot);
    let (source, target, is_send) = (transaction.source, transaction.target, transaction.is_send);
    let (start, octets, total) = (transaction.start, transaction.octets, transaction.total);
    // Taken out for the call, and put back so that their memory is used again.
    let route = transaction.route.clone();
    let message_id = mem::take(&mut transaction.message_id);
    let source_tid = mem::take(&mut transaction.source_tid);
    if let Some(route) = route {
        let (to_path, from_path) = (&route.to_path, &route.from_path);
        if is_send {
            let failure = Failure { to_path, from_path, message_id: &message_id, start, octets, total };
            report(plane, source, &failure, status);
        } else {
            respond_plainly(plane, source, status, &ResponseTo::other(&source_tid, to_path, from_path));
        }
    }
    let transaction = plane.transactions.at_mut(slot);
    transaction.message_id = message_id;
    transaction.source_tid = source_tid;
    plane.transactions.close(slot, &mut plane.connections);
    release_if_drained(plane, target);
}

/// Everything that a connection owes an answer to fails: it has closed, or never opened.
pub fn fail_all(plane: &mut Plane, target: Key, status: u16) {
    while let Some(slot) = oldest(plane, target, true) {
        fail_transaction(plane, slot, status);
    }
    while let Some(slot) = oldest(plane, target, false) {
        fail_transaction(plane, slot, status);
    }
}

fn oldest(plane: &Plane, target: Key, awaited: bool) -> Option<Slot> {
    let connection = plane.connections.get(target)?;
    let list = if awaited { &connection.awaited } else { &connection.unanswered };
    (list.oldest != NONE).then_some(list.oldest)
}

/// Looks at the transactions of one connection, oldest first: a SEND without an answer in time is reported 408; of the others
/// an AUTH is answered 408 and the rest forgotten (relay section 6.1, D-44).
pub fn expire_transactions(plane: &mut Plane, target: Key) {
    for awaited in [true, false] {
        while let Some(slot) = oldest(plane, target, awaited) {
            let transaction = plane.transactions.at(slot);
            if transaction.deadline_ms > plane.now_ms {
                break;
            }
            let told = if transaction.is_send { transaction.timed } else { transaction.is_auth };
            let queued_up_to = transaction.queued_up_to;
            let waits = plane.connections.get(target).is_some_and(|connection| {
                connection.state == State::Open && (queued_up_to > connection.bytes_out || connection.full_elsewhere)
            });
            if waits {
                // The time runs from the last octet that went out (core C-071), and this one still waits.
                let deadline_ms = plane.now_ms.saturating_add(plane.limits.transaction_ms.max(1));
                plane.transactions.postpone(slot, deadline_ms, &mut plane.connections);
            } else if told {
                plane.counters.timeouts += 1;
                fail_transaction(plane, slot, 408);
            } else {
                plane.transactions.close(slot, &mut plane.connections);
                release_if_drained(plane, target);
            }
        }
    }
}
