//! Back-pressure (architecture invariant I2): a connection whose outbox or transaction list is full is not fed any more. Those
//! that feed it are not read from, until it is down to half.

use crate::connection::Connection;
use crate::plane::Plane;
use crate::table::Key;

/// Stops the reading of `source` while `target` is full.
#[inline]
pub fn hold_if_full(plane: &mut Plane, source: Key, target: Key) {
    let limits = &plane.limits;
    let (outbox_bytes, transactions) = (limits.outbox_bytes, limits.transactions_per_connection);
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get(target) else { return };
    // A link that were held by its own far end, for the responses that go there, could hold that end in turn, for good.
    let elsewhere = connection.full_elsewhere && !(source == target && connection.is_link());
    // The answers that a source owes come by reading it: two that wait for each other's would wait for good.
    let owed = connection.awaited.count;
    let of_source = || plane.connections.get(source).map_or(0, |source| source.awaited.count);
    let owes_too_many = transactions != 0 && owed > transactions && (owed > 2 * transactions || of_source() <= transactions / 2);
    if !(outbox_bytes != 0 && connection.outbox.len() > outbox_bytes || owes_too_many || elsewhere) {
        return;
    }
    let Some(connection) = plane.connections.get_mut(target) else { return };
    connection.full_since_ms.get_or_insert(now_ms);
    connection.owes_too_many |= owes_too_many;
    if connection.waiters.contains(&source) {
        return;
    }
    connection.waiters.push(source);
    pause(plane, source);
}

/// Lets the sources of a connection go on once it is down to half of its limits.
#[inline]
pub fn release_if_drained(plane: &mut Plane, target: Key) {
    let limits = &plane.limits;
    let (outbox_bytes, transactions) = (limits.outbox_bytes, limits.transactions_per_connection);
    let Some(connection) = plane.connections.get_mut(target) else { return };
    if connection.full_since_ms.is_none() || outbox_bytes != 0 && connection.outbox.len() > outbox_bytes / 2 {
        return;
    }
    let owes = |connection: &Connection| transactions != 0 && connection.awaited.count > transactions / 2;
    connection.owes_too_many &= owes(connection);
    if !connection.full_elsewhere && !connection.owes_too_many {
        release_waiters(plane, target);
        return;
    }
    // What its far end does not read is no reason for a link not to be read.
    let link = connection.is_link();
    let elsewhere = connection.full_elsewhere;
    let waiters = std::mem::take(&mut connection.waiters);
    let (go, stay): (Vec<Key>, Vec<Key>) = waiters
        .into_iter()
        .partition(|&source| if elsewhere { link && source == target } else { plane.connections.get(source).is_none_or(owes) });
    if let Some(connection) = plane.connections.get_mut(target) {
        if stay.is_empty() && !connection.shedding {
            connection.full_since_ms = None;
        }
        connection.waiters = stay;
    }
    for source in go {
        resume(plane, source);
    }
}

/// Lets the sources of a connection go on whatever it holds: it has closed, or its frames fail from now on.
pub fn release_waiters(plane: &mut Plane, target: Key) {
    let Some(connection) = plane.connections.get_mut(target) else { return };
    connection.full_since_ms = None;
    connection.shedding = false;
    connection.owes_too_many = false;
    for source in std::mem::take(&mut connection.waiters) {
        resume(plane, source);
    }
}

/// Stops reading of a connection, for one more cause.
pub fn pause(plane: &mut Plane, key: Key) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    connection.pauses += 1;
    if connection.pauses > 1 {
        return;
    }
    plane.counters.pauses += 1;
    if connection.is_remote() {
        plane.tell_owner(key, crate::remote::Note::Pause);
    }
}

/// Takes one cause away.
pub fn resume(plane: &mut Plane, key: Key) {
    let Some(connection) = plane.connections.get_mut(key) else { return };
    connection.pauses = connection.pauses.saturating_sub(1);
    if connection.pauses > 0 {
        return;
    }
    if connection.is_remote() {
        plane.tell_owner(key, crate::remote::Note::Resume);
    } else {
        plane.read_later(key);
    }
}

/// A target has been full for too long: what is meant for it fails from now on until it has drained, so that a source which
/// carries other sessions too can go on with these (relay R-085). A source with that one route just waits.
pub fn shed_if_stuck(plane: &mut Plane, target: Key) {
    let now_ms = plane.now_ms;
    let Some(connection) = plane.connections.get(target) else { return };
    if connection.shedding || connection.full_since_ms.is_none_or(|since| now_ms.saturating_sub(since) < STUCK_MS) {
        return;
    }
    let freed: Vec<Key> = connection
        .waiters
        .iter()
        .copied()
        .filter(|&source| {
            // What has to do with other workers carries sessions of theirs, too.
            let serves_others = |source: &Connection| source.routes.len() > 1 || source.is_remote() || source.stand_ins != 0;
            source != target && plane.connections.get(source).is_some_and(serves_others)
        })
        .collect();
    if freed.is_empty() {
        return;
    }
    if let Some(connection) = plane.connections.get_mut(target) {
        connection.shedding = true;
        connection.waiters.retain(|source| !freed.contains(source));
    }
    for source in freed {
        resume(plane, source);
    }
}

/// Full for this long, a target is given up by sources that carry other sessions too (relay R-085).
const STUCK_MS: u64 = 30_000;
