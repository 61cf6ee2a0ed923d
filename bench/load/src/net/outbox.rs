//! What is to be written to a connection: octets of its own, and ranges of octets that all share.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

/// Slices of one vectored write.
const SLICES: usize = 64;

/// Pieces shorter than this are copied: a slice of its own costs more.
const SHARE_FROM: usize = 4096;

/// A queue of octets for one connection.
#[derive(Default)]
pub struct Outbox {
    /// Own octets.
    pub bytes: Vec<u8>,
    /// Own octets that are written.
    written: usize,
    shared: VecDeque<Range>,
    /// It is in the list of those that are to be written.
    pub dirty: bool,
    /// The socket takes nothing for now.
    pub blocked: bool,
}

/// A range of the shared octets, to be written when `at` own octets are.
struct Range {
    at: usize,
    start: usize,
    len: usize,
}

impl Outbox {
    /// Appends a range of the shared octets.
    pub fn push_shared(&mut self, shared: &[u8], start: usize, len: usize) {
        if len < SHARE_FROM {
            self.bytes.extend_from_slice(shared.get(start..start + len).unwrap_or_default());
        } else {
            self.shared.push_back(Range { at: self.bytes.len(), start, len });
        }
    }

    /// Writes until all is written or the socket takes no more, which sets `blocked`.
    pub fn flush(&mut self, socket: &mut impl Write, shared: &[u8]) -> io::Result<()> {
        while self.written < self.bytes.len() || !self.shared.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let (used, offered) = self.gather(&mut slices, shared);
            let result = match slices.get(..used).unwrap_or_default() {
                [only] => socket.write(only),
                several => socket.write_vectored(several),
            };
            match result {
                Ok(count) => {
                    self.advance(count);
                    if count < offered {
                        // More room is announced by epoll.
                        self.blocked = true;
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }

    /// Fills `slices` in order; returns how many, and their octets.
    fn gather<'o>(&'o self, slices: &mut [IoSlice<'o>; SLICES], shared: &'o [u8]) -> (usize, usize) {
        let (mut used, mut offered, mut at) = (0, 0, self.written);
        let mut add = |octets: &'o [u8]| {
            if let Some(place) = slices.get_mut(used).filter(|_| !octets.is_empty()) {
                *place = IoSlice::new(octets);
                used += 1;
                offered += octets.len();
            }
        };
        for range in self.shared.iter().take(SLICES / 2 - 1) {
            add(self.bytes.get(at..range.at).unwrap_or_default());
            add(shared.get(range.start..range.start + range.len).unwrap_or_default());
            at = range.at;
        }
        if self.shared.len() < SLICES / 2 {
            add(self.bytes.get(at..).unwrap_or_default());
        }
        (used, offered)
    }

    fn advance(&mut self, count: usize) {
        let mut count = count;
        while let Some(range) = self.shared.front_mut() {
            let own = count.min(range.at - self.written);
            self.written += own;
            count -= own;
            if self.written < range.at || count < range.len {
                if self.written == range.at {
                    range.start += count;
                    range.len -= count;
                }
                return;
            }
            count -= range.len;
            self.shared.pop_front();
        }
        self.written += count;
    }
}

#[cfg(test)]
mod tests {
    use super::Outbox;
    use std::io::{self, ErrorKind, IoSlice, Write};

    /// Takes so many octets in each write, then nothing, in turn.
    struct Reluctant {
        taken: Vec<u8>,
        each: usize,
        full: bool,
    }

    impl Write for Reluctant {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(octets)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.full = !self.full;
            if !self.full {
                return Err(ErrorKind::WouldBlock.into());
            }
            let octets: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(self.each).collect();
            self.taken.extend_from_slice(&octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_arrives_in_order_whatever_the_socket_takes() {
        let shared: Vec<u8> = (0..20_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        for each in [1, 5, 4095, 4096, 9000, 1_000_000] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for round in 0..100_usize {
                let own = vec![u8::try_from(round).unwrap(); round % 7];
                outbox.bytes.extend_from_slice(&own);
                expected.extend_from_slice(&own);
                let (start, len) = (round * 11, if round % 3 == 0 { 100 } else { 5000 });
                outbox.push_shared(&shared, start, len);
                expected.extend_from_slice(&shared[start..start + len]);
            }
            outbox.bytes.extend_from_slice(b"end");
            expected.extend_from_slice(b"end");
            let mut socket = Reluctant { taken: Vec::new(), each, full: false };
            loop {
                outbox.blocked = false;
                outbox.flush(&mut socket, &shared).unwrap();
                if !outbox.blocked {
                    break;
                }
            }
            assert_eq!(socket.taken, expected, "{each} at once");
            assert!(outbox.bytes.is_empty());
        }
    }
}
