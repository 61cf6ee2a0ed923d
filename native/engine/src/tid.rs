//! Transaction ids of forwarded requests.
//!
//! ```text
//! WSSSGGrrrrrrrrrrrrrrrr    W worker (6 bits), S slot (18 bits), G generation (12 bits), r random (96 bits)
//! ```
//! Worker, slot and generation lead from a response to its transaction without hashing; the random part keeps a body, whoever
//! wrote it, from holding the id (core C-030, relay R-053, R-083).

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// Bytes of an id.
pub const TID_LENGTH: usize = 22;

/// Workers that an id can name: its first character is a letter or a digit.
pub const MAX_WORKERS: usize = 62;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";

const VALUE: [u8; 256] = {
    let mut values = [NO_VALUE; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        #[allow(clippy::cast_possible_truncation, reason = "64 characters")]
        {
            values[ALPHABET[i] as usize] = i as u8;
        }
        i += 1;
    }
    values
};
const NO_VALUE: u8 = 0xff;

/// Makes ids. The random part comes from a cipher keyed with a seed of the operating system.
pub struct TidSource {
    random: ChaCha8Rng,
    pool: Box<[u8; POOL_BYTES]>,
    left: usize,
}

const POOL_BYTES: usize = 4096;
const RANDOM_LENGTH: usize = 16;

impl TidSource {
    /// `seed`: 32 strong random bytes.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { random: ChaCha8Rng::from_seed(seed), pool: Box::new([0; POOL_BYTES]), left: 0 }
    }

    /// The next id of a worker, for a slot of its table; slot 0 stands for "no transaction".
    #[inline]
    pub fn next(&mut self, worker: usize, slot: u32, generation: u16) -> [u8; TID_LENGTH] {
        if self.left < RANDOM_LENGTH {
            self.random.fill_bytes(&mut self.pool[..]);
            self.left = POOL_BYTES;
        }
        self.left -= RANDOM_LENGTH;
        let random = &self.pool[self.left..self.left + RANDOM_LENGTH];
        let mut tid = [0; TID_LENGTH];
        let digit = |value: usize| ALPHABET[value & 63];
        let (slot, generation) = (slot as usize, usize::from(generation));
        tid[0] = digit(worker);
        tid[1] = digit(slot >> 12);
        tid[2] = digit(slot >> 6);
        tid[3] = digit(slot);
        tid[4] = digit(generation >> 6);
        tid[5] = digit(generation);
        for (to, from) in tid[6..].iter_mut().zip(random) {
            *to = digit(usize::from(*from));
        }
        tid
    }
}

/// Worker and slot that an id names; none when it is none of ours.
#[inline]
pub fn slot_of(tid: &[u8]) -> Option<(usize, u32)> {
    let tid: &[u8; TID_LENGTH] = tid.try_into().ok()?;
    let value = |at: usize| VALUE[usize::from(tid[at])];
    let (worker, a, b, c) = (value(0), value(1), value(2), value(3));
    if (worker | a | b | c) > 63 {
        return None;
    }
    let slot = (u32::from(a) << 12) | (u32::from(b) << 6) | u32::from(c);
    (slot > 0).then_some((usize::from(worker), slot))
}

#[cfg(test)]
mod tests {
    use super::{TID_LENGTH, TidSource, slot_of};
    use std::collections::HashSet;

    #[test]
    fn ids_lead_back_and_do_not_repeat() {
        let mut tids = TidSource::new([7; 32]);
        let mut seen = HashSet::new();
        for slot in [1, 63, 64, 4095, 4096, 262_143] {
            for worker in [0, 1, 61] {
                for generation in [0, 1, 4095] {
                    let tid = tids.next(worker, slot, generation);
                    assert!(tid[0].is_ascii_alphanumeric());
                    assert_eq!(slot_of(&tid), Some((worker, slot)));
                    assert!(seen.insert(tid));
                }
            }
        }
        assert_eq!(slot_of(&tids.next(0, 0, 0)), None);
        assert_eq!(slot_of(b"short"), None);
        assert_eq!(slot_of(&[b'!'; TID_LENGTH]), None);
    }
}
