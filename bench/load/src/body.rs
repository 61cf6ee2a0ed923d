//! Bodies that their receiver can make again, octet by octet, from the flow and the number of the message.
//!
//! ```text
//! | preamble: flow, number, decoys | pattern, rotated by an amount that the message decides …        |
//! ```

use crate::wire::tid::{TID_LEN, Tid, hex32, mix};

/// What bodies are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BodyKind {
    /// Words and lines.
    Text,
    /// Any octet.
    Binary,
    /// End-lines of other frames, near misses of its own, whole frames.
    Adversarial,
}

/// Octets after which the pattern repeats: a prime, so that no usual chunk size is a multiple of it.
const PERIOD: usize = 65_521;

/// Makes and checks bodies.
pub struct Bodies {
    kind: BodyKind,
    /// Each message differs, so that a mix-up shows. Otherwise (text, binary) all are the same, which costs nothing to make.
    distinct: bool,
    /// Octets of a message that travel in its first chunk.
    first_chunk: usize,
    /// Two periods, so that a piece of one period lies in one slice wherever it begins.
    pattern: Vec<u8>,
}

/// What one message is made of.
#[derive(Default)]
pub struct Recipe {
    preamble: Vec<u8>,
    shift: usize,
}

impl Recipe {
    /// What stands at `offset`, at most `len` octets of it: of the preamble, or a range of the pattern.
    pub fn piece(&self, offset: usize, len: usize) -> Piece<'_> {
        match self.preamble.get(offset..) {
            Some(rest) if !rest.is_empty() => Piece::Own(rest.get(..len).unwrap_or(rest)),
            _ => Piece::Pattern { start: (self.shift + offset) % PERIOD, len: len.min(PERIOD) },
        }
    }
}

impl Bodies {
    /// `first_chunk` is the number of octets that the first chunk of each message carries.
    pub fn new(kind: BodyKind, distinct: bool, first_chunk: usize) -> Self {
        let mut pattern = pattern(kind);
        pattern.extend_from_within(..);
        Self { kind, distinct: distinct || kind == BodyKind::Adversarial, first_chunk, pattern }
    }

    /// The octets that recipes refer to.
    pub fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    /// Makes the recipe of message `number` of the flow with the key `key`, whose first chunk has the transaction id `tid`.
    pub fn prepare(&self, recipe: &mut Recipe, key: u64, number: u64, tid: &Tid) {
        recipe.preamble.clear();
        if !self.distinct {
            return;
        }
        recipe.shift = usize::try_from(mix(key.rotate_left(17) ^ number)).unwrap_or_default() % PERIOD;
        recipe.preamble.extend_from_slice(b"flow ");
        recipe.preamble.extend_from_slice(&hex32(mix(key)));
        recipe.preamble.extend_from_slice(b" message ");
        recipe.preamble.extend_from_slice(&hex32(number));
        let marked = recipe.preamble.len();
        if self.kind == BodyKind::Adversarial {
            decoys(&mut recipe.preamble, tid);
            // A decoy that is cut may come true: what follows the cut is the frame's own end-line.
            if recipe.preamble.len() > self.first_chunk {
                recipe.preamble.truncate(marked);
            }
        }
        recipe.preamble.truncate(self.first_chunk);
    }

    /// True when `octets` are those of the message from `offset` on.
    pub fn matches(&self, recipe: &Recipe, offset: usize, octets: &[u8]) -> bool {
        let (mut offset, mut rest) = (offset, octets);
        while !rest.is_empty() {
            let expected = match recipe.piece(offset, rest.len()) {
                Piece::Own(octets) => octets,
                Piece::Pattern { start, len } => self.pattern.get(start..start + len).unwrap_or_default(),
            };
            let Some(next) = rest.strip_prefix(expected) else { return false };
            offset += expected.len();
            rest = next;
        }
        true
    }
}

/// Part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'r> {
    /// Octets of the preamble.
    Own(&'r [u8]),
    /// A range of the pattern.
    Pattern {
        /// Offset in [`Bodies::pattern`].
        start: usize,
        /// Octets.
        len: usize,
    },
}

/// Near misses of the end-line of `tid`: none is one, and none becomes one by what is in front of it or behind it.
fn decoys(out: &mut Vec<u8>, tid: &Tid) {
    let mut longer = [b'x'; TID_LEN + 1];
    for (place, octet) in longer.iter_mut().zip(tid) {
        *place = *octet;
    }
    let shorter = tid.get(..TID_LEN - 1).unwrap_or_default();
    for (before, name, behind) in [
        (&b"\r\n------"[..], &tid[..], &b"$\r\n"[..]),
        (b"\r\n--------", tid, b"$\r\n"),
        (b"\n-------", tid, b"$\r\n"),
        (b"\r-------", tid, b"+\r\n"),
        (b"\r\n-------", &longer, b"$\r\n"),
        (b"\r\n-------", shorter, b"$\r\n"),
        (b"\r\n-------", tid, b"*\r\n"),
        (b"\r\n-------", tid, b"\r\n"),
        (b"\r\n-------", tid, b"$\n\r"),
        (b"\r\n-------", tid, b"# \r\n"),
    ] {
        out.extend_from_slice(before);
        out.extend_from_slice(name);
        out.extend_from_slice(behind);
    }
}

/// One period of the pattern.
fn pattern(kind: BodyKind) -> Vec<u8> {
    let mut numbers = Numbers(0x6d73_7270);
    let mut octets = Vec::with_capacity(2 * PERIOD);
    while octets.len() < PERIOD {
        match kind {
            BodyKind::Text => {
                for _ in 0..=numbers.below(9) {
                    octets.push(b'a' + numbers.below(26));
                }
                octets.extend_from_slice(if numbers.below(12) == 0 { b"\r\n" } else { b" " });
            }
            BodyKind::Binary => octets.push(numbers.below(0)),
            BodyKind::Adversarial => hostile(&mut octets, &mut numbers),
        }
    }
    octets.truncate(PERIOD);
    octets
}

/// Something that a careless parser trips over. Transaction ids begin with an upper-case letter here, never in frames.
fn hostile(out: &mut Vec<u8>, numbers: &mut Numbers) {
    let mut id = *b"Z---------------";
    for place in id.iter_mut().skip(1) {
        *place = b'0' + numbers.below(10);
    }
    let parts: &[&[u8]] = match numbers.below(8) {
        0 => &[b"\r\n-------", &id, b"$\r\n"],
        1 => &[b"\r\n-------", &id, b"+\r\n"],
        2 => &[b"\r\n-------\r\n-------\r\n"],
        3 => &[b"MSRP ", &id, b" SEND\r\nTo-Path: msrp://127.0.0.1:1/x;tcp\r\nFrom-Path: msrp://127.0.0.1:2/y;tcp\r\n\r\n"],
        4 => &[b"-----------------------\r\r\n\n\r"],
        5 => &[b"\r\n-------", &id, b"#\r\nMSRP ", &id, b" 200 OK\r\n"],
        6 => &[b"\0\xff\xfe\x80", &id],
        _ => &[b"plain words between them "],
    };
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    /// A number below `bound`; any octet when it is 0.
    fn below(&mut self, bound: u8) -> u8 {
        self.0 = mix(self.0);
        let [octet, ..] = self.0.to_be_bytes();
        if bound == 0 { octet } else { octet % bound }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bodies, BodyKind, PERIOD, Piece, Recipe};
    use crate::wire::end_line::{EndLines, OPENING, Search};
    use crate::wire::tid::tid;

    fn body(bodies: &Bodies, key: u64, number: u64, len: usize) -> Vec<u8> {
        let mut recipe = Recipe::default();
        bodies.prepare(&mut recipe, key, number, &tid(key, number));
        let mut octets = Vec::new();
        while octets.len() < len {
            match recipe.piece(octets.len(), len - octets.len()) {
                Piece::Own(own) => octets.extend_from_slice(own),
                Piece::Pattern { start, len } => octets.extend_from_slice(&bodies.pattern()[start..start + len]),
            }
        }
        octets
    }

    #[test]
    fn a_body_matches_itself_only() {
        for kind in [BodyKind::Text, BodyKind::Binary, BodyKind::Adversarial] {
            let bodies = Bodies::new(kind, true, 1000);
            let octets = body(&bodies, 5, 9, 200_000);
            let mut recipe = Recipe::default();
            bodies.prepare(&mut recipe, 5, 9, &tid(5, 9));
            for cut in [0, 1, 24, 400, PERIOD, 199_999] {
                assert!(bodies.matches(&recipe, 0, &octets[..cut]) && bodies.matches(&recipe, cut, &octets[cut..]));
            }
            for spoilt in [0, 30, 70_000, 199_999] {
                let mut octets = octets.clone();
                octets[spoilt] ^= 1;
                assert!(!bodies.matches(&recipe, 0, &octets), "octet {spoilt}");
            }
            assert!(!bodies.matches(&recipe, 16_384, &octets[32_768..40_000]), "a chunk in the place of another");
            bodies.prepare(&mut recipe, 5, 10, &tid(5, 10));
            assert!(!bodies.matches(&recipe, 0, &octets), "the next message");
            bodies.prepare(&mut recipe, 6, 9, &tid(6, 9));
            assert!(!bodies.matches(&recipe, 0, &octets), "another flow");
        }
    }

    #[test]
    fn no_body_holds_an_end_line_of_its_own() {
        let ends = EndLines::new();
        for size in [1, 20, 200, 283, 284, 400, 2000, 70_000] {
            let bodies = Bodies::new(BodyKind::Adversarial, true, size);
            for number in 0..50 {
                let id = tid(1, number);
                let octets = [&body(&bodies, 1, number, size)[..], OPENING, &id, b"$\r\n"].concat();
                let found = ends.search(&octets, 0, &id);
                assert_eq!(found, Search::Found { at: size, flag: b'$', next: octets.len() }, "{size} octets");
            }
        }
    }

    #[test]
    fn adversarial_bodies_are_full_of_openings() {
        let bodies = Bodies::new(BodyKind::Adversarial, false, 400);
        let octets = body(&bodies, 1, 1, 400);
        assert!(octets.windows(OPENING.len()).filter(|window| *window == OPENING).count() >= 6);
        assert!(octets.windows(21).any(|window| window == tid(1, 1)), "its own transaction id");
    }
}
