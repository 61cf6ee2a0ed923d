//! What one worker has of a connection of another, and what the owner of the socket hears from it.

use super::{Frames, LINK, Message, Note};
use crate::close::{close_connection, settle};
use crate::connection::{Connection, Link, State};
use crate::contract::ConnectionId;
use crate::flow::{pause, release_if_drained, resume};
use crate::frame::Frame;
use crate::inbox::Command;
use crate::plane::{Plane, worker_of};
use crate::receive::on_record;
use crate::reply::begin_frame;
use crate::send_stream;
use crate::table::Key;
use std::mem;

impl Plane {
    /// The stand-in for an outgoing connection of another worker.
    pub fn stand_in_for(&mut self, id: ConnectionId) -> Key {
        match self.others.stand_ins.get(&id) {
            Some(&key) => key,
            None => self.add_stand_in(id, false, worker_of(id)),
        }
    }

    pub(super) fn add_stand_in(&mut self, id: ConnectionId, incoming: bool, worker: usize) -> Key {
        let (decoder, now_ms) = (self.decoder(), self.now_ms);
        let mut connection = Connection::new(id, incoming, State::Open, decoder, now_ms);
        connection.link = Link::Remote { worker };
        let key = self.connections.insert_with(|_| connection);
        self.others.stand_ins.insert(id, key);
        key
    }

    pub(super) fn on_frames(&mut self, frames: &Frames) {
        let key = match self.others.stand_ins.get(&frames.connection) {
            Some(&key) => key,
            None => self.add_stand_in(frames.connection, frames.incoming, frames.from),
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.listener = frames.listener;
            connection.remote = frames.remote;
            connection.chunk_octets = frames.chunk_octets;
            if !frames.probation {
                connection.probation = false;
                connection.told_proven = true;
            }
        }
        if let Some(relay) = &frames.relay {
            self.identify(key, relay);
        }
        for record in &frames.records {
            // What follows a request that closes the connection is not looked at.
            if self.connections.get(key).is_none_or(|connection| connection.shut) {
                return;
            }
            on_record(self, key, Frame { bytes: &frames.bytes, record });
        }
        self.tell_if_proven(key);
    }

    /// The owner hears once that a connection has made a request that was a success (relay R-041).
    pub fn tell_if_proven(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key).filter(|connection| connection.is_remote()) else { return };
        if !connection.probation && !mem::replace(&mut connection.told_proven, true) {
            self.tell_owner(key, Note::Proven);
        }
    }

    pub(super) fn on_bytes(&mut self, id: ConnectionId, from: usize, bytes: &[u8]) {
        // One that closes gracefully still sends what was on its way to it.
        let takes = |connection: &Connection| connection.usable() || connection.unsettled & (1 << from) != 0;
        let Some(key) = self.key_of(id).filter(|&key| self.connections.get(key).is_some_and(takes)) else {
            // It has gone: whoever still writes to it is told (again).
            let message = Message::Note { connection: id, from: self.worker, note: Note::Closed };
            self.others.pending[from].0.push(Command::Other(message));
            return;
        };
        let Some(out) = begin_frame(self, key) else { return };
        out.extend_from_slice(bytes);
        self.touch(key);
        let limit = self.limits.outbox_bytes;
        let Some(connection) = self.connections.get_mut(key).filter(|connection| connection.usable()) else { return };
        connection.stand_ins |= 1 << from;
        // Each once: one that begins to feed it while it is full is told then.
        let workers = connection.stand_ins & !connection.told_full;
        if limit != 0 && connection.outbox.len() > limit && workers != 0 {
            connection.told_full |= workers;
            self.tell_stand_ins(key, workers, Note::Full);
        }
    }

    pub(super) fn on_note(&mut self, id: ConnectionId, from: usize, note: Note) {
        if id == LINK {
            let link = self.link_to(from);
            if let Some(link) = self.connections.get_mut(link) {
                link.full_elsewhere = matches!(note, Note::Pause);
            }
            release_if_drained(self, link);
            return;
        }
        match note {
            Note::Pause | Note::Resume | Note::Proven | Note::Settled | Note::Close(_) => {
                let Some(key) = self.key_of(id) else { return };
                match note {
                    Note::Pause => pause(self, key),
                    Note::Resume => resume(self, key),
                    Note::Settled => {
                        if let Some(connection) = self.connections.get_mut(key) {
                            connection.unsettled &= !(1 << from);
                        }
                        self.touch(key);
                    }
                    Note::Close(reason) => close_connection(self, key, reason, None),
                    _ => {
                        if let Some(connection) = self.connections.get_mut(key) {
                            connection.probation = false;
                        }
                    }
                }
            }
            Note::Closed | Note::Full | Note::Drained => {
                let Some(&key) = self.others.stand_ins.get(&id) else { return };
                let Some(connection) = self.connections.get_mut(key) else { return };
                if !matches!(connection.link, Link::Remote { worker } if worker == from) {
                    return;
                }
                match note {
                    Note::Full => connection.full_elsewhere = true,
                    Note::Drained => {
                        connection.full_elsewhere = false;
                        release_if_drained(self, key);
                    }
                    _ => {
                        send_stream::interrupt(self, key);
                        self.hand_over(key, from);
                        self.tell_owner(key, Note::Settled);
                        if let Some(connection) = self.connections.get_mut(key) {
                            connection.state = State::Closing;
                        }
                        settle(self, key, 408);
                        self.connections.remove(key);
                        self.others.stand_ins.remove(&id);
                    }
                }
            }
        }
    }

    /// Hands what is queued for a stand-in to the owner of its socket.
    pub fn flush_to_owner(&mut self, key: Key) {
        // Whole frames only: others write to that socket, too.
        send_stream::interrupt(self, key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Link::Remote { worker } = connection.link else { return };
        if connection.outbox.is_empty() {
            return;
        }
        if self.shared.inbox(worker).is_full() {
            let waiting = &mut self.others.waiting[worker];
            if !waiting.contains(&key) {
                waiting.push(key);
            }
            return;
        }
        self.hand_over(key, worker);
        release_if_drained(self, key);
    }

    /// What is queued for a stand-in goes to the owner, whether there is room or not.
    pub(super) fn hand_over(&mut self, key: Key, worker: usize) {
        let Some(connection) = self.connections.get_mut(key).filter(|connection| !connection.outbox.is_empty()) else { return };
        let bytes = connection.outbox.take();
        connection.bytes_out += bytes.len() as u64;
        let (pending, pending_bytes) = &mut self.others.pending[worker];
        *pending_bytes += bytes.len();
        let (connection, from) = (connection.id, self.worker);
        pending.push(Command::Other(if connection == LINK {
            Message::Linked { from, bytes }
        } else {
            Message::Bytes { connection, from, bytes }
        }));
    }

    /// Tells the owner of a stand-in's socket something.
    pub fn tell_owner(&mut self, key: Key, note: Note) {
        let Some(connection) = self.connections.get(key) else { return };
        let Link::Remote { worker } = connection.link else { return };
        let message = Message::Note { connection: connection.id, from: self.worker, note };
        self.others.pending[worker].0.push(Command::Other(message));
    }

    /// Tells the workers that have a stand-in for a connection something.
    pub fn tell_stand_ins(&mut self, key: Key, workers: u64, note: Note) {
        let Some(id) = self.connections.get(key).map(|connection| connection.id) else { return };
        for (worker, (pending, _)) in self.others.pending.iter_mut().enumerate() {
            if workers & (1 << worker) != 0 {
                let message = Message::Note { connection: id, from: self.worker, note };
                pending.push(Command::Other(message));
            }
        }
    }

    /// The outbox of a connection has drained: those who feed it from other workers may go on.
    pub fn tell_drained(&mut self, key: Key) {
        let limit = self.limits.outbox_bytes;
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.told_full != 0 && connection.outbox.len() <= limit / 2 {
            let workers = mem::take(&mut connection.told_full);
            self.tell_stand_ins(key, workers, Note::Drained);
        }
    }
}
