//! Where the requests with one pair of paths go, in the order of checks of relay section 6.

use crate::connection::{Connection, State};
use crate::contract::Event;
use crate::plane::Plane;
use crate::table::Key;
use msrp_core::frame::record::method;
use msrp_core::syntax::uri::{Uri, is_same_uri};

/// A path as received, URI by URI.
pub type Path = Vec<Box<[u8]>>;

/// What is decided about a pair of paths, and the bytes that all of its requests share on the way out.
#[derive(Debug)]
pub struct Route {
    pub to_path: Path,
    pub from_path: Path,
    pub verdict: Verdict,
    /// The first To-Path URI names another host: R-042.
    pub misdirected: bool,
    /// Own sessions on the path, in its order: one, or more when it leads through several sessions of this relay.
    pub sessions: Vec<Key>,
    /// Sum of their versions, to see whether the route still holds.
    version: u32,
    pub target: Key,
    /// Towards the client of the last session, not from it.
    pub to_client: bool,
    /// `To-Path` and `From-Path` lines of what is forwarded (relay R-052).
    pub paths: Vec<u8>,
    /// Behind the transaction id of a forwarded SEND, up to its headers.
    pub send_head: Vec<u8>,
    /// Behind the transaction id of a 200 to a SEND, up to the transaction id of its end-line (core C-073).
    pub ok_tail: Vec<u8>,
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the target.
    Forward,
    /// It is for this relay itself: the control plane answers.
    Up,
    /// Refused with that status (relay ).
    Refuse(u16),
}

/// No connection.
pub const NOBODY: Key = Key { index: u32::MAX, generation: 0 };

impl Route {
    /// A route that leads nowhere.
    pub fn refused(to_path: Path, from_path: Path, verdict: Verdict, misdirected: bool) -> Self {
        Self {
            to_path,
            from_path,
            verdict,
            misdirected,
            sessions: Vec::new(),
            version: 0,
            target: NOBODY,
            to_client: false,
            paths: Vec::new(),
            send_head: Vec::new(),
            ok_tail: Vec::new(),
        }
    }

    fn forward(plane: &Plane, to_path: Path, from_path: Path, sessions: Vec<Key>, target: Key, to_client: bool) -> Self {
        let own = sessions.len();
        let mut paths = b"To-Path: ".to_vec();
        join(&mut paths, to_path.iter().skip(own));
        paths.extend_from_slice(b"\r\nFrom-Path: ");
        join(&mut paths, to_path.iter().take(own).rev().chain(&from_path));
        paths.extend_from_slice(b"\r\n");
        let send_head = [b" SEND\r\n".as_slice(), &paths].concat();
        let mut ok_tail = b" 200 OK\r\nTo-Path: ".to_vec();
        join(&mut ok_tail, from_path.iter().take(1));
        ok_tail.extend_from_slice(b"\r\nFrom-Path: ");
        join(&mut ok_tail, to_path.iter().take(1));
        ok_tail.extend_from_slice(b"\r\n-------");
        let version = version_of(plane, &sessions).unwrap_or(0);
        Self {
            to_path,
            from_path,
            verdict: Verdict::Forward,
            misdirected: false,
            sessions,
            version,
            target,
            to_client,
            paths,
            send_head,
            ok_tail,
        }
    }

    /// Still the same sessions, connection and peer as when it was made.
    #[inline]
    pub fn is_current(&self, plane: &Plane) -> bool {
        plane.connections.get(self.target).is_some_and(Connection::usable)
            && version_of(plane, &self.sessions) == Some(self.version)
    }
}

/// Sum of versions; none when one of the sessions has ended.
#[inline]
fn version_of(plane: &Plane, sessions: &[Key]) -> Option<u32> {
    let mut version = 0u32;
    for &key in sessions {
        let session = plane.sessions.get(key)?;
        if session.expires_at_ms <= plane.now() {
            return None;
        }
        version = version.wrapping_add(session.version);
    }
    Some(version)
}

fn join<'a>(into: &mut Vec<u8>, uris: impl Iterator<Item = &'a Box<[u8]>>) {
    for (i, uri) in uris.enumerate() {
        if i > 0 {
            into.push(b' ');
        }
        into.extend_from_slice(uri);
    }
}

/// Decides where a request goes. A next hop that is not known becomes a connection that is asked for by an event.
pub fn resolve(plane: &mut Plane, connection: Key, method: u32, name: &[u8], to_path: Path, from_path: Path) -> Route {
    let mut sessions: Vec<Key> = Vec::new();
    let for_us = to_path.len() == 1 && method != method::SEND && method != method::REPORT;
    let unknown = |i: usize| if i == 0 && for_us { Verdict::Up } else { Verdict::Refuse(481) };
    for i in 0.. {
        let Some(own) = to_path.get(i) else {
            return Route::refused(to_path, from_path, Verdict::Refuse(481), false);
        };
        let session = plane.find_session(own).filter(|&key| is_live(plane, key));
        let Some(key) = session else {
            let misdirected = i == 0 && !Uri::parse(own).is_some_and(|uri| plane.is_own(&uri));
            let verdict = if misdirected { Verdict::Refuse(481) } else { unknown(i) };
            return Route::refused(to_path, from_path, verdict, misdirected);
        };
        let Some(next) = to_path.get(i + 1) else {
            return Route::refused(to_path, from_path, unknown(i), false);
        };
        sessions.push(key);
        let Some(session) = plane.sessions.get(key) else { continue };
        if session.client_path.first().is_some_and(|hop| is_same_uri(next, hop)) {
            return match client_connection(plane, key) {
                Some(target) => Route::forward(plane, to_path, from_path, sessions, target, true),
                None => Route::refused(to_path, from_path, Verdict::Refuse(481), false),
            };
        }
        // Only the client itself may go anywhere else; what comes out of another own session is no client.
        if i > 0 || !is_from_client(plane, key, connection, &from_path) {
            return Route::refused(to_path, from_path, Verdict::Refuse(403), false);
        }
        if plane.find_session(next).is_some() {
            continue;
        }
        let (refused, foreign) = match Uri::parse(next) {
            Some(uri) => (plane.is_own(&uri), plane.foreign_worker(&uri)),
            None => (true, None),
        };
        if let Some(worker) = foreign {
            let target = plane.link_to(worker);
            return Route::forward(plane, to_path, from_path, sessions, target, false);
        }
        if refused {
            let status = if method == method::AUTH { 403 } else { 481 };
            return Route::refused(to_path, from_path, Verdict::Refuse(status), false);
        }
        let next = next.clone();
        let path_length = to_path.len() - i - 1;
        return match next_hop(plane, key, connection, name, &next, path_length) {
            Some(target) => Route::forward(plane, to_path, from_path, sessions, target, false),
            None => Route::refused(to_path, from_path, Verdict::Refuse(403), false),
        };
    }
    unreachable!("the loop ends at the end of the path")
}

/// It has not expired.
fn is_live(plane: &Plane, session: Key) -> bool {
    plane.sessions.get(session).is_some_and(|session| session.expires_at_ms > plane.now())
}

/// True when a request that came in on `connection` was sent by the client of the session.
fn is_from_client(plane: &Plane, session: Key, connection: Key, from_path: &Path) -> bool {
    let Some(session) = plane.sessions.get(session) else { return false };
    let known = session.connection == connection
        || session.relay.is_some()
            && plane.connections.get(connection).is_some_and(|connection| connection.relay == session.relay);
    known && session.is_client_path(from_path)
}

/// The connection of the session's client; of a client behind another relay, the latest connection of that relay.
fn client_connection(plane: &mut Plane, session: Key) -> Option<Key> {
    let usable = |key: Key| plane.connections.get(key).is_some_and(Connection::usable);
    let known = plane.sessions.get(session)?;
    if usable(known.connection) {
        return Some(known.connection);
    }
    let latest = plane.relays.get(known.relay.as_deref()?)?.iter().rev().copied().find(|&key| usable(key))?;
    plane.sessions.get_mut(session)?.connection = latest;
    Some(latest)
}

/// The connection towards a next hop of the client: learned, allowed before, or to be asked for.
fn next_hop(plane: &mut Plane, key: Key, connection: Key, name: &[u8], uri: &[u8], path_length: usize) -> Option<Key> {
    let usable = |key: Key| plane.connections.get(key).is_some_and(Connection::usable);
    let session = plane.sessions.get(key)?;
    if let Some(peer) = session.peer
        && usable(peer)
        && is_same_uri(&session.peer_uri, uri)
    {
        return Some(peer);
    }
    if let Some(&(_, hop)) = session.hops.iter().find(|(known, hop)| **known == *uri && usable(*hop)) {
        return Some(hop);
    }
    let gone: Vec<Key> = session.hops.iter().map(|&(_, hop)| hop).filter(|&hop| !usable(hop)).collect();
    let draining = plane.draining;
    let session = plane.sessions.get_mut(key)?;
    session.hops.retain(|(_, hop)| !gone.contains(hop));
    if session.hops.len() >= HOPS_PER_SESSION || draining {
        return None;
    }
    let session_id = session.id;
    plane.shared.enter();
    let hop = plane.add_connection(false, State::Asking);
    plane.sessions.get_mut(key)?.hops.push((uri.into(), hop));
    let from = plane.connections.get(connection)?.id;
    let asked = plane.connections.get_mut(hop)?;
    asked.asked_by = Some(key);
    let event = Event::Hop {
        hop: asked.id,
        session: session_id,
        connection: from,
        method: String::from_utf8_lossy(name).into_owned(),
        uri: String::from_utf8_lossy(uri).into_owned(),
        path_length,
    };
    plane.emit_from(connection, event);
    Some(hop)
}

/// Next hops that one session may have open at a time: a conversation has one or two.
const HOPS_PER_SESSION: usize = 16;
