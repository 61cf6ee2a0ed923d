//! Coarse timers, run every [`TICK_MS`]: only what waits for something short is looked at each time; all connections and
//! sessions once a second, a tenth of them in each tick.

use crate::close::{close_connection, close_session, destroy};
use crate::connection::State;
use crate::contract::{CloseReason, SessionCloseReason};
use crate::dial;
use crate::fail::expire_transactions;
use crate::flow::shed_if_stuck;
use crate::plane::Plane;
use crate::table::Key;
use crate::tls;
use crate::write::check_progress;

/// Time between two ticks.
pub const TICK_MS: u64 = 100;

/// Ticks in which everything is looked at once.
const PARTS: usize = 10;

/// A next hop that the control plane has not decided about is refused after this long.
const ASKING_MS: u64 = 60_000;

/// A peer that does not close its side is cut off.
const CLOSING_MS: u64 = 5000;

/// Where the walk over everything is.
#[derive(Debug, Default)]
pub struct Sweeper {
    part: usize,
}

impl Sweeper {
    /// One tick.
    pub fn tick(&mut self, plane: &mut Plane) {
        check_progress(plane);
        let dialling: Vec<Key> = plane.dialling.clone();
        for key in dialling {
            dial::sweep(plane, key);
        }
        plane.forget_dialled();
        tls::sweep(plane);
        let part = self.part;
        self.part = (part + 1) % PARTS;
        let span = |slots: usize| (slots.div_ceil(PARTS) * part, slots.div_ceil(PARTS));
        let (from, count) = span(plane.sessions.slots());
        let sessions: Vec<Key> = plane.sessions.keys(from, count).collect();
        for key in sessions {
            if plane.sessions.get(key).is_some_and(|session| session.expires_at_ms <= plane.now()) {
                close_session(plane, key, SessionCloseReason::Expired);
            }
        }
        let (from, count) = span(plane.connections.slots());
        let connections: Vec<Key> = plane.connections.keys(from, count).collect();
        for key in connections {
            check_connection(plane, key);
        }
    }
}

fn check_connection(plane: &mut Plane, key: Key) {
    expire_transactions(plane, key);
    shed_if_stuck(plane, key);
    let Some(connection) = plane.connections.get(key) else { return };
    if connection.is_remote() {
        return;
    }
    // One that has moved here may be some ms younger than this turn.
    let (now_ms, limits) = (plane.now_ms, &plane.limits);
    let quiet_ms = now_ms.saturating_sub(connection.last_active_ms);
    let age_ms = now_ms.saturating_sub(connection.opened_at_ms);
    let over = |limit: u64, value: u64| limit != 0 && value >= limit;
    match connection.state {
        State::Closing if quiet_ms >= CLOSING_MS => destroy(plane, key),
        State::Asking if age_ms >= ASKING_MS => {
            close_connection(plane, key, CloseReason::HopRefused, Some("no decision".to_owned()));
        }
        State::Open if connection.probation && over(limits.probation_ms, age_ms) => {
            close_connection(plane, key, CloseReason::Probation, None);
        }
        State::Open if over(limits.idle_ms, quiet_ms) => close_connection(plane, key, CloseReason::Idle, None),
        _ => {}
    }
}
