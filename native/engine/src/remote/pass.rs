//! From the owner of a socket to the worker that a frame is for.

use super::Message;
use crate::contract::{ConnectionId, ListenerId};
use crate::flow::pause;
use crate::frame::Frame;
use crate::inbox::{Command, INBOX_BYTES};
use crate::plane::Plane;
use crate::receive::on_record;
use crate::table::Key;
use crate::tid::slot_of;
use msrp_core::frame::record::{RECORD_WORDS, Record, bit, kind, word};
use std::net::SocketAddr;

/// Frames of one connection with their records, whose offsets count from the start of `bytes`.
pub struct Frames {
    pub(super) connection: ConnectionId,
    pub(super) incoming: bool,
    pub(super) listener: Option<ListenerId>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) relay: Option<String>,
    pub(super) probation: bool,
    pub(super) chunk_octets: u64,
    pub(super) from: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<Record>,
}

/// Where a frame is dealt with.
pub(super) enum Home {
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

    pub(super) fn home_of(&mut self, key: Key, frame: Frame<'_>) -> Home {
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
                    connection.last_home = self.shared.directory.worker_of(secret, connection.id);
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
    pub(super) fn pass_frame(&mut self, key: Key, frame: Frame<'_>, worker: usize) {
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
                chunk_octets: connection.chunk_octets,
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
        if self.shared.inbox(worker).is_full() || *pending_bytes > INBOX_BYTES {
            self.wait_for(worker, key);
        }
    }

    /// A connection is not read from until another worker has room.
    pub(super) fn wait_for(&mut self, worker: usize, key: Key) {
        let waiting = &mut self.others.waiting[worker];
        if !waiting.contains(&key) {
            waiting.push(key);
            pause(self, key);
        }
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
