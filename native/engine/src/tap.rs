//! Frames of traced connections: seen as they go by between a socket and the stages, both ways, and told.
//!
//! ```text
//! socket ─▶ receive ─┬─▶ route …          outbox ─┬─▶ write ─▶ socket
//!                    └─▶ Tap::incoming            └─▶ Tap::outgoing ─▶ Event::Frame ─▶ ring
//! ```
//! A tap frames for itself what is read and written anyway, so that the stages know nothing of it, and a connection without one costs
//! one look at a flag for each read and write. What the control plane does not take in time is dropped and counted: tracing slows
//! nobody down.

use crate::contract::{ConnectionId, Event, FrameSeen};
use crate::counters::Counters;
use crate::outbox::Outbox;
use crate::plane::Plane;
use crate::table::Key;
use msrp_core::frame::record::{RECORD_WORDS, kind, word};
use msrp_core::frame::{Framer, FramerOptions};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What sees the frames of one connection.
pub struct Tap {
    incoming: Direction,
    outgoing: Direction,
    /// Of each body, so many octets are told.
    body_bytes: usize,
    /// Bytes at the front of the outbox that have been seen already: the kernel did not take them.
    seen: usize,
}

/// One of the two byte streams.
#[derive(Default)]
struct Direction {
    /// None until a frame begins: a tap may be put on in the middle of one, of which nothing can be told.
    framer: Option<Box<Framer>>,
    /// Bytes that the framer wants to see again.
    rest: Vec<u8>,
    /// Head and kept body of a SEND that is still passing by.
    open: Vec<u8>,
    kept: usize,
    passed: u64,
}

/// Where frames are told.
pub struct Teller<'a> {
    pub connection: ConnectionId,
    pub events: &'a mut VecDeque<Event>,
    pub counters: &'a mut Counters,
    pub budget: &'a FrameBudget,
}

/// Bytes of frames that are on their way to the control plane, of all workers: bounded.
#[derive(Default)]
pub struct FrameBudget {
    waiting: AtomicUsize,
}

/// Frames that may wait for the control plane; those above are dropped and counted. What it does with one costs it time that does not
/// depend on the size, so each counts as `FRAME_BYTES` more.
const WAITING_BYTES: usize = 2 << 20;
const FRAME_BYTES: usize = 1024;
/// Records of one scan.
const RECORDS: usize = 16;
/// How every frame begins.
const START: &[u8] = b"MSRP ";

impl Plane {
    /// Begins to tell the frames of a connection, each with at most so many octets of its body; none ends that.
    pub fn trace_frames(&mut self, key: Key, body_bytes: Option<usize>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.traced = body_bytes.is_some();
        match (&mut connection.tap, body_bytes) {
            (Some(tap), Some(body_bytes)) => tap.body_bytes = body_bytes,
            (tap, body_bytes) => *tap = body_bytes.map(|body_bytes| Box::new(Tap::new(body_bytes))),
        }
    }

    /// A traced connection closes: the frames that still go out are told before its end is.
    pub fn tell_last(&mut self, key: Key) {
        let Self { connections, events, counters, shared, .. } = self;
        let Some(connection) = connections.get_mut(key) else { return };
        let Some(tap) = &mut connection.tap else { return };
        let mut teller = Teller { connection: connection.id, events, counters, budget: &shared.frames };
        tap.before_write(&connection.outbox, &mut teller);
    }
}

impl Tap {
    fn new(body_bytes: usize) -> Self {
        Self { incoming: Direction::default(), outgoing: Direction::default(), body_bytes, seen: 0 }
    }

    /// Bytes as they were read.
    #[cold]
    pub fn read(&mut self, bytes: &[u8], teller: &mut Teller<'_>) {
        self.incoming.push(bytes, self.body_bytes, |frame| teller.tell(true, frame));
    }

    /// What is about to be written: all of the outbox that was not seen before.
    #[cold]
    pub fn before_write(&mut self, outbox: &Outbox, teller: &mut Teller<'_>) {
        let fresh = outbox.waiting().get(self.seen..).unwrap_or_default();
        self.outgoing.push(fresh, self.body_bytes, |frame| teller.tell(false, frame));
        self.seen = outbox.len();
    }

    /// So much of it is with the kernel.
    pub fn after_write(&mut self, outbox: &Outbox) {
        self.seen = outbox.len();
    }
}

impl Direction {
    fn push(&mut self, piece: &[u8], body_bytes: usize, mut tell: impl FnMut(FrameSeen)) {
        if piece.is_empty() {
            return;
        }
        if self.framer.is_none() {
            if !piece.starts_with(START) {
                return;
            }
            *self = Self { framer: Some(Box::new(Framer::new(FramerOptions::default()))), ..Self::default() };
        }
        let Some(mut framer) = self.framer.take() else { return };
        let joined;
        let bytes = if self.rest.is_empty() {
            piece
        } else {
            self.rest.extend_from_slice(piece);
            joined = std::mem::take(&mut self.rest);
            &joined
        };
        let mut records = [0; RECORDS * RECORD_WORDS];
        let mut from = 0;
        loop {
            let count = framer.scan(bytes, from, bytes.len(), &mut records);
            for record in records.chunks_exact(RECORD_WORDS).take(count) {
                if record[word::KIND] == kind::ERROR {
                    // Out of step: nothing more can be told until a frame begins with a read of its own.
                    return;
                }
                if let Some(frame) = self.on_record(bytes, record, body_bytes) {
                    tell(frame);
                }
            }
            from = framer.consumed();
            if count == 0 || from == bytes.len() {
                break;
            }
        }
        self.rest.extend_from_slice(bytes.get(from..).unwrap_or_default());
        self.framer = Some(framer);
    }

    /// A frame, once it has gone by to its end.
    fn on_record(&mut self, bytes: &[u8], record: &[u32], body_bytes: usize) -> Option<FrameSeen> {
        let at = |word: usize| record[word] as usize;
        let part = |start: usize, end: usize| bytes.get(start..end).unwrap_or_default();
        let kind = record[word::KIND];
        let (body_start, body_end) = (at(word::BODY_START), at(word::BODY_END));
        if kind == kind::WHOLE && body_start == 0 {
            let bytes = part(at(word::START), at(word::END)).to_vec();
            return Some(FrameSeen { bytes, body_octets: 0, body_kept: 0 });
        }
        if matches!(kind, kind::WHOLE | kind::HEAD) {
            self.open.clear();
            self.open.extend_from_slice(part(at(word::START), body_start));
            (self.kept, self.passed) = (0, 0);
        }
        let kept = (body_end - body_start).min(body_bytes.saturating_sub(self.kept));
        self.open.extend_from_slice(part(body_start, body_start + kept));
        self.kept += kept;
        self.passed += (body_end - body_start) as u64;
        if !matches!(kind, kind::WHOLE | kind::END) {
            return None;
        }
        self.open.extend_from_slice(part(body_end, at(word::END)));
        Some(FrameSeen { bytes: std::mem::take(&mut self.open), body_octets: self.passed, body_kept: self.kept as u64 })
    }
}

impl Teller<'_> {
    fn tell(&mut self, incoming: bool, frame: FrameSeen) {
        if self.budget.take(&frame) {
            self.events.push_back(Event::Frame { connection: self.connection, incoming, frame });
        } else {
            self.counters.trace_frames_lost += 1;
        }
    }
}

impl FrameBudget {
    /// False when as many frames wait as may.
    fn take(&self, frame: &FrameSeen) -> bool {
        let cost = cost(frame);
        let fits = self.waiting.fetch_add(cost, Ordering::Relaxed) + cost <= WAITING_BYTES;
        if !fits {
            self.waiting.fetch_sub(cost, Ordering::Relaxed);
        }
        fits
    }

    /// The control plane has taken these events.
    pub fn give_back(&self, events: &[Event]) {
        let frames = events.iter().filter_map(|event| if let Event::Frame { frame, .. } = event { Some(frame) } else { None });
        let taken: usize = frames.map(cost).sum();
        if taken > 0 {
            self.waiting.fetch_sub(taken, Ordering::Relaxed);
        }
    }
}

fn cost(frame: &FrameSeen) -> usize {
    FRAME_BYTES + frame.bytes.len()
}
