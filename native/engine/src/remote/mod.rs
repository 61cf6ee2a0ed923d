//! Sessions and connections on different workers.
//!
//! A session lives on the worker of its client's connection, and everything about it is decided there. A connection of another
//! worker that has to do with it has a stand-in there: frames go from the owner of the socket to the stand-in as they were
//! framed, and what is queued for the stand-in goes to the owner as bytes, at the end of each turn, with one wake.
//!
//! ```text
//! worker 0 (owns the socket of B)              worker 1 (owns A and its session)
//!   B ── record ──▶ others ── Frames ──inbox──▶ stand-in of B ──▶ route ──▶ outbox of A
//!   outbox of B ◀──────────inbox── Bytes ────── outbox of the stand-in ◀── 200, REPORTs
//! ```
//! A connection moves before its first request, socket and all: that of a peer to the worker of the session that it is for, that
//! of a client, with its session, to the worker of the session that it talks to. The usual conversation then has all its ends on
//! one worker (moving.rs).

use crate::connection::Connection;
use crate::contract::{CloseReason, ConnectionId};
use crate::flow::resume;
use crate::inbox::{Command, Inbox};
use crate::plane::Plane;
use crate::receive::on_linked;
use crate::table::Key;
use ahash::AHashMap;
use std::mem;

mod link;
mod moving;
mod pass;
mod stand_in;

pub use link::LINK;
pub use moving::Moving;
pub use pass::Frames;

/// What workers say to each other.
pub enum Message {
    /// Frames of a connection, from the owner of its socket.
    Frames(Box<Frames>),
    /// What goes out on a connection, to the owner of its socket: whole frames.
    Bytes { connection: ConnectionId, from: usize, bytes: Vec<u8> },
    /// What else is to be known of a connection.
    Note { connection: ConnectionId, from: usize, note: Note },
    /// What goes to another worker's session on a path that leads through sessions of both: as if over a connection.
    Linked { from: usize, bytes: Vec<u8> },
    /// The connection of a peer that moves, socket and all.
    Adopt(Box<Moving>),
    /// A connection that has moved has closed: its first worker need not pass commands on any more.
    Forget(ConnectionId),
}

/// A word about a connection.
#[derive(Clone, Copy, Debug)]
pub enum Note {
    /// To the owner: do not read from it, for one more cause, or one less.
    Pause,
    Resume,
    /// To the owner: it has made a request that was a success (relay R-041).
    Proven,
    /// To the owner: close it.
    Close(CloseReason),
    /// From the owner: it has closed.
    Closed,
    /// From the owner: its outbox is full, or is not any more.
    Full,
    Drained,
    /// To the owner, which has closed it: everything that was for it has been handed over.
    Settled,
}

/// What one worker knows of the others.
pub struct Remote {
    /// Stand-ins by the number of the connection.
    pub(super) stand_ins: AHashMap<ConnectionId, Key>,
    /// Connections that have moved here, by the number that they have kept.
    pub adopted: AHashMap<ConnectionId, Key>,
    /// Connections that have moved away, and where to.
    pub(super) moved: AHashMap<ConnectionId, usize>,
    /// What goes to each worker at the end of the turn, and how many bytes of frames are in it.
    pub(super) pending: Vec<(Vec<Command>, usize)>,
    /// Who waits for room in the inbox of each worker.
    pub(super) waiting: Vec<Vec<Key>>,
    /// The link to each worker, once there is one.
    pub(super) links: Vec<Option<Key>>,
}

impl Remote {
    pub fn new(workers: usize) -> Self {
        Self {
            stand_ins: AHashMap::new(),
            adopted: AHashMap::new(),
            moved: AHashMap::new(),
            pending: (0..workers).map(|_| (Vec::new(), 0)).collect(),
            waiting: vec![Vec::new(); workers],
            links: vec![None; workers],
        }
    }
}

impl Plane {
    /// The end of a turn: everything for other workers is delivered, with one wake for each.
    pub fn deliver(&mut self) {
        for worker in 0..self.others.pending.len() {
            let (pending, bytes) = &mut self.others.pending[worker];
            // Where a connection has moved to, it is told of behind what is told of it here.
            let moves = |command: &Command| matches!(command, Command::Other(Message::Adopt(_)));
            if self.ring_full && pending.iter().any(moves) {
                continue;
            }
            if !pending.is_empty() {
                for moving in self.shared.inbox(worker).put(pending, mem::take(bytes)) {
                    self.adopt(moving);
                }
            }
            if !self.others.waiting[worker].is_empty() && !self.shared.inbox(worker).await_room() {
                self.room_at(worker);
            }
        }
    }

    /// The inboxes that were waited for may have room.
    pub fn look_for_room(&mut self) {
        for worker in 0..self.others.waiting.len() {
            if !self.others.waiting[worker].is_empty() && !self.shared.inbox(worker).is_full() {
                self.room_at(worker);
            }
        }
    }

    fn room_at(&mut self, worker: usize) {
        for key in mem::take(&mut self.others.waiting[worker]) {
            if self.connections.get(key).is_some_and(Connection::is_remote) {
                self.touch(key);
            } else {
                resume(self, key);
            }
        }
    }

    /// What another worker has to say.
    pub fn on_message(&mut self, message: Message) {
        match message {
            Message::Frames(frames) => self.on_frames(&frames),
            Message::Bytes { connection, from, bytes } => self.on_bytes(connection, from, &bytes),
            Message::Note { connection, from, note } => self.on_note(connection, from, note),
            Message::Linked { from, bytes } => {
                let link = self.link_to(from);
                on_linked(self, link, &bytes);
            }
            Message::Adopt(moving) => self.adopt(*moving),
            Message::Forget(connection) => _ = self.others.moved.remove(&connection),
        }
    }
}

/// Wakes whoever waits for room in the inbox of a worker that has just emptied it.
pub fn tell_of_room(inboxes: &[Inbox]) {
    for inbox in inboxes {
        inbox.wake();
    }
}
