//! Messages in one direction between two ends: what was sent, answered and delivered.

use crate::body::{Bodies, Piece, Recipe};
use crate::net::outbox::Outbox;
use crate::wire::encode;
use crate::wire::head::Head;
use crate::wire::tid::{Tid, base32, hex32, mix, number_of, parse_hex, tid};
use std::collections::VecDeque;
use std::time::Instant;

/// What all flows of a run have in common. Sizes in octets.
pub struct Shape {
    /// Of a message.
    pub message: u64,
    /// Of the body of a chunk, at least 1.
    pub chunk: u64,
    /// Chunks in flight; 0 is no limit.
    pub window: usize,
    /// Failure-Report `yes`: each chunk is answered.
    pub answered: bool,
    /// Header lines between Message-ID and Byte-Range.
    pub headers: Vec<u8>,
    /// Byte-Range of a message that is one chunk; made once for all.
    pub whole: Vec<u8>,
    /// Compare each octet.
    pub verify: bool,
}

impl Shape {
    /// The Byte-Range line of a whole message of `message` octets.
    pub fn whole(message: u64) -> Vec<u8> {
        let mut line = Vec::new();
        encode::byte_range(&mut line, 1, message, message);
        line
    }

    fn chunks_per_message(&self) -> u64 {
        self.message.div_ceil(self.chunk).max(1)
    }
}

struct Chunk {
    tid: Tid,
    message: u64,
    /// Octets of the message that are sent with this chunk and those before it.
    end: u64,
    last: bool,
    /// When the message was begun, or was due.
    begun: Instant,
    answered: bool,
    delivered: bool,
}

/// One direction of a pair.
pub struct Flow {
    /// Connection that sends.
    pub from: usize,
    key: u64,
    /// Start of each SEND between its transaction id and the number of the message.
    opening: Vec<u8>,
    recipe: Recipe,
    /// Next message and octet to send.
    next: (u64, u64),
    /// Number of the first chunk in flight.
    oldest: u64,
    flight: VecDeque<Chunk>,
    unanswered: usize,
    undelivered: usize,
    /// When the message being sent was begun.
    begun: Instant,
    /// Message and octet that the receiver has come to.
    arrived: (u64, u64),
    expected: Recipe,
    prepared: Option<u64>,
    /// The last delivery, or the beginning.
    pub progress: Instant,
}

/// What a frame's end has brought.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When the message was begun that is now complete.
    pub message: Option<Instant>,
    /// A place in the window may be free.
    pub freed: bool,
}

impl Flow {
    /// Flow `number` of the run with the key `run`, along the path `to`.
    pub fn new(run: u64, number: u64, sender: usize, to: &str, from: &str, now: Instant) -> Self {
        let key = mix(run ^ mix(number));
        let mut opening = format!(" SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: ").into_bytes();
        opening.extend_from_slice(&base32(key));
        Self {
            from: sender,
            key,
            opening,
            recipe: Recipe::default(),
            next: (0, 0),
            oldest: 0,
            flight: VecDeque::new(),
            unanswered: 0,
            undelivered: 0,
            begun: now,
            arrived: (0, 0),
            expected: Recipe::default(),
            prepared: None,
            progress: now,
        }
    }

    /// True when the window has a place.
    pub fn has_place(&self, shape: &Shape) -> bool {
        shape.window == 0 || self.unanswered.max(self.undelivered) < shape.window
    }

    /// True when the next chunk begins a message.
    pub fn between_messages(&self) -> bool {
        self.next.1 == 0
    }

    /// Chunks that were not answered, and not delivered, so far.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.unanswered, self.undelivered)
    }

    /// Writes the next chunk. `begun` counts when it begins a message.
    pub fn send(&mut self, shape: &Shape, bodies: &Bodies, begun: Instant, out: &mut Outbox) {
        let (message, offset) = self.next;
        let number = self.oldest + self.flight.len() as u64;
        let id = tid(self.key, number);
        if offset == 0 {
            self.begun = begun;
            bodies.prepare(&mut self.recipe, self.key, message, &id);
        }
        let len = shape.chunk.min(shape.message - offset);
        let last = offset + len == shape.message;
        out.bytes.extend_from_slice(b"MSRP ");
        out.bytes.extend_from_slice(&id);
        out.bytes.extend_from_slice(&self.opening);
        out.bytes.extend_from_slice(&hex32(message));
        out.bytes.extend_from_slice(&shape.headers);
        if len == shape.message {
            out.bytes.extend_from_slice(&shape.whole);
        } else {
            encode::byte_range(&mut out.bytes, offset + 1, len, shape.message);
        }
        out.bytes.extend_from_slice(b"Content-Type: application/octet-stream\r\n\r\n");
        let (mut at, end) = (to_usize(offset), to_usize(offset + len));
        while at < end {
            match self.recipe.piece(at, end - at) {
                Piece::Own(own) => {
                    out.bytes.extend_from_slice(own);
                    at += own.len();
                }
                Piece::Pattern { start, len } => {
                    out.push_shared(bodies.pattern(), start, len);
                    at += len;
                }
            }
        }
        encode::end_line(&mut out.bytes, &id, if last { b'$' } else { b'+' }, true);
        self.next = if last { (message + 1, 0) } else { (message, offset + len) };
        self.unanswered += usize::from(shape.answered);
        self.undelivered += 1;
        self.flight.push_back(Chunk {
            tid: id,
            message,
            end: offset + len,
            last,
            begun: self.begun,
            answered: !shape.answered,
            delivered: false,
        });
    }

    /// Takes the response to a chunk.
    pub fn answer(&mut self, response: &Head<'_>, code: u16) -> Result<(), &'static str> {
        let number = number_of(response.tid).ok_or("response to no request")?;
        // Transaction ids carry 32 bits of the number.
        let index = number.wrapping_sub(self.oldest) & 0xffff_ffff;
        let chunk = self.flight.get_mut(to_usize(index)).filter(|chunk| chunk.tid == response.tid);
        let chunk = chunk.ok_or("response to no request")?;
        if std::mem::replace(&mut chunk.answered, true) {
            return Err("second response");
        }
        self.unanswered -= 1;
        self.forget();
        if code == 200 { Ok(()) } else { Err("response other than 200") }
    }

    /// Takes the head of a SEND at the receiver: true when it goes on where the one before it ended. An error is one that does not
    /// belong here; its body is not looked at.
    pub fn begin(&mut self, shape: &Shape, bodies: &Bodies, send: &Head<'_>) -> Result<bool, &'static str> {
        let (flow, number) = send.message_id.split_at_checked(13).ok_or("unknown Message-ID")?;
        let number = parse_hex(number).filter(|_| flow == base32(self.key)).ok_or("unknown Message-ID")?;
        let low = (number.wrapping_sub(self.arrived.0)) & 0xffff_ffff;
        let at = (self.arrived.0 + low, send.range_start.wrapping_sub(1));
        let in_order = at == self.arrived;
        if low > 0xffff {
            return Err("message again");
        }
        self.arrived = at;
        if shape.verify && self.prepared != Some(at.0) {
            self.prepared = Some(at.0);
            bodies.prepare(&mut self.expected, self.key, at.0, &tid(self.key, at.0 * shape.chunks_per_message()));
        }
        Ok(in_order)
    }

    /// Takes part of a body at the receiver.
    pub fn receive(&mut self, shape: &Shape, bodies: &Bodies, octets: &[u8]) -> Result<(), &'static str> {
        let offset = self.arrived.1;
        self.arrived.1 += octets.len() as u64;
        if self.arrived.1 > shape.message {
            return Err("message too long");
        }
        if shape.verify && !bodies.matches(&self.expected, to_usize(offset), octets) {
            return Err("body differs");
        }
        Ok(())
    }

    /// Takes the end of a SEND at the receiver.
    pub fn finish(&mut self, shape: &Shape, flag: u8, now: Instant) -> (Delivery, Result<(), &'static str>) {
        let mut delivery = Delivery::default();
        let result = match flag {
            b'$' if self.arrived.1 == shape.message => Ok(()),
            b'$' => Err("message too short"),
            b'+' => Ok(()),
            _ => Err("message abandoned"),
        };
        let first = self.flight.len() - self.undelivered.min(self.flight.len());
        for chunk in self.flight.range_mut(first..) {
            if (chunk.message, chunk.end) > self.arrived || (chunk.last && chunk.message == self.arrived.0 && flag == b'+') {
                break;
            }
            chunk.delivered = true;
            self.undelivered -= 1;
            delivery.freed = true;
            if chunk.last && chunk.message == self.arrived.0 && result.is_ok() {
                delivery.message = Some(chunk.begun);
            }
        }
        if flag != b'+' {
            self.arrived = (self.arrived.0 + 1, 0);
        }
        if delivery.freed {
            self.progress = now;
        }
        self.forget();
        (delivery, result)
    }

    fn forget(&mut self) {
        while self.flight.front().is_some_and(|chunk| chunk.answered && chunk.delivered) {
            self.flight.pop_front();
            self.oldest += 1;
        }
    }
}

/// Offsets and sizes are those of messages that fit in memory addresses.
fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
