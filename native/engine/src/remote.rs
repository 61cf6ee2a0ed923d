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
//! A connection that has done nothing yet moves to the worker of the session that its first request is for, socket and all:
//! the usual conversation then has both its ends on one worker.

use crate::close::{close_connection, settle};
use crate::connection::{Connection, Link, State};
use crate::contract::{CloseReason, ConnectionId, ListenerId, SessionId};
use crate::flow::{pause, release_if_drained, resume};
use crate::frame::Frame;
use crate::inbox::{Command, Inbox};
use crate::plane::{Plane, decoder, token_of, worker_of};
use crate::receive::{on_linked, on_record};
use crate::reply::begin_frame;
use crate::send_stream;
use crate::table::Key;
use crate::tid::slot_of;
use ahash::AHashMap;
use mio::Interest;
use mio::net::TcpStream;
use msrp_core::frame::FrameLimits;
use msrp_core::frame::record::{RECORD_WORDS, Record, bit, kind, word};
use msrp_core::syntax::uri::Uri;
use std::mem;
use std::net::SocketAddr;

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
    /// A connection that moves, socket and all.
    Adopt(Box<Moving>),
    /// A connection that has moved has closed: its first worker need not pass commands on any more.
    Forget(ConnectionId),
}

/// Frames of one connection with their records, whose offsets count from the start of `bytes`.
pub struct Frames {
    connection: ConnectionId,
    incoming: bool,
    listener: Option<ListenerId>,
    remote: Option<SocketAddr>,
    relay: Option<String>,
    probation: bool,
    from: usize,
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// A word about a connection.
#[derive(Clone, Debug)]
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

/// A connection on its way to another worker.
pub struct Moving {
    id: ConnectionId,
    listener: Option<ListenerId>,
    stream: TcpStream,
    remote: Option<SocketAddr>,
    local: Option<SocketAddr>,
    /// Bytes that were read and not handled.
    rest: Vec<u8>,
    opened_at_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// What one worker knows of the others.
pub struct Remote {
    /// Stand-ins by the number of the connection.
    stand_ins: AHashMap<ConnectionId, Key>,
    /// Connections that have moved here, by the number that they have kept.
    pub adopted: AHashMap<ConnectionId, Key>,
    /// Connections that have moved away, and where to.
    moved: AHashMap<ConnectionId, usize>,
    /// What goes to each worker at the end of the turn, and how many bytes of frames are in it.
    pending: Vec<(Vec<Command>, usize)>,
    /// Who waits for room in the inbox of each worker.
    waiting: Vec<Vec<Key>>,
    /// The link to each worker, once there is one.
    links: Vec<Option<Key>>,
}

/// Number of a link: it stands for no connection of the contract.
pub const LINK: ConnectionId = u64::MAX;

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

/// Where a frame is dealt with.
enum Home {
    Here,
    There(usize),
}

impl Plane {
    /// A record of a connection of this worker: dealt with here, or passed to the worker that its session lives on.
    #[inline]
    pub fn on_frame(&mut self, key: Key, frame: Frame<'_>) {
        if self.others.pending.len() > 1
            && let Home::There(worker) = self.home_of(key, frame)
        {
            self.pass_frame(key, frame, worker);
            return;
        }
        on_record(self, key, frame);
    }

    fn home_of(&mut self, key: Key, frame: Frame<'_>) -> Home {
        let Some(connection) = self.connections.get_mut(key) else { return Home::Here };
        let worker = match frame.record[word::KIND] {
            kind::WHOLE | kind::HEAD if frame.is_response() => slot_of(frame.tid()).map(|(worker, _)| worker),
            kind::WHOLE | kind::HEAD if frame.record[word::ISSUE] != 0 => {
                // What follows may repeat the paths of this one.
                connection.last_home = None;
                None
            }
            kind::WHOLE | kind::HEAD => {
                connection.same_home = frame.has(bit::SAME_PATHS) && connection.last_home.is_some();
                if connection.same_home {
                    connection.last_home
                } else {
                    let secret = frame.span(word::SESSION_START, word::SESSION_END);
                    connection.last_home = self.shared.worker_of_session(secret);
                    connection.last_home
                }
            }
            kind::BODY | kind::END => connection.stream_home,
            _ => None,
        };
        let worker = worker.filter(|&worker| worker != self.worker && worker < self.others.pending.len());
        match frame.record[word::KIND] {
            kind::HEAD => connection.stream_home = worker,
            kind::END => connection.stream_home = None,
            _ => {}
        }
        worker.map_or(Home::Here, Home::There)
    }

    /// Appends a frame to what goes to another worker in this turn.
    fn pass_frame(&mut self, key: Key, frame: Frame<'_>, worker: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.stand_ins |= 1 << worker;
        let id = connection.id;
        let (pending, pending_bytes) = &mut self.others.pending[worker];
        let same = matches!(pending.last(), Some(Command::Other(Message::Frames(last))) if last.connection == id);
        if !same {
            pending.push(Command::Other(Message::Frames(Box::new(Frames {
                connection: id,
                incoming: connection.incoming,
                listener: connection.listener,
                remote: connection.remote,
                relay: connection.relay.as_deref().map(str::to_owned),
                probation: connection.probation,
                from: self.worker,
                bytes: Vec::new(),
                records: Vec::new(),
            }))));
        }
        let Some(Command::Other(Message::Frames(frames))) = pending.last_mut() else { return };
        let (start, end) = (frame.word(word::START), frame.word(word::END));
        let at = frames.bytes.len();
        frames.bytes.extend_from_slice(&frame.bytes[start..end]);
        let mut record = moved(frame.record, start, at);
        if !connection.same_home {
            // The frame before it that had these paths went elsewhere: over there, another one was the last.
            record[word::BITS] &= !bit::SAME_PATHS;
        }
        frames.records.push(record);
        *pending_bytes += end - start;
        if self.shared.inbox(worker).is_full() || *pending_bytes > crate::inbox::INBOX_BYTES {
            self.wait_for(worker, key);
        }
    }

    /// A connection is not read from until another worker has room.
    fn wait_for(&mut self, worker: usize, key: Key) {
        let waiting = &mut self.others.waiting[worker];
        if !waiting.contains(&key) {
            waiting.push(key);
            pause(self, key);
        }
    }

    /// The end of a turn: everything for other workers is delivered, with one wake for each.
    pub fn deliver(&mut self) {
        for worker in 0..self.others.pending.len() {
            let (pending, bytes) = &mut self.others.pending[worker];
            if !pending.is_empty() {
                self.shared.inbox(worker).put(pending, mem::take(bytes));
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
    fn hand_over(&mut self, key: Key, worker: usize) {
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
    pub fn tell_stand_ins(&mut self, key: Key, workers: u64, note: &Note) {
        let Some(id) = self.connections.get(key).map(|connection| connection.id) else { return };
        for (worker, (pending, _)) in self.others.pending.iter_mut().enumerate() {
            if workers & (1 << worker) != 0 {
                let message = Message::Note { connection: id, from: self.worker, note: note.clone() };
                pending.push(Command::Other(message));
            }
        }
    }

    /// What another worker has to say.
    pub fn on_message(&mut self, message: Message) {
        match message {
            Message::Frames(frames) => self.on_frames(&frames),
            Message::Bytes { connection, from, bytes } => self.on_bytes(connection, from, &bytes),
            Message::Note { connection, from, note } => self.on_note(connection, from, &note),
            Message::Linked { from, bytes } => {
                let link = self.link_to(from);
                on_linked(self, link, &bytes);
            }
            Message::Adopt(moving) => self.adopt(*moving),
            Message::Forget(connection) => _ = self.others.moved.remove(&connection),
        }
    }

    /// Whether a connection of this worker has moved to another one.
    pub fn has_moved(&self, connection: ConnectionId) -> bool {
        self.others.moved.contains_key(&connection)
    }

    /// A command about a connection that has moved goes after it.
    pub fn pass_on(&mut self, connection: ConnectionId, command: Command) {
        if let Some(&worker) = self.others.moved.get(&connection) {
            self.others.pending[worker].0.push(command);
        }
    }

    /// A command about a session that is not known on the worker of its number: its connection may have moved before it was
    /// opened.
    pub fn pass_to_others(&mut self, session: SessionId, command: impl Fn() -> Command) {
        if worker_of(session) != self.worker {
            return;
        }
        for (worker, (pending, _)) in self.others.pending.iter_mut().enumerate() {
            if worker != self.worker {
                pending.push(command());
            }
        }
    }

    fn on_frames(&mut self, frames: &Frames) {
        let key = match self.others.stand_ins.get(&frames.connection) {
            Some(&key) => key,
            None => self.add_stand_in(frames.connection, frames.incoming, frames.from),
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.listener = frames.listener;
            connection.remote = frames.remote;
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
        self.tell_proven(key);
    }

    /// Tells the owner of a stand-in's socket, once, that it has made a request that was a success (relay R-041).
    pub fn tell_proven(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_remote() && !connection.probation && !mem::replace(&mut connection.told_proven, true) {
            self.tell_owner(key, Note::Proven);
        }
    }

    /// The stand-in for an outgoing connection of another worker.
    pub fn stand_in_for(&mut self, id: ConnectionId) -> Key {
        match self.others.stand_ins.get(&id) {
            Some(&key) => key,
            None => self.add_stand_in(id, false, worker_of(id)),
        }
    }

    fn add_stand_in(&mut self, id: ConnectionId, incoming: bool, worker: usize) -> Key {
        let (decoder, now_ms) = (self.decoder(), self.now_ms);
        let mut connection = Connection::new(id, incoming, State::Open, decoder, now_ms);
        connection.link = Link::Remote { worker };
        let key = self.connections.insert_with(|_| connection);
        self.others.stand_ins.insert(id, key);
        key
    }

    fn on_bytes(&mut self, id: ConnectionId, from: usize, bytes: &[u8]) {
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
            self.tell_stand_ins(key, workers, &Note::Full);
        }
    }

    /// The outbox of a connection has drained: those who feed it from other workers may go on.
    pub fn tell_drained(&mut self, key: Key) {
        let limit = self.limits.outbox_bytes;
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.told_full != 0 && connection.outbox.len() <= limit / 2 {
            let workers = mem::take(&mut connection.told_full);
            self.tell_stand_ins(key, workers, &Note::Drained);
        }
    }

    fn on_note(&mut self, id: ConnectionId, from: usize, note: &Note) {
        if id == LINK {
            // The rest is about connections.
            if !matches!(note, Note::Pause | Note::Resume) {
                return;
            }
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
                    Note::Close(reason) => close_connection(self, key, *reason, None),
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

    /// The worker of another one's session, when the URI is that of one.
    pub fn foreign_worker(&self, uri: &Uri<'_>) -> Option<usize> {
        if self.others.links.len() == 1 {
            return None;
        }
        self.shared.worker_of_session(uri.session_id?).filter(|&worker| worker != self.worker)
    }

    /// The connection in memory to another worker, for paths through sessions of both.
    pub fn link_to(&mut self, worker: usize) -> Key {
        if let Some(link) = self.others.links[worker] {
            return link;
        }
        // What comes over it was within the limits when it came in, and has grown since: a lost link would take every session of
        // the two workers with it.
        let decoder = decoder(FrameLimits { line_bytes: 0, header_lines: 0, header_bytes: 0, non_send_body_bytes: 0 }, 0);
        let mut link = Connection::new(LINK, false, State::Open, decoder, self.now_ms);
        link.link = Link::Remote { worker };
        let key = self.connections.insert_with(|_| link);
        self.others.links[worker] = Some(key);
        key
    }

    /// The worker that a connection should move to before `frame` of it is handled; none when it stays.
    ///
    /// Only one that has done nothing moves: it has no session, owes no answer, and nobody knows it but by its number. That of a
    /// relay stays: it carries sessions of all workers.
    pub fn should_move(&mut self, key: Key, frame: Frame<'_>) -> Option<usize> {
        if self.others.pending.len() == 1 || !matches!(frame.record[word::KIND], kind::WHOLE | kind::HEAD) {
            return None;
        }
        let connection = self.connections.get(key)?;
        let untouched = connection.incoming
            && connection.probation
            && connection.relay.is_none()
            && connection.sessions.is_empty()
            && connection.routes.is_empty()
            && connection.stand_ins == 0
            && connection.requests == 0
            && connection.outbox.is_empty()
            && connection.pauses == 0
            && worker_of(connection.id) == self.worker;
        if !untouched || frame.is_response() {
            return None;
        }
        match self.home_of(key, frame) {
            Home::There(worker) => Some(worker),
            Home::Here => None,
        }
    }

    /// Moves a connection to another worker with the bytes that it has not handled.
    pub fn move_away(&mut self, key: Key, worker: usize, rest: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Link::Tcp(_) = connection.link else { return };
        let Some(mut connection) = self.connections.remove(key) else { return };
        let Link::Tcp(mut stream) = mem::replace(&mut connection.link, Link::None) else { return };
        let _ = self.registry.deregister(&mut stream);
        self.others.moved.insert(connection.id, worker);
        let moving = Moving {
            id: connection.id,
            listener: connection.listener,
            stream,
            remote: connection.remote,
            local: connection.local,
            rest: rest.to_vec(),
            opened_at_ms: connection.opened_at_ms,
            bytes_in: connection.bytes_in,
            bytes_out: connection.bytes_out,
        };
        self.others.pending[worker].0.push(Command::Other(Message::Adopt(Box::new(moving))));
    }

    fn adopt(&mut self, moving: Moving) {
        let (decoder, now_ms) = (self.decoder(), self.now_ms);
        let mut connection = Connection::new(moving.id, true, State::Open, decoder, now_ms);
        connection.listener = moving.listener;
        connection.remote = moving.remote;
        connection.local = moving.local;
        connection.opened_at_ms = moving.opened_at_ms;
        connection.bytes_in = moving.bytes_in;
        connection.bytes_out = moving.bytes_out;
        connection.unhandled = moving.rest;
        connection.readable = true;
        let key = self.connections.insert_with(|_| connection);
        self.others.adopted.insert(moving.id, key);
        self.shared.note_moved(moving.id, self.worker);
        let mut stream = moving.stream;
        let registered = self.registry.register(&mut stream, token_of(key), Interest::READABLE | Interest::WRITABLE);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.link = Link::Tcp(stream);
        }
        match registered {
            Ok(()) => self.read_later(key),
            Err(error) => close_connection(self, key, CloseReason::PeerReset, Some(crate::errno::name(&error))),
        }
    }

    /// A connection that had moved here has gone.
    pub fn forget_adopted(&mut self, id: ConnectionId) {
        if self.others.adopted.remove(&id).is_some() {
            self.shared.forget_moved(id);
            self.others.pending[worker_of(id)].0.push(Command::Other(Message::Forget(id)));
        }
    }
}

/// Wakes whoever waits for room in the inbox of a worker that has just emptied it.
pub fn tell_of_room(inboxes: &[Inbox]) {
    for inbox in inboxes {
        inbox.wake();
    }
}

/// A record whose frame lies at `to` instead of `from`.
fn moved(record: &Record, from: usize, to: usize) -> Record {
    let mut moved = *record;
    let shift = |offset: u32| u32::try_from(offset as usize - from + to).unwrap_or(u32::MAX);
    moved[word::START] = shift(record[word::START]);
    moved[word::END] = shift(record[word::END]);
    if matches!(record[word::KIND], kind::BODY | kind::END) {
        moved[word::BODY_START] = shift(record[word::BODY_START]);
        moved[word::BODY_END] = shift(record[word::BODY_END]);
        return moved;
    }
    for at in word::TID_START..=word::SESSION_END {
        // 0 is "absent": no value lies at the start of a frame.
        if !matches!(at, word::METHOD | word::FLAG | word::ISSUE) && record[at] != 0 {
            moved[at] = shift(record[at]);
        }
    }
    moved
}

const _: () = assert!(RECORD_WORDS > word::SESSION_END);
