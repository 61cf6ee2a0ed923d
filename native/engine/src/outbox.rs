//! Bytes that wait to be written to one connection.

use std::mem;

/// A queue of bytes in one piece of memory.
///
/// ```text
/// [ written | waiting ......... | room ]
///           head                len
/// ```
/// INVARIANT: bounded by the flow control of the sources (flow.rs), which stop reading above the high-water mark: one read of
/// each source may come on top.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    head: usize,
    /// Bytes that were lent to whoever writes them, and are not back yet.
    lent: usize,
}

impl Outbox {
    /// Bytes that wait, and bytes that are lent.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.head + self.lent
    }

    /// Takes out the first `count` bytes of what waits; they count until they are [`returned`](Self::returned).
    pub fn lend(&mut self, count: usize, spare: &mut Spare) -> Vec<u8> {
        let lent = if self.head == 0 && count == self.bytes.len() {
            mem::take(&mut self.bytes)
        } else {
            let lent = self.waiting()[..count].to_vec();
            self.written(count, spare);
            lent
        };
        self.lent += count;
        lent
    }

    /// What was lent, all of it, is with the peer.
    pub fn returned(&mut self) -> usize {
        mem::take(&mut self.lent)
    }

    /// True when nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits.
    pub fn waiting(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    /// Where to append. Memory comes from `spare` when there is none yet: a quiet connection holds none.
    #[inline]
    pub fn buffer(&mut self, spare: &mut Spare) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = spare.take();
        }
        &mut self.bytes
    }

    /// `count` bytes are with the kernel.
    pub fn written(&mut self, count: usize, spare: &mut Spare) {
        self.head += count;
        if self.head == self.bytes.len() {
            self.head = 0;
            self.bytes.clear();
            spare.give(mem::take(&mut self.bytes));
        } else if self.head >= COMPACT_BYTES && self.head >= self.bytes.len() - self.head {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }

    /// Takes everything out.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = mem::take(&mut self.bytes);
        if self.head > 0 {
            bytes.drain(..self.head);
            self.head = 0;
        }
        bytes
    }
}

/// Written bytes in front of the queue are dropped from here on, when they are as many as those that wait.
const COMPACT_BYTES: usize = 65_536;

/// Free buffers, shared by all outboxes of a worker: a busy connection allocates none in the steady state.
#[derive(Debug, Default)]
pub struct Spare {
    buffers: Vec<Vec<u8>>,
}

impl Spare {
    /// An empty buffer; the one given back last, which the cache still has.
    pub fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    /// Gives a buffer back; large ones go to the allocator.
    pub fn give(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() >= BUFFER_BYTES && buffer.capacity() <= KEPT_BYTES && self.buffers.len() < KEPT_BUFFERS {
            self.buffers.push(buffer);
        }
    }
}

const BUFFER_BYTES: usize = 4096;
const KEPT_BYTES: usize = 262_144;
const KEPT_BUFFERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::{Outbox, Spare};

    #[test]
    fn bytes_come_out_in_order_whatever_is_taken_at_a_time() {
        let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
        let sent: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        let mut got = Vec::new();
        for (i, piece) in sent.chunks(7000).enumerate() {
            outbox.buffer(&mut spare).extend_from_slice(piece);
            let count = (i * 1237 % 7001).min(outbox.len());
            got.extend_from_slice(&outbox.waiting()[..count]);
            outbox.written(count, &mut spare);
        }
        got.extend_from_slice(outbox.waiting());
        assert_eq!(got, sent);
        let before = outbox.len();
        assert_eq!(outbox.lend(100, &mut spare), sent[sent.len() - before..][..100]);
        assert_eq!(outbox.len(), before);
        assert_eq!(outbox.returned(), 100);
        assert_eq!(outbox.len(), before - 100);
        let rest = outbox.len();
        assert_eq!(outbox.take().len(), rest);
        assert!(outbox.is_empty());
    }
}
