//! Transaction ids and other idents (core C-003). Randomness comes from the caller.

/// Bytes of an ident of our own; 96 bits of them are random (core C-030 asks for 64).
pub const IDENT_LENGTH: usize = 16;
/// Bytes of the transaction id of a forwarded request.
pub const FORWARD_TID_LENGTH: usize = 22;
/// Slots that a transaction id can name.
pub const MAX_SLOTS: u32 = 62 << 18;

const RANDOM_LENGTH: usize = FORWARD_TID_LENGTH - 6;

/// 64 ident characters, of which the first 62 may come first.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";

/// A transaction id of a forwarded request.
pub type ForwardTid = [u8; FORWARD_TID_LENGTH];

/// Makes a transaction id, Message-ID or other ident of random bytes (core C-003, C-040).
#[must_use]
pub fn ident_of(random: [u8; IDENT_LENGTH]) -> [u8; IDENT_LENGTH] {
    let mut ident = random.map(|byte| character(u32::from(byte)));
    // The first character must be a letter or digit: 62 of them.
    if let (Some(first), Some(byte)) = (ident.first_mut(), random.first()) {
        *first = character(u32::from(byte % 62));
    }
    ident
}

/// Makes the transaction id of a forwarded request:
///
/// ```text
/// SSSSGGrrrrrrrrrrrrrrrr    S slot (24 bits), G generation (12 bits), r random (96 bits)
/// ```
/// Slot and generation lead from a response to its transaction without hashing; the random part keeps a body, whoever wrote
/// it, from holding the id (core C-030, relay R-053, R-083). Slot 0 stands for "no transaction". INVARIANT: `slot` is below
/// [`MAX_SLOTS`], or the first character might be none that an ident begins with.
#[must_use]
pub fn forward_tid(slot: u32, generation: u32, random: [u8; RANDOM_LENGTH]) -> ForwardTid {
    let mut tid = [0; FORWARD_TID_LENGTH];
    let named = [slot >> 18, slot >> 12, slot >> 6, slot, generation >> 6, generation];
    for (into, value) in tid.iter_mut().zip(named.into_iter().chain(random.map(u32::from))) {
        *into = character(value);
    }
    tid
}

/// The slot named by a transaction id, `None` when it is none of ours.
#[must_use]
pub fn slot_of_tid(tid: &[u8]) -> Option<u32> {
    tid.get(..4)?.iter().try_fold(0, |slot, &byte| Some(slot << 6 | value(byte)?))
}

/// Makes transaction ids of a pool of random bytes, so that the system is asked once for many.
#[derive(Debug)]
pub struct TidSource<F> {
    random: F,
    pool: Box<[[u8; RANDOM_LENGTH]]>,
    left: usize,
}

/// Ids made of one pool.
const POOLED_IDS: usize = 512;

impl<F: FnMut(&mut [u8])> TidSource<F> {
    /// `random` fills what it is given with bytes that nobody can predict.
    pub fn new(random: F) -> Self {
        Self { random, pool: vec![[0; RANDOM_LENGTH]; POOLED_IDS].into_boxed_slice(), left: 0 }
    }

    /// A new id, as [`forward_tid`].
    pub fn next(&mut self, slot: u32, generation: u32) -> ForwardTid {
        if self.left == 0 {
            (self.random)(self.pool.as_flattened_mut());
            self.left = self.pool.len();
        }
        self.left -= 1;
        forward_tid(slot, generation, self.pool.get(self.left).copied().unwrap_or_default())
    }
}

#[allow(clippy::indexing_slicing, reason = "64 characters for six bits")]
fn character(value: u32) -> u8 {
    ALPHABET[(value & 63) as usize]
}

fn value(byte: u8) -> Option<u32> {
    let offset = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'.' => 62,
        b'-' => 63,
        _ => return None,
    };
    Some(u32::from(offset))
}

#[cfg(test)]
mod tests {
    use super::{MAX_SLOTS, TidSource, forward_tid, ident_of, slot_of_tid};
    use crate::frame::line::is_ident;

    #[test]
    fn an_id_leads_back_to_its_slot() {
        for slot in [0, 1, 63, 64, 4095, 1 << 18, MAX_SLOTS - 1] {
            let tid = forward_tid(slot, 0xfff, [0xff; 16]);
            assert!(is_ident(&tid));
            assert_eq!(slot_of_tid(&tid), Some(slot));
        }
        assert_eq!(slot_of_tid(b"AB+A"), None);
        assert_eq!(slot_of_tid(b"ABA"), None);
        assert_eq!(&forward_tid(1, 65, [0; 16]), b"AAABBBAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn every_first_byte_gives_an_ident() {
        for byte in 0..=255 {
            assert!(is_ident(&ident_of([byte; 16])), "{byte}");
        }
    }

    #[test]
    fn a_source_uses_every_random_byte_once() {
        let mut calls = 0;
        let mut source = TidSource::new(|into: &mut [u8]| {
            calls += 1;
            for (at, bytes) in (0_u32..).zip(into.chunks_exact_mut(4)) {
                // Six bits of a byte come to bear.
                bytes.copy_from_slice(&(at & 63 | at >> 6 << 8 | calls << 16).to_le_bytes());
            }
        });
        let ids: std::collections::HashSet<_> = (0..1024).map(|_| source.next(7, 1)).collect();
        assert_eq!(ids.len(), 1024);
        assert_eq!(calls, 2);
    }
}
